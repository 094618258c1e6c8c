"""The computation of an optimised picture: level after level, from coarse to fine. A killed run goes on."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.composite.starting_picture import StartingPicture
from nst_rs.config.sections import Color
from nst_rs.executors.base import Executor, LevelTask
from nst_rs.executors.recipes import KernelRecipe
from nst_rs.files.storage import Derived, Inset, PixelArray, Storage, Window, strips
from nst_rs.learned.normalising import sample
from nst_rs.learned.windows import paint_all
from nst_rs.neural.build import build_kernel, build_objectives
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.neural.normalising import fitted
from nst_rs.neural.resident import residence
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.terms.content import Content
from nst_rs.optimise.checkpoint import Checkpoint, Keeper
from nst_rs.optimise.descent import Point, Step
from nst_rs.optimise.state import Form, State
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.pyramid.canvas import Canvas, first_picture, next_picture, scaled_picture
from nst_rs.pyramid.resample import halve_into, mirror
from nst_rs.runs import progress, record
from nst_rs.runs.agreement import compose_held, measure_agreement
from nst_rs.runs.compose import ComposedScene, compose_scene
from nst_rs.runs.finish import Finished
from nst_rs.runs.ground import (
    Ground,
    Unstyled,
    divide,
    divided,
    give_colors,
    scene_classes,
    styles_by_class,
    with_classes,
)
from nst_rs.runs.held import HeldLevels
from nst_rs.runs.identity import identity, may_go_on
from nst_rs.runs.optimised.album import Album
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.zooms import KeptZooms, Zoom
from nst_rs.style.color import ColorMap, Colors, count_colors, match_colors, to_imitate, to_optimise, to_show
from nst_rs.style.picture import Style
from nst_rs.style.scaling import at_levels

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComposedLevels:
    """The scene as RGB, and as the canvas of every level."""

    scene: ComposedScene
    """The composite in its own colours."""
    canvases: tuple[Canvas, ...]
    """One canvas per level, from coarse to fine, in the colours that are optimised."""
    own_colors: tuple[PixelArray, ...]
    """The scene in its own colours at every level, from coarse to fine, (h, w, 3); where no level but the finest is
    published, at that one alone."""
    ground: Ground | None = None
    """The classes of the ground, where it is divided."""


def compose_levels(job: OptimisedJob, storage: Storage) -> ComposedLevels:
    """Read the scene, map it to RGB on the finest level's canvas, and halve it to the others'; all in `storage`."""
    canvases: list[Canvas] = []

    def arrays() -> tuple[PixelArray, PixelArray]:
        canvases.extend(Canvas.empty(level, storage) for level in job.plan.levels)
        return canvases[-1].scene_image, canvases[-1].scene_weight

    scene = compose_scene(job, storage, arrays)
    own_colors = _set_aside(job.config.style.color, canvases[-1], storage)
    for fine, coarse in pairwise(reversed(canvases)):
        halve_into(fine.scene_image, fine.scene_weight, coarse.scene_image, coarse.scene_weight)
    for canvas in canvases:
        mirror(canvas.image, canvas.level)
    ground = None
    if job.config.style.regions:
        ground = divide(job, job.rules, scene.weight, storage, job.least_pixels)
        canvases = with_classes(canvases, ground, storage, job.plan.trunk)
    at_levels = _own_colors_at_levels(job, own_colors, canvases, storage)
    return ComposedLevels(replace(scene, image=own_colors), tuple(canvases), at_levels, ground)


def _set_aside(color: Color, finest: Canvas, storage: Storage) -> PixelArray:
    """Leave the colours to optimise on the finest canvas, and return the composite in its own colours."""
    image = finest.scene_image
    if color != "scene":
        return image
    own = storage.create("composite", image.shape, np.float32)
    for rows in strips(image.shape[0]):
        own[rows] = image[rows]
        image[rows] = to_optimise(color, own[rows])
    return own


def _own_colors_at_levels(
    job: OptimisedJob, finest: PixelArray, canvases: Sequence[Canvas], storage: Storage
) -> tuple[PixelArray, ...]:
    """Return the scene in its own colours, `finest`, at every level that is published."""
    if not job.zooms:
        return (finest,)
    if job.config.style.color != "scene":
        return tuple(canvas.scene_image for canvas in canvases)
    images = [finest]
    for fine, coarse in pairwise(reversed(canvases)):
        half = storage.create(f"composite-{coarse.level.factor}", (*coarse.level.shape, 3), np.float32)
        halve_into(images[0], fine.scene_weight, half, coarse.scene_weight)  # the weight is the same once more
        images.insert(0, half)
    return tuple(images)


class Levels:
    """The stages of an optimised picture: one per level. See :class:`nst_rs.runs.session.Work`."""

    def __init__(
        self,
        job: OptimisedJob,
        executor: Executor,
        watch: Stopwatch,
        listener: progress.Listener,
        show: Callable[[SmallPicture], None],
    ) -> None:
        """Prepare to compute the levels of `job` with `executor`, telling `listener` where it stands.

        `show` is called with every picture on the way.
        """
        self._job = job
        self._executor = executor
        self._watch = watch
        self._listener = listener
        self._show = show
        self._pictures: dict[int, PixelArray] = {}

    def compose(self) -> None:
        """Read the scene, map it to RGB, and scale it to every level, once."""
        _ = self._composed, self._held

    def compute(self, index: int) -> None:
        """Compute level `index`, from 0, the coarsest; needs the level before."""
        checkpoint = self._read_checkpoint()
        if checkpoint is not None and index < checkpoint.level:
            self._tracker.restore(index, checkpoint.histories[index])
            return
        _ = self._network  # a stage of its own, which is no part of the level's time
        with self._watch.timed(self._job.stages[index]):
            start = self._start(index, checkpoint)
            self._tracker.restore(index, start.history)
            end = self._executor.descend(self._task(index, start))
        if self._executor.seconds_to_connect is not None:
            self._watch.note("cluster", self._executor.seconds_to_connect)
        self._take(index, self._iterations(index), self._tracker.history[index], end)
        if self._job.is_zoom(index):
            self._zooms.keep(self._job.plan.levels[index].factor, self._shown(index, end.result))
        self._pictures[index] = end.result
        if index > 0:
            self._pictures.pop(index - 1, None)
            self._keeper.forget(self._forms[index - 1])

    def finished(self) -> Finished:
        """Return the finished picture with all that goes into the map and the record; needs the finest level."""
        composed, finest = self._composed, len(self._job.plan.levels) - 1
        level = composed.canvases[-1].level
        shown = self._shown(finest, self._pictures[finest])
        losses = tuple(losses.total for history in self._tracker.history for losses in history)
        return Finished(
            composed.scene,
            shown,
            (level.rows.seams, level.columns.seams),
            losses,
            self._record(),
            self._album.pictures,
            composed.ground,
            self._further_figures,
            self._finished_zooms(),
            self._network[0].seconds if self._job.traits.in_process else None,
        )

    def _visible(self, index: int, picture: PixelArray) -> PixelArray:
        """Return a level's picture without its border, with the scene where the ground has no style."""
        canvas, ground = self._composed.canvases[index], self._composed.ground
        result = Inset(picture, canvas.level.scene_slices)
        if ground is None or ground.is_styled_everywhere:
            return result
        return Unstyled(result, canvas.scene_image, scene_classes(canvas))

    def _further_figures(self) -> dict[str, Any]:
        """Return how well the finished picture agrees with the earlier maps, where there are any."""
        if self._held is None:
            return {}
        result = Inset(self._pictures[len(self._job.plan.levels) - 1], self._held.levels[-1].level.scene_slices)
        return {"agreement": measure_agreement(self._job, self._composed.scene, self._held, result)}

    def _shown(self, index: int, picture: PixelArray) -> PixelArray:
        """Return a level's picture, which is of its canvas's shape, as the map shows it."""
        own = self._composed.own_colors[index - len(self._job.plan.levels)]
        return _Shown(self._visible(index, picture), self._job.config.style.color, own)

    def _finished_zooms(self) -> tuple[Zoom, ...]:
        """Return the pictures of the coarser zooms, from fine to coarse."""
        canvases = reversed([x for index, x in enumerate(self._composed.canvases) if self._job.is_zoom(index)])
        return tuple(
            Zoom(canvas.level.factor, self._zooms.open(canvas.level.factor), canvas.scene_weight) for canvas in canvases
        )

    def _task(self, index: int, start: Point[State]) -> LevelTask:
        job, descent, (kernel, objectives) = self._job, self._job.descent(index), self._network
        scheduled = job.scheduled(index)

        def hear(step: Step) -> None:
            self._tracker.hear(index, step)

        def keep(reached: Point[Any]) -> None:
            form, remote = self._forms[index], not isinstance(reached.now, State)
            due = reached.done < descent.iterations and self._album.is_due(reached.done) and index >= job.further
            self._keeper.keep(form, reached.now, self._checkpoint_at(index, reached), at_once=due and remote)
            if due:
                state = self._keeper.kept(form) if remote else reached.now
                self._take(index, reached.done, reached.history, state)

        return LevelTask(
            kernel=kernel,
            recipe=KernelRecipe.of(job.config),
            canvas=self._canvas(index),
            objective=self._agreeing(
                index, objectives[scheduled].weighted(Content.name, job.config.level_alphas[scheduled])
            ),
            predicted=job.is_predicted(index),
            kept_windows=job.kept_windows(index),
            descent=descent,
            keeper=self._keeper,
            form=self._forms[index],
            start=start,
            listener=hear,
            keep=keep,
            folder=job.workspace.folder,
            residence=residence(kernel) if job.is_resident(index) else None,
        )

    def _canvas(self, index: int) -> Canvas:
        """Return a level's canvas; ground that is held to an earlier map counts less there."""
        canvas = self._composed.canvases[index]
        if self._held is None:
            return canvas
        return self._held.levels[index].canvas(canvas, self._keeper.storage)

    def _agreeing(self, index: int, objective: Objective) -> Objective:
        """Return a level's objective with the term that holds the picture to earlier maps, where there are any."""
        weight = self._job.config.objective.agreement
        if self._held is None or not weight:
            return objective
        return Objective((*objective.terms, self._held.levels[index].term(weight)))

    def _take(self, index: int, iteration: int, history: Sequence[Losses], state: State) -> None:
        """Keep a picture of a level on the map's way as it stands after an iteration."""
        if index < self._job.further:
            return
        canvas, loss = self._composed.canvases[index], history[-1].total if history else None
        self._album.take(index + 1, iteration, loss, self._visible(index, state.result), canvas.scene_weight)

    def _iterations(self, index: int) -> int:
        """Return the number of iterations that a level has taken, once it has ended."""
        rounds, steps = len(self._tracker.history[index]), self._job.config.tiling.steps_per_round
        return min(self._job.iterations(index), rounds * steps)

    def _start(self, index: int, checkpoint: Checkpoint | None) -> Point[State]:
        """Return the point where a level begins, or the point that a killed run or a failed attempt has reached."""
        if checkpoint is not None and index == checkpoint.level:
            log.warning("going on where an earlier run stopped: level %d, iteration %d", index + 1, checkpoint.done)
            return self._keeper.resume(self._forms[index], checkpoint)
        canvases = self._composed.canvases
        point = self._keeper.start(self._forms[index], index)
        if index in (0, self._job.further):  # the map is the same whether there are levels below it or not
            self._draw(canvases[index], point.now.picture)
        else:
            below = self._pictures[index - 1], canvases[index - 1].level
            next_picture(below, (point.now.picture, canvases[index].level))
        if self._held is not None:
            self._held.levels[index].lay_over(point.now.picture)
        return point

    def _draw(self, canvas: Canvas, picture: PixelArray) -> None:
        """Write the picture that the coarsest level starts from."""
        schedule, first, device = self._job.config.schedule, self._job.first_picture, self._job.device.name
        if first is None:
            first_picture(canvas, "noise" if schedule.init == "noise" else "content", schedule.seed, picture)
            if schedule.init != "noise" and self._composed.ground is not None:
                give_colors(canvas, self._color_maps(self._composed.ground), picture)
        elif isinstance(first, StartingPicture):
            self._draw_from(first, canvas, picture)
        else:
            network, weights = first.facts.architecture, first.weights
            if first.facts.normalised:
                weights = fitted(network, weights, sample(canvas.image, canvas.weight, network), device)
            paint_all(GeneratorNetwork(network, weights, device), canvas.image, picture)

    def _color_maps(self, ground: Ground) -> list[ColorMap]:
        """Return for every styled class the map from the scene's colours there to its paintings'.

        A descent changes strokes sooner than colours. From the scene's own, a class whose paintings are of others
        ends between the two, and what is between may be another class's.
        """
        scene = self._composed.canvases[-1].scene_image
        return [
            match_colors(ground.colors(scene, number), Colors.of_blend(styles))
            for number, styles in zip(ground.styled, self._styles(), strict=True)
        ]

    def _draw_from(self, start: StartingPicture, canvas: Canvas, picture: PixelArray) -> None:
        """Scale a picture down to a level; where it has no data the scene stands."""
        color, finest = self._job.config.style.color, self._composed.canvases[-1]

        def read(rows: slice) -> Pixels:
            pixels, held = start.read(rows)
            return np.where(held[..., np.newaxis], to_optimise(color, pixels), finest.scene_image[rows])

        scaled_picture(read, finest.scene_weight, canvas.level, picture)
        self._job.inputs.check_unchanged()  # else the fingerprint in the record may be another picture's

    def _checkpoint_at(self, index: int, point: Point[Any]) -> Checkpoint:
        histories = [*self._tracker.history[:index], point.history]
        return Checkpoint(self._identity, index, point.done, histories)

    def _read_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint of this run, which this process or a killed one has written."""
        checkpoint = Checkpoint.read(self._job.workspace)
        if checkpoint is None or not may_go_on(checkpoint.run, self._identity, self._job):
            return None
        zooms = [index for index in range(checkpoint.level) if self._job.is_zoom(index)]
        kept = all(self._zooms.has(self._job.plan.levels[index].factor) for index in zooms)
        return checkpoint if kept and self._keeper.has(self._forms[checkpoint.level], checkpoint) else None

    @cached_property
    def _identity(self) -> dict[str, Any]:
        ground = self._composed.ground
        own = identity(self._job, self._composed.scene, *([] if ground is None else [ground.numbers]))
        return own if self._held is None else {**own, "agreement": self._held.facts}

    @cached_property
    def _zooms(self) -> KeptZooms:
        return KeptZooms(self._job.workspace, self._identity)

    @cached_property
    def _album(self) -> Album:
        return Album(self._job, self._identity, self._composed.scene, self._show)

    @cached_property
    def _keeper(self) -> Keeper:
        job = self._job
        return Keeper(job.workspace, in_memory=not job.memory.on_disk, others_write=not job.traits.in_process)

    @cached_property
    def _forms(self) -> list[Form]:
        """The arrays that the states of each level have."""
        job, averaged = self._job, self._job.config.schedule.averaged > 0
        return [
            Form(level, averaged, job.kept_layers if job.is_predicted(index) else None, job.traits.writes_cores)
            for index, level in enumerate(job.plan.levels)
        ]

    @cached_property
    def _composed(self) -> ComposedLevels:
        with self._watch.timed("compose"):
            return compose_levels(self._job, self._keeper.storage)

    @cached_property
    def _held(self) -> HeldLevels | None:
        if not self._job.earlier:
            return None
        composed = self._composed
        with self._watch.timed("agree"):
            return compose_held(self._job, composed.scene, composed.canvases, self._keeper.storage)

    @cached_property
    def _network(self) -> tuple[WindowModel, Sequence[Objective]]:
        """The network, and the objective of every level, from coarse to fine."""
        job, ground = self._job, self._composed.ground
        with self._watch.timed("network"):
            kernel = build_kernel(job.config, job.device)
            parts = [
                build_objectives(job.config, kernel, at_levels(job.config, styles), job.plan.tile)
                for styles in self._styles()
            ]
            return kernel, parts[0] if ground is None else divided(job.config, ground, parts)

    def _styles(self) -> list[Sequence[Style]]:
        """Return the style pictures in the colours to imitate: of the scene, or of each styled class of its ground."""
        config, styles = self._job.config.style, self._job.inputs.styles
        scene, ground = self._composed.scene, self._composed.ground
        if ground is None:
            return [_to_imitate(config.color, styles, lambda: count_colors(scene.image, scene.weight))]
        by_class = styles_by_class(config.regions, styles)
        return [
            _to_imitate(config.color, by_class[number], partial(ground.colors, scene.image, number))
            for number in ground.styled
        ]

    @cached_property
    def _tracker(self) -> progress.Tracker:
        """Counts work in pixels of windows; windows without a valid pixel are not computed."""
        work = [
            float(len(canvas.tiles) * math.prod(canvas.level.window_shape) * self._job.iterations(index))
            for index, canvas in enumerate(self._composed.canvases)
        ]
        return progress.Tracker(work, self._listener)

    def _record(self) -> dict[str, Any]:
        """Return the parts of the record that only an optimised run has."""
        levels = enumerate(zip(self._job.plan.levels, self._tracker.history, strict=True))
        return {
            "levels": [
                record.level_record(level, self._iterations(index), history) for index, (level, history) in levels
            ],
            "effort": self._effort(),
            **self._legend(),
            **({} if self._held is None else {"agreement": self._held.facts}),
        }

    def _legend(self) -> dict[str, Any]:
        """Return the classes of the ground, where it is divided."""
        ground = self._composed.ground
        return {} if ground is None else {"regions": ground.legend(self._job.inputs.styles)}

    def _effort(self) -> dict[str, float]:
        """Return the ratio of computed pixels to the scene's, and the network's time in seconds and as a share."""
        canvas, (kernel, _) = self._composed.canvases[-1], self._network
        computed = len(canvas.tiles) * math.prod(canvas.level.window_shape)
        effort = {"computed_over_scene": computed / math.prod(canvas.level.shape)}
        if self._job.traits.in_process:
            effort["seconds_in_network"] = round(kernel.seconds, 3)
            effort["share_in_network"] = kernel.seconds / sum(self._watch.seconds.values())
        return effort


def _to_imitate(color: Color, styles: Sequence[Style], scene: Callable[[], Colors]) -> Sequence[Style]:
    if color == "style":
        return styles
    colors = scene()
    return [to_imitate(color, style, colors) for style in styles]


@dataclass(frozen=True)
class _Shown(Derived):
    """The map's pixels, joined from the picture and the scene's colours as they are read."""

    color: Color
    scene: PixelArray

    def __getitem__(self, window: Window) -> Pixels:
        return to_show(self.color, self.under[window], self.scene[window])
