"""Keeping libraries from writing to the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
"""Where native libraries write, whatever ``sys.stderr`` is by now."""


@contextmanager
def native_notes_hidden() -> Iterator[None]:
    """Keep TensorFlow's start from writing to the terminal.

    Its libraries note missing CUDA drivers straight to the file descriptor, before any setting is read; on a machine
    without a GPU that is no news. What is to be seen meanwhile must go to a copy of the descriptor, as the command
    line's own messages do.
    """
    kept = os.dup(_STDERR)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
