"""Runs in processes of their own, forked from one that has imported TensorFlow, to be stopped and killed."""

import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nst_rs.cli import app
from nst_rs.config.loading import load_config
from nst_rs.errors import NstError
from nst_rs.optimise import checkpoint
from nst_rs.runs.optimised import levels
from nst_rs.runs.painted import painting
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import run
from tests.forkserver import FORKING
from tests.pixel_kernel import OBJECTIVE, PixelKernel, PixelRecipe

_PATIENCE = 120.0
"""Seconds to wait for a run at most."""


@dataclass(frozen=True)
class Orders:
    """What a run is to do."""

    assignments: tuple[str, ...]
    network: bool = False
    """Whether with the real network, or the stand-in for it."""
    kill_at: int | None = None
    """Die before this change of a file, from 1."""
    publishing: bool = False
    """Count changes only from when the output is written."""
    before_moving: str = ""
    """Die before a file of this name is moved into place."""
    wait_after: int | None = None
    """Wait after this many windows."""


@dataclass(frozen=True)
class Tally:
    """What a run has done that came to its end."""

    changes: int
    """Of files, in all."""
    publishing: int
    """Of files, from when the output is written."""
    seconds: float


class ForkedRun:
    """A run in a process of its own."""

    def __init__(self, orders: Orders) -> None:
        """Start it."""
        self._here, there = FORKING.Pipe()
        self.process: BaseProcess = FORKING.Process(target=_run, args=(orders, there))
        self.process.start()
        there.close()

    def end(self) -> int | None:
        """Wait for it to end; return its exit code."""
        self.process.join(_PATIENCE)
        return self.process.exitcode

    def said(self) -> Any:
        """Return what it says next: ``waiting``, an error in one line, or at its end a `Tally`."""
        assert self._here.poll(_PATIENCE)
        return self._here.recv()

    def go_on(self) -> None:
        """Let it go on from where it waits."""
        self._here.send("go on")


class ForkedCommand:
    """The command line in a process of its own, with temporary files in a folder and its messages in a file."""

    def __init__(self, arguments: list[str], temporary: Path, messages: Path) -> None:
        """Start it."""
        self.process: BaseProcess = FORKING.Process(target=_command, args=(arguments, temporary, messages))
        self.process.start()

    def stop(self, how: signal.Signals) -> int | None:
        """Send it a signal, and wait for it to end; return its exit code."""
        assert self.process.pid is not None
        os.kill(self.process.pid, how)
        self.process.join(_PATIENCE)
        return self.process.exitcode


def from_a_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function of a module returns in a process of its own; both ends must be picklable."""
    here, there = FORKING.Pipe()
    process = FORKING.Process(target=_answer, args=(there, work, arguments))
    process.start()
    assert here.poll(_PATIENCE)
    found = here.recv()
    process.join(_PATIENCE)
    return found


def _answer(there: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    there.send(work(*arguments))


def _command(arguments: list[str], temporary: Path, messages: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):  # whoever runs the tests may ignore them
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    os.dup2(os.open(messages, os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    app(arguments)


def use_pixels_for_features(put: Callable[[object, str, object], None] = setattr) -> None:
    """Let the pipeline work without a network, in this process and on the workers that it sends tiles to."""
    put(levels, "build_kernel", lambda *_: PixelKernel())
    put(levels, "build_objectives", lambda _config, _kernel, styles, _tile: [OBJECTIVE] * len(styles))
    put(levels, "KernelRecipe", SimpleNamespace(of=lambda *_: PixelRecipe()))


def _run(orders: Orders, there: Any) -> None:
    _keep_every_state()
    changes, started = _count_changes(orders), time.monotonic()
    if not orders.network:
        use_pixels_for_features()
    try:
        run(prepare(load_config(None, orders.assignments)), _waiting(orders.wait_after, there))
    except NstError as error:
        there.send(f"{type(error).__name__}: {error}")
        sys.exit(2)
    there.send(Tally(*changes(), time.monotonic() - started))


def _keep_every_state() -> None:
    """Keep the state of every round, and note every tile: else it is a matter of time how many files are changed."""
    checkpoint._SHARE = math.inf
    painting._SECONDS_BETWEEN_NOTES = 0.0


def _waiting(after: int | None, there: Any) -> Callable[[Progress], None]:
    heard: list[Progress] = []

    def hear(state: Progress) -> None:
        heard.append(state)
        if len(heard) == after:
            there.send("waiting")
            there.recv()

    return hear


def _count_changes(orders: Orders) -> Callable[[], tuple[int, int]]:
    """Count what this process does to files, in all and while publishing, and die when it is time."""
    counted, publishing = 0, 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal counted, publishing
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            counted += 1
            publishing += bool(publishing) or str(arguments[0]).endswith("/scratch")
            moved = event == "os.rename" and os.path.basename(arguments[1]) == orders.before_moving
            if moved or (publishing if orders.publishing else counted) == orders.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    return lambda: (counted, publishing)
