"""Learning a style: scenes and a painting in, one file out that styles any scene. The loop of ``nst-rs learn``.

A step shows the network random windows of the scenes and moves its weights down the objective of `stylize`, which
VGG16 measures with statistics of each window. In between the session keeps what is learned on disk, and a sheet shows
the network's pictures of windows that it does not learn from.
"""

import io
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_rs.arrays import Pixels
from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.rendering import Rendering
from nst_rs.files.fingerprint import fingerprint, fingerprints
from nst_rs.files.storage import MemoryStorage, Storage, strips
from nst_rs.files.text import duration
from nst_rs.learned.architecture import Architecture, Weights, first_weights
from nst_rs.learned.normalising import sample
from nst_rs.learned.samples import Draw, Rectangle, TrainingScene
from nst_rs.learned.style_file import Facts, HeldOut, LearnedStyle, Learning, Source, rounded
from nst_rs.learned.windows import paint
from nst_rs.learning.baseline import Reference
from nst_rs.learning.checkpoint import LearningCheckpoint
from nst_rs.learning.job import LearningJob, held_out_side
from nst_rs.learning.lessons import Lessons
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.neural.device import rounded_products
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.neural.normalising import fitted
from nst_rs.neural.trainer import Memory, Teacher
from nst_rs.neural.window_model import WindowModel
from nst_rs.pyramid.tiling import Span
from nst_rs.runs import record
from nst_rs.style.color import count_colors, to_imitate, to_optimise, to_show

log = logging.getLogger(__name__)

SECONDS_BETWEEN_SHEETS = 60.0
_WARM_UP = 20
"""Steps over which the rate rises to its full value at the beginning."""
_SHOWN = 3
"""The most windows on a sheet."""
_CELL = 256
"""The largest side, in pixels, of the pictures in the preview that the style carries."""
_STYLE_TILE = 1024
_BYTES_PER_PIXEL = 28
"""Bytes per pixel of a composed scene: colour, the scene's own colour where luminance is styled, and weight."""


@dataclass(frozen=True)
class LearningProgress:
    """The state of learning, sent to the listener after every step and while the style is judged."""

    doing: str
    fraction: float
    """The share of the present work that is done, in [0, 1]."""
    loss: float | None = None
    """Mean total objective over the last steps."""
    seconds_left: float | None = None

    def __str__(self) -> str:
        """Return the state in one line."""
        loss = "" if self.loss is None else f", loss {self.loss:.4g}"
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"{self.doing}{loss}{left}"


Listener = Callable[[LearningProgress], None]


@dataclass(frozen=True)
class Window:
    """A window to judge by."""

    scene: Pixels  # (H, W, 3) RGB in [0, 255], in its own colours
    content: Pixels
    """The content that the picture is made from: the scene, or its luminance."""


@dataclass
class Course:
    """The losses of all steps so far, and how long they took."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def loss(self) -> float:
        """Mean over the last steps."""
        return float(np.mean(self.losses[-50:])) if self.losses else math.nan


def learn(job: LearningJob, listener: Listener) -> LearnedStyle:
    """Learn a style, judge it and write it; Ctrl-C ends learning early and keeps what was learned. Raises NstError."""
    with job.alone():
        session = LearningSession(job, listener)
        try:
            session.learn()
            interrupted = False
        except KeyboardInterrupt:
            log.warning("interrupted after %d steps: what was learned is kept", len(session.course.losses))
            interrupted = True
        return session.finish(compared=not interrupted)


class LearningSession:
    """One style being learned."""

    def __init__(self, job: LearningJob, listener: Listener) -> None:
        """Prepare; reading and the network come with the first use."""
        self.job = job
        self.course = Course()
        self._listener = listener
        self._next_sheet = 0.0
        self._teacher: Teacher | None = None

    def learn(self) -> None:
        """Take steps until the time or their number is up."""
        section, teacher = self.job.config.learn, self._begun()
        with closing(self._lessons()) as lessons, self.job.device.scope(), rounded_products():
            while (done := self._done()) < 1:
                started = time.monotonic()
                rate = section.rate * min(1.0, (teacher.steps + 1) / _WARM_UP) * (1 + math.cos(math.pi * done)) / 2
                self.course.losses.append(teacher.step(lessons.next(), rate))
                self.course.seconds += time.monotonic() - started
                self._listener(self._progress())
                if time.monotonic() >= self._next_sheet:
                    self.keep()

    def keep(self) -> None:
        """Write a checkpoint, and a sheet of the pictures that the network makes of the windows held out."""
        memory = self._begun().memory
        checkpoint = LearningCheckpoint(self._identity, memory, self.course.seconds, tuple(self.course.losses))
        checkpoint.write(self.job.workspace)
        pictures = self._pictures(memory.average)
        self.job.preview.write_bytes(self._sheet([(w.scene, p) for w, p in zip(self._windows, pictures, strict=True)]))
        self._next_sheet = time.monotonic() + SECONDS_BETWEEN_SHEETS

    def finish(self, compared: bool) -> LearnedStyle:
        """Judge the network and write the style; `compared`: measure `stylize` on the same windows too."""
        weights = rounded(self._begun().memory.average)
        pictures = self._pictures(weights)
        optimised = self._optimised() if compared else None
        columns = [[w.scene for w in self._windows], pictures, *([optimised] if optimised else [])]
        rows = list(zip(*columns, strict=True))
        style = LearnedStyle(self._facts(self._judged(pictures, optimised)), weights, self._sheet(rows[:1], _CELL))
        style.save(self.job.output)
        self.job.preview.write_bytes(self._sheet(rows))
        self.job.workspace.remove()
        return style

    def _done(self) -> float:
        section = self.job.config.learn
        steps = len(self.course.losses) / section.steps if section.steps else 0.0
        return max(steps, self.course.seconds / (60 * section.minutes))

    def _progress(self) -> LearningProgress:
        done, course = self._done(), self.course
        left = course.seconds * (1 - done) / done if len(course.losses) >= 3 else None
        return LearningProgress(f"step {len(course.losses)}", min(1.0, done), course.loss, left and max(0.0, left))

    def _lessons(self) -> Lessons:
        section, architecture = self.job.config.learn, self._architecture
        size = Draw(section.batch, section.window, architecture.margin, architecture.stride)
        return Lessons(self._training_scenes, size, section.seed, first=len(self.course.losses))

    @property
    def _architecture(self) -> Architecture:
        return self.job.architecture

    def _begun(self) -> Teacher:
        """Return this run's teacher: the present one, else one that goes on from a killed run, else a new one."""
        if self._teacher is not None:
            return self._teacher
        checkpoint = LearningCheckpoint.read(self.job.workspace, self._identity)
        if checkpoint is not None:
            log.warning("going on where an earlier run stopped: step %d", len(checkpoint.losses))
            self.course = Course(list(checkpoint.losses), checkpoint.seconds)
            return self._taught_by(checkpoint.memory)
        if self.job.start is not None:
            return self._taught_by(Memory.beginning(self.job.start.weights))
        return self._taught_by(Memory.beginning(first_weights(self._architecture, self.job.config.learn.seed)))

    def _taught_by(self, memory: Memory) -> Teacher:
        """Return a teacher that goes on from `memory`, and keep it."""
        with self.job.device.scope():
            self._teacher = Teacher(self._kernel.encoder, self._reference.objective, self._architecture, memory)
        return self._teacher

    @cached_property
    def _reference(self) -> Reference:
        config = self.job.config
        colors = reduce(add, (count_colors(scene.image, scene.weight) for scene in self._composed))
        styles = [to_imitate(config.style.color, style, colors) for style in self.job.styles]
        return Reference(self._kernel, build_objective(config, self._kernel, styles, _STYLE_TILE), config)

    @cached_property
    def _kernel(self) -> WindowModel:
        return build_kernel(self.job.config, self.job.device)

    @cached_property
    def _storage(self) -> Storage:
        pixels = sum(math.prod(rendering.scene.grid.shape) for rendering in (*self.job.scenes, *self.job.held_out))
        if pixels * _BYTES_PER_PIXEL < self.job.budget / 2:
            return MemoryStorage()
        self.job.workspace.create()
        return self.job.workspace.arrays

    @cached_property
    def _composed(self) -> list[TrainingScene]:
        """The scenes to learn from, in their own colours."""
        return [self._compose(rendering, f"scene-{index}") for index, rendering in enumerate(self.job.scenes)]

    @cached_property
    def _training_scenes(self) -> list[TrainingScene]:
        """The scenes to learn from, as content, without the windows held out."""
        return [self._as_content(scene, f"found-{index}") for index, scene in enumerate(self._composed)]

    def _compose(self, rendering: Rendering, name: str) -> TrainingScene:
        shape = rendering.scene.grid.shape
        image = self._storage.create(f"{name}-image", (*shape, 3), np.float32)
        weight = self._storage.create(f"{name}-weight", shape, np.float32)
        composite = compose(rendering.scene, rendering.channels, rendering.stretch, Sheets(image, weight, None))
        return TrainingScene(image, weight, composite.valid_share)

    def _as_content(self, scene: TrainingScene, name: str) -> TrainingScene:
        kept_out = tuple(box for other, box in self._places if other is scene)
        color = self.job.config.style.color
        if color != "scene":
            return replace(scene, kept_out=kept_out)
        image = self._storage.create(name, scene.image.shape, np.float32)
        for rows in strips(image.shape[0]):
            image[rows] = to_optimise(color, scene.image[rows])
        return replace(scene, image=image, kept_out=kept_out)

    @cached_property
    def _places(self) -> list[tuple[TrainingScene, Rectangle]]:
        """The windows held out: the scene, and the rectangle in it."""
        section = self.job.config.learn
        held_out = enumerate(self.job.held_out)
        scenes = [self._compose(rendering, f"held-{index}") for index, rendering in held_out] or self._composed
        generator = np.random.default_rng(section.seed)
        places: list[tuple[TrainingScene, Rectangle]] = []
        for index in range(section.held_out_windows):
            scene = scenes[index % len(scenes)]
            height, width = scene.weight.shape
            side = held_out_side(self.job.config, (height, width))
            taken = tuple(box for other, box in places if other is scene)
            places.append((scene, replace(scene, kept_out=taken).place(side, generator)))
        return places

    @cached_property
    def _windows(self) -> list[Window]:
        color = self.job.config.style.color
        scenes = [scene.image[box.rows.slice, box.columns.slice].copy() for scene, box in self._places]
        return [Window(scene, to_optimise(color, scene)) for scene in scenes]

    def _pictures(self, weights: Weights) -> list[Pixels]:
        """Return the pictures that a network makes of the windows held out, each as a scene of its own."""
        return [self._picture(weights, window.content) for window in self._windows]

    def _picture(self, weights: Weights, content: Pixels) -> Pixels:
        architecture, device = self._architecture, self.job.device.name
        blocks = sample(content, np.ones(content.shape[:2], np.float32), architecture)
        network = GeneratorNetwork(architecture, fitted(architecture, weights, blocks, device), device)
        side = Span(0, len(content))
        return paint(network, content, side, side)

    def _optimised(self) -> list[Pixels] | None:
        """Return the pictures that `stylize` makes of the windows held out; None where the user interrupts it."""
        pictures = []
        count, iterations = len(self._windows), sum(self.job.config.schedule.level_iterations)
        for index, window in enumerate(self._windows):
            heard = 0

            def hear(step: Any, index: int = index) -> None:
                nonlocal heard
                heard += step.losses is not None
                fraction = (index + heard / iterations) / count
                doing = f"judging: window {index + 1}/{count}, optimised for comparison"
                self._listener(LearningProgress(doing, fraction))

            try:
                pictures.append(self._reference.optimise(window.content, hear))
            except KeyboardInterrupt:
                log.warning("interrupted: the style is kept without a comparison")
                return None
        return pictures

    def _judged(self, pictures: Sequence[Pixels], optimised: Sequence[Pixels] | None) -> HeldOut:
        reference, windows = self._reference, self._windows

        def total(made: Sequence[Pixels]) -> float:
            pairs = zip(windows, made, strict=True)
            return float(np.mean([reference.total(window.content, picture) for window, picture in pairs]))

        return HeldOut(
            windows=len(windows),
            size=tuple(len(window.scene) for window in windows),
            other_scenes=bool(self.job.held_out),
            scene_total=total([window.content for window in windows]),
            scene_saturated=saturated(window.content for window in windows),
            learned_total=total(pictures),
            learned_saturated=saturated(pictures),
            optimised_total=None if optimised is None else total(optimised),
            optimised_saturated=None if optimised is None else saturated(optimised),
        )

    def _facts(self, held_out: HeldOut) -> Facts:
        config, course = self.job.config, self.course
        before = None if self.job.start is None else self.job.start.facts.learning
        sections = {"composite", "style", "model", "objective", "schedule", "compute", "learn"}
        told = json.loads(config.model_dump_json(include=sections))
        # The style goes to people who need not know where its author's files lay.
        for key in ("images", "regions"):
            told["style"].pop(key)
        told["learn"] = {key: value for key, value in told["learn"].items() if key not in ("held_out", "start")}
        return Facts(
            widths=config.learn.widths,
            blocks=config.learn.blocks,
            deep_blocks=config.learn.deep_blocks,
            enlarging=self._architecture.enlarging,
            normalised=True,
            color=config.style.color,
            configuration=told,
            metres_per_pixel=self.job.scenes[0].scene.grid.metres_per_pixel,
            styles=tuple(_source(str(path)) for path in config.style.images),
            scenes=tuple(_source(location) for location in _locations(self.job.scenes)),
            learning=Learning(
                steps=len(course.losses) + (before.steps if before else 0),
                seconds=round(course.seconds + (before.seconds if before else 0.0), 1),
                loss=course.loss,
                start=None if config.learn.start is None else _source(str(config.learn.start)),
                start_steps=before.steps if before else 0,
            ),
            held_out=held_out,
            versions=record.versions(),
            licence=config.learn.licence,
        )

    @cached_property
    def _identity(self) -> Mapping[str, Any]:
        """The facts that must be the same for a run to go on where another was killed. Its time limit may differ."""
        without: Any = {"compute": {"memory"}, "learn": {"minutes", "steps", "licence"}}
        config = json.loads(self.job.config.model_dump_json(exclude=without))
        locations = _locations((*self.job.scenes, *self.job.held_out))
        inputs = [entry["sha256"] for entry in fingerprints([*locations, *self.job.config.style.images])]
        return {"configuration": config, "inputs": inputs, "versions": record.versions()}

    def _sheet(self, rows: Sequence[Sequence[Pixels]], cell: int | None = None) -> bytes:
        """Return windows side by side as a PNG: the scene, the learned picture, the optimised one where it is known."""
        return sheet([self._shown(row) for row in rows[:_SHOWN]], cell)

    def _shown(self, row: Sequence[Pixels]) -> list[Pixels]:
        scene, *pictures = row
        return [scene, *(to_show(self.job.config.style.color, picture, scene) for picture in pictures)]


def saturated(pictures: Any) -> float:
    """Return the share of the pictures' pixels that have a channel at 0 or 255 when rounded.

    >>> saturated([np.array([[[0.2, 9, 9], [1, 2, 3]]], np.float32)])
    0.5
    """
    at_an_end = [((rounded := np.rint(picture)) <= 0) | (rounded >= 255) for picture in pictures]
    return float(np.mean(np.concatenate([ends.any(axis=-1).ravel() for ends in at_an_end])))


def sheet(rows: Sequence[Sequence[Pixels]], cell: int | None = None) -> bytes:
    """Return pictures in rows as a PNG, each cut to its upper left `cell` pixels."""
    cut = [[np.rint(picture[:cell, :cell]).astype(np.uint8) for picture in row] for row in rows]
    width = max(sum(picture.shape[1] for picture in row) for row in cut)
    made = Image.new("RGB", (width, sum(len(row[0]) for row in cut)))
    top = 0
    for row in cut:
        made.paste(Image.fromarray(np.concatenate(row, axis=1)), (0, top))
        top += len(row[0])
    buffer = io.BytesIO()
    made.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _locations(renderings: Iterable[Rendering]) -> list[str]:
    return [location for rendering in renderings for location in rendering.scene.locations]


def _source(location: str) -> Source:
    entry = fingerprint(location)
    return Source(name=Path(location).name, bytes=entry["bytes"], sha256=entry["sha256"])
