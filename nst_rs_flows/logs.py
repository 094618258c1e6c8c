"""What Prefect's log says of a run that failed for a reason that is told: its one line, without a traceback."""

import logging

from prefect.exceptions import FailedRun

from nst_rs.errors import NstError

_LOGGERS = ("prefect.flow_runs", "prefect.engine")
"""Where a deployment's run is told to have failed, once more and with a traceback, after its own line."""


def without_tracebacks() -> None:
    """Have Prefect leave out the traceback of what is told in one line."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_in_a_line)  # adding it again changes nothing


def _in_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, NstError | FailedRun):
        record.exc_info = record.exc_text = None
        record.msg, record.args = "%s", (str(error),)
    return True
