"""Tiles of a map that is painted as they are asked for; they have the same bytes as those of the whole map's file."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from fastapi import HTTPException
from morecantile import Tile
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from nst_rs.geo.grid import Box, Grid, intersection, union
from nst_rs.output.rasters.cog import write_cog
from nst_rs.output.rasters.geotiff import BLOCK, StyledMap
from nst_rs.output.rasters.placed import is_placed, on_blocks, write_placed
from nst_rs.output.rasters.webtiles import finest_zoom, map_bounds
from nst_rs.view.server import Choice, View

MOST_PIXELS = 2**23
"""The most pixels of the map that are painted for one tile: some seconds' work."""
_AROUND = 64
"""Pixels around a tile that resampling may look at, at the coarsest zoom that is served."""
_NEARLY = 0.1
"""By so many of the map's pixels those of a coarser picture may be larger than a tile's; GDAL allows as much."""


class PaintedMap(Protocol):
    """A map that is painted in parts: :class:`nst_rs.runs.painted.on_demand.MapOnDemand`."""

    grid: Grid
    zooms: int
    """How many coarser zooms have pictures of their own, each half as large as the one before."""

    @property
    def scene(self) -> StyledMap:
        """The scene before styling."""

    def paint(self, box: Box, zoom: int = 0) -> Box:
        """Paint what a box inside the map, or inside its picture for a coarser zoom, needs, where it is not yet.

        Returns the box around it in which all is painted then.
        """

    def is_painted(self, box: Box, zoom: int = 0) -> bool:
        """Whether all in a box is painted."""

    def pixels(self, box: Box, zoom: int = 0) -> StyledMap:
        """Return the pixels in a box; those that are not painted may be black."""


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
        opening = _Once(scene, lambda: write_cog(scene, map_.scene))
        least = 1 if map_.zooms else _least_zoom(grid, finest)
        yield View(name, (scene,), (scene,), bounds, finest, reader, least, choice, opening)


class _Once:
    """Writes a file once, whoever asks for it first, and again where it is gone; others wait for it."""

    def __init__(self, path: Path, write: Callable[[], None]) -> None:
        self._path = path
        self._write = write
        self._turn = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._turn:
            if not (self._done and self._path.exists()):
                _make_temporary(self._path.parent)
                self._write()
                self._done = True


def _make_temporary(folder: Path) -> None:
    """Make a temporary folder anew where it is gone: systems clear what was not used for days."""
    folder.mkdir(mode=0o700, exist_ok=True)


@dataclass(frozen=True)
class _Wanted:
    """What a request must see: a box of the map, or of its picture for a coarser zoom."""

    zoom: int
    box: Box

    def is_in(self, other: "_Wanted") -> bool:
        """Whether another one holds all of it."""
        return self.zoom == other.zoom and union([self.box, other.box]) == other.box


class _Parts:
    """Files of parts of the map, each written when something of it is first asked for.

    Requests take turns. Each has painted what it needs, where others have not, and then writes one file for all
    requests beside it that still wait and need no more than what is painted by then. So what is asked for at once is
    painted once, and what is ready is sent at once.
    """

    def __init__(self, map_: PaintedMap, folder: Path) -> None:
        self._map = map_
        self._folder = folder
        self._turn = threading.Lock()
        self._waiting: list[_Wanted] = []
        self._written: dict[Path, _Wanted] = {}
        """File → what it shows as the whole map does."""

    def shown_by(self, tile: Grid, side: int) -> Path | None:
        """Return a file that holds what a tile of `side` pixels shows, placed as the whole map; None for nothing.

        Raises HTTPException for a tile that shows too much of it.
        """
        zoom = self._zoom_of(tile, side)
        grid = self._map.grid.overview(2**zoom)
        box = _seen(grid, tile)
        if box is None:
            return None
        if _pixels_on_blocks(box, grid) > MOST_PIXELS:
            raise HTTPException(400, "this tile shows more of the map than is painted at once: zoom in")
        return self._holding(_Wanted(zoom, box), grid)

    def _zoom_of(self, tile: Grid, side: int) -> int:
        """Return the zoom whose picture GDAL shows a tile of: the coarsest one with no larger pixels than the tile."""
        top, left, bottom, right = self._map.grid.box_of(tile)
        reduced = min(bottom - top, right - left) / side
        return max(zoom for zoom in range(self._map.zooms + 1) if zoom == 0 or 2**zoom < reduced + _NEARLY)

    def _holding(self, wanted: _Wanted, grid: Grid) -> Path:
        found = self._find(wanted)  # whoever needs nothing painted waits for nobody
        if found is not None:
            return found
        self._waiting.append(wanted)
        try:
            with self._turn:
                return self._find(wanted) or self._write(wanted, grid)
        finally:
            self._waiting.remove(wanted)

    def _find(self, wanted: _Wanted) -> Path | None:
        holding = (path for path, shown in list(self._written.items()) if wanted.is_in(shown))
        return next((path for path in holding if is_placed(path)), None)

    def _write(self, wanted: _Wanted, grid: Grid) -> Path:
        """Write a file for a request, and for others beside it that wait and for which all is painted then."""
        self._map.paint(wanted.box, wanted.zoom)
        box = reduce(partial(self._with, grid=grid, zoom=wanted.zoom), list(self._waiting), wanted.box)
        painted_box = self._map.paint(box, wanted.zoom)  # is painted already
        blocks = on_blocks(box, grid)
        _make_temporary(self._folder)
        path = self._folder / f"{len(self._written)}.vrt"
        write_placed(path, self._map.pixels(blocks, wanted.zoom), blocks, grid)
        self._written[path] = _Wanted(wanted.zoom, intersection(blocks, painted_box))
        return path

    def _with(self, box: Box, other: _Wanted, grid: Grid, zoom: int) -> Box:
        """Return a box together with what another request waits for, or the box alone where that is not as good."""
        joined = union([box, other.box])
        pixels = _pixels_on_blocks(joined, grid) if other.zoom == zoom else math.inf
        apart = sum(_pixels_on_blocks(each, grid) for each in (box, other.box))
        fits = pixels <= min(apart, MOST_PIXELS)
        return joined if fits and self._map.is_painted(joined, zoom) else box


def _pixels_on_blocks(box: Box, grid: Grid) -> int:
    top, left, bottom, right = on_blocks(box, grid)
    return (bottom - top) * (right - left)


def _reader(parts: _Parts) -> type[Reader]:
    class PaintedReader(Reader):
        """Reads tiles of the map, and has what it shows of them painted. It is opened on the scene."""

        def tile(self, tile_x: int, tile_y: int, tile_z: int, *others: Any, **options: Any) -> ImageData:
            """Return a tile."""
            bounds, matrix = self.tms.xy_bounds(Tile(tile_x, tile_y, tile_z)), self.tms.matrix(tile_z)
            shown = Grid.over(bounds, self.tms.rasterio_crs)
            path = parts.shown_by(shown, options.get("tilesize") or matrix.tileWidth)
            if path is None:
                raise TileOutsideBounds(f"the map has no tile {tile_z}/{tile_x}/{tile_y}")
            with Reader(str(path)) as part:
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
