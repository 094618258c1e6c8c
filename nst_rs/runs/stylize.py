"""One run from files to files: the only module that imports both the raster half and the neural half.

:class:`Session` has the stages as methods, for a scheduler to call one by one; :func:`run` calls them in a row.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.composite.compose import Composite, Sheets, compose
from nst_rs.composite.overlay import with_unstyled
from nst_rs.config.sections import ELSEWHERE, Color
from nst_rs.errors import SceneError
from nst_rs.executors.recipes import NetworkRecipe
from nst_rs.files.fingerprint import fingerprints
from nst_rs.files.storage import Inset, PixelArray, Storage, Window, strips
from nst_rs.learned.windows import paint_all
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.neural.generator import Stylizer
from nst_rs.neural.window_model import Kernel
from nst_rs.objective.losses import Objective
from nst_rs.objective.problem import Problem
from nst_rs.optimise.checkpoint import Checkpoint, Keeper
from nst_rs.optimise.descent import Point, Step, descend
from nst_rs.optimise.rounds import Exact, Local, Predicted, Round
from nst_rs.optimise.state import Form, State
from nst_rs.output import provenance
from nst_rs.output.calm import measure_calm
from nst_rs.output.figures import measure
from nst_rs.output.files import Outputs
from nst_rs.output.geotiff import StyledMap
from nst_rs.output.publish import Companion, publish
from nst_rs.output.report import Pictures, write_report
from nst_rs.output.scene_bands import PassedBands, write_bands
from nst_rs.output.stac_item import write_item
from nst_rs.output.webtiles import write_tiles
from nst_rs.pyramid.canvas import Canvas, first_picture, next_picture
from nst_rs.pyramid.resample import halve_into, mirror
from nst_rs.runs import progress, record
from nst_rs.runs.job import Job
from nst_rs.style.color import count_colors, to_imitate, to_optimise, to_show
from nst_rs.style.picture import Style

if TYPE_CHECKING:  # Dask is an extra
    from nst_rs.executors.dask import Cluster, Found, Scattered

log = logging.getLogger(__name__)


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
    unstyled: PixelArray | None = None  # (H, W, 4) uint8 RGB, and 255 where it is what the map shows


@dataclass(frozen=True)
class Result:
    """What a run made."""

    output: Path
    """The map: an RGB GeoTIFF on the scene's grid. An absolute path, as the others."""
    preview: Path
    record: Path
    report: Path
    losses: tuple[float, ...]
    """The objective at every iteration, level after level."""
    seconds: Mapping[str, float]
    """Stage → seconds."""
    figures: Mapping[str, Any]
    """How faithful and how seamless the map is: see :mod:`nst_rs.output.figures` and :mod:`nst_rs.output.calm`."""


def run(job: Job, listener: progress.Listener = progress.ignore) -> Result:
    """Run every stage of `job` in order. Raises LockedError where another run is at the same output."""
    with job.alone(), Session(job, listener) as session:
        session.compose()
        for index in range(len(job.plan.levels)):
            session.stylize(index)
        return session.publish()


def compose_canvases(job: Job, storage: Storage) -> Composed:
    """Read the scene, map it to RGB on the finest level's canvas, and halve it to the others'; all in `storage`."""
    inputs = job.inputs
    canvases = [Canvas.empty(level, storage) for level in job.plan.levels]
    finest = canvases[-1]
    subject = inputs.subject
    unstyled = None
    if subject.keeps_clouds:
        unstyled = storage.create("unstyled", (*subject.scene.grid.shape, 4), np.uint8)
    sheets = Sheets(finest.scene_image, finest.scene_weight, unstyled)
    composite = compose(subject.scene, subject.channels, subject.stretch, sheets)
    shown = _set_aside(job.config.style.color, finest, storage)
    for fine, coarse in pairwise(reversed(canvases)):
        halve_into(fine.scene_image, fine.scene_weight, coarse.scene_image, coarse.scene_weight)
    for canvas in canvases:
        mirror(canvas.image, canvas.level)
    try:
        as_read = tuple(fingerprints(inputs.files))
    finally:
        inputs.check_unchanged()  # else they may be of other pixels than those that were read
    return Composed(composite, shown, tuple(canvases), as_read, unstyled)


def _set_aside(color: Color, finest: Canvas, storage: Storage) -> PixelArray:
    """Leave on the finest canvas what the picture is found by, and return the composite in its own colours."""
    image = finest.scene_image
    if color != "scene":
        return image
    own = storage.create("composite", image.shape, np.float32)
    for rows in strips(image.shape[0]):
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


class Session:
    """One run in progress: its stages in order, each of which may be repeated without changing the result.

    As a context it ends the workers that it has started; so does :meth:`close`.
    """

    def __init__(self, job: Job, listener: progress.Listener = progress.ignore, found: "Found | None" = None) -> None:
        """Prepare to run `job`, telling `listener` where it stands; `found` finds or starts a cluster in our place."""
        self.job = job
        self._listener = listener
        self._found = found
        self._seconds: dict[str, float] = {}
        self._pictures: dict[int, PixelArray] = {}
        self._open = ExitStack()
        self._cluster: Cluster | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, where there is one; a stage that is tried again finds it anew."""
        self._cluster = None
        self._open.close()

    def compose(self) -> Composed:
        """Read the scene, map it to RGB, and scale it to every level, once."""
        return self._composed

    def stylize(self, index: int) -> None:
        """Style level `index`, from 0, the coarsest; needs the level before."""
        checkpoint = self._read_checkpoint()
        if checkpoint is not None and index < checkpoint.level:
            self._tracker.restore(index, checkpoint.histories[index])
            return
        with self._timed(f"level {index + 1}"):
            point = self._start(index, checkpoint)
            self._tracker.restore(index, point.history)
            end = self._descend_on_cluster(index, point) if self.job.on_cluster else self._descend(index, point)
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
            figures["calm"] = measure_calm(self._composed.image, finest, canvas.scene_weight)
        started = time.perf_counter()

        def finished_record() -> dict[str, Any]:
            self._seconds["publish"] = round(time.perf_counter() - started, 3)
            return {**self._record(), "figures": figures}

        tags = provenance.tags(job.config, self._composed.fingerprints)
        grid, profile = job.inputs.scene.grid, job.config.output.profile
        picture, weight = with_unstyled(finest, canvas.scene_weight, self._composed.unstyled)
        scene, _ = with_unstyled(self._composed.image, canvas.scene_weight, self._composed.unstyled)
        styled = StyledMap(picture, weight, grid, profile, tags)
        pictures = Pictures(scene, picture, weight, grid, job.inputs.styles)
        passed = partial(self._pass_bands, PassedBands(job.inputs.subject, profile, tags))
        companions: list[Companion] = [passed, write_tiles, write_item, partial(write_report, pictures)]
        publish(outputs, styled, finished_record, companions)
        job.workspace.remove()
        losses = tuple(losses.total for level in self._tracker.history for losses in level)
        made = Outputs(Path(os.path.abspath(outputs.tif)))
        return Result(made.tif, made.preview, made.record, made.report, losses, dict(self._seconds), figures)

    def _pass_bands(self, passed: PassedBands, made: Outputs, found: Mapping[str, Any]) -> None:
        write_bands(passed, made, found)
        if made.bands is not None:
            self.job.inputs.check_unchanged()  # else the bands may be of other pixels than the map

    def _descend(self, index: int, point: Point[State]) -> State:
        return descend(
            self._round(index), point, self.job.descent(index), self._hearing(index), lambda at: self._keep(index, at)
        )

    def _descend_on_cluster(self, index: int, point: Point[State]) -> State:
        """Let the workers go down from `point`; return where they come to, on disk."""
        from nst_rs.executors.dask import OnCluster, Scattered

        with ExitStack() as failing:
            failing.callback(self.close)
            cluster, kept = self._connected(), -(-self.job.kept_windows(index) // self.job.workers)
            problem = Problem(*self._at(index), {})
            kind = OnCluster(cluster, problem, NetworkRecipe.of(self.job.config, cluster.threads), kept)
            start = Point(kind.begin(point.now), Scattered(kind), point.done, point.history)
            end = descend(kind, start, self.job.descent(index), self._hearing(index), lambda at: self._keep(index, at))
            state = self._keeper.copy(self._forms[index], end)
            failing.pop_all()
            return state

    def _connected(self) -> "Cluster":
        """Return the cluster, which is found or started when it is first needed."""
        from nst_rs.executors.dask import found

        if self._cluster is None:
            address = self.job.config.compute.address
            with self._timed("cluster"):
                coming = (self._found or found)(address, self.job.workers, self.job.threads)
                self._cluster = self._open.enter_context(coming)
        return self._cluster

    def _hearing(self, index: int) -> Callable[[Step], None]:
        return lambda step: self._tracker.hear(index, step)

    def _keep(self, index: int, reached: "Point[State] | Point[Scattered]") -> None:
        self._keeper.keep(self._forms[index], reached.now, self._checkpoint_at(index, reached))

    def _start(self, index: int, checkpoint: Checkpoint | None) -> Point[State]:
        """Return where a level begins, or what it has come to in a killed run, or before this stage failed."""
        if checkpoint is not None and index == checkpoint.level:
            log.warning("going on where an earlier run stopped: level %d, iteration %d", index + 1, checkpoint.done)
            return self._keeper.resume(self._forms[index], checkpoint)
        canvases = self._composed.canvases
        point = self._keeper.start(self._forms[index], index)
        if index == 0:
            self._draw(canvases[0], point.now.picture)
        else:
            below = self._pictures[index - 1], canvases[index - 1].level
            next_picture(below, (point.now.picture, canvases[index].level))
        return point

    def _draw(self, canvas: Canvas, picture: PixelArray) -> None:
        """Write the picture that the coarsest level starts from."""
        schedule, learned, device = self.job.config.schedule, self.job.inputs.learned, self.job.device.name
        if schedule.init != "learned" or learned is None:
            first_picture(canvas, "noise" if schedule.init == "noise" else "content", schedule.seed, picture)
            return
        paint_all(Stylizer(learned.facts.architecture, learned.weights, device), canvas.image, picture)

    def _at(self, index: int) -> tuple[Kernel, Canvas, Objective]:
        """Return what a level's problem is made of."""
        kernel, objective = self._engine
        alpha = self.job.config.level_alphas[index]
        return kernel, self._composed.canvases[index], replace(objective, alpha=alpha)

    def _round(self, index: int) -> Round[State]:
        """Return how a level's rounds are done here."""
        problem = Problem.of(*self._at(index), self._keeper.storage)
        tiling = self.job.config.tiling
        if not self.job.is_predicted(index):
            return Exact(problem, self.job.kept_windows(index))
        return Predicted(problem, self.job.kept_windows(index)) if tiling.steps_per_round == 1 else Local(problem)

    def _checkpoint_at(self, index: int, point: Point[Any]) -> Checkpoint:
        histories = [*self._tracker.history[:index], point.history]
        return Checkpoint(self._identity, index, point.done, histories)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on where another was killed."""
        config = json.loads(self.job.config.model_dump_json(exclude={"compute": set(ELSEWHERE)}))
        inputs = [entry["sha256"] for entry in self._composed.fingerprints]
        return {"configuration": config, "inputs": inputs, "versions": record.versions()}

    def _read_checkpoint(self) -> Checkpoint | None:
        """Return how far this run has come, in this process or in one that was killed."""
        found = Checkpoint.read(self.job.workspace)
        if found is None or found.run != self._identity or not self._keeper.has(self._forms[found.level], found):
            return None
        return found

    @cached_property
    def _keeper(self) -> Keeper:
        return Keeper(self.job.workspace, in_memory=not self.job.memory.on_disk, on_cluster=self.job.on_cluster)

    @cached_property
    def _forms(self) -> list[Form]:
        """Level → which arrays its states have."""
        job, averaged = self.job, self.job.config.schedule.averaged > 0
        return [
            Form(level, averaged, job.recalled if job.is_predicted(index) else None, by_core=job.on_cluster)
            for index, level in enumerate(job.plan.levels)
        ]

    @cached_property
    def _composed(self) -> Composed:
        with self._timed("compose"):
            try:
                return compose_canvases(self.job, self._keeper.storage)
            except SceneError:
                if Checkpoint.read(self.job.workspace) is None:
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
        return [to_imitate(color, style, scene) for style in styles]

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
        job, composed = self.job, self._composed
        steps = job.config.tiling.steps_per_round
        return {
            **record.of_run(job.config, job.device.name, composed.fingerprints),
            "scene": record.of_scene(job.inputs.scene, composed.composite),
            "levels": [
                record.level_record(level, min(planned, len(history) * steps), history)
                for level, planned, history in zip(
                    job.plan.levels, job.config.schedule.level_iterations, self._tracker.history, strict=True
                )
            ],
            "seconds": self._seconds,
            "effort": self._effort(),
            "peak_memory_bytes": record.peak_memory_bytes(),
        }

    def _effort(self) -> dict[str, float]:
        """Return how much of the time and of what was computed went into the map itself, and not around it."""
        canvas, (kernel, _) = self._composed.canvases[-1], self._engine
        computed = len(canvas.tiles) * math.prod(canvas.level.window_shape)
        effort = {"computed_over_scene": computed / math.prod(canvas.level.shape)}
        if not self.job.on_cluster:  # where workers compute
            effort["seconds_in_network"] = round(kernel.seconds, 3)
            effort["share_in_network"] = kernel.seconds / sum(self._seconds.values())
        return effort

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[stage] = round(time.perf_counter() - started, 3)
        log.debug("%s took %.1f s", stage, self._seconds[stage])
