"""A run before it is computed: configuration, inputs and machine brought together, every open choice made."""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
from pydantic import ValidationError

from nst_rs.config.loading import decided_as, override, with_absolute_paths
from nst_rs.config.sections import ELSEWHERE, RunConfig, trunk_of
from nst_rs.errors import OutputError, ResourceError
from nst_rs.files import lock
from nst_rs.files.workspace import Workspace
from nst_rs.neural.build import measure_pace
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.objective.terms.registry import needed_statistics
from nst_rs.optimise.checkpoint import Checkpoint
from nst_rs.optimise.descent import Descent
from nst_rs.optimise.rounds import MEASURED
from nst_rs.optimise.tile_moments import Recollection
from nst_rs.output.files import Outputs
from nst_rs.output.publish import disk_bytes
from nst_rs.pyramid.tiling import Plan, make_plan
from nst_rs.runs import estimate
from nst_rs.runs.inputs import Inputs, open_inputs, settle


@dataclass(frozen=True)
class Job:
    """A run that has been checked against its inputs and the machine, before anything is computed."""

    config: RunConfig
    """With every choice that was left open (bands, stroke, tile, precision) made: it repeats the run elsewhere."""
    inputs: Inputs
    plan: Plan
    device: Device
    budget: float
    """Bytes of the host's memory that the run may take; on a cluster, a worker's."""

    @property
    def outputs(self) -> Outputs:
        """The files to write; raises OutputError when the job was prepared without any."""
        if self.inputs.outputs is None:
            raise OutputError("output", expected="a map to write", got="none", do="name it with --output")
        return self.inputs.outputs

    @property
    def on_cluster(self) -> bool:
        """Whether workers compute the tiles, and not this process."""
        return self.config.compute.executor == "dask"

    @property
    def workers(self) -> int:
        """How many processes share the tiles, so far as is known; no more are started than there are tiles."""
        return min(self.config.compute.workers or 1, len(self.plan.levels[-1].tiles))

    @property
    def threads(self) -> int:
        """Of every worker that is started on this machine."""
        return threads_each(self.workers)

    @property
    def worker_bytes(self) -> float:
        """What a worker holds at its peak, but for the activations it keeps."""
        return self.memory.process + self.memory.windows + self.kept.memory_bytes / self.workers

    @property
    def memory(self) -> estimate.Memory:
        """What the run will hold at its peak, but for the activations it keeps where there is room for them."""
        styles = [(len(style.image), style.image.shape[1]) for style in self.inputs.styles]
        budget = 0 if self.on_cluster else self.budget  # workers reach only what is on disk
        return estimate.memory(self.plan, self.kept, styles, _value_bytes(self.config), budget)

    @property
    def kept(self) -> estimate.Kept:
        """What the run keeps of its scene."""
        arrays = 4 if self.config.schedule.averaged else 3
        layers, precision = needed_statistics(self.config.objective).half_squares, self.config.compute.precision
        kept = estimate.Kept.by(self.plan, layers, precision, arrays, self.on_cluster)
        if self.config.tiling.statistics == "predicted":
            kept = replace(kept, states=(*kept.states, *self._recollections))
        if not self.inputs.subject.keeps_clouds:
            return kept
        unstyled = ((*self.inputs.scene.grid.shape, 4), "uint8")
        return replace(kept, canvases=(*kept.canvases, unstyled))

    @property
    def recalled(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The layers whose counts, and whose sums, are remembered of every tile where statistics are predicted."""
        statistics = needed_statistics(self.config.objective)
        return statistics.counted, statistics.products

    @property
    def _recollections(self) -> list[tuple[tuple[int, int], str]]:
        """The tiles' moments, in the two states of each of the two finest levels."""
        tiles = [len(level.tiles) for level in self.plan.levels[-2:]]
        return [(Recollection.shape(count, *self.recalled), "float32") for count in tiles for _ in range(2)]

    @property
    def disk_bytes(self) -> int:
        """What the run takes on disk until it has ended, the map included."""
        subject, tiles = self.inputs.subject, self.config.output.tiles is not None
        written = disk_bytes(subject.scene.grid, tiles, subject.passed_bytes)
        return written + self.kept.disk_bytes(self.memory.on_disk)

    @property
    def workspace(self) -> Workspace:
        """Where what does not fit in memory is kept; raises OutputError when the job was prepared without an output."""
        return Workspace(self.outputs.tif)

    def alone(self) -> AbstractContextManager[None]:
        """Hold the output, and the workspace with it, against other runs; raises LockedError where one has it."""
        tif = self.outputs.tif
        return lock.alone(lock.path_for(tif), f"output {tif}")

    def descent(self, index: int) -> Descent:
        """How level `index` goes downhill."""
        schedule = self.config.schedule
        return Descent(
            schedule.level_iterations[index],
            schedule.step_size,
            schedule.last_step,
            self.config.tiling.steps_per_round,
            schedule.averaged,
            schedule.tolerance,
        )

    def passes(self, index: int) -> float:
        """How often a level goes through the network, forward or back, on average over its windows.

        Once for the content's features; forward and back in every iteration; forward once more in every iteration where
        activations are not kept, or in the first ones where statistics are predicted.
        """
        iterations = self.config.schedule.level_iterations[index]
        if self.is_predicted(index):
            again: float = -(-min(MEASURED, iterations) // self.config.tiling.steps_per_round)
        else:
            again = iterations * (1 - self.kept_windows(index) / len(self.plan.levels[index].tiles))
        return 1 + 2 * iterations + again

    def is_predicted(self, index: int) -> bool:
        """Whether level `index` is computed at predicted moments: not where all go forward before one goes back."""
        tiling = self.config.tiling
        all_met = self.kept_windows(index) == len(self.plan.levels[index].tiles) and tiling.steps_per_round == 1
        return tiling.statistics == "predicted" and not all_met

    def kept_windows(self, index: int) -> int:
        """How many windows of level `index` keep their activations at a time."""
        tiling = self.config.tiling
        if tiling.statistics == "predicted" and tiling.tiles_at_once != "auto":
            return min(tiling.tiles_at_once, len(self.plan.levels[index].tiles))
        return self.windows_with_room(index)

    def windows_with_room(self, index: int) -> int:
        """How many windows of level `index` could keep their activations: as many as the budget has room for."""
        memory, level = self.memory, self.plan.levels[index]
        taken = memory.windows if self.device.is_gpu else self.worker_bytes if self.on_cluster else memory.host
        each = estimate.activation_bytes(level, self.plan.trunk, _value_bytes(self.config))
        room = max(0, int((_window_budget(self.device, self.budget) - taken) / each))
        return min(len(level.tiles), room * self.workers)

    @property
    def kept_bytes(self) -> float:
        """The most that kept activations take, beyond :attr:`memory`."""
        sizes = [estimate.activation_bytes(x, self.plan.trunk, _value_bytes(self.config)) for x in self.plan.levels]
        # One window's are in the estimate of the passes over a window.
        return max(max(0, self.kept_windows(index) - 1) * size for index, size in enumerate(sizes))


@dataclass(frozen=True)
class Forecast:
    """What a run would do and take."""

    job: Job
    flops: float
    """Of the convolutions, over the whole run."""
    seconds: float
    """Estimated from a short measurement on this machine."""
    shortages: tuple[str, ...]
    """What the run would be refused for: too little memory or disk. A line each."""


def prepare(config: RunConfig, to_write: bool = True) -> Job:
    """Check a configuration against its files and the machine, and settle what it leaves open.

    With `to_write` false no output need be named. Raises NstError, also for too little memory or disk.
    """
    job = _open(config, to_write)
    for shortage in (*_memory_shortages(job), *(_disk_shortages(job, job.outputs.tif.parent) if to_write else ())):
        raise shortage
    return job


def _open(config: RunConfig, to_write: bool) -> Job:
    """Settle what `config` leaves open, whether or not there is room for it."""
    inputs = open_inputs(config, to_write)
    check_executor(config)
    device = choose_device(config.compute.device)
    config = _as_begun(with_absolute_paths(settle(config, inputs.subject)))
    config = override(config, {"compute.precision": choose_precision(config.compute.precision, device)})
    config = override(config, {"compute.workers": workers_to_start(config, device)})
    budget = _budget(config, device)
    plan = _plan(config, inputs.scene.grid.shape, device, budget)
    job = Job(override(config, {"tiling.tile": plan.tile}), inputs, plan, device, budget)
    if config.tiling.statistics == "auto":
        job = replace(job, config=override(job.config, {"tiling.statistics": _statistics(job)}))
    if job.config.tiling.statistics == "predicted" and config.tiling.tiles_at_once == "auto":
        alone = job.config.tiling.steps_per_round > 1
        at_once = 1 if alone else max(1, job.windows_with_room(len(job.plan.levels) - 1))
        job = replace(job, config=override(job.config, {"tiling.tiles_at_once": at_once}))
    return job


def forecast(config: RunConfig) -> Forecast:
    """Return what a configuration would run; computes two windows to know this machine. Raises NstError.

    Room on disk is looked for where the configuration's output lies, or where none is named, in the working folder.
    """
    job = _open(config, to_write=False)
    levels = list(enumerate(job.plan.levels))
    flops = sum(estimate.flops(level, job.plan.trunk, job.passes(index)) for index, level in levels)
    folder = Path(os.path.abspath(config.output.path or "map.tif")).parent
    shortages = tuple(str(shortage) for shortage in (*_memory_shortages(job), *_disk_shortages(job, folder)))
    return Forecast(job, flops, _seconds(job), shortages)


def _seconds(job: Job) -> float:
    """Estimate the time of a whole run."""
    windows = [math.prod(level.window_shape) for level in job.plan.levels]
    pace = measure_pace(job.config, job.device, windows[-1])
    iterations = (
        len(level.tiles) * job.passes(index) / 2 * pace.iteration(windows[index])
        for index, level in enumerate(job.plan.levels)
    )
    around = estimate.SECONDS_PER_PIXEL_AROUND * math.prod(job.plan.shape)
    return pace.start + pace.building * len(set(windows)) + sum(iterations) + around


def _as_begun(config: RunConfig) -> RunConfig:
    """Return `config` with what it leaves to the machine decided as in a killed run of the same, where there is one."""
    found = None if config.output.path is None else Checkpoint.read(Workspace(config.output.path))
    if found is None:
        return config
    try:
        begun = RunConfig.model_validate(found.run["configuration"])
    except (KeyError, ValidationError):  # another version's: the run will start anew
        return config
    decided = decided_as(config, begun)
    elsewhere = {f"compute.{key}": getattr(config.compute, key) for key in ELSEWHERE}
    return decided if decided == override(begun, elsewhere) else config


def _budget(config: RunConfig, device: Device) -> float:
    """Return the bytes of the host's memory that the run may take."""
    if config.compute.memory != "auto":
        return config.compute.memory
    sharers = 1 if config.compute.address else config.compute.workers or 1
    return (psutil.virtual_memory().available if device.is_gpu else device.free_bytes) / 2 / sharers


def check_executor(config: RunConfig) -> None:
    """Raise ResourceError where what is to compute is not installed."""
    if config.compute.executor == "dask" and find_spec("distributed") is None:
        raise ResourceError("compute.executor dask", expected="Dask", got="none", do="install nst-rs[dask]")


def workers_to_start(config: RunConfig, device: Device) -> int | None:
    """Return how many workers are to be started, where that is not said."""
    compute = config.compute
    if compute.executor == "local" or compute.address is not None or compute.workers is not None:
        return compute.workers
    return 1 if device.is_gpu else _cores()


def threads_each(workers: int) -> int:
    """Return how many threads every one of `workers` processes gets, started on this machine."""
    return max(1, _cores() // workers)


def _cores() -> int:
    return os.cpu_count() or 1


def _window_budget(device: Device, budget: float) -> float:
    """Return the bytes that windows may take where they are computed."""
    return device.free_bytes / 2 if device.is_gpu else budget


def _plan(config: RunConfig, shape: tuple[int, int], device: Device, budget: float) -> Plan:
    trunk, tile = trunk_of(config), config.tiling.tile
    if tile == "auto":
        room = _window_budget(device, budget)
        room = room if device.is_gpu else estimate.left_for_windows(shape, trunk, room)
        tile = estimate.best_tile(shape, trunk, _value_bytes(config), room, config.compute.workers or 1)
    return make_plan(shape, levels=config.schedule.levels, tile=tile, trunk=trunk)


def _statistics(job: Job) -> Literal["exact", "predicted"]:
    """Return what ``auto`` stands for: exact statistics where they cost no more than predicted ones."""
    if job.on_cluster:
        return "exact"
    all_kept = all(job.windows_with_room(index) == len(level.tiles) for index, level in enumerate(job.plan.levels))
    return "exact" if all_kept and job.config.tiling.steps_per_round == 1 else "predicted"


def _value_bytes(config: RunConfig) -> int:
    return 2 if config.compute.precision == "bfloat16" else 4


def _memory_shortages(job: Job) -> Iterator[ResourceError]:
    need = job.memory
    remedy = "use a smaller tiling.tile, or a smaller compute.memory, to keep more on disk"
    places = [("the host", need.host, float(job.device.free_bytes))]
    if job.device.is_gpu:
        free = float(psutil.virtual_memory().available)
        places = [
            (job.device.name, need.windows, float(job.device.free_bytes)),
            ("the host", need.scene + need.process, free),
        ]
    if job.on_cluster and not job.config.compute.address:
        remedy = "use fewer compute.workers, or a smaller tiling.tile"
        workers = job.workers * (job.worker_bytes - (need.windows if job.device.is_gpu else 0))
        places.append(("the host with its workers", need.scene + need.process + workers, places[-1][-1]))
    for place, needed, free in places:
        yield from _shortage(f"memory of {place} for this plan", needed, free, remedy)


def _disk_shortages(job: Job, folder: Path) -> Iterator[ResourceError]:
    """What could not be written into `folder` in the end. A folder that is not there is another matter."""
    if folder.is_dir():
        remedy = "free some space, or write to another disk"
        yield from _shortage(f"disk of {folder} for this map", job.disk_bytes, shutil.disk_usage(folder).free, remedy)


def _shortage(what: str, needed: float, free: float, remedy: str) -> Iterator[ResourceError]:
    if needed > free:
        yield ResourceError(what, expected=f"about {needed / 1e9:.1f} GB free", got=f"{free / 1e9:.1f} GB", do=remedy)
