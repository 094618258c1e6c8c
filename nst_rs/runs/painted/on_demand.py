"""A learned style's map of which no more is painted than what is looked at: the same pixels as the whole map's."""

import threading
from types import TracebackType

from nst_rs.composite.overlay import with_unstyled
from nst_rs.executors.choice import executor_for
from nst_rs.geo.grid import Box, Grid
from nst_rs.learned.painter import paint_tile
from nst_rs.learned.windows import MapTile
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.runs import progress
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.painting import Begun, Painting
from nst_rs.runs.progress import Stopwatch


class MapOnDemand:
    """A map that is painted where it is asked for, once. What is painted stays in the job's workspace."""

    def __init__(self, job: LearnedJob) -> None:
        """Prepare to paint the map of `job`. The scene is not read yet."""
        self.grid: Grid = job.inputs.scene.grid
        self._profile = job.config.output.profile
        self._executor = executor_for(job.config.compute, job.workers, None)
        self._painting = Painting(job, self._executor, Stopwatch(), progress.ignore)
        self._opened: Begun | None = None
        self._turn = threading.RLock()

    def __enter__(self) -> "MapOnDemand":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.close()

    @property
    def _begun(self) -> Begun:
        """The map as far as it is painted.

        At first the scene is read, and its statistics are found where the style needs them. Raises NstError.
        """
        with self._turn:
            if self._opened is None:
                self._painting.compose()
                self._opened = self._painting.begin()
            return self._opened

    @property
    def scene(self) -> StyledMap:
        """The scene before styling, on the map's grid."""
        return StyledMap(self._begun.scene.image, self._begun.scene.weight, self.grid)

    def part(self, box: Box) -> StyledMap:
        """Return the map's pixels in `box`, which lies inside of it, and paint what is not painted yet.

        Whoever asks for the same tiles meanwhile waits for them. Raises OutputError where they find no room.
        """
        top, left, bottom, right = box
        with self._turn:
            for tile in self._begun.left:
                if _meets(tile, box):
                    paint_tile(self._begun.painter, tile)
                    self._begun.note(tile)
        scene, place = self._begun.scene, (slice(top, bottom), slice(left, right))
        picture, weight = with_unstyled(self._begun.painter.result, scene.weight, scene.unstyled)
        return StyledMap(picture[place], weight[place], self.grid.cut(box), self._profile)


def _meets(tile: MapTile, box: Box) -> bool:
    top, left, bottom, right = box
    return tile.rows.start < bottom and top < tile.rows.stop and tile.columns.start < right and left < tile.columns.stop
