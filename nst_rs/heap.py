"""The process's heap: what arrays leave free goes back to the system."""

import ctypes

_MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` of <malloc.h>."""
_LARGE = 2**20


def give_back_large_blocks() -> None:
    """Have every freed block of a mebibyte or more go back to the system at once, where the C library is glibc.

    By itself glibc comes to keep blocks of up to 32 MiB in its heaps, one of which every thread has, and small ones
    between them hold them there: the larger a scene is, the more pieces lie about. See mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
