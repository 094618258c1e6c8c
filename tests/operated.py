"""A scheduler and workers of Dask, as an operator starts them: every one a process by itself."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_address() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


def wait_for(host: str, port: str) -> None:
    """Wait until someone listens, however busy the machine is."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.5)


@contextmanager
def _processes(*commands: str, folder: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Parts of Dask, as an operator starts them in a folder."""
    dask, environment = [sys.executable, "-m", "dask"], {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([*dask, *command.split()], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def operated(address: str, folder: Path = ROOT, workers: int = 2) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """A scheduler at `address` and workers, started in `folder`: their processes, in this order."""
    host, port = address.removeprefix("tcp://").split(":")
    with _processes(
        f"scheduler --host {host} --port {port} --dashboard-address 127.0.0.1:0",
        *[f"worker {address} --nthreads 1 --no-dashboard --no-nanny"] * workers,
        folder=folder,
    ) as started:
        wait_for(host, port)
        yield started
