"""What a cluster costs: two processes against one, the scheduler's time, the bytes that move."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.engine import CPU, STYLES
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.executors import partition
from nst_rs.executors.dask.cluster import Cluster, started
from nst_rs.executors.dask.rounds import ClusterRounds, WorkersState
from nst_rs.executors.partition import Recipe
from nst_rs.executors.recipes import KernelRecipe
from nst_rs.files.storage import DiskStorage, MemoryStorage
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.objective.problem import Problem
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.rounds import Exact
from nst_rs.optimise.state import Form
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_plan
from tests.pixel_kernel import PixelKernel, canvas_of, problem_of

SIDE, TILE, ROUNDS = 384, 224, 4
"""Four tiles, of VGG16 to conv5_1 in float32."""
MANY, SMALL = (382, 382), 64
"""Many small tiles, of a network that takes no time."""


def of_processes_and_bytes() -> dict[str, float]:
    """The same rounds in one process of two threads and in two workers of one: time in turns, and what moves."""
    config = RunConfig.model_validate({"compute": {"precision": "float32", "device": "cpu"}})
    kernel = build_kernel(config, CPU)
    objective = build_objective(config, kernel, STYLES, SIDE)
    (level,) = make_plan((SIDE, SIDE), levels=1, tile=TILE, trunk=trunk_of(config)).levels
    image = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    canvas = Canvas.around(level, image, np.ones((SIDE, SIDE), np.float32))
    tiles = len(canvas.tiles)
    here = _rounds_here(Problem.of(kernel, canvas, objective, MemoryStorage()))
    with (
        started(2, 1) as cluster,
        _on(cluster, Problem(kernel, canvas, objective, {}), KernelRecipe.of(config).with_threads(1)) as there,
    ):
        turns = [(_seconds(here), _seconds(there)) for _ in range(ROUNDS + 1)][1:]  # the first builds the graphs
        before = _moved(cluster)
        there()
        moved = _moved(cluster) - before
    ratios = [one / two for one, two in turns]
    return {
        "throughput of 2 workers of 1 thread / 1 process of 2 threads": statistics.median(ratios),
        "lowest of the rounds": min(ratios),
        "highest of the rounds": max(ratios),
        f"bytes moved a tile and round, {tiles} tiles on 2 workers": moved / tiles,
    }


def of_the_scheduler() -> dict[str, float]:
    """Rounds that compute next to nothing: processor seconds of scheduler and driver a tile, by tiles a block."""
    canvas, found = canvas_of(MANY, SMALL), {}
    problem, tiles = problem_of(canvas), len(canvas.tiles)
    with started(2, 1) as cluster:
        for size in (1, 16):
            with _on(cluster, problem, PixelKernel, size) as go:
                go()
                started_at, cpu = time.perf_counter(), time.process_time()
                go()
                spent, waited = time.process_time() - cpu, time.perf_counter() - started_at
                tasks = sum(3 + 2 * len(block.viewers) for block in partition.cut(canvas.level, canvas.tiles, size))
                name = f"{tiles} tiles in blocks of {size}"
                found[f"{name}: tasks a tile and round"] = tasks / tiles
                found[f"{name}: ms of scheduler and driver a task"] = spent / tasks * 1e3
                found[f"{name}: ms of scheduler and driver a tile and round"] = spent / tiles * 1e3
                found[f"{name}: ms in all a tile and round"] = waited / tiles * 1e3
    return found


@contextmanager
def _on(cluster: Cluster, problem: Problem, recipe: Recipe, size: int | None = None) -> Iterator[Callable[[], None]]:
    """Give a function that goes one round further on the workers."""
    level, image, weight = problem.canvas.level, problem.canvas.image, problem.canvas.weight
    with tempfile.TemporaryDirectory() as folder:
        storage = DiskStorage(Path(folder))
        canvas = Canvas.empty(level, storage)
        canvas.image[:, :], canvas.weight[:, :] = image[:, :], weight[:, :]
        state = Form(level, averaged=False, layers=None, by_core=True).create(storage, "start")
        state.picture[:, :] = image[:, :]
        kind = ClusterRounds(cluster, replace(problem, canvas=canvas), recipe, kept=99, size=size)
        states, moves = [kind.begin(state), WorkersState(kind)], iter(range(1, 1000))

        def go() -> None:
            kind(states[0], states[1], [Move(next(moves), 5.0)], lambda _: None)
            states.reverse()

        yield go


def _rounds_here(problem: Problem) -> Callable[[], None]:
    form = Form(problem.canvas.level, averaged=False, layers=None)
    states, moves = [form.create(MemoryStorage(), name) for name in "ab"], iter(range(1, 1000))
    states[0].picture[:, :] = problem.canvas.image[:, :]
    kind = Exact(problem, kept=99)

    def go() -> None:
        kind(states[0], states[1], [Move(next(moves), 5.0)], lambda _: None)
        states.reverse()

    return go


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _moved(cluster: Cluster) -> int:
    """Return the bytes that the workers have sent each other so far, as they count them."""
    counts = cluster.client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
    return sum(counts.values())
