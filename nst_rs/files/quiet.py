"""Keeping libraries from writing to the terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

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
