"""The rounds on a Dask cluster: tiles stay on workers, and what moves between them is halos and moments.

A round is one graph of tasks, each of which names a block and what to do with it: :mod:`nst_rs.executors.partition`.
A task prefers the worker that holds its block, and may run on another. Where a worker is lost, Dask computes anew what
it held, from the state that was last kept on disk, to the same bits. Where the scheduler is lost the run ends; it goes
on from that state when it is started again.
"""

import logging
import queue
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import dask
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client, Future, KilledWorker, LocalCluster, Scheduler, SchedulerPlugin
from distributed.comm.addressing import parse_address
from distributed.comm.registry import get_backend

from nst_rs.errors import ResourceError
from nst_rs.executors import partition
from nst_rs.executors.partition import Block, Recipe, Site
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.moments import total
from nst_rs.objective.problem import Problem
from nst_rs.optimise.adam import Move
from nst_rs.optimise.state import State
from nst_rs.pyramid.tiling import Tile

log = logging.getLogger(__name__)

SECONDS_TO_ANSWER = 30
_SECONDS_WITHOUT_WORKERS = 300
_SECONDS_BETWEEN_LOOKS = 5
_RETRIES = 2
_SUMMED_AT_ONCE = 8
"""Moments that one task adds: a power of two, so that their sum is one of those that `total` makes on its way."""
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

    def each(
        self, work: Callable[[Any, Any], None], shared: Any, parts: Sequence[Any], done: Callable[[], None]
    ) -> None:
        """Have `work(shared, part)` done for every part by any worker, telling `done` after each.

        What fails is tried again, up to _RETRIES times, and so is what a lost worker had begun: `work` must not mind
        being done twice. `shared` is sent to every worker once.
        """
        graph, name = Graph(), uuid.uuid4().hex
        common = graph.add(f"shared-{name}", _same, shared)
        keys = [graph.add(f"part-{name}-{number}", work, common, part) for number, part in enumerate(parts)]
        self.wait(self.run(graph, keys, retries=_RETRIES), lambda _: done())

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
            found: dict[str, int] = self.client.nthreads()
            if found:
                return found
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
    try:
        get_backend(parse_address(address)[0])
    except ValueError as error:
        raise _no_scheduler(named, error) from error
    try:
        yield
    except OSError as error:
        raise _no_scheduler(named, error) from error


def _no_scheduler(named: str, error: Exception) -> ResourceError:
    return ResourceError(
        named,
        expected="a Dask scheduler, such as tcp://host:8786",
        got=str(error),
        do="start one with `dask scheduler`, and workers with `dask worker`",
    )


Found = Callable[[str | None, int, int], AbstractContextManager[Cluster]]
"""What :func:`found` does, or another in its place."""


def found(address: str | None, workers: int, threads: int) -> AbstractContextManager[Cluster]:
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


@dataclass
class Scattered:
    """A level's descent between two rounds, on the workers."""

    rounds: "OnCluster"
    cores: Sequence[Future] = ()
    """Of every block; none: nothing yet."""

    def copy_to(self, state: State) -> None:
        """Have the workers write it to a state on disk, from which they take it should one be lost."""
        self.cores = self.rounds.kept(self.cores, state)


class OnCluster:
    """The rounds of :class:`nst_rs.optimise.rounds.Exact`, computed by the workers of a cluster. One move."""

    def __init__(self, cluster: Cluster, problem: Problem, recipe: Recipe, kept: int, size: int | None = None) -> None:
        """Have the tiles of `problem`, in blocks of `size`, computed with what `recipe` builds.

        The canvas's arrays must be on a disk that all workers reach. A worker keeps up to `kept` windows' activations.
        """
        self.problem = problem
        self._cluster = cluster
        self._name, self._rounds = uuid.uuid4().hex, 0
        canvas, objective = problem.canvas, problem.objective
        computed, workers = canvas.tiles, cluster.workers
        self._blocks = partition.cut(canvas.level, computed, size or partition.best_size(len(computed), len(workers)))
        self._owners = dealt(len(self._blocks), {}, workers)
        # Copies, without the tiles that the originals have listed: every task is sent its own.
        bare = replace(canvas, level=replace(canvas.level))
        site = Site(self._name, recipe, bare, objective.of_pixels, kept)
        graph = Graph()
        keys = [self._add(graph, "prepare", block, partition.prepare, site, block) for block in self._blocks]
        keys.append(graph.add(f"objective-{self._name}", _same, objective))
        *self._grounds, self._objective = cluster.run(graph, keys).values()

    def windows(self, done: int) -> int:  # noqa: ARG002
        """Two a tile: forward, and back."""
        return 2 * len(self.problem.canvas.tiles)

    def begin(self, state: State) -> Scattered:
        """Return what a state on disk is on the workers."""
        return Scattered(self, self._loaded(state))

    def __call__(
        self, now: Scattered, after: Scattered, moves: Sequence[Move], after_window: Callable[[Tile], None]
    ) -> Losses:
        """Go from `now` to `after`; return the losses of `now`."""
        (move,) = moves
        after.cores = ()
        self._rounds += 1
        self._owners = dealt(len(self._blocks), self._owners, self._cluster.workers)
        graph, forward, losses, cores = self._tasks(now.cores, move)
        futures = self._cluster.run(graph, [*forward, *cores, losses])
        computed = {
            key: block.computed for keys in (forward, cores) for key, block in zip(keys, self._blocks, strict=True)
        }

        def done(key: str) -> None:
            for tile in computed.get(key, ()):
                after_window(tile)

        self._cluster.wait(futures, done)
        after.cores = [futures[key] for key in cores]
        found: Losses = self._cluster.result(futures[losses])
        return found

    def _tasks(self, cores: Sequence[Future], move: Move) -> tuple[Graph, list[str], str, list[str]]:
        """Return a round's tasks, and the keys of the blocks' moments, of the losses and of the blocks' new cores."""
        graph, number, every = Graph(), self._rounds, list(zip(self._blocks, self._grounds, cores, strict=True))
        halos: dict[int, list[str]] = {block.number: [] for block in self._blocks}
        asked: dict[int, list[str]] = {block.number: [] for block in self._blocks}
        for block, ground, held in every:
            for viewer in block.viewers:
                stage = f"halo-{number}-{viewer}"
                halos[viewer].append(self._add(graph, stage, block, partition.show, ground, held, viewer))
        forward = [
            self._add(graph, f"forward-{number}", block, partition.measure, ground, held, halos[block.number], number)
            for block, ground, held in every
        ]
        moments = self._total(graph, forward)
        losses = graph.add(f"losses-{self._name}-{number}", Objective.losses, self._objective, moments)
        pull = graph.add(f"pull-{self._name}-{number}", Objective.pull, self._objective, moments)
        shares = {}
        for block, ground, held in every:
            share = partition.share, ground, held, halos[block.number], pull, number
            shares[block.number] = self._add(graph, f"backward-{number}", block, *share)
            for source in block.sources:
                ask = partition.ask, ground, shares[block.number], source
                asked[source].append(self._add(graph, f"asked-{number}-{source}", block, *ask))
        after = [
            self._add(
                graph,
                f"step-{number}",
                block,
                partition.step,
                ground,
                held,
                shares[block.number],
                asked[block.number],
                move,
            )
            for block, ground, held in every
        ]
        return graph, forward, losses, after

    def _total(self, graph: Graph, parts: list[str]) -> str:
        """Add the tasks that add the blocks' moments, as many at once as are worth a task; return the sum's key."""
        while len(parts) > 1:
            groups = [parts[start : start + _SUMMED_AT_ONCE] for start in range(0, len(parts), _SUMMED_AT_ONCE)]
            height = f"{self._rounds}-{len(groups)}"
            parts = [graph.add(f"moments-{self._name}-{height}-{n}", total, group) for n, group in enumerate(groups)]
        return parts[0]

    def kept(self, cores: Sequence[Future], state: State) -> Sequence[Future]:
        """Have `cores` written to `state`; return them anew, as they are read from there."""
        graph = Graph()
        keys = [
            self._add(graph, f"save-{uuid.uuid4().hex}", block, partition.save, ground, held, state)
            for block, ground, held in zip(self._blocks, self._grounds, cores, strict=True)
        ]
        self._cluster.wait(self._cluster.run(graph, keys))
        return self._loaded(state)

    def _loaded(self, state: State) -> Sequence[Future]:
        graph = Graph()
        keys = [
            self._add(graph, f"load-{uuid.uuid4().hex}", block, partition.load, ground, state)
            for block, ground in zip(self._blocks, self._grounds, strict=True)
        ]
        futures = self._cluster.run(graph, keys)
        self._cluster.wait(futures)
        return list(futures.values())

    def _add(self, graph: Graph, stage: str, block: Block, *task: Any) -> str:
        """Add what concerns one block, for the worker that has it."""
        return graph.add(f"{stage}-{self._name}-{block.number}", *task, worker=self._owners[block.number])


def dealt(count: int, before: Mapping[int, str], workers: Sequence[str]) -> dict[int, str]:
    """Return block → worker for `count` blocks: evenly, neighbours together, and as `before` where that is even.

    >>> dealt(4, {}, ["a", "b"])
    {0: 'a', 1: 'a', 2: 'b', 3: 'b'}
    >>> dealt(4, {0: 'a', 1: 'a', 2: 'b', 3: 'b'}, ["b", "c"])
    {2: 'b', 3: 'b', 0: 'c', 1: 'c'}
    """
    room = dict.fromkeys(workers, -(-count // len(workers)))
    found: dict[int, str] = {}
    for number, worker in before.items():
        if room.get(worker):
            found[number] = worker
            room[worker] -= 1
    free = (worker for worker in workers for _ in range(room[worker]))
    return found | {number: next(free) for number in range(count) if number not in found}


def _same(value: Any) -> Any:
    return value
