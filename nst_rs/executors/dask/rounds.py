"""The rounds on a Dask cluster: tiles stay on workers, and what moves between them is halos and moments.

A round is one graph of tasks, each of which names a block and what to do with it: :mod:`nst_rs.executors.partition`.
A task prefers the worker that holds its block, and may run on another. Where a worker is lost, Dask computes anew what
it held, from the state that was last kept on disk, to the same bits. Where the scheduler is lost the run ends; it goes
on from that state when it is started again.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distributed import Future

from nst_rs.executors import partition
from nst_rs.executors.dask.cluster import Cluster, Graph, same
from nst_rs.executors.partition import Block, LevelInputs, Recipe
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.moments import total
from nst_rs.objective.problem import Problem
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.state import State
from nst_rs.pyramid.tiling import Tile

_SUMMED_AT_ONCE = 8
"""Moments that one task adds: a power of two, so that their sum is one of those that `total` makes on its way."""


@dataclass
class WorkersState:
    """The state of a level's descent between two rounds, on the workers."""

    rounds: "ClusterRounds"
    cores: Sequence[Future] = ()
    """The cores of every block; empty before there are any."""

    def copy_to(self, state: State) -> None:
        """Have the workers write it to a state on disk, from which they read it again should one be lost."""
        self.cores = self.rounds.kept(self.cores, state)


class ClusterRounds:
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
        self._owners = assign_blocks(len(self._blocks), {}, workers)
        # Copies, without the tiles that the originals have listed: every task is sent its own.
        bare = replace(canvas, level=replace(canvas.level))
        level = LevelInputs(self._name, recipe, bare, objective.of_pixels, kept)
        graph = Graph()
        keys = [self._add(graph, "prepare", block, partition.prepare, level, block) for block in self._blocks]
        keys.append(graph.add(f"objective-{self._name}", same, objective))
        *self._inputs, self._objective = cluster.run(graph, keys).values()

    def windows(self, done: int) -> int:  # noqa: ARG002
        """Return two per tile: forward, and back."""
        return 2 * len(self.problem.canvas.tiles)

    def begin(self, state: State) -> WorkersState:
        """Have the workers read a state from disk; return it as they hold it."""
        return WorkersState(self, self._loaded(state))

    def __call__(
        self, now: WorkersState, after: WorkersState, moves: Sequence[Move], after_window: Callable[[Tile], None]
    ) -> Losses:
        """Go from `now` to `after`; return the losses of `now`."""
        (move,) = moves
        after.cores = ()
        self._rounds += 1
        self._owners = assign_blocks(len(self._blocks), self._owners, self._cluster.workers)
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
        value: Losses = self._cluster.result(futures[losses])
        return value

    def _tasks(self, cores: Sequence[Future], move: Move) -> tuple[Graph, list[str], str, list[str]]:
        """Return a round's tasks, and the keys of the blocks' moments, of the losses and of the blocks' new cores."""
        graph, number, every = Graph(), self._rounds, list(zip(self._blocks, self._inputs, cores, strict=True))
        halos: dict[int, list[str]] = {block.number: [] for block in self._blocks}
        gradients: dict[int, list[str]] = {block.number: [] for block in self._blocks}
        for block, inputs, held in every:
            for viewer in block.viewers:
                stage = f"halo-{number}-{viewer}"
                halos[viewer].append(self._add(graph, stage, block, partition.halo_strips, inputs, held, viewer))
        forward = [
            self._add(graph, f"forward-{number}", block, partition.measure, inputs, held, halos[block.number], number)
            for block, inputs, held in every
        ]
        moments = self._total(graph, forward)
        losses = graph.add(f"losses-{self._name}-{number}", Objective.losses, self._objective, moments)
        pull = graph.add(f"pull-{self._name}-{number}", Objective.pull, self._objective, moments)
        strips = {}
        for block, inputs, held in every:
            share = partition.share, inputs, held, halos[block.number], pull, number
            strips[block.number] = self._add(graph, f"backward-{number}", block, *share)
            for source in block.sources:
                parts = partition.gradient_strips, inputs, strips[block.number], source
                gradients[source].append(self._add(graph, f"strips-{number}-{source}", block, *parts))
        slopes = [
            self._add(
                graph,
                f"gradient-{number}",
                block,
                partition.gradients,
                inputs,
                held,
                strips[block.number],
                gradients[block.number],
            )
            for block, inputs, held in every
        ]
        factors = self._factors(graph, every, slopes, move)
        after = [
            self._add(graph, f"step-{number}", block, partition.step, held, slope, move, factors)
            for (block, _, held), slope in zip(every, slopes, strict=True)
        ]
        return graph, forward, losses, after

    def _factors(self, graph: Graph, every: Sequence[Any], slopes: list[str], move: Move) -> str | None:
        """Add the tasks that tell how far to go along which pictures; return the key, None where nothing is needed."""
        if move.optimizer == "adam":
            return None
        curvatures = [
            self._add(graph, f"curvature-{self._rounds}", block, partition.curvatures, held, slope)
            for (block, _, held), slope in zip(every, slopes, strict=True)
        ]
        level = replace(self.problem.canvas.level)  # a copy, without the tiles that the original has listed
        return graph.add(f"factors-{self._name}-{self._rounds}", partition.factors, curvatures, move, level)

    def _total(self, graph: Graph, parts: list[str]) -> str:
        """Add the tasks that add the blocks' moments, as many at once as are worth a task; return the sum's key."""
        while len(parts) > 1:
            groups = [parts[start : start + _SUMMED_AT_ONCE] for start in range(0, len(parts), _SUMMED_AT_ONCE)]
            height = f"{self._rounds}-{len(groups)}"
            parts = [graph.add(f"moments-{self._name}-{height}-{n}", total, group) for n, group in enumerate(groups)]
        return parts[0]

    def kept(self, cores: Sequence[Future], state: State) -> Sequence[Future]:
        """Have `cores` written to `state`; return them as they are read from there."""
        graph = Graph()
        keys = [
            self._add(graph, f"save-{uuid.uuid4().hex}", block, partition.save, inputs, held, state)
            for block, inputs, held in zip(self._blocks, self._inputs, cores, strict=True)
        ]
        self._cluster.wait(self._cluster.run(graph, keys))
        return self._loaded(state)

    def _loaded(self, state: State) -> Sequence[Future]:
        graph = Graph()
        keys = [
            self._add(graph, f"load-{uuid.uuid4().hex}", block, partition.load, inputs, state)
            for block, inputs in zip(self._blocks, self._inputs, strict=True)
        ]
        futures = self._cluster.run(graph, keys)
        self._cluster.wait(futures)
        return list(futures.values())

    def _add(self, graph: Graph, stage: str, block: Block, *task: Any) -> str:
        """Add a task of one block, for the worker that holds the block; return its key."""
        return graph.add(f"{stage}-{self._name}-{block.number}", *task, worker=self._owners[block.number])


def assign_blocks(count: int, owners: Mapping[int, str], workers: Sequence[str]) -> dict[int, str]:
    """Return block → worker for `count` blocks: evenly, neighbours together, with their `owners` where that is even.

    >>> assign_blocks(4, {}, ["a", "b"])
    {0: 'a', 1: 'a', 2: 'b', 3: 'b'}
    >>> assign_blocks(4, {0: 'a', 1: 'a', 2: 'b', 3: 'b'}, ["b", "c"])
    {2: 'b', 3: 'b', 0: 'c', 1: 'c'}
    """
    room = dict.fromkeys(workers, -(-count // len(workers)))
    assigned: dict[int, str] = {}
    for number, worker in owners.items():
        if room.get(worker):
            assigned[number] = worker
            room[worker] -= 1
    free = (worker for worker in workers for _ in range(room[worker]))
    return assigned | {number: next(free) for number in range(count) if number not in assigned}
