"""The computation of a learned style's picture: one pass over the scene's tiles, in bounded memory.

What the map shows at coarser zooms is painted likewise, of the scene as it is halved. The arrays of the scene's size
lie on disk. Memory holds a few strips of rows while the scene is read, then the tile that is painted and the next one,
which is read meanwhile. A killed run goes on with the tiles that are not painted yet.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nst_rs.errors import OutputError
from nst_rs.executors.base import Executor, PaintTask
from nst_rs.files.storage import PixelArray, Storage, check_written
from nst_rs.files.workspace import Workspace
from nst_rs.learned.painter import Manner, TilePainter
from nst_rs.learned.windows import MapTile, cut
from nst_rs.pyramid.resample import halve_into
from nst_rs.pyramid.tiling import Span
from nst_rs.runs import progress
from nst_rs.runs.agreement import measure_overlap
from nst_rs.runs.compose import ComposedScene, compose_scene
from nst_rs.runs.finish import Finished
from nst_rs.runs.identity import identity, may_go_on
from nst_rs.runs.job import Job
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.scene_statistics import Recorded, measured
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.zooms import Zoom

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_NOTES = 1.0

Sheets = tuple[PixelArray, PixelArray]
"""A composite, (h, w, 3) RGB in [0, 255], and its weight, (h, w)."""


class Notes(Protocol):
    """Keeps what a run notes of itself on disk: :class:`nst_rs.files.workspace.Workspace` does."""

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return what was written last; None where there is nothing that can be read."""

    def write_checkpoint(self, data: Mapping[str, Any]) -> None:
        """Replace it, at once. Raises OutputError."""


class Halved:
    """Pixels, (H, W, channels), and their weight, (H, W), and both as they are halved for every zoom."""

    def __init__(self, finest: Sheets, arrays: Storage, names: tuple[str, str]) -> None:
        """Keep what is halved in `arrays`, under these names for pixels and weight."""
        self._arrays = arrays
        self._names = names
        self._sheets = [finest]

    def at(self, zoom: int) -> Sheets:
        """Return both for a zoom, halved when they are first asked for; 0 is the map."""
        while len(self._sheets) <= zoom:
            finer, factor = self._sheets[-1], 2 ** len(self._sheets)
            shapes = ((*(-(-side // 2) for side in array.shape[:2]), *array.shape[2:]) for array in finer)
            sheets = zip(self._names, shapes, strict=True)
            image, weight = (self._arrays.create(f"{name}-{factor}", shape, np.float32) for name, shape in sheets)
            halve_into(*finer, image, weight)
            self._sheets.append((image, weight))
        return self._sheets[zoom]


@dataclass(frozen=True)
class Part:
    """A part of a scene that is painted by itself: a class of its ground."""

    name: str
    number: int
    """Its place among the parts."""
    scene: ComposedScene
    """The whole scene, composed already."""
    halved: Halved
    """The whole scene at every zoom."""
    weight: Callable[[int], PixelArray]
    """Zoom → the weight, (h, w), that is 0 where nothing need be painted."""
    notes: Notes


class Painting:
    """The stages of a learned style's pictures. See :class:`nst_rs.runs.session.Work`."""

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
        self._results: dict[int, PixelArray] = {}
        """Zoom → the picture that is painted for it; 0 is the map."""
        self._statistics: dict[int, Recorded] = {}
        """Zoom → what the network is normalised by, where it is."""

    def compose(self) -> None:
        """Read the scene and map it to RGB, once."""
        _ = self._scene

    def compute(self, index: int) -> None:
        """Paint every tile of the map (0) or of a zoom that holds any valid pixel and is not painted yet."""
        job, begun = self._job, self.begin(index)
        left = begun.left
        if len(left) < len(begun.tiles):
            done_before = len(begun.tiles) - len(left)
            log.warning("going on where an earlier run stopped: %d of %d tiles", done_before, len(begun.tiles))
        beat = _Beat(len(begun.tiles), self._listener, len(begun.tiles) - len(left), index, job.zooms)

        def done(tile: MapTile) -> None:
            begun.note(tile)
            beat.after_tile()

        if job.traits.in_process and index == 0:
            with self._watch.timed(self._named("network")):
                _ = begun.painter.network
        with self._watch.timed(self._named(job.stages[index])):
            self._executor.paint(PaintTask(begun.painter, left, done, job.workspace.folder))
        self._results[index] = begun.painter.result
        self._in_network += begun.painter.seconds

    def begin(self, zoom: int = 0) -> "Begun":
        """Return the map, or its picture for a zoom, as far as it is painted, and what paints the rest of it.

        It may have been painted by a run that was killed.
        """
        job, scene, canvas = self._job, self._scene, self._job.canvas(zoom)
        image, weight = self.sheets(zoom)
        weight = weight if self._part is None else self._part.weight(zoom)
        painted, result = self._kept(zoom)
        tiles = [tile for tile in cut(weight.shape, canvas.tile, canvas.before) if _is_valid(weight, tile)]
        manner = Manner(job.style.facts.color, job.color, job.config.style.strength)
        self._find_statistics(painted, zoom)
        recipe = job.recipe_with(self._statistics.get(zoom))
        painter = TilePainter(recipe, job.margin, manner, image, result, canvas.corner)
        return Begun(scene, painter, tiles, painted)

    @property
    def result(self) -> PixelArray:
        """The painted picture, (H, W, 3) uint8; needs the tiles to be painted."""
        return self.picture(0)

    def picture(self, zoom: int) -> PixelArray:
        """Return the picture that is painted for a zoom, (h, w, 3) uint8; needs its tiles to be painted."""
        return self._results[zoom]

    @property
    def seconds_in_network(self) -> float | None:
        """The time that the network took; None where others compute."""
        return self._in_network if self._job.traits.in_process else None

    @property
    def seams(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The rows and the columns at which blocks meet."""
        canvas = self._job.canvas(0)
        sizes = zip(self._job.inputs.scene.grid.shape, canvas.before, strict=True)
        rows, columns = (tuple(range(canvas.block - before, size, canvas.block)) for size, before in sizes)
        return rows, columns

    def _named(self, what: str) -> str:
        return what if self._part is None else f"{what} {self._part.name}"

    def finished(self) -> Finished:
        """Return the finished picture with all that goes into the map and the record; needs the tiles to be painted."""
        job = self._job
        own: dict[str, Any] = {"levels": [], "learned": job.style.facts.model_dump(mode="json")}
        if 0 in self._statistics:
            own["statistics"] = self._statistics[0]
        zooms = tuple(
            Zoom(2**zoom, self._results[zoom], self.sheets(zoom)[1], statistics=self._statistics.get(zoom))
            for zoom in range(1, job.zooms + 1)
        )
        return Finished(
            self._scene,
            self.result,
            self.seams,
            (),
            own,
            further_figures=self._further_figures,
            zooms=zooms,
            seconds_in_network=self.seconds_in_network,
        )

    def _further_figures(self) -> dict[str, Any]:
        """Return how well the map agrees with the earlier ones, where there are any."""
        if not self._job.earlier:
            return {}
        return {"agreement": measure_overlap(self._job.earlier, self._scene, self.result)}

    def sheets(self, zoom: int) -> Sheets:
        """Return the scene as RGB and its weight as they are halved for a zoom; 0 is the map."""
        return self._halved.at(zoom)

    @cached_property
    def _halved(self) -> Halved:
        if self._part is not None:
            return self._part.halved
        return halved_scene(self._scene, self._job.workspace.arrays)

    def _find_statistics(self, painted: "_PaintedTiles", zoom: int) -> None:
        """Find what the style is normalised by, where it is: an earlier run's, or those of the scene at the zoom.

        A scene's own are kept at once, for a run that goes on where this one is killed.
        """
        job = self._job
        if not job.style.facts.normalised:
            return
        if job.shared:
            self._statistics[zoom] = job.shared[min(zoom, len(job.shared) - 1)]
            return
        if zoom not in painted.statistics:
            with self._watch.timed(self._named("statistics" if zoom == 0 else f"statistics 1:{2**zoom}")):
                painted.keep(measured(job.style, *self.sheets(zoom), job.device.name))
        self._statistics[zoom] = painted.statistics[zoom]

    def _kept(self, zoom: int) -> tuple["_PaintedTiles", PixelArray]:
        """Return the tiles of a zoom that this run has painted, perhaps before it was killed, and the zoom's array."""
        arrays, painted = self._job.workspace.arrays, self._painted.at(zoom)
        name = f"zoom-{2**zoom}" if zoom else "result"
        if self._part is not None:
            name = f"{name}-{self._part.number}"
        if painted.places:
            try:
                result = arrays.open(name)
                painted.check_written(result)
            except (KeyError, OutputError):
                painted.places.clear()
            else:
                return painted, result
        return painted, arrays.create(name, (*self.sheets(zoom)[1].shape, 3), np.uint8)

    @cached_property
    def _painted(self) -> "_PaintedTiles":
        """The tiles that a run with the same settings, inputs and versions has painted already."""
        return _PaintedTiles.of(self._notes, identity(self._job, self._scene), self._job)

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


def halved_scene(scene: ComposedScene, arrays: Storage) -> Halved:
    """Return a composed scene at every zoom, which is kept in `arrays`."""
    return Halved((scene.image, scene.weight), arrays, ("composite", "weight"))


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
    zoom: int
    """The zoom of which the tiles are; 0 is the map."""
    by_zoom: dict[int, set[Place]]
    """Zoom → the tiles that are painted."""
    statistics: dict[int, Recorded]
    """Zoom → the statistics that its tiles are painted with, where there are any."""
    _next: float = 0.0
    """The time from which the list may be written again: a scene may have many tiles, and each is soon painted."""
    _unwritten: bool = False

    @classmethod
    def of(cls, notes: Notes, run: dict[str, Any], job: Job) -> "_PaintedTiles":
        """Return the map's tiles that `run` of `job` has painted by its `notes`; none where they are another run's."""
        kept = notes.read_checkpoint() or {}
        pictures = kept.get("pictures", []) if kept and may_go_on(kept.get("run"), run, job) else []
        try:
            by_zoom = {
                number: {(int(top), int(left), int(side)) for top, left, side in each["painted"]}
                for number, each in enumerate(pictures)
            }
            statistics = {number: each["statistics"] for number, each in enumerate(pictures) if each["statistics"]}
        except (KeyError, TypeError, ValueError):  # damaged: the run starts anew
            by_zoom, statistics = {}, {}
        return cls(notes, run, 0, by_zoom, statistics)

    def at(self, zoom: int) -> "_PaintedTiles":
        """Return the tiles of a zoom. The lists of all zooms are written together, whichever of them has grown."""
        self.by_zoom.setdefault(zoom, set())
        return replace(self, zoom=zoom)

    @property
    def places(self) -> set[Place]:
        """The tiles that are painted."""
        return self.by_zoom[self.zoom]

    def check_written(self, result: PixelArray) -> None:
        """Raise OutputError where pixels of a painted tile are not in the array of the zoom's picture."""
        for top, left, side in self.places:
            tile = MapTile(Span(top, top + side), Span(left, left + side))
            check_written(result, tile.inside(result.shape))

    def keep(self, statistics: Recorded) -> None:
        """Note what the zoom's tiles are painted with. Raises OutputError."""
        self.statistics[self.zoom] = statistics
        self._write()

    def has(self, tile: MapTile) -> bool:
        """Return whether a tile is painted."""
        return _place(tile) in self.places

    def add(self, tile: MapTile) -> None:
        """Note that a tile is painted. Raises OutputError."""
        self.places.add(_place(tile))
        self._unwritten = True
        if time.monotonic() >= self._next:
            self._write()
            self._next = time.monotonic() + _SECONDS_BETWEEN_NOTES

    def flush(self) -> None:
        """Write what was added last. Raises OutputError."""
        if self._unwritten:
            self._write()

    def _write(self) -> None:
        self._unwritten = False
        pictures = [
            {"painted": sorted(self.by_zoom.get(zoom, ())), "statistics": self.statistics.get(zoom)}
            for zoom in range(max(self.by_zoom) + 1)
        ]
        self.notes.write_checkpoint({"run": self.run, "pictures": pictures})


def _place(tile: MapTile) -> Place:
    return tile.rows.start, tile.columns.start, tile.rows.stop - tile.rows.start


@dataclass
class _Beat:
    """Tells a listener of every tile."""

    tiles: int
    listener: progress.Listener
    done: int
    zoom: int
    zooms: int
    _started: tuple[float, int] | None = None
    """The time when this process finished its first tile, and the number of tiles done by then."""

    def after_tile(self) -> None:
        """Tell of one more tile."""
        now = time.monotonic()
        self.done += 1
        started, first = self._started = self._started or (now, self.done)
        left = (now - started) / (self.done - first) * (self.tiles - self.done) if self.done > first else None
        self.listener(progress.PaintingProgress(self.done, self.tiles, left, self.zoom, self.zooms))


if TYPE_CHECKING:
    _notes: type[Notes] = Workspace
