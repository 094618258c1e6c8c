"""Locks that keep two runs from one place. The operating system holds them and drops them when the process ends.

A killed run leaves its lock's file behind and not the lock, so that nobody waits for it, whatever process has its
number by now. What the file says of the holder is for people.
"""

import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from nst_rs.errors import LockedError, OutputError

log = logging.getLogger(__name__)

_SECONDS = 0.3  # what a run that has just ended may take to let go
_LONGEST_COMMAND = 200


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, described so that people find it."""

    pid: int
    host: str
    since: str
    """The time in UTC."""
    command: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process."""
        command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(os.getpid(), platform.node(), since, command[:_LONGEST_COMMAND])

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """Return the holder that a lock's file names; None where there is no file, or it cannot be read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def __str__(self) -> str:
        """Return the holder in one line."""
        return f"process {self.pid} on {self.host}, since {self.since}: {self.command}"


def path_for(tif: Path) -> Path:
    """Return the lock of the map `tif`, named after what the map, its preview and its record have in common.

    >>> path_for(Path("maps/olinda.tif")).name, path_for(Path("maps/olinda.tiff")).name
    ('.olinda.lock', '.olinda.lock')
    """
    return tif.with_name(f".{tif.stem}.lock")


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock `path` for the time of the context; `what` says what it guards.

    Raises LockedError, naming the process, where another holds it; OutputError where there can be no lock.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=_SECONDS)
    except Timeout as error:
        holder = Holder.read(path) or "a process that has not said its name"
        raise LockedError(what, expected="no other run at it", got=str(holder), do="wait for it, or stop it") from error
    except OSError as error:
        raise OutputError(f"lock {path}", expected="leave to write", got=str(error)) from error
    earlier = Holder.read(path)
    if earlier is not None:
        log.warning("%s: taken over from a run that did not end, %s", what, earlier)
    try:
        _sign(path, lock)
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who has it open already notices that it has no name any more
        lock.release()


def _sign(path: Path, lock: FileLock) -> None:
    """Say in the lock's file who holds it, unless the file is itself the lock, where files cannot be locked."""
    if isinstance(lock, SoftFileLock):
        return
    with suppress(OSError):  # a full disk: the lock holds all the same
        path.write_text(json.dumps(asdict(Holder.here())), encoding="utf-8")
