"""A connection to a Dask scheduler and its workers: tasks sent, waited for, and what the loss of either is called."""

import logging
import queue
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dask
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client, Future, KilledWorker, LocalCluster, Scheduler, SchedulerPlugin
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import get_backend
from distributed.security import Security

from nst_rs.errors import ResourceError
from nst_rs.files.failures import unwritable

log = logging.getLogger(__name__)

P = TypeVar("P")

SECONDS_TO_ANSWER = 30
_SECONDS_WITHOUT_WORKERS = 300
_SECONDS_BETWEEN_LOOKS = 5
_RETRIES = 2
_GO_ON = "then give the same command again: the run goes on from where it was last kept"


@dataclass
class Graph:
    """Tasks to come."""

    tasks: dict[str, dict[str, tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(dict))
    """Worker → key → function and arguments, which may be keys and futures; for any worker under the empty name."""

    def add(self, key: str, *task: Any, worker: str = "") -> str:
        """Add a task for `worker`, or for any; return its key."""
        self.tasks[worker][key] = task
        return key


class _LetGo(SchedulerPlugin):  # type: ignore[misc]  # Dask has no types
    """Lets any worker have the tasks of those that are gone.

    Dask does, but not where for a moment there was no worker at all: then it waits for the very ones that are gone.
    """

    idempotent = True

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:  # noqa: ARG002
        """Before a new worker is looked at for what it may do."""
        for waiting in scheduler.unrunnable:
            if waiting.loose_restrictions:
                waiting.worker_restrictions = None


class Cluster:
    """A connection to a scheduler and its workers."""

    def __init__(self, client: Client) -> None:
        """Use the workers of `client`; raises ResourceError when there are none, or when its scheduler lacks us."""
        self.client = client
        self.address: str = client.scheduler.address
        self._instruct()
        self.threads = min(self._nthreads().values())
        """Of a worker, the fewest: with as many in each, the result's bits do not depend on who computes what."""

    @property
    def workers(self) -> list[str]:
        """The addresses of the workers that there are now."""
        return sorted(self._nthreads())

    def wait_for(self, workers: int) -> None:
        """Wait until there are so many; after a while those that are there will do."""
        with suppress(TimeoutError):
            self.client.wait_for_workers(workers, timeout=_SECONDS_WITHOUT_WORKERS)

    def prove(self, folder: Path) -> None:
        """Have every worker that there is now read what is written in `folder`, which is there.

        Raises ResourceError, with the workers' names, where one does not see it: it has another disk.
        """
        token = uuid.uuid4().hex
        path = folder.absolute() / f"seen-{token}"
        try:
            path.write_text(token, encoding="utf-8")
            with self._answering():
                answers: dict[str, str] = self.client.run(read_token, str(path), on_error="ignore")
        except OSError as error:
            raise unwritable(f"folder {folder}", error) from error
        finally:
            path.unlink(missing_ok=True)
        blind = {worker: answer for worker, answer in sorted(answers.items()) if answer != token}
        if blind:
            raise ResourceError(
                f"worker{'s' if len(blind) > 1 else ''} {', '.join(blind)}",
                expected=f"the folder {folder.absolute()} as this machine has it",
                got=next(iter(blind.values())),
                do="write to a disk that all of them reach under the same path, or stop these workers",
            )

    def each(self, work: Callable[[Any, P], None], shared: Any, parts: Sequence[P], done: Callable[[P], None]) -> None:
        """Have `work(shared, part)` done for every part by any worker, telling `done` which one is done.

        What fails is tried again, up to _RETRIES times, and so is what a lost worker had begun: `work` must not mind
        being done twice. `shared` is sent to every worker once.
        """
        graph, name = Graph(), uuid.uuid4().hex
        common = graph.add(f"shared-{name}", same, shared)
        keys = {graph.add(f"part-{name}-{number}", work, common, part): part for number, part in enumerate(parts)}
        self.wait(self.run(graph, keys, retries=_RETRIES), lambda key: done(keys[key]))

    def run(self, graph: Graph, wanted: Iterable[str], retries: int = 0) -> dict[str, Future]:
        """Begin to compute a graph; return key → future of what is wanted of it."""
        keys = list(wanted)
        layers = {
            worker: MaterializedLayer(tasks, annotations={"workers": [worker], "allow_other_workers": True})
            if worker
            else MaterializedLayer(tasks)
            for worker, tasks in graph.tasks.items()
        }
        with self._answering():
            whole = HighLevelGraph(layers, {name: set() for name in layers})
            futures = self.client.get(whole, keys, sync=False, retries=retries)
        return dict(zip(keys, futures, strict=True))

    def wait(self, futures: Mapping[str, Future], done: Callable[[str], None] = lambda _: None) -> None:
        """Wait for all of them and tell `done` the key of each. Raises what a task raised, or ResourceError."""
        for key in self.finished(futures):
            self._check(futures[key])
            done(key)

    def finished(self, futures: Mapping[str, Future]) -> Iterator[str]:
        """Wait for one after the other, the first first, and yield its key, whatever has become of it.

        Raises ResourceError where the scheduler or all workers are lost.
        """
        ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        for key, future in futures.items():
            future.add_done_callback(lambda _, key=key: ended.put(key))
        for _ in futures:
            yield self._next(ended)

    def result(self, future: Future) -> Any:
        """Return what a task that has ended returned. Raises what it raised, or ResourceError."""
        self._check(future)
        with self._answering():
            return future.result()

    def _check(self, future: Future) -> None:
        if future.status in ("error", "cancelled"):
            raise self._failure(future)

    def _next(self, ended: "queue.SimpleQueue[str]") -> str:
        """Return what is finished next; look from time to time whether there is anyone to finish it."""
        last_seen = time.monotonic()
        while True:
            try:
                return ended.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                with self._answering():
                    if self.client.nthreads():
                        last_seen = time.monotonic()
                if time.monotonic() - last_seen > _SECONDS_WITHOUT_WORKERS:
                    raise self._no_workers() from None

    def _failure(self, future: Future) -> BaseException:
        if future.status == "cancelled":  # all tasks are, when the scheduler is lost
            return self._lost(ConnectionError("the connection to it was lost"))
        with self._answering():
            error: BaseException = future.exception()
        if isinstance(error, KilledWorker):
            return ResourceError(
                f"cluster {self.address}",
                expected="workers that live",
                got=f"{error.allowed_failures + 1} in a row that died of the same task",
                do=f"see in their logs what they lacked, memory most often, {_GO_ON}",
            )
        return error

    def _instruct(self) -> None:
        try:
            with self._answering():
                self.client.register_plugin(_LetGo(), name="nst-rs")
        except ImportError as error:
            need = "a scheduler that can import nst_rs"
            do = "pip install 'nst-rs[dask]' where it runs, and start it again"
            raise ResourceError(f"cluster {self.address}", expected=need, got=str(error), do=do) from error

    def _nthreads(self) -> dict[str, int]:
        with self._answering():
            threads: dict[str, int] = self.client.nthreads()
            if threads:
                return threads
            with suppress(TimeoutError):
                self.client.wait_for_workers(1, timeout=_SECONDS_WITHOUT_WORKERS)
                return self._nthreads()
        raise self._no_workers()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Tell the loss of the scheduler in this program's words."""
        try:
            yield
        except (CancelledError, OSError) as error:  # a timeout and a closed connection are OSErrors
            lost = self._lost(error)
            raise lost from lost.__cause__

    def _lost(self, error: BaseException) -> ResourceError:
        got = f"none ({str(error) or type(error).__name__})"
        lost = ResourceError(
            f"cluster {self.address}", expected="an answer of its scheduler", got=got, do=f"start it again, {_GO_ON}"
        )
        lost.__cause__ = error if isinstance(error, OSError) else ConnectionError(got)  # it may come back
        return lost

    def _no_workers(self) -> ResourceError:
        return ResourceError(
            f"cluster {self.address}", expected="workers", got="none", do=f"start some at this address, {_GO_ON}"
        )


@contextmanager
def connecting(named: str, address: str) -> Iterator[None]:
    """Connect in this context to the scheduler at `address`, which people call `named`.

    Raises ResourceError where none answers, and for what is no address before the context is entered: a client that is
    made with one ends only after a minute.
    """
    check_address(named, address)
    try:
        yield
    except OSError as error:
        raise _no_scheduler(named, error) from error


def check_address(named: str, address: str) -> None:
    """Raise ResourceError where no scheduler could be reached at `address`, which people call `named`."""
    try:
        protocol, place = parse_address(address)
        get_backend(protocol)
        host, port = parse_host_port(place)
        if not host or not 0 < port < 2**16:
            raise ValueError(f"{place or 'nothing'}, where a host and a port from 1 to 65535 are wanted")
    except ValueError as error:
        raise _no_scheduler(named, error) from error
    if protocol == "tls" and Security().get_connection_args("client")["ssl_context"] is None:
        raise ResourceError(
            named,
            expected="certificates for tls, in Dask's settings under distributed.comm.tls",
            got="none",
            do="name the scheduler's certificates there, or use tcp",
        )


def _no_scheduler(named: str, error: Exception) -> ResourceError:
    return ResourceError(
        named,
        expected="a Dask scheduler, such as tcp://host:8786",
        got=str(error),
        do="start one with `dask scheduler`, and workers with `dask worker`",
    )


Connect = Callable[[str | None, int, int], AbstractContextManager[Cluster]]
"""A function such as :func:`connect`: address, number of workers and threads of each to a cluster."""


def connect(address: str | None, workers: int, threads: int) -> AbstractContextManager[Cluster]:
    """Connect to the scheduler at `address`, or where none is named start workers for as long as the context lasts."""
    return at_address(address) if address else started(workers, threads)


@contextmanager
def at_address(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler that runs, at `address`. Raises ResourceError."""
    with connecting(f"compute.address {address}", address):
        client = Client(address, timeout=SECONDS_TO_ANSWER, set_as_default=False)
    with _closing(client):
        yield Cluster(client)


@contextmanager
def started(workers: int, threads: int) -> Iterator[Cluster]:
    """Start `workers` processes of `threads` threads on this machine, and end them afterwards."""
    with (
        keeping_workers(),
        LocalCluster(**on_this_machine(workers, threads)) as local,
        _closing(Client(local, set_as_default=False)) as client,
    ):
        cluster = Cluster(client)
        cluster.wait_for(workers)
        yield cluster


def on_this_machine(workers: int, threads: int) -> dict[str, Any]:
    """Return what Dask's LocalCluster is to be made with for `workers` processes of `threads` threads."""
    # What a worker needs is checked before, against the plan; Dask would end it at a guess.
    limits = {"memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    return {"n_workers": workers, "threads_per_worker": threads, **limits}


def keeping_workers() -> AbstractContextManager[Any]:
    """Have a cluster that is started in this context leave tasks with their workers, and workers with the cluster."""
    settings: AbstractContextManager[Any] = dask.config.set(
        {
            # A task has a worker that it belongs to; another one would have to be sent its block.
            "distributed.scheduler.work-stealing": False,
            # By itself Dask looks 15 s after a worker's death whether it is back; where it is not just then, because
            # the machine is busy or it has died again, it is never started again.
            "distributed.deploy.lost-worker-timeout": "1 hour",
        }
    )
    return settings


@contextmanager
def _closing(client: Client) -> Iterator[Client]:
    try:
        yield client
    finally:
        with suppress(TimeoutError):  # a scheduler that is gone does not say goodbye
            client.close(timeout=_SECONDS_BETWEEN_LOOKS)


def read_token(path: str) -> str:
    """Return what is written in a file, or why it cannot be read: called on a worker."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        return error.strerror or str(error)


def same(value: Any) -> Any:
    """Return `value`: a task that sends a value to the workers once."""
    return value
