"""One run from files to files: the only module that imports both the raster half and the neural half.

:class:`Session` has the stages as methods, for a scheduler to call one by one; :func:`run` calls them in a row.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from nst_rs import estimate, progress, record
from nst_rs.arrays import Pixels
from nst_rs.canvas import Canvas, first_picture, next_picture
from nst_rs.checkpoint import Checkpoint, Keeper
from nst_rs.color import Color, count_colors, to_imitate, to_optimise, to_show
from nst_rs.composite import Composite, compose
from nst_rs.config import RunConfig, override, trunk_of, with_absolute_paths
from nst_rs.descent import Descent, Point, descend
from nst_rs.engine import build_kernel, build_objective, measure_rate
from nst_rs.errors import OutputError, ResourceError, SceneError
from nst_rs.figures import measure
from nst_rs.inputs import Inputs, open_inputs, settle
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.neural.kernel import Kernel
from nst_rs.objective import Objective
from nst_rs.problem import Problem
from nst_rs.publish import Outputs, disk_bytes, publish
from nst_rs.pyramid import halve_into, mirror
from nst_rs.rounds import Exact, Local, Predicted, Round
from nst_rs.state import Form
from nst_rs.storage import Inset, PixelArray, Storage, Window, bands
from nst_rs.style import Style
from nst_rs.tiling import Plan, make_plan
from nst_rs.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A run that has been checked against its inputs and the machine, before anything is computed."""

    config: RunConfig
    """With every choice that was left open (bands, stroke, tile, precision) made: it repeats the run elsewhere."""
    inputs: Inputs
    plan: Plan
    device: Device
    budget: float
    """Bytes of the host's memory that the run may take."""

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
        return estimate.memory(self.plan, self.kept, styles, _value_bytes(self.config), self.budget)

    @property
    def kept(self) -> estimate.Kept:
        """What the run keeps of its scene."""
        arrays = 4 if self.config.schedule.averaged else 3
        layers, precision = self.config.objective.content_layers, self.config.compute.precision
        return estimate.Kept.by(self.plan, layers, precision, arrays)

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
        taken = memory.windows if self.device.is_gpu else memory.host
        each = estimate.activation_bytes(level, self.plan.trunk, _value_bytes(self.config))
        return max(0, min(len(level.tiles), int((_window_budget(self.device, self.budget) - taken) / each)))

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
    image: PixelArray  # (H, W, 3) RGB in [0, 255]
    """The composite, in its own colours."""
    canvases: tuple[Canvas, ...]
    """From coarse to fine: what the picture is found by."""
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
    figures: Mapping[str, Any]
    """How faithful and how seamless the map is: see :func:`nst_rs.figures.measure`."""


def prepare(config: RunConfig, to_write: bool = True) -> Job:
    """Check a configuration against its files and the machine, and settle what it leaves open.

    With `to_write` false no output need be named. Raises NstError.
    """
    inputs = open_inputs(config, to_write)
    device = choose_device(config.compute.device)
    precision = choose_precision(config.compute.precision, device)
    config = override(with_absolute_paths(settle(config, inputs.scene)), {"compute.precision": precision})
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


def run(job: Job, listener: progress.Listener = progress.ignore) -> Result:
    """Run every stage of `job` in order."""
    session = Session(job, listener)
    session.compose()
    for index in range(len(job.plan.levels)):
        session.stylize(index)
    return session.publish()


def compose_canvases(job: Job, storage: Storage) -> Composed:
    """Read the scene, map it to RGB on the finest level's canvas, and halve it to the others'; all in `storage`."""
    inputs = job.inputs
    canvases = [Canvas.empty(level, storage) for level in job.plan.levels]
    finest = canvases[-1]
    percentiles = job.config.composite.percentiles
    composite = compose(inputs.scene, inputs.bands, percentiles, finest.scene_image, finest.scene_weight)
    shown = _set_aside(job.config.style.color, finest, storage)
    for fine, coarse in pairwise(reversed(canvases)):
        halve_into(fine.scene_image, fine.scene_weight, coarse.scene_image, coarse.scene_weight)
    for canvas in canvases:
        mirror(canvas.image, canvas.level)
    return Composed(composite, shown, tuple(canvases), tuple(record.fingerprints(inputs.files)))


def _set_aside(color: Color, finest: Canvas, storage: Storage) -> PixelArray:
    """Leave on the finest canvas what the picture is found by, and return the composite in its own colours."""
    image = finest.scene_image
    if color != "scene":
        return image
    own = storage.create("composite", image.shape, np.float32)
    for rows in bands(image.shape[0]):
        own[rows] = image[rows]
        image[rows] = to_optimise(color, own[rows])
    return own


@dataclass(frozen=True)
class _Shown:
    """The map's pixels, joined as they are read."""

    color: Color
    result: PixelArray
    scene: PixelArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.result.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.result.dtype

    def __getitem__(self, window: Window) -> Pixels:
        return to_show(self.color, self.result[window], self.scene[window])

    def __setitem__(self, window: Window, values: Any) -> None:
        raise TypeError("a map is only read")


def _budget(config: RunConfig, device: Device) -> float:
    """Return the bytes of the host's memory that the run may take."""
    if config.compute.memory != "auto":
        return config.compute.memory
    return (psutil.virtual_memory().available if device.is_gpu else device.free_bytes) / 2


def _window_budget(device: Device, budget: float) -> float:
    """Return the bytes that windows may take where they are computed."""
    return device.free_bytes / 2 if device.is_gpu else budget


def _plan(config: RunConfig, shape: tuple[int, int], window_budget: float) -> Plan:
    trunk, tile = trunk_of(config), config.tiling.tile
    if tile == "auto":
        tile = estimate.best_tile(shape, trunk, _value_bytes(config), window_budget)
    return make_plan(shape, levels=config.schedule.levels, tile=tile, trunk=trunk)


def _statistics(job: Job) -> Literal["exact", "predicted"]:
    """Return what ``auto`` stands for: exact statistics where they cost no more than predicted ones."""
    all_kept = all(job.kept_windows(index) == len(level.tiles) for index, level in enumerate(job.plan.levels))
    return "exact" if all_kept and job.config.tiling.steps_per_round == 1 else "predicted"


def _value_bytes(config: RunConfig) -> int:
    return 2 if config.compute.precision == "bfloat16" else 4


def _check_memory(job: Job) -> None:
    need = job.memory
    if job.device.is_gpu:
        _check_room(job.device.name, need.windows, job.device.free_bytes)
        _check_room("the host", need.scene + need.process, psutil.virtual_memory().available)
    else:
        _check_room("the host", need.host, job.device.free_bytes)


def _check_room(place: str, needed: float, free: float) -> None:
    if needed > free:
        raise ResourceError(
            f"memory of {place} for this plan",
            expected=f"about {needed / 1e9:.1f} GB free",
            got=f"{free / 1e9:.1f} GB",
            do="use a smaller tiling.tile, or a smaller compute.memory, to keep more on disk",
        )


def _check_disk(job: Job) -> None:
    """Refuse to start what could not be written in the end."""
    folder = job.outputs.tif.parent
    needed = job.disk_bytes
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"disk of {folder} for this map",
            expected=f"about {needed / 1e9:.1f} GB free",
            got=f"{free / 1e9:.1f} GB",
            do="free some space, or write to another disk",
        )


class Session:
    """One run in progress: its stages in order, each of which may be repeated without changing the result."""

    def __init__(self, job: Job, listener: progress.Listener = progress.ignore) -> None:
        """Prepare to run `job`, telling `listener` where it stands."""
        self.job = job
        self._listener = listener
        self._seconds: dict[str, float] = {}
        self._pictures: dict[int, PixelArray] = {}

    def compose(self) -> Composed:
        """Read the scene, map it to RGB, and scale it to every level, once."""
        return self._composed

    def stylize(self, index: int) -> None:
        """Style level `index`, from 0, the coarsest; needs the level before."""
        checkpoint = self._checkpoint
        if checkpoint is not None and index < checkpoint.level:
            self._tracker.restore(index, checkpoint.histories[index])
            return
        with self._timed(f"level {index + 1}"):
            form, point = self._forms[index], self._start(index)
            self._tracker.restore(index, point.history)
            kind = self._round(index)
            end = descend(
                kind,
                point,
                self.job.descent(index),
                lambda step: self._tracker.hear(index, step),
                lambda reached: self._keeper.keep(form, reached.now, self._checkpoint_at(index, reached)),
            )
        self._pictures[index] = end.result
        if index > 0:
            self._pictures.pop(index - 1, None)
            self._keeper.forget(self._forms[index - 1])

    def publish(self) -> Result:
        """Write the map, its preview and its record; needs the finest level."""
        job, canvas, outputs = self.job, self._composed.canvases[-1], self.job.outputs
        found = Inset(self._pictures[len(job.plan.levels) - 1], canvas.level.scene_slices)
        finest = _Shown(job.config.style.color, found, self._composed.image)
        seams = canvas.level.rows.seams, canvas.level.columns.seams
        with self._timed("figures"):
            figures = measure(self._composed.image, finest, canvas.scene_weight, seams)
        started = time.perf_counter()

        def finished_record() -> dict[str, Any]:
            self._seconds["publish"] = round(time.perf_counter() - started, 3)
            return {**self._record(), "figures": figures}

        publish(outputs, finest, canvas.scene_weight, job.inputs.scene.grid, finished_record)
        job.workspace.remove()
        losses = tuple(losses.total for level in self._tracker.history for losses in level)
        preview, made, tif = (Path(os.path.abspath(path)) for path in outputs)
        return Result(tif, preview, made, losses, dict(self._seconds), figures)

    def _start(self, index: int) -> Point:
        """Return where a level begins, or where a killed run's has come to."""
        if self._checkpoint is not None and index == self._checkpoint.level:
            return self._keeper.resume(self._forms[index], self._checkpoint)
        schedule, canvases = self.job.config.schedule, self._composed.canvases
        point = self._keeper.start(self._forms[index])
        if index == 0:
            first_picture(canvases[0], schedule.init, schedule.seed, point.now.picture)
        else:
            below = self._pictures[index - 1], canvases[index - 1].level
            next_picture(below, (point.now.picture, canvases[index].level))
        return point

    def _round(self, index: int) -> Round:
        """Return how a level's rounds are done."""
        kernel, objective = self._engine
        objective = replace(objective, alpha=self.job.config.level_alphas[index])
        problem = Problem.of(kernel, self._composed.canvases[index], objective, self._keeper.storage)
        tiling = self.job.config.tiling
        if tiling.statistics == "exact":
            return Exact(problem, self.job.kept_windows(index))
        return Predicted(problem) if tiling.steps_per_round == 1 else Local(problem)

    def _checkpoint_at(self, index: int, point: Point) -> Checkpoint:
        histories = [*self._tracker.history[:index], point.history]
        return Checkpoint(self._identity, index, point.done, histories)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on where another was killed."""
        config = json.loads(self.job.config.model_dump_json(exclude={"compute": {"memory"}}))
        inputs = [entry["sha256"] for entry in self._composed.fingerprints]
        return {"configuration": config, "inputs": inputs, "versions": record.versions()}

    @cached_property
    def _checkpoint(self) -> Checkpoint | None:
        """Where an earlier run of the same was killed."""
        found = Checkpoint.read(self.job.workspace)
        if found is None or found.run != self._identity:
            return None
        log.warning("going on where an earlier run stopped: level %d, iteration %d", found.level + 1, found.done)
        return found

    @cached_property
    def _keeper(self) -> Keeper:
        return Keeper(self.job.workspace, in_memory=not self.job.memory.on_disk)

    @cached_property
    def _forms(self) -> list[Form]:
        """Level → which arrays its states have."""
        objective, schedule = self.job.config.objective, self.job.config.schedule
        layers = None
        if self.job.config.tiling.statistics == "predicted":
            counted = tuple(dict.fromkeys([*objective.style_layers, *objective.content_layers]))
            layers = counted, tuple(objective.style_layers)
        return [Form(level, schedule.averaged > 0, layers) for level in self.job.plan.levels]

    @cached_property
    def _composed(self) -> Composed:
        with self._timed("compose"):
            try:
                return compose_canvases(self.job, self._keeper.storage)
            except SceneError:
                self.job.workspace.remove()  # there is nothing to go on from
                raise

    @cached_property
    def _engine(self) -> tuple[Kernel, Objective]:
        with self._timed("network"):
            kernel = build_kernel(self.job.config, self.job.device)
            return kernel, build_objective(self.job.config, kernel, self._styles(), self.job.plan.tile)

    def _styles(self) -> Sequence[Style]:
        """Return the style images in the colours that are to be imitated."""
        color, styles = self.job.config.style.color, self.job.inputs.styles
        if color == "style":
            return styles
        scene = count_colors(self._composed.image, self._composed.canvases[-1].scene_weight)
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
        steps = job.config.tiling.steps_per_round
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
                "valid_share": composite.valid_share,
                "limits": [[limits.low, limits.high] for limits in composite.limits],
            },
            "levels": [
                record.level_record(level, min(planned, len(history) * steps), history)
                for level, planned, history in zip(
                    job.plan.levels, job.config.schedule.level_iterations, self._tracker.history, strict=True
                )
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
