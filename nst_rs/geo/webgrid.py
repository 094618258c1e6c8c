"""The grid of web map tiles: EPSG:3857, cut into pixels whose sides halve from zoom level to zoom level."""

import math

import morecantile
from rasterio.crs import CRS

from nst_rs.geo.grid import Box, Grid

WORLD = morecantile.tms.get("WebMercatorQuad")
"""The tiles of web maps."""
CRS_OF_WEB: CRS = WORLD.rasterio_crs
WORLD_GRID = Grid.over(tuple(WORLD.xy_bbox), CRS_OF_WEB)
"""All that web maps show, as one pixel."""
MOST_NORTHERN: float = WORLD.bbox.top
"""Degrees of latitude: beyond, web maps have nothing."""
SIDE = 256
"""Pixels along a side of a tile, by which zoom levels are counted."""

_SPARED = 0.25
"""Zoom levels by which pixels may be coarser than a scene's before the next level is taken."""


def zoom_of(side: float) -> int:
    """Return the zoom level whose pixels are about as large as ones of `side` metres of web maps.

    They are at most 2^0.25 times as large, and more than half of that.

    >>> zoom_of(152.9), zoom_of(120.0)
    (10, 11)
    """
    return int(WORLD.zoom_for_res(side * 2**_SPARED, zoom_level_strategy="upper"))


def pixel_side(zoom: int) -> float:
    """Return the side of a pixel of a zoom level, in metres of web maps."""
    return float(WORLD.matrix(zoom).cellSize)


def halvings(shape: tuple[int, int]) -> int:
    """Return how often a map of `shape`, (H, W), is halved until it is no larger than a web tile.

    >>> halvings((256, 200)), halvings((257, 200)), halvings((10980, 10980))
    (0, 1, 6)
    """
    return max(0, math.ceil(math.log2(max(shape) / SIDE)))


def on_whole_pixels(box: Box, grid: Grid) -> Box:
    """Return the smallest box around `box` whose pixels are whole ones at every zoom level that the map is halved to.

    `grid`, whose pixels `box` counts, has the pixels of a zoom level.
    """
    first = grid.first_pixel
    times = halvings((box[2] - box[0], box[3] - box[1]))
    while True:
        snapped = _snapped(box, first, 2**times)
        needed = halvings((snapped[2] - snapped[0], snapped[3] - snapped[1]))
        if needed <= times:
            return snapped
        times = needed


def _snapped(box: Box, first: tuple[int, int], step: int) -> Box:
    row, column = first
    top, left, bottom, right = box
    return (
        (top + row) // step * step - row,
        (left + column) // step * step - column,
        -(-(bottom + row) // step) * step - row,
        -(-(right + column) // step) * step - column,
    )
