"""Prefect flows: the same runs as the command line's, scheduled."""

import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

if find_spec("prefect") is None:
    raise ModuleNotFoundError("the flows need prefect, which is not installed; pip install 'nst-rs[flows]'")

# All of these are read when Prefect or TensorFlow is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "nst_rs")
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
# A first start migrates the database, which takes longer than Prefect waits by itself: minutes on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "600")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# nst_rs_flows/home.py says it in one line.
warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")

# A deployment has the checkout on the path only while it imports a flow. Workers of a cluster, which inherit the path,
# import it by its name again.
_CHECKOUT = str(Path(__file__).parents[1])
if _CHECKOUT not in sys.path:
    sys.path.append(_CHECKOUT)
