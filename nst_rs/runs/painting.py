"""The computation of a learned style's picture: one pass over the scene's tiles, in bounded memory.

The arrays of the scene's size lie on disk. Memory holds a few strips of rows while the scene is read, then the tile
that is painted and the next one, which is read meanwhile. A killed run goes on with the tiles that are not painted yet.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nst_rs.executors.base import Executor, PaintTask
from nst_rs.files.storage import PixelArray, check_written
from nst_rs.files.workspace import Workspace
from nst_rs.learned.painter import Manner, TilePainter
from nst_rs.learned.windows import MapTile, cut
from nst_rs.runs import progress, record
from nst_rs.runs.agreement import measure_overlap
from nst_rs.runs.compose import ComposedScene, compose_scene
from nst_rs.runs.finish import Finished
from nst_rs.runs.job import Job
from nst_rs.runs.learned_job import LearnedJob
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.scene_statistics import Recorded, measured

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_NOTES = 1.0


class Notes(Protocol):
    """Keeps what a run notes of itself on disk: :class:`nst_rs.files.workspace.Workspace` does."""

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return what was written last; None where there is nothing that can be read."""

    def write_checkpoint(self, data: Mapping[str, Any]) -> None:
        """Replace it, at once. Raises OutputError."""


@dataclass(frozen=True)
class Part:
    """A part of a scene that is painted by itself: a class of its ground."""

    name: str
    number: int
    """Its place among the parts."""
    scene: ComposedScene
    """The whole scene, composed already."""
    weight: PixelArray  # (H, W)
    """0 where nothing need be painted."""
    notes: Notes


class Painting:
    """The stage of a learned style's picture. See :class:`nst_rs.runs.session.Work`."""

    def __init__(
        self,
        job: LearnedJob,
        executor: Executor,
        watch: Stopwatch,
        listener: progress.Listener,
        part: Part | None = None,
    ) -> None:
        """Prepare to paint the tiles of `job` with `executor`, telling `listener` where it stands.

        Where a `part` is given, only its tiles are painted, into an array of its own.
        """
        self._job = job
        self._executor = executor
        self._watch = watch
        self._listener = listener
        self._part = part
        self._in_network = 0.0
        self._notes: Notes = job.workspace if part is None else part.notes

    def compose(self) -> None:
        """Read the scene and map it to RGB, once."""
        _ = self._scene

    def compute(self, index: int) -> None:
        """Paint every tile that holds any valid pixel and is not painted yet."""
        job, begun = self._job, self.begin()
        left = begun.left
        if len(left) < len(begun.tiles):
            done_before = len(begun.tiles) - len(left)
            log.warning("going on where an earlier run stopped: %d of %d tiles", done_before, len(begun.tiles))
        beat = _Beat(len(begun.tiles), self._listener, len(begun.tiles) - len(left))

        def done(tile: MapTile) -> None:
            begun.note(tile)
            beat.after_tile()

        if job.traits.in_process:
            with self._watch.timed(self._named("network")):
                _ = begun.painter.network
        with self._watch.timed(self._named(job.stages[index])):
            self._executor.paint(PaintTask(begun.painter, left, done, job.workspace.folder))
        self._result = begun.painter.result
        self._in_network += begun.painter.seconds

    def begin(self) -> "Begun":
        """Return the map as far as it is painted, perhaps by a run that was killed, and what paints the rest of it."""
        job, scene = self._job, self._scene
        painted, result = self._kept()
        weight = scene.weight if self._part is None else self._part.weight
        tiles = [tile for tile in cut(weight.shape, job.tile, job.before) if _is_valid(weight, tile)]
        manner = Manner(job.style.facts.color, job.color, job.config.style.strength)
        self._statistics = self._known_statistics(painted)
        recipe = job.recipe_with(self._statistics)
        painter = TilePainter(recipe, job.margin, manner, scene.image, result, job.corner)
        return Begun(scene, painter, tiles, painted)

    @property
    def result(self) -> PixelArray:
        """The painted picture, (H, W, 3) uint8; needs the tiles to be painted."""
        return self._result

    @property
    def seconds_in_network(self) -> float | None:
        """The time that the network took; None where others compute."""
        return self._in_network if self._job.traits.in_process else None

    @property
    def seams(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The rows and the columns at which blocks meet."""
        job, block = self._job, self._job.block
        sizes = zip(job.inputs.scene.grid.shape, job.before, strict=True)
        rows, columns = (tuple(range(block - before, size, block)) for size, before in sizes)
        return rows, columns

    def _named(self, what: str) -> str:
        return what if self._part is None else f"{what} {self._part.name}"

    def finished(self) -> Finished:
        """Return the finished picture with all that goes into the map and the record; needs the tiles to be painted."""
        job = self._job
        own: dict[str, Any] = {"levels": [], "learned": job.style.facts.model_dump(mode="json")}
        if self._statistics is not None:
            own["statistics"] = self._statistics
        return Finished(
            self._scene,
            self._result,
            self.seams,
            (),
            own,
            further_figures=self._further_figures,
            seconds_in_network=self.seconds_in_network,
        )

    def _further_figures(self) -> dict[str, Any]:
        """Return how well the map agrees with the earlier ones, where there are any."""
        if not self._job.earlier:
            return {}
        return {"agreement": measure_overlap(self._job.earlier, self._scene, self._result)}

    def _known_statistics(self, painted: "_PaintedTiles") -> Recorded | None:
        """Return what the style is normalised by, None for one that is not: an earlier run's, or this scene's own.

        A scene's own are kept at once, for a run that goes on where this one is killed.
        """
        job = self._job
        if not job.style.facts.normalised or job.shared is not None:
            return job.shared
        if painted.statistics is None:
            with self._watch.timed(self._named("statistics")):
                painted.keep(measured(self._job.style, self._scene.image, self._scene.weight, self._job.device.name))
        return painted.statistics

    def _kept(self) -> tuple["_PaintedTiles", PixelArray]:
        """Return the tiles that this run has painted, perhaps before it was killed, and the map's array."""
        arrays, painted = self._job.workspace.arrays, _PaintedTiles.of(self._notes, self._identity)
        name = "result" if self._part is None else f"result-{self._part.number}"
        if painted.places:
            try:
                return painted, arrays.open(name)
            except KeyError:
                painted.places.clear()
        return painted, arrays.create(name, (*self._scene.weight.shape, 3), np.uint8)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return record.identity(self._job.config, self._scene.fingerprints)

    @cached_property
    def _scene(self) -> ComposedScene:
        if self._part is not None:
            return self._part.scene
        with self._watch.timed("compose"):
            return composed_on_disk(self._job)


def composed_on_disk(job: Job) -> ComposedScene:
    """Read a job's scene and map it to RGB, into arrays in its workspace. Raises NstError."""
    arrays, shape = job.workspace.arrays, job.inputs.scene.grid.shape

    def create() -> tuple[PixelArray, PixelArray]:
        job.workspace.create()
        image = arrays.create("composite", (*shape, 3), np.float32)
        return image, arrays.create("weight", shape, np.float32)

    return compose_scene(job, arrays, create)


@dataclass(frozen=True)
class Begun:
    """A map that is being painted."""

    scene: ComposedScene
    painter: TilePainter
    tiles: list[MapTile]
    """The tiles that hold any valid pixel."""
    painted: "_PaintedTiles"

    @property
    def left(self) -> list[MapTile]:
        """The tiles that are not painted yet."""
        return [tile for tile in self.tiles if not self.painted.has(tile)]

    def note(self, tile: MapTile) -> None:
        """Note that a tile was painted. Raises OutputError where its pixels are not there."""
        result = self.painter.result
        check_written(result, tile.inside(result.shape))
        self.painted.add(tile)


def _is_valid(weight: PixelArray, tile: MapTile) -> bool:
    """Return whether a tile holds any valid pixel."""
    return bool(weight[tile.inside(weight.shape)].any())


Place = tuple[int, int, int]
"""The first row, the first column and the side of a tile."""


@dataclass
class _PaintedTiles:
    """The tiles that a run has painted, on disk in the workspace's checkpoint."""

    notes: Notes
    run: dict[str, Any]
    """The run's settings, inputs and versions: only a run with the same ones may go on with its tiles."""
    places: set[Place]
    statistics: Recorded | None
    """The statistics of the scene that the tiles are painted with."""
    _next: float = 0.0
    """The time from which the list may be written again: a scene may have many tiles, and each is soon painted."""

    @classmethod
    def of(cls, notes: Notes, run: dict[str, Any]) -> "_PaintedTiles":
        """Return the tiles that `run` has painted, by its `notes`; none where they are another run's."""
        kept = notes.read_checkpoint() or {}
        if kept.get("run") != run:
            kept = {}
        painted = {(top, left, side) for top, left, side in kept.get("painted", [])}
        return cls(notes, run, painted, kept.get("statistics"))

    def keep(self, statistics: Recorded) -> None:
        """Note what the tiles are painted with. Raises OutputError."""
        self.statistics = statistics
        self._write()

    def has(self, tile: MapTile) -> bool:
        """Return whether a tile is painted."""
        return _place(tile) in self.places

    def add(self, tile: MapTile) -> None:
        """Note that a tile is painted. Raises OutputError."""
        self.places.add(_place(tile))
        if time.monotonic() >= self._next:
            self._write()
            self._next = time.monotonic() + _SECONDS_BETWEEN_NOTES

    def _write(self) -> None:
        kept = {"run": self.run, "painted": sorted(self.places), "statistics": self.statistics}
        self.notes.write_checkpoint(kept)


def _place(tile: MapTile) -> Place:
    return tile.rows.start, tile.columns.start, tile.rows.stop - tile.rows.start


@dataclass
class _Beat:
    """Tells a listener of every tile."""

    tiles: int
    listener: progress.Listener
    done: int
    _started: tuple[float, int] | None = None
    """The time when this process finished its first tile, and the number of tiles done by then."""

    def after_tile(self) -> None:
        """Tell of one more tile."""
        now = time.monotonic()
        self.done += 1
        started, first = self._started = self._started or (now, self.done)
        left = (now - started) / (self.done - first) * (self.tiles - self.done) if self.done > first else None
        self.listener(progress.PaintingProgress(self.done, self.tiles, left))


if TYPE_CHECKING:
    _notes: type[Notes] = Workspace
