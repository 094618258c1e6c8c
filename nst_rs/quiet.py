"""Keeping libraries from writing to the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_notes_hidden() -> Iterator[None]:
    """Keep TensorFlow's start from writing to the terminal.

    Its libraries note missing CUDA drivers straight to the file descriptor, before any setting is read; on a machine
    without a GPU that is no news. Our own messages go to a copy of the descriptor and stay.
    """
    stderr = sys.stderr.fileno()
    kept = os.dup(stderr)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stderr)
    try:
        yield
    finally:
        os.dup2(kept, stderr)
        os.close(kept)
