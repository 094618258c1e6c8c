"""A disk that has no room, for as long as a test needs it."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def files_of_at_most(size: int, processes: Sequence[int] = (0,)) -> Iterator[None]:
    """Let every longer write of these processes fail as it does on a full disk; 0: of this one."""
    before = [resource.prlimit(process, resource.RLIMIT_FSIZE) for process in processes]
    for process, (_, hard) in zip(processes, before, strict=True):
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        for process, limits in zip(processes, before, strict=True):
            resource.prlimit(process, resource.RLIMIT_FSIZE, limits)
