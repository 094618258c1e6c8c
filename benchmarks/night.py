"""A night as an operator has it: Prefect's server and worker, Dask's scheduler and workers, an inbox, a schedule.

Every part is a process by itself on loopback, started as docs/operations.md says, and started again when it has ended.
"""

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

from benchmarks.scenes import cut_scenes
from nst_rs.files.lock import Holder, path_for
from nst_rs.files.workspace import Workspace
from nst_rs.schedule.catalogue import Catalogue, Entry
from tests.deployed import CHECKOUT, PATIENT, PREFECT, Server
from tests.operated import free_address

T = TypeVar("T")

SETTINGS = {
    "style.size": 128,
    "schedule.levels": 2,
    "schedule.iterations": [8, 4],
    "compute.device": "cpu",
    "compute.precision": "float32",
    "compute.memory": "2GB",
}
"""Few iterations of the whole network: a scene takes half a minute. Precision and memory are given: what a run decides
of them by itself depends on how busy the machine is, and the maps are to be compared."""
SETTLE_SECONDS = 5.0
WORKERS = 2
_SECONDS_TO_RESTART = 5.0
"""How long after its end a supervisor starts a part again."""
_DASK = (sys.executable, "-m", "dask")


@dataclass
class Part:
    """A process that is kept running."""

    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None
    _ended: float = 0.0

    def keep(self) -> None:
        """Start it, or start it again some seconds after it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._ended = time.monotonic()
        elif time.monotonic() - self._ended > _SECONDS_TO_RESTART:
            with self.log.open("a") as log:
                self._process = subprocess.Popen(
                    self.command, cwd=CHECKOUT, env=dict(self.environment), stdout=log, stderr=log
                )

    def pids(self) -> set[int]:
        """Return its process and those that it has started."""
        if self._process is None or self._process.poll() is not None:
            return set()
        return {self._process.pid, *(child.pid for child in psutil.Process(self._process.pid).children(recursive=True))}


@dataclass
class Night:
    """The parts, the inbox and its maps."""

    folder: Path
    scenes: Sequence[Path]
    server: Server
    parts: Mapping[str, Part]
    seconds: float
    """How long it may take."""
    began: float = field(default_factory=time.monotonic)
    missing: set[str] = field(default_factory=set)
    """Scenes that the catalogue called made while their map was not there."""

    @property
    def minute(self) -> float:
        """The minutes since it began."""
        return (time.monotonic() - self.began) / 60

    @property
    def product(self) -> Path:
        """The folder of the maps; before there is one, a name that nothing has."""
        return next((self.folder / "maps").glob("*/"), self.folder / "none")

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What the catalogue says of every scene."""
        return Catalogue.read(self.product).entries

    @property
    def made(self) -> set[str]:
        """The scenes that the catalogue calls made."""
        return {name for name, entry in self.entries.items() if entry.state == "made"}

    def at_work(self) -> dict[str, int]:
        """Return scene → process of those that are in the middle: they have been kept at least once."""
        tifs = [self.product / scene.name for scene in self.scenes]
        holders = {tif.stem: Holder.read(path_for(tif)) for tif in tifs if Workspace(tif).checkpoint.exists()}
        return {name: holder.pid for name, holder in holders.items() if holder and psutil.pid_exists(holder.pid)}

    def last_kept(self) -> float:
        """Return the time at which a scene was last kept or a map made."""
        times = [0.0]
        for path in (*self.product.glob("*.tif"), *self.product.glob(".*.work/checkpoint.json")):
            with suppress(FileNotFoundError):
                times.append(path.stat().st_mtime)
        return max(times)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs that the server knows, the latest first."""
        runs: list[dict[str, Any]] = self.server.ask("flow_runs/filter", {"sort": "START_TIME_DESC"})
        return runs

    def states(self) -> Counter[str]:
        """Return how many runs have which state on Prefect's page, but for those that are to come."""
        return Counter(run["state_name"] for run in self.runs() if run["state_type"] != "SCHEDULED")

    def said(self, words: str) -> int:
        """Return how often the parts' logs have these words."""
        return sum(part.log.read_text(errors="replace").count(words) for part in self.parts.values())

    def wait_for(self, what: Callable[[], T]) -> T:
        """Keep the parts running until there is what is waited for, and return it. Raises TimeoutError."""
        while time.monotonic() < self.began + self.seconds:
            for part in self.parts.values():
                part.keep()
            self.missing |= {name for name in self.made if not (self.product / f"{name}.tif").is_file()}
            if found := what():
                return found
            time.sleep(1)
        raise TimeoutError(f"{len(self.made)} of {len(self.scenes)} maps are made after {self.minute:.0f} minutes")


@contextmanager
def begun(folder: Path, options: argparse.Namespace) -> Iterator[Night]:
    """Start all parts, and the first run over an inbox of `options.scenes` scenes; end everything afterwards."""
    inbox, home = folder / "inbox", folder / "home"
    inbox.mkdir()
    home.mkdir()
    server, address = Server.at(home), free_address()
    try:
        server.start()
        parts = _parts(folder, server, address)
        server.command("work-pool", "create", "styling", "--type", "process")
        server.command("deploy", "--all", "--prefect-file", str(_deployments(folder, address, options.every)))
        night = Night(folder, cut_scenes(inbox, options.scenes), server, parts, _longest(options))
        server.command("deployment", "run", "stylize-inbox/stylize-inbox")
        yield night
    finally:
        kill(child.pid for child in psutil.Process().children(recursive=True))
        kill(process.pid for process in psutil.process_iter() if _home(process) == str(home))  # left alone by theirs


def kill(pids: Iterable[int]) -> None:
    """Kill processes without a word, and wait until they are gone."""
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=60)


def _longest(options: argparse.Namespace) -> float:
    """Return the seconds after which a night is given up."""
    return 60.0 * (3 * options.scenes + options.away + 30)


def _home(process: psutil.Process) -> str | None:
    """Return Prefect's home as a process has it."""
    try:
        return process.environ().get("PREFECT_HOME")
    except psutil.Error:
        return None


def _parts(folder: Path, server: Server, address: str) -> dict[str, Part]:
    """Return what is kept running besides Prefect's server."""
    host, port = address.removeprefix("tcp://").split(":")
    scheduler = (*_DASK, "scheduler", "--host", host, "--port", port, "--dashboard-address", "127.0.0.1:0")
    worker = (*_DASK, "worker", address, "--nthreads", "1", "--no-dashboard")
    commands = {"scheduler": scheduler, **{f"worker {number}": worker for number in range(1, WORKERS + 1)}}
    # Workers of Dask's are told of Prefect's server by the run.
    untold = {key: value for key, value in server.environment.items() if key != "PREFECT_API_URL"}
    environment = {**untold, "PYTHONPATH": str(CHECKOUT)}
    prefect = Part(
        (*PREFECT, "worker", "start", "--pool", "styling"), server.environment | PATIENT, folder / "prefect.log"
    )
    dask = {name: Part(command, environment, folder / f"{name}.log") for name, command in commands.items()}
    return {**dask, "prefect": prefect}


def _deployments(folder: Path, address: str, every: int) -> Path:
    """Write prefect.yaml with the night's inbox and cluster, and with a run every few minutes."""
    file = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())
    (inbox,) = (deployment for deployment in file["deployments"] if deployment["name"] == "stylize-inbox")
    inbox["parameters"] |= {
        "inbox": str(folder / "inbox"),
        "output": str(folder / "maps"),
        "settings": SETTINGS,
        "settle_seconds": SETTLE_SECONDS,
        "address": address,
    }
    inbox["schedules"] = [{"cron": f"*/{every} * * * *", "timezone": "UTC"}]
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(file))
    return path
