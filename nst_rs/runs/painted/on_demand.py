"""A learned style's map of which no more is painted than what is looked at: the same pixels as the whole map's."""

import threading
from functools import cached_property
from types import TracebackType

from nst_rs.composite.overlay import with_unstyled
from nst_rs.errors import OutputError
from nst_rs.executors.choice import executor_for
from nst_rs.files.storage import PixelArray
from nst_rs.geo.grid import Box, Grid, union
from nst_rs.learned.painter import paint_in_turn
from nst_rs.learned.windows import MapTile, cut
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.runs import progress
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.painting import Begun, Painting
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.zooms import clouds_from_afar


class MapOnDemand:
    """A map that is painted where it is asked for, once. What is painted stays in the job's workspace."""

    def __init__(self, job: LearnedJob) -> None:
        """Prepare to paint the map of `job`. The scene is not read yet."""
        self.grid: Grid = job.inputs.scene.grid
        self.zooms: int = job.zooms
        """How many coarser zooms have pictures of their own."""
        self._job = job
        self._executor = executor_for(job.config.compute, job.workers, None)
        self._painting = Painting(job, self._executor, Stopwatch(), progress.ignore)
        self._opened: dict[int, Begun] = {}
        self._folder: tuple[int, int] | None = None
        """The workspace's device and inode, once it is there."""
        self._turn = threading.RLock()

    def __enter__(self) -> "MapOnDemand":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.close()
        if self._folder is not None and self._folder == self._workspace():
            for begun in self._opened.values():
                begun.painted.flush()

    @property
    def scene(self) -> StyledMap:
        """The scene before styling, on the map's grid. At first it is read. Raises NstError."""
        scene = self.begun().scene
        return StyledMap(scene.image, scene.weight, self.grid)

    def begun(self, zoom: int = 0) -> Begun:
        """Return the map, or its picture for a coarser zoom, as far as it is painted.

        At first the scene is read, and its statistics at the zoom are found where the style needs them. Raises
        NstError, also where the scene is no longer there before it is read, or the workspace after.
        """
        with self._turn:
            if self._folder is None:
                self._job.inputs.check_unchanged()  # another one in its place may be read in another way
                self._painting.compose()
                self._folder = self._workspace()
            self._check_workspace()
            if zoom not in self._opened:
                self._opened[zoom] = self._painting.begin(zoom)
            return self._opened[zoom]

    def _check_workspace(self) -> None:
        """Raise OutputError where the workspace is gone, or another one, perhaps another run's, is in its place."""
        now = self._workspace()
        if now != self._folder:
            raise OutputError(
                f"workspace {self._job.workspace.folder}",
                expected="the folder that keeps what is painted",
                got="nothing of that name" if now is None else "another one than at the start",
                do="put it back, or give the command again",
            )

    def _workspace(self) -> tuple[int, int] | None:
        try:
            state = self._job.workspace.folder.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def paint(self, box: Box, zoom: int = 0) -> Box:
        """Paint the tiles that `box`, inside the map or its picture for a zoom, meets and that are not painted yet.

        Whoever asks for the same tiles meanwhile waits for them. Returns the box of those tiles. Raises OutputError
        where they find no room.
        """
        with self._turn:
            begun = self.begun(zoom)
            paint_in_turn(begun.painter, [tile for tile in begun.left if _meets(tile, box)], begun.note)
        canvas = self._job.canvas(zoom)
        tiles = cut(canvas.grid.shape, canvas.tile, canvas.before)
        met = [tile.inside(canvas.grid.shape) for tile in tiles if _meets(tile, box)]
        return union([(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in met])

    def is_painted(self, box: Box, zoom: int = 0) -> bool:
        """Whether nothing that `box` meets is left to paint."""
        return not any(_meets(tile, box) for tile in self.begun(zoom).left)

    def pixels(self, box: Box, zoom: int = 0) -> StyledMap:
        """Return the map's pixels in `box`, which lies inside of it, as far as they are painted; others may be black.

        At a coarser zoom they are those of its own picture, which is as large as the map's grid reduced 2^zoom times.
        """
        top, left, bottom, right = box
        with self._turn:
            result, weight, unstyled = self.begun(zoom).painter.result, self._painting.sheets(zoom)[1], self._unstyled
        picture, weight = with_unstyled(result, weight, unstyled[zoom])
        place, grid = (slice(top, bottom), slice(left, right)), self.grid.reduced(2**zoom).cut(box)
        return StyledMap(picture[place], weight[place], grid, self._job.config.output.profile)

    @cached_property
    def _unstyled(self) -> list[PixelArray | None]:
        """What the map shows as it is in the scene, if anything, at every zoom."""
        unstyled = self.begun().scene.unstyled
        if unstyled is None:
            return [None] * (self.zooms + 1)
        weights = [self._painting.sheets(zoom)[1] for zoom in range(1, self.zooms + 1)]
        return [unstyled, *clouds_from_afar(unstyled, weights, self._job.workspace.arrays)]


def _meets(tile: MapTile, box: Box) -> bool:
    top, left, bottom, right = box
    return tile.rows.start < bottom and top < tile.rows.stop and tile.columns.start < right and left < tile.columns.stop
