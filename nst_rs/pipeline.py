"""One run from files to files: the only module that imports both the raster half and the neural half.

:class:`Session` has the stages as methods, for a scheduler to call one by one; :func:`run` calls them in a row.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from nst_rs import estimate, progress, record
from nst_rs.arrays import Pixels
from nst_rs.color import count_colors, to_imitate, to_optimise, to_show
from nst_rs.composite import Composite, compose
from nst_rs.config import RunConfig, override, trunk_of, with_absolute_paths
from nst_rs.engine import build_kernel, build_objective, measure_rate
from nst_rs.errors import OutputError, ResourceError
from nst_rs.inputs import Inputs, open_inputs, settle
from nst_rs.mosaic import to_bytes
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.neural.kernel import Kernel
from nst_rs.objective import Objective
from nst_rs.publish import Outputs, publish
from nst_rs.pyramid import halve
from nst_rs.style import Style
from nst_rs.stylization import Canvas, Descent, Problem, first_picture, next_picture, stylize_level
from nst_rs.tiling import Plan, make_plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A run that has been checked against its inputs and the machine, before anything is computed."""

    config: RunConfig
    """With every choice that was left open (bands, stroke, tile, precision) made: it repeats the run elsewhere."""
    inputs: Inputs
    plan: Plan
    device: Device

    @property
    def outputs(self) -> Outputs:
        """The files to write; raises OutputError when the job was prepared without any."""
        if self.inputs.outputs is None:
            raise OutputError("output", expected="a map to write", got="none", do="name it with --output")
        return self.inputs.outputs

    @property
    def memory(self) -> estimate.Memory:
        """What the run will hold at its peak, but for the activations it keeps where there is room for them."""
        styles = [(len(style.image), style.image.shape[1]) for style in self.inputs.styles]
        return estimate.memory(self.plan, styles, self.config.objective.content_layers, _value_bytes(self.config))

    def kept_windows(self, index: int) -> int:
        """How many windows of level `index` keep their activations: as many as half of the free memory has room for."""
        memory, level = self.memory, self.plan.levels[index]
        taken = memory.windows if self.device.is_gpu else memory.host
        each = estimate.activation_bytes(level, self.plan.trunk, _value_bytes(self.config))
        return max(0, min(len(level.tiles), int((self.device.free_bytes / 2 - taken) / each)))

    @property
    def kept_bytes(self) -> float:
        """The most that kept activations take, beyond :attr:`memory`."""
        sizes = [estimate.activation_bytes(x, self.plan.trunk, _value_bytes(self.config)) for x in self.plan.levels]
        # One window's are in the estimate of the passes over a window.
        return max(max(0, self.kept_windows(index) - 1) * size for index, size in enumerate(sizes))


@dataclass(frozen=True)
class Composed:
    """The scene as RGB, and as the canvas of every level."""

    composite: Composite
    canvases: tuple[Canvas, ...]
    """From coarse to fine."""
    fingerprints: tuple[dict[str, Any], ...]
    """Of the scene's tiles and, last, the style images, as they were read."""


@dataclass(frozen=True)
class Forecast:
    """What a run would do and take."""

    job: Job
    flops: float
    """Of the convolutions, over the whole run."""
    seconds: float
    """Estimated from a short measurement on this machine."""


@dataclass(frozen=True)
class Result:
    """What a run made."""

    output: Path
    """The map: an RGB GeoTIFF on the scene's grid. An absolute path, as the other two."""
    preview: Path
    record: Path
    losses: tuple[float, ...]
    """The objective at every iteration, level after level."""
    seconds: Mapping[str, float]
    """Stage → seconds."""


def prepare(config: RunConfig, to_write: bool = True) -> Job:
    """Check a configuration against its files and the machine, and settle what it leaves open.

    With `to_write` false no output need be named. Raises NstError.
    """
    inputs = open_inputs(config, to_write)
    device = choose_device(config.compute.device)
    precision = choose_precision(config.compute.precision, device)
    config = override(with_absolute_paths(settle(config, inputs.scene)), {"compute.precision": precision})
    plan = _plan(config, inputs.scene.grid.shape, device)
    job = Job(override(config, {"tiling.tile": plan.tile}), inputs, plan, device)
    _check_memory(job)
    return job


def forecast(config: RunConfig) -> Forecast:
    """Return what a configuration would run; computes one small window to know this machine. Raises NstError."""
    job = prepare(config, to_write=False)
    iterations = job.config.schedule.level_iterations
    flops = sum(
        estimate.flops(level, iterations[index], job.plan.trunk, job.kept_windows(index))
        for index, level in enumerate(job.plan.levels)
    )
    return Forecast(job, flops, flops / measure_rate(job.config, job.device))


def run(job: Job, listener: progress.Listener = progress.ignore) -> Result:
    """Run every stage of `job` in order."""
    session = Session(job, listener)
    session.compose()
    for index in range(len(job.plan.levels)):
        session.stylize(index)
    return session.publish()


def compose_canvases(job: Job) -> Composed:
    """Read the scene, map it to RGB, and scale it to every level."""
    inputs = job.inputs
    composite = compose(inputs.scene, inputs.bands, job.config.composite.percentiles)
    scaled = [(to_optimise(job.config.style.color, composite.image), composite.valid.astype(np.float32))]
    for _ in job.plan.levels[1:]:
        scaled.append(halve(*scaled[-1]))
    pairs = zip(job.plan.levels, reversed(scaled), strict=True)
    canvases = tuple(Canvas.around(level, *picture) for level, picture in pairs)
    return Composed(composite, canvases, tuple(record.fingerprints(inputs.files)))


def _plan(config: RunConfig, shape: tuple[int, int], device: Device) -> Plan:
    trunk, tile = trunk_of(config), config.tiling.tile
    if tile == "auto":
        tile = estimate.best_tile(shape, trunk, _value_bytes(config), device.free_bytes / 2)
    return make_plan(shape, levels=config.schedule.levels, tile=tile, trunk=trunk)


def _value_bytes(config: RunConfig) -> int:
    return 2 if config.compute.precision == "bfloat16" else 4


def _check_memory(job: Job) -> None:
    need = job.memory
    if job.device.is_gpu:
        _check_room(job.device.name, need.windows, job.device.free_bytes)
        _check_room("the host", need.canvases + need.process, psutil.virtual_memory().available)
    else:
        _check_room("the host", need.host, job.device.free_bytes)


def _check_room(place: str, needed: float, free: float) -> None:
    if needed > free:
        raise ResourceError(
            f"memory of {place} for this plan",
            expected=f"about {needed / 1e9:.1f} GB free",
            got=f"{free / 1e9:.1f} GB",
            do="use a smaller tiling.tile, or style a smaller scene",
        )


class Session:
    """One run in progress: its stages in order, each of which may be repeated without changing the result."""

    def __init__(self, job: Job, listener: progress.Listener = progress.ignore) -> None:
        """Prepare to run `job`, telling `listener` where it stands."""
        self.job = job
        self._listener = listener
        self._seconds: dict[str, float] = {}
        self._pictures: dict[int, Pixels] = {}

    def compose(self) -> Composed:
        """Read the scene, map it to RGB, and scale it to every level, once."""
        return self._composed

    def stylize(self, index: int) -> None:
        """Style level `index`, from 0, the coarsest; needs the level before."""
        schedule, canvas = self.job.config.schedule, self._composed.canvases[index]
        kernel, objective = self._engine
        with self._timed(f"level {index + 1}"):
            problem = Problem(kernel, canvas, objective, self.job.kept_windows(index))
            descent = Descent(schedule.level_iterations[index], schedule.step_size)
            self._pictures[index] = stylize_level(
                problem, self._start(index), descent, lambda step: self._tracker.hear(index, step)
            )

    def publish(self) -> Result:
        """Write the map, its preview and its record; needs the finest level."""
        job, composite, outputs = self.job, self._composed.composite, self.job.outputs
        started = time.perf_counter()
        finest = self._pictures[len(job.plan.levels) - 1][job.plan.levels[-1].scene_slices]

        def finished_record() -> dict[str, Any]:
            self._seconds["publish"] = round(time.perf_counter() - started, 3)
            return self._record()

        rgb = to_bytes(to_show(job.config.style.color, finest, composite.image), composite.valid)
        publish(outputs, rgb, composite.valid, job.inputs.scene.grid, finished_record)
        losses = tuple(losses.total for level in self._tracker.history for losses in level)
        preview, made, tif = (Path(os.path.abspath(path)) for path in outputs)
        return Result(tif, preview, made, losses, dict(self._seconds))

    def _start(self, index: int) -> Pixels:
        schedule, canvases = self.job.config.schedule, self._composed.canvases
        if index == 0:
            return first_picture(canvases[0], schedule.init, schedule.seed)
        return next_picture(self._pictures[index - 1], canvases[index - 1].level, canvases[index].level)

    @cached_property
    def _composed(self) -> Composed:
        with self._timed("compose"):
            return compose_canvases(self.job)

    @cached_property
    def _engine(self) -> tuple[Kernel, Objective]:
        with self._timed("network"):
            kernel = build_kernel(self.job.config, self.job.device)
            return kernel, build_objective(self.job.config, kernel, self._styles(), self.job.plan.tile)

    def _styles(self) -> Sequence[Style]:
        """Return the style images in the colours that are to be imitated."""
        color, composite, styles = self.job.config.style.color, self._composed.composite, self.job.inputs.styles
        if color == "style":
            return styles
        scene = count_colors(composite.image, composite.valid)
        return [replace(style, image=to_imitate(color, style.image, scene)) for style in styles]

    @cached_property
    def _tracker(self) -> progress.Tracker:
        """Counts work in pixels of windows; windows without a valid pixel are not computed."""
        work = [
            float(len(canvas.tiles) * math.prod(canvas.level.window_shape) * iterations)
            for canvas, iterations in zip(
                self._composed.canvases, self.job.config.schedule.level_iterations, strict=True
            )
        ]
        return progress.Tracker(work, self._listener)

    def _record(self) -> dict[str, Any]:
        job, scene, composite = self.job, self.job.inputs.scene, self._composed.composite
        return {
            "record": 1,
            "configuration": json.loads(job.config.model_dump_json()),
            "versions": record.versions(),
            "device": job.device.name,
            "inputs": list(self._composed.fingerprints),
            "scene": {
                "crs": scene.grid.crs.to_wkt(),
                "transform": list(scene.grid.transform)[:6],
                "shape": list(scene.grid.shape),
                "valid_share": float(composite.valid.mean()),
                "limits": [[limits.low, limits.high] for limits in composite.limits],
            },
            "levels": [
                record.level_record(level, history)
                for level, history in zip(job.plan.levels, self._tracker.history, strict=True)
            ],
            "seconds": self._seconds,
            "peak_memory_bytes": record.peak_memory_bytes(),
        }

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[stage] = round(time.perf_counter() - started, 3)
        log.debug("%s took %.1f s", stage, self._seconds[stage])
