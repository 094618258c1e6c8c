"""Keeping libraries from writing to the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nst_rs.files.extras import naming_extras

_STDERR = 2
"""Where native libraries write, whatever ``sys.stderr`` is by now."""


@contextmanager
def native_notes_hidden() -> Iterator[None]:
    """Keep libraries from writing to the terminal, Python's and native ones.

    TensorFlow notes missing CUDA drivers, and PROJ a missing database, straight to the file descriptor, before any
    setting is read; users can do nothing about either. Messages of this program's own must go to a copy of the
    descriptor meanwhile, as the command line's do.
    """
    kept = os.dup(_STDERR)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def importing_tensorflow() -> Iterator[None]:
    """Keep TensorFlow from writing notes to the terminal while it is imported, and all but errors afterwards.

    Raises ResourceError where it is not installed.
    """
    with naming_extras("nst_rs"):
        if "tensorflow" in sys.modules:
            yield
            return
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads this when it is imported
        with native_notes_hidden():
            yield
