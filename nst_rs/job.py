"""A run before it is computed: configuration, inputs and machine brought together, every open choice made."""

import os
import shutil
from dataclasses import dataclass, replace
from typing import Literal

import psutil
from pydantic import ValidationError

from nst_rs import estimate
from nst_rs.checkpoint import Checkpoint
from nst_rs.config import ELSEWHERE, RunConfig, decided_as, override, trunk_of, with_absolute_paths
from nst_rs.descent import Descent
from nst_rs.engine import measure_rate
from nst_rs.errors import OutputError, ResourceError
from nst_rs.inputs import Inputs, open_inputs, settle
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.publish import Outputs, disk_bytes
from nst_rs.tiling import Plan, make_plan
from nst_rs.workspace import Workspace


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
        return max(1, _cores() // self.workers)

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
        layers, precision = self.config.objective.content_layers, self.config.compute.precision
        return estimate.Kept.by(self.plan, layers, precision, arrays, self.on_cluster)

    @property
    def disk_bytes(self) -> int:
        """What the run takes on disk until it has ended, the map included."""
        return disk_bytes(self.inputs.scene.grid) + self.kept.disk_bytes(self.memory.on_disk)

    @property
    def workspace(self) -> Workspace:
        """Where what does not fit in memory is kept; raises OutputError when the job was prepared without an output."""
        return Workspace(self.outputs.tif)

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
        activations are not kept, or at first where statistics are predicted.
        """
        iterations = self.config.schedule.level_iterations[index]
        again = 1.0
        if self.config.tiling.statistics == "exact":
            again = iterations * (1 - self.kept_windows(index) / len(self.plan.levels[index].tiles))
        return 1 + 2 * iterations + again

    def kept_windows(self, index: int) -> int:
        """How many windows of level `index` keep their activations: as many as the budget has room for."""
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


def prepare(config: RunConfig, to_write: bool = True) -> Job:
    """Check a configuration against its files and the machine, and settle what it leaves open.

    With `to_write` false no output need be named. Raises NstError.
    """
    inputs = open_inputs(config, to_write)
    device = choose_device(config.compute.device)
    config = _as_begun(with_absolute_paths(settle(config, inputs.scene)))
    config = override(config, {"compute.precision": choose_precision(config.compute.precision, device)})
    config = override(config, {"compute.workers": _workers(config, device)})
    budget = _budget(config, device)
    plan = _plan(config, inputs.scene.grid.shape, _window_budget(device, budget))
    job = Job(override(config, {"tiling.tile": plan.tile}), inputs, plan, device, budget)
    if config.tiling.statistics == "auto":
        job = replace(job, config=override(job.config, {"tiling.statistics": _statistics(job)}))
    _check_memory(job)
    if to_write:
        _check_disk(job)
    return job


def forecast(config: RunConfig) -> Forecast:
    """Return what a configuration would run; computes one small window to know this machine. Raises NstError."""
    job = prepare(config, to_write=False)
    flops = sum(estimate.flops(level, job.plan.trunk, job.passes(index)) for index, level in enumerate(job.plan.levels))
    return Forecast(job, flops, flops / measure_rate(job.config, job.device))


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


def _workers(config: RunConfig, device: Device) -> int | None:
    """Return how many workers are to be started, where that is not said."""
    compute = config.compute
    if compute.executor == "local" or compute.address is not None or compute.workers is not None:
        return compute.workers
    return 1 if device.is_gpu else _cores()


def _cores() -> int:
    return os.cpu_count() or 1


def _window_budget(device: Device, budget: float) -> float:
    """Return the bytes that windows may take where they are computed."""
    return device.free_bytes / 2 if device.is_gpu else budget


def _plan(config: RunConfig, shape: tuple[int, int], window_budget: float) -> Plan:
    trunk, tile = trunk_of(config), config.tiling.tile
    if tile == "auto":
        tile = estimate.best_tile(shape, trunk, _value_bytes(config), window_budget, config.compute.workers or 1)
    return make_plan(shape, levels=config.schedule.levels, tile=tile, trunk=trunk)


def _statistics(job: Job) -> Literal["exact", "predicted"]:
    """Return what ``auto`` stands for: exact statistics where they cost no more than predicted ones."""
    if job.on_cluster:
        return "exact"
    all_kept = all(job.kept_windows(index) == len(level.tiles) for index, level in enumerate(job.plan.levels))
    return "exact" if all_kept and job.config.tiling.steps_per_round == 1 else "predicted"


def _value_bytes(config: RunConfig) -> int:
    return 2 if config.compute.precision == "bfloat16" else 4


def _check_memory(job: Job) -> None:
    need = job.memory
    if job.on_cluster:
        started = 0 if job.config.compute.address else job.workers
        workers = started * (job.worker_bytes - (need.windows if job.device.is_gpu else 0))
        _check_memory_of("the host", need.scene + need.process + workers, psutil.virtual_memory().available)
    elif job.device.is_gpu:
        _check_memory_of(job.device.name, need.windows, job.device.free_bytes)
        _check_memory_of("the host", need.scene + need.process, psutil.virtual_memory().available)
    else:
        _check_memory_of("the host", need.host, job.device.free_bytes)


def _check_memory_of(place: str, needed: float, free: float) -> None:
    remedy = "use a smaller tiling.tile, or a smaller compute.memory, to keep more on disk"
    _check_room(f"memory of {place} for this plan", needed, free, remedy)


def _check_disk(job: Job) -> None:
    """Refuse to start what could not be written in the end."""
    folder = job.outputs.tif.parent
    remedy = "free some space, or write to another disk"
    _check_room(f"disk of {folder} for this map", job.disk_bytes, shutil.disk_usage(folder).free, remedy)


def _check_room(what: str, needed: float, free: float, remedy: str) -> None:
    if needed > free:
        raise ResourceError(what, expected=f"about {needed / 1e9:.1f} GB free", got=f"{free / 1e9:.1f} GB", do=remedy)
