"""Tiles of a map that is painted as they are asked for; they have the same bytes as those of the whole map's file."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from fastapi import HTTPException
from morecantile import Tile
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from nst_rs.geo.grid import Box, Grid
from nst_rs.output.rasters.cog import write_cog
from nst_rs.output.rasters.geotiff import BLOCK, StyledMap
from nst_rs.output.rasters.placed import on_blocks, write_placed
from nst_rs.output.rasters.webtiles import finest_zoom, map_bounds
from nst_rs.view.server import Choice, View

MOST_PIXELS = 2**23
"""The most pixels of the map that are painted for one tile: some seconds' work."""
_AROUND = 64
"""Pixels around a tile that resampling may look at, at the coarsest zoom that is served."""


class PaintedMap(Protocol):
    """A map that is painted in parts: :class:`nst_rs.runs.painted.on_demand.MapOnDemand`."""

    grid: Grid

    @property
    def scene(self) -> StyledMap:
        """The scene before styling."""

    def part(self, box: Box) -> StyledMap:
        """Return the pixels in a box inside the map."""


@contextmanager
def painted(name: str, map_: PaintedMap, choice: Choice | None = None) -> Iterator[View]:
    """Return the view of a map that is painted as it is looked at. Raises OutputError where web maps do not show it.

    Its scene is read when the first tile is asked for, or when the view is opened.
    """
    grid = map_.grid
    bounds, finest = map_bounds(f"map {name}", grid), finest_zoom(grid) + 1
    with TemporaryDirectory(prefix="nst-rs-serve.") as folder:
        scene = Path(folder) / "scene.tif"
        reader = _reader(_Parts(map_, Path(folder)))
        opening = _Once(lambda: write_cog(scene, map_.scene))
        yield View(name, (scene,), (scene,), bounds, finest, reader, _least_zoom(grid, finest), choice, opening)


class _Once:
    """Does something once, whoever asks for it first; others wait for it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._turn = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._turn:
            if not self._done:
                self._work()
                self._done = True


class _Parts:
    """Files of parts of the map, each written when it is first asked for."""

    def __init__(self, map_: PaintedMap, folder: Path) -> None:
        self._map = map_
        self._folder = folder
        self._turn = threading.Lock()

    @property
    def grid(self) -> Grid:
        """The whole map's."""
        return self._map.grid

    def holding(self, box: Box) -> Path:
        """Return a file that holds `box` and is placed as the whole map. Raises HTTPException for too large a box."""
        top, left, bottom, right = blocks = on_blocks(box, self.grid)
        if (bottom - top) * (right - left) > MOST_PIXELS:
            raise HTTPException(400, "this tile shows more of the map than is painted at once: zoom in")
        path = self._folder / "{}-{}-{}-{}.vrt".format(*blocks)
        with self._turn:
            if not path.exists():
                write_placed(path, self._map.part(blocks), blocks, self.grid)
        return path


def _reader(parts: _Parts) -> type[Reader]:
    class PaintedReader(Reader):
        """Reads tiles of the map, and has what it shows of them painted. It is opened on the scene."""

        def tile(self, tile_x: int, tile_y: int, tile_z: int, *others: Any, **options: Any) -> ImageData:
            """Return a tile."""
            bounds = self.tms.xy_bounds(Tile(tile_x, tile_y, tile_z))
            box = _seen(parts.grid, Grid.over(bounds, self.tms.rasterio_crs))
            if box is None:
                raise TileOutsideBounds(f"the map has no tile {tile_z}/{tile_x}/{tile_y}")
            with Reader(str(parts.holding(box))) as part:
                image: ImageData = part.tile(tile_x, tile_y, tile_z, *others, **options)
            return image

    return PaintedReader


def _seen(grid: Grid, tile: Grid) -> Box | None:
    """Return the pixels of a map that a tile may show, None where it shows none."""
    top, left, bottom, right = grid.box_of(tile)
    top, left = max(0, top - _AROUND), max(0, left - _AROUND)
    bottom, right = min(grid.height, bottom + _AROUND), min(grid.width, right + _AROUND)
    return (top, left, bottom, right) if top < bottom and left < right else None


def _least_zoom(grid: Grid, finest: int) -> int:
    """Return the coarsest zoom level of which every tile may be painted."""
    if math.prod(grid.shape) <= MOST_PIXELS:
        return 1
    # A tile shows at most so many of the map's pixels along a side: with all around it they fit. At the finest level
    # there are 256, or half as many.
    side = math.sqrt(MOST_PIXELS) - 2 * (BLOCK + _AROUND)
    return max(1, finest - math.floor(math.log2(max(side, 256) / 256)))
