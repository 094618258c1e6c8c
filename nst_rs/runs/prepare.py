"""The one preparation of a run: configuration, files and machine brought together, every open choice made.

Which kind of run it is, optimised or learned, is decided here and nowhere else: by the style that is named.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import decided_as, override
from nst_rs.config.sections import ELSEWHERE, RunConfig
from nst_rs.executors.choice import check_executor, cores, traits_of
from nst_rs.files.locations import absolute
from nst_rs.files.text import duration, operations
from nst_rs.files.workspace import Workspace
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.runs.inputs import Inputs, check_named, open_outputs, stamp
from nst_rs.runs.job import Job, Kind
from nst_rs.runs.optimised.job import OptimisedKind
from nst_rs.runs.painted.classes_job import LearnedClassesKind
from nst_rs.runs.painted.job import LearnedKind, learned_style_of


@dataclass(frozen=True, repr=False)
class Forecast:
    """The work and the time that a run would take."""

    job: Job
    flops: float
    """The operations of the convolutions, over the whole run."""
    seconds: float
    """The time of the whole run, estimated from a short measurement on this machine."""
    shortages: tuple[str, ...]
    """The reasons for which the run would be refused, too little memory or disk. One line each."""

    def __repr__(self) -> str:
        """Return what matters of it in a few lines: one per stage, and one per shortage."""
        job = self.job
        stages = [", ".join(f"{name} {value}" for name, value in row.items()) for row in job.outline]
        gigabytes = (job.memory.host + job.kept_bytes) / 1e9
        means = f"{job.device.name}, {job.config.compute.precision}, about {gigabytes:.1f} GB of memory"
        work = f"{operations(self.flops)}, about {duration(self.seconds)}"
        return "\n  ".join([f"Forecast: {job.inputs.scene.grid.describe()}", *stages, means, work, *self.shortages])


def prepare(config: RunConfig, to_write: bool = True) -> Job:
    """Check a configuration against its files and the machine, and decide what it leaves open.

    With `to_write` false no output need be named. Raises NstError, also for too little memory or disk.
    """
    job = _open(config, to_write)
    for shortage in job.shortages(job.outputs.tif.parent if to_write else None):
        raise shortage
    return job


def forecast(config: RunConfig) -> Forecast:
    """Return the forecast of a run; computes a little to know this machine. Raises NstError.

    Room on disk is looked for where the configuration's output lies, or where none is named, in the working folder.
    """
    job = _open(config, to_write=False)
    folder = Path(os.path.abspath(config.output.path or "map.tif")).parent
    shortages = tuple(map(str, job.shortages(folder)))
    return Forecast(job, job.flops, job.measure_seconds(), shortages)


def settled_by_scene(config: RunConfig) -> RunConfig:
    """Return `config` with what its style and its scene decide; the machine's choices stay open. Raises NstError."""
    kind = _kind_of(config)
    config = kind.completed(config)
    return override(config, kind.decided_by(open_rendering(config), config), place=absolute)


def _open(config: RunConfig, to_write: bool) -> Job:
    """Decide what `config` leaves open, whether or not there is room for it."""
    check_named(config, to_write)
    check_executor(config.compute)
    kind = _kind_of(config)
    config = kind.completed(config)
    rendering = open_rendering(config)
    files = (*rendering.scene.locations, *kind.files(config))
    stamps = {location: stamp(location) for location in files}
    config = override(config, kind.decided_by(rendering, config), place=absolute)
    outputs = None if config.output.path is None else open_outputs(config, rendering, files)
    inputs = Inputs(rendering, kind.styles(config), files, outputs, stamps)
    device = choose_device(config.compute.device)
    config = _as_begun(config)
    decisions = {
        "compute.precision": choose_precision(config.compute.precision, device),
        "compute.workers": _workers_to_start(config, device),
    }
    config = override(config, decisions)
    return kind.job(config, inputs, device, _budget(config, device))


def _kind_of(config: RunConfig) -> Kind:
    """Return the kind of run that the named style makes it. Raises NstError."""
    by_class = LearnedClassesKind.of(config)
    if by_class is not None:
        return by_class
    learned = learned_style_of(config)
    return OptimisedKind.of(config) if learned is None else LearnedKind.read(learned)


def _as_begun(config: RunConfig) -> RunConfig:
    """Return `config` with the machine's choices as a killed run made them, if it ran the same configuration."""
    begun = None if config.output.path is None else Workspace(config.output.path).read_checkpoint()
    if begun is None:
        return config
    try:
        made = RunConfig.model_validate(begun["run"]["configuration"])
    except (KeyError, TypeError, ValidationError):  # another version's: the run will start anew
        return config
    decided = decided_as(config, made)
    other = {f"compute.{key}": getattr(config.compute, key) for key in ELSEWHERE}
    return decided if decided == override(made, {**other, "output.every": config.output.every}) else config


def _budget(config: RunConfig, device: Device) -> float:
    """Return how many bytes of the host's memory the run may take."""
    if config.compute.memory != "auto":
        return config.compute.memory
    sharers = 1 if config.compute.address else config.compute.workers or 1
    return (psutil.virtual_memory().available if device.is_gpu else device.free_bytes) / 2 / sharers


def _workers_to_start(config: RunConfig, device: Device) -> int | None:
    """Return the number of workers to start where the configuration does not say; else its own number."""
    compute = config.compute
    if traits_of(compute.executor).in_process or compute.address is not None or compute.workers is not None:
        return compute.workers
    return 1 if device.is_gpu else cores()
