"""The executor whose tiles are computed by the workers of a Dask cluster."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nst_rs.executors.base import Executor, LevelTask, PaintTask, Traits
from nst_rs.executors.dask.cluster import Cluster, Connect, check_address, connect
from nst_rs.executors.dask.rounds import ClusterRounds, WorkersState
from nst_rs.files.storage import check_written
from nst_rs.learned.painter import paint_tile
from nst_rs.objective.problem import Problem
from nst_rs.optimise.descent import Point, descend
from nst_rs.optimise.state import State


class DaskExecutor:
    """Computes on a cluster, which it finds or starts when the first tiles are to be computed."""

    traits: ClassVar[Traits] = Traits(in_process=False, writes_cores=True, predicts=False)

    def __init__(self, address: str | None, workers: int, threads: int, connecting: Connect = connect) -> None:
        """Use the scheduler at `address`, or start `workers` processes of `threads` threads on this machine.

        `connecting` takes the place of :func:`nst_rs.executors.dask.cluster.connect`.
        """
        self._address, self._workers, self._threads = address, workers, threads
        self._connecting = connecting
        self._open = ExitStack()
        self._cluster: Cluster | None = None
        self.seconds_to_connect: float | None = None

    @staticmethod
    def check_address(address: str) -> None:
        """Raise ResourceError where `address`, that of ``compute.address``, can be no scheduler's."""
        check_address(f"compute.address {address}", address)

    def reach(self) -> None:
        """Connect to the scheduler at the address, where one is named; workers of its own are started later."""
        if self._address is not None:
            self._found()

    def descend(self, task: LevelTask) -> State:
        """Compute a level; see :class:`nst_rs.executors.base.Executor`. The state that it ends in lies on disk."""
        with self._connected(task.folder) as cluster:
            recipe = task.recipe.with_threads(cluster.threads)
            kept = -(-task.kept_windows // self._workers)
            rounds = ClusterRounds(cluster, Problem(task.kernel, task.canvas, task.objective, {}), recipe, kept)
            first = task.start
            start = Point(rounds.begin(first.now), WorkersState(rounds), first.done, first.history)
            end = descend(rounds, start, task.descent, task.listener, task.keep)
            state = task.keeper.copy(task.form, end)
            check_written(state.result, (slice(None), slice(None)))
            return state

    def paint(self, task: PaintTask) -> None:
        """Paint all tiles, each as a task of its own."""
        with self._connected(task.folder) as cluster:
            cluster.each(paint_tile, task.painter.with_threads(cluster.threads), task.tiles, task.done)

    def close(self) -> None:
        """Leave the cluster; end the workers that were started."""
        self._cluster = None
        self._open.close()

    @contextmanager
    def _connected(self, folder: Path) -> Iterator[Cluster]:
        """Give the cluster, found or started where there is none yet; leave it where what is done with it fails.

        Raises ResourceError where a worker does not see `folder`.
        """
        with ExitStack() as failing:
            failing.callback(self.close)
            cluster = self._found()
            cluster.prove(folder)
            yield cluster
            failing.pop_all()

    def _found(self) -> Cluster:
        """Return the cluster; find or start it where there is none yet. Raises ResourceError."""
        if self._cluster is None:
            started = time.perf_counter()
            self._cluster = self._open.enter_context(self._connecting(self._address, self._workers, self._threads))
            self.seconds_to_connect = time.perf_counter() - started
        return self._cluster


if TYPE_CHECKING:
    _executor: Executor = DaskExecutor(None, 1, 1)
