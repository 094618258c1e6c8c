"""The process's heaps: few, so that what arrays leave free in one is there for the next."""

import ctypes

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of <malloc.h>."""
_ENOUGH = 2


def keep_few_heaps() -> None:
    """Have the threads to come share two heaps, where the C library is glibc.

    By itself glibc gives up to eight a core, and a block that one thread has freed in its heap is not there for the
    others: the longer a run, the more lies about in all of them. See mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ENOUGH)
