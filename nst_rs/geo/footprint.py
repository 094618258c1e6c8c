"""Where a grid lies on the globe: longitudes and latitudes of its pixels, its footprint, which way north is."""

import math
from typing import Any

import numpy as np
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.warp import transform, transform_geom

from nst_rs.arrays import Array
from nst_rs.geo.grid import Grid

WGS84 = "EPSG:4326"

_POINTS_A_SIDE = 16
"""Of the footprint: what is straight in a projection is a curve in degrees."""
_DIGITS = 7
"""Of a degree: a centimetre."""


def lattice(grid: Grid, nodes: int) -> tuple[Array, Array] | None:
    """Return longitudes and latitudes, (nodes, nodes) each, in degrees, evenly spread from corner to corner.

    Longitudes run on past ±180 where the grid crosses the antimeridian, so that what lies between can be interpolated.
    None where the CRS says nothing of where on Earth it lies, or the grid reaches beyond what it can tell.
    """
    columns, rows = np.meshgrid(np.linspace(0, grid.width, nodes), np.linspace(0, grid.height, nodes))
    x, y = grid.transform @ (columns.ravel(), rows.ravel())
    try:
        longitudes, latitudes = transform(grid.crs, WGS84, list(x), list(y))
    except CPLE_BaseError:
        return None
    found = np.reshape(longitudes, columns.shape), np.reshape(latitudes, columns.shape)
    if not np.isfinite(found).all():
        return None
    unwrapped = np.unwrap(np.unwrap(found[0], axis=0, period=360), axis=1, period=360)
    return unwrapped, found[1]


def north(grid: Grid) -> float | None:
    """Return the direction of north at the grid's middle, in degrees clockwise from the top of the picture.

    None where :func:`lattice` finds none.
    """
    found = lattice(grid, 3)
    if found is None:
        return None
    longitude, latitude = found
    # Columns and rows per degree, from degrees per column and row.
    jacobian = np.array(
        [
            [(part[1, 2] - part[1, 0]) / grid.width, (part[2, 1] - part[0, 1]) / grid.height]
            for part in (longitude, latitude)
        ]
    )
    column, row = np.linalg.solve(jacobian, [0.0, 1.0])
    return math.degrees(math.atan2(column, -row))


def outline(grid: Grid) -> list[tuple[float, float]]:
    """Return the grid's edge in its own CRS as a closed ring, counter-clockwise there, with points along its sides."""
    steps = np.arange(_POINTS_A_SIDE) / _POINTS_A_SIDE
    corners = np.array([(0, 0), (0, grid.height), (grid.width, grid.height), (grid.width, 0)], float)
    sides = [
        start + steps[:, np.newaxis] * (end - start)
        for start, end in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    columns, rows = np.concatenate([*sides, corners[:1]]).T
    x, y = grid.transform @ (columns, rows)
    ring = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return ring if grid.transform.determinant < 0 else ring[::-1]


def corners(grid: Grid) -> list[tuple[float, float]]:
    """Return the grid's corners in its own CRS as a closed ring, counter-clockwise there."""
    return outline(grid)[::_POINTS_A_SIDE]


def footprint(grid: Grid) -> dict[str, Any] | None:
    """Return the grid's edge on WGS 84 as GeoJSON, cut at the antimeridian; None where :func:`lattice` finds none."""
    if lattice(grid, 3) is None:
        return None
    ring: dict[str, Any] = {"type": "Polygon", "coordinates": [outline(grid)]}
    found: dict[str, Any] = transform_geom(grid.crs, WGS84, ring, precision=_DIGITS)
    return found


def bounding_box(geometry: dict[str, Any]) -> list[float]:
    """Return west, south, east, north of a footprint; west is more than east where it crosses the antimeridian.

    >>> bounding_box({"type": "Polygon", "coordinates": [[(7, 1), (9, 1), (9, 2), (7, 1)]]})
    [7.0, 1.0, 9.0, 2.0]
    >>> east, west = [[(179, 1), (180, 1), (180, 2), (179, 1)]], [[(-180, 1), (-178, 1), (-180, 2), (-180, 1)]]
    >>> bounding_box({"type": "MultiPolygon", "coordinates": [east, west]})
    [179.0, 1.0, -178.0, 2.0]
    """
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    points = np.array([point for part in parts for ring in part for point in ring], float)
    longitude, (south, north_) = points[:, 0], (points[:, 1].min(), points[:, 1].max())
    west, east = longitude.min(), longitude.max()
    if len(parts) > 1 and (west, east) == (-180, 180):
        west, east = longitude[longitude > 0].min(), longitude[longitude < 0].max()
    return [float(west), float(south), float(east), float(north_)]
