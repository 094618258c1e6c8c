"""A learned style applied to a scene: one pass over its tiles, files in to files out, in bounded memory.

The arrays of the scene's size lie on disk; of the scene only a few strips of rows are held while it is read, and a tile
while it is painted, with the next one, which is read meanwhile. On a cluster every tile is a task of its own.
"""

import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nst_rs.composite.compose import Composite, Sheets, compose
from nst_rs.composite.overlay import with_unstyled
from nst_rs.composite.rendering import Subject, open_subject
from nst_rs.config.loading import override, with_absolute_paths
from nst_rs.config.sections import Color, RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.executors.recipes import StylizerRecipe
from nst_rs.files import lock
from nst_rs.files.fingerprint import fingerprints
from nst_rs.files.storage import PixelArray
from nst_rs.files.workspace import Workspace
from nst_rs.learned.painter import Manner, TilePainter, paint_in_turn, paint_tile
from nst_rs.learned.style_file import LearnedStyle, is_learned, read_learned
from nst_rs.learned.windows import MapTile, best_block, cut
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.optimise.descent import Step
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
from nst_rs.runs import progress, record
from nst_rs.runs.inputs import open_outputs
from nst_rs.runs.job import check_executor, threads_each, workers_to_start
from nst_rs.runs.stylize import Result
from nst_rs.style.picture import Style

if TYPE_CHECKING:
    from nst_rs.executors.dask import Found

log = logging.getLogger(__name__)


def learned_style_of(config: RunConfig) -> Path | None:
    """Return the learned style that a configuration names, if it does. Raises ConfigError for one among images."""
    found = [path for path in config.style.images if is_learned(path)]
    if not found:
        return None
    if len(config.style.images) > 1:
        raise ConfigError(
            "style.images", expected="images, or one learned style", got=", ".join(map(str, config.style.images))
        )
    return found[0]


@dataclass(frozen=True)
class ApplicationJob:
    """A scene to be styled with a learned style, checked before anything is computed."""

    config: RunConfig
    """With every choice that was left open made."""
    subject: Subject
    style: LearnedStyle
    files: tuple[str, ...]
    """What the run reads: where the scene's rasters lie and, last, the learned style."""
    outputs: Outputs
    device: Device
    color: Color
    """How the picture is shown: the style's own way, unless the scene's colours are asked for."""

    @property
    def block(self) -> int:
        """Pixels along the side of what is painted at once."""
        return best_block(self.subject.scene.grid.shape, self.style.facts.architecture.margin)

    @property
    def tile(self) -> int:
        """Pixels along a tile's side: as configured, in whole blocks."""
        tile = self.config.tiling.tile
        return self.block if tile == "auto" else -(-tile // self.block) * self.block

    @property
    def on_cluster(self) -> bool:
        """Whether workers paint the tiles, and not this process."""
        return self.config.compute.executor == "dask"

    @property
    def workers(self) -> int:
        """How many processes are started to share the tiles."""
        return self.config.compute.workers or 1

    @property
    def threads(self) -> int:
        """Of every worker that is started on this machine."""
        return threads_each(self.workers)

    def alone(self) -> AbstractContextManager[None]:
        """Hold the output against other runs; raises LockedError where one has it."""
        return lock.alone(lock.path_for(self.outputs.tif), f"output {self.outputs.tif}")

    @property
    def workspace(self) -> Workspace:
        """Where the arrays of the scene's size are kept."""
        return Workspace(self.outputs.tif)


def prepare(config: RunConfig) -> ApplicationJob:
    """Check a configuration that names a learned style against its files and the machine. Raises NstError."""
    path = learned_style_of(config)
    if path is None:
        raise ConfigError("style.images", expected="a learned style", got="none")
    if not config.scene.paths:
        raise ConfigError("scene.paths", expected="at least one GeoTIFF or folder", got="none")
    check_executor(config)
    style = read_learned(path)
    color = _color(config, style)
    if config.composite.bands is None:
        config = override(config, {"composite.bands": _learned_bands(style)})
    subject = open_subject(config)
    files = (*subject.scene.locations, str(path))
    outputs = open_outputs(config, subject, files)
    device = choose_device(config.compute.device)
    decided = {
        "compute.precision": choose_precision(config.compute.precision, device),
        "compute.workers": workers_to_start(config, device),
    }
    config = override(with_absolute_paths(subject.settled(config)), decided)
    return ApplicationJob(config, subject, style, files, outputs, device, color)


def _color(config: RunConfig, style: LearnedStyle) -> Color:
    """Return how the picture is to be shown. The colours of a painting were matched when its style was learned."""
    wanted, learned = config.style.color, style.facts.color
    if wanted in ("style", learned):
        return learned
    if wanted == "histogram":
        raise ConfigError(
            "style.color histogram", expected="a style that was learned so", got=f"one of color {learned}"
        )
    return wanted


def _learned_bands(style: LearnedStyle) -> tuple[str, ...] | None:
    """Return the bands that a style was learned on, where they were named: numbers mean others in another scene."""
    bands = style.facts.configuration.get("composite", {}).get("bands") or ()
    return tuple(bands) if bands and all(isinstance(band, str) for band in bands) else None


def run(job: ApplicationJob, listener: progress.Listener = progress.ignore) -> Result:
    """Run every stage of `job` in order. Raises LockedError where another run is at the same output."""
    with job.alone():
        session = ApplicationSession(job, listener)
        session.compose()
        session.apply()
        return session.publish()


@dataclass(frozen=True)
class _Scene:
    """The composed scene and, in time, the map, on disk."""

    composite: Composite
    image: PixelArray  # (H, W, 3) RGB in [0, 255]
    weight: PixelArray  # (H, W)
    result: PixelArray  # (H, W, 3) uint8
    unstyled: PixelArray | None  # (H, W, 4) uint8
    """What the map shows as it is in the scene."""


class ApplicationSession:
    """One run in progress: its stages in order, each of which may be repeated without changing the result."""

    def __init__(
        self, job: ApplicationJob, listener: progress.Listener = progress.ignore, found: "Found | None" = None
    ) -> None:
        """Prepare to run `job`, telling `listener` where it stands; `found` finds or starts a cluster in our place."""
        self.job = job
        self._listener = listener
        self._found = found
        self._seconds: dict[str, float] = {}

    def compose(self) -> None:
        """Read the scene and map it to RGB, once."""
        _ = self._scene

    def apply(self) -> None:
        """Paint every tile that holds any valid pixel."""
        scene, facts, color = self._scene, self.job.style.facts, self.job.color
        tiles = [
            tile
            for tile in cut(scene.weight.shape, self.job.tile)
            if scene.weight[tile.inside(scene.weight.shape)].any()
        ]
        manner = Manner(facts.color, color, self.job.config.style.strength)
        beat = _Beat(len(tiles), self._listener)
        painter = TilePainter(self._recipe, facts.architecture.margin, manner, scene.image, scene.result)
        paint = self._paint_on_cluster if self.job.on_cluster else self._paint_here
        paint(painter, tiles, beat)

    def publish(self) -> Result:
        """Write the map and all that goes with it."""
        job = self.job
        started = time.perf_counter()
        with ThreadPoolExecutor(max_workers=1) as other:
            figures = other.submit(self._figures)  # while the map is written

            def finished_record() -> dict[str, Any]:
                found = figures.result()
                self._seconds["publish"] = round(time.perf_counter() - started, 3)
                return {**self._record(), "figures": found}

            self._publish(finished_record)
        job.workspace.remove()
        made = Outputs(Path(os.path.abspath(job.outputs.tif)))
        return Result(made.tif, made.preview, made.record, made.report, (), dict(self._seconds), figures.result())

    def _figures(self) -> dict[str, Any]:
        scene, block = self._scene, self.job.block
        seams = tuple(range(block, scene.weight.shape[0], block)), tuple(range(block, scene.weight.shape[1], block))
        figures = measure(scene.image, scene.result, scene.weight, seams)
        figures["calm"] = measure_calm(scene.image, scene.result, scene.weight)
        return figures

    def _publish(self, finished_record: Callable[[], dict[str, Any]]) -> None:
        job, scene = self.job, self._scene
        grid = job.subject.scene.grid

        tags = provenance.tags(job.config, self._fingerprints)
        picture, weight = with_unstyled(scene.result, scene.weight, scene.unstyled)
        before, _ = with_unstyled(scene.image, scene.weight, scene.unstyled)
        profile = job.config.output.profile
        styled = StyledMap(picture, weight, grid, profile, tags)
        pictures = Pictures(before, picture, weight, grid, [_preview(job.style)])
        passed = partial(write_bands, PassedBands(job.subject, profile, tags))
        companions: list[Companion] = [passed, write_tiles, write_item, partial(write_report, pictures)]
        publish(job.outputs, styled, finished_record, companions)

    def _paint_here(self, painter: TilePainter, tiles: Sequence[MapTile], beat: "_Beat") -> None:
        with self._timed("network"):
            _ = painter.network
        with self._timed("apply"):
            paint_in_turn(painter, tiles, beat)

    def _paint_on_cluster(self, painter: TilePainter, tiles: Sequence[MapTile], beat: "_Beat") -> None:
        from nst_rs.executors.dask import found

        address, processes = self.job.config.compute.address, self.job.workers
        with self._timed("apply"), (self._found or found)(address, processes, self.job.threads) as workers:
            capped = replace(painter, recipe=replace(self._recipe, threads=workers.threads))
            workers.each(paint_tile, capped, tiles, beat)

    @property
    def _recipe(self) -> StylizerRecipe:
        style, config = self.job.style, self.job.config
        return StylizerRecipe(style, config.compute.device, config.compute.precision)

    @cached_property
    def _scene(self) -> _Scene:
        job = self.job
        with self._timed("compose"):
            try:
                job.workspace.create()
                storage, shape = job.workspace.arrays, job.subject.scene.grid.shape
                image = storage.create("composite", (*shape, 3), np.float32)
                weight = storage.create("weight", shape, np.float32)
                result = storage.create("result", (*shape, 3), np.uint8)
                unstyled = None
                if job.subject.keeps_clouds:
                    unstyled = storage.create("unstyled", (*shape, 4), np.uint8)
                sheets = Sheets(image, weight, unstyled)
                composite = compose(job.subject.scene, job.subject.channels, job.subject.stretch, sheets)
            except OSError as error:
                raise OutputError(f"workspace {job.workspace.folder}", got=str(error)) from error
        return _Scene(composite, image, weight, result, unstyled)

    @cached_property
    def _fingerprints(self) -> list[dict[str, Any]]:
        return fingerprints(self.job.files)

    def _record(self) -> dict[str, Any]:
        job = self.job
        return {
            **record.of_run(job.config, job.device.name, self._fingerprints),
            "scene": record.of_scene(job.subject.scene, self._scene.composite),
            "levels": [],
            "learned": job.style.facts.model_dump(mode="json"),
            "seconds": self._seconds,
            "peak_memory_bytes": record.peak_memory_bytes(),
        }

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[stage] = round(time.perf_counter() - started, 3)
        log.debug("%s took %.1f s", stage, self._seconds[stage])


@dataclass
class _Beat:
    """Tells a listener of every tile."""

    tiles: int
    listener: progress.Listener
    done: int = 0
    started: float = 0.0

    def __call__(self) -> None:
        """Tell of one tile more."""
        now, before = time.monotonic(), self.done
        self.started = self.started or now
        left = (now - self.started) / before * (self.tiles - 1 - before) if before else None
        self.done += 1
        step = Step(0, 1, 1, before, self.tiles, self.done, self.tiles)
        self.listener(progress.Progress(1, 1, step, None, self.done / self.tiles, left))


def _preview(style: LearnedStyle) -> Style:
    """Return the picture that a style carries, as the run's page shows it."""
    image = Image.open(io.BytesIO(style.preview)).convert("RGB")
    return Style.opaque(np.asarray(image, np.float32))
