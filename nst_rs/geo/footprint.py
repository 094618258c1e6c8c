"""Where a grid lies on the globe: longitudes and latitudes of its pixels, its footprint, which way north is."""

import math
from itertools import pairwise
from typing import Any

import antimeridian
import numpy as np
import shapely
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from nst_rs.arrays import Array
from nst_rs.geo.grid import ALIGNMENT_TOLERANCE, Grid

WGS84 = "EPSG:4326"

_POINTS_PER_SIDE = 16
"""Points along a side of the footprint: what is straight in a projection is a curve in degrees."""
_MOST_POINTS_PER_SIDE = 256
"""Points along a side that passes near a pole, where longitudes change fast."""
_LARGEST_STEP = 45.0
"""Degrees of longitude from one point of the footprint to the next, at most; more means that a pole is near."""
_INSET = 1e-4
"""Pixels by which an edge near a pole is moved inwards, so that no pole lies on it."""
_DIGITS = 7
"""Decimals of a degree in a footprint: a centimetre."""
_NORTHWARD = 1e-3
"""Degrees of latitude that are walked to learn which way north is."""
_TORN = 100
"""Times as long as before the antimeridian a step across it is where a CRS has its edge there; elsewhere twice."""


def degrees(grid: Grid, columns: Array, rows: Array) -> tuple[Array, Array] | None:
    """Return longitudes and latitudes, in degrees, of points given in pixels from the grid's first corner.

    Latitudes stop at the poles, beyond which a geographic grid may reach by a part of a pixel. None where the CRS does
    not say where on Earth it lies, or where a point lies beyond what the CRS can express.
    """
    if not (grid.crs.is_geographic or grid.crs.is_projected):
        return None
    x, y = grid.transform @ (np.ravel(columns), np.ravel(rows))
    if grid.crs.is_geographic:
        pole = math.pi / 2 / grid.crs.units_factor[1]
        y = np.clip(y, -pole, pole)
    try:
        longitude, latitude = (np.asarray(part) for part in transform(grid.crs, WGS84, list(x), list(y)))
    except CPLE_BaseError:
        return None
    if not np.isfinite([longitude, latitude]).all():
        return None
    return longitude.reshape(np.shape(columns)), latitude.reshape(np.shape(columns))


def lattice(grid: Grid, nodes: int) -> tuple[Array, ...] | None:
    """Return where evenly spread points of the grid, (nodes, nodes), lie: arrays that can be interpolated linearly.

    Of a geographic grid two arrays, longitudes and latitudes in degrees, and longitudes run on past ±180. Of any other
    three, the unit vector of each point's longitude and latitude (:func:`unit_vectors`), which neither the
    antimeridian nor a pole interrupts. None where :func:`degrees` cannot tell.
    """
    columns, rows = np.meshgrid(np.linspace(0, grid.width, nodes), np.linspace(0, grid.height, nodes))
    place = degrees(grid, columns, rows)
    if place is None:
        return None
    longitude, latitude = place
    if not grid.crs.is_geographic:
        return unit_vectors(longitude, latitude)
    return np.unwrap(np.unwrap(longitude, axis=0, period=360), axis=1, period=360), latitude


def unit_vectors(longitude: Array, latitude: Array) -> tuple[Array, Array, Array]:
    """Return x, y, z of the unit vectors that point to longitudes and latitudes, given in degrees.

    >>> [float(np.round(part, 9)) for part in unit_vectors(np.float64(90), np.float64(0))]
    [0.0, 1.0, 0.0]
    """
    turn, height = np.radians(longitude), np.radians(latitude)
    return np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn), np.sin(height)


def north(grid: Grid) -> float | None:
    """Return the direction of north at the grid's middle, in degrees clockwise from the top of the picture.

    None where :func:`degrees` cannot tell, and where the grid holds a pole, around which north is in every direction.
    """
    middle = degrees(grid, np.array([grid.width / 2]), np.array([grid.height / 2]))
    ring = _ring(grid)
    if middle is None or ring is None or _turns(ring[0]):
        return None
    (longitude,), (latitude,) = middle
    if abs(latitude) > 90 - _NORTHWARD:
        return None
    # Both ends are transformed back: a projection may put them a whole turn away from the grid.
    x, y = transform(WGS84, grid.crs, [longitude] * 2, [latitude, latitude + _NORTHWARD])
    (column, to_column), (row, to_row) = ~grid.transform @ (np.asarray(x), np.asarray(y))
    return math.degrees(math.atan2(to_column - column, row - to_row))


def is_torn(grid: Grid, crs: CRS) -> bool:
    """Whether a grid lies across the antimeridian, and `crs` has the two sides of it far from each other."""
    shape = footprint(grid)
    if shape is None:
        return False
    west, south, east, north = bounding_box(shape)
    if west <= east:
        return False
    latitude, step = (south + north) / 2, _NORTHWARD
    try:
        x, y = transform(WGS84, crs, [180 - 2 * step, 180 - step, step - 180], [latitude] * 3)
    except CPLE_BaseError:
        return False
    before, across = (math.hypot(x[i + 1] - x[i], y[i + 1] - y[i]) for i in (0, 1))
    return across > _TORN * before


def outline(grid: Grid, points: int = _POINTS_PER_SIDE) -> list[tuple[float, float]]:
    """Return the grid's edge in its own CRS as a closed ring, counter-clockwise there, of `points` along each side."""
    x, y = grid.transform @ _edge(grid, points)
    ring = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return ring if grid.transform.determinant < 0 else ring[::-1]


def corners(grid: Grid) -> list[tuple[float, float]]:
    """Return the grid's corners in its own CRS as a closed ring, counter-clockwise there."""
    return outline(grid, 1)


def footprint(grid: Grid) -> dict[str, Any] | None:
    """Return the grid's edge on WGS 84 as GeoJSON, cut at the antimeridian, closed over a pole that it goes round.

    None where :func:`degrees` cannot tell, or where the edge is no outline of an area there.
    """
    ring = _ring(grid)
    if ring is None:
        return None
    try:
        shape = shapely.transform(_cut(*ring), lambda points: np.round(points, _DIGITS))
    except ValueError:  # the edge crosses itself
        return None
    return shapely.geometry.mapping(shape) if shape.is_valid else None


def bounding_box(geometry: dict[str, Any]) -> list[float]:
    """Return west, south, east, north of a footprint; west is more than east where it crosses the antimeridian.

    >>> bounding_box({"type": "Polygon", "coordinates": [[(7, 1), (9, 1), (9, 2), (7, 1)]]})
    [7.0, 1.0, 9.0, 2.0]
    >>> east, west = [[(-9, 1), (180, 1), (180, 2), (-9, 1)]], [[(-180, 1), (-178, 1), (-180, 2), (-180, 1)]]
    >>> bounding_box({"type": "MultiPolygon", "coordinates": [east, west]})
    [-9.0, 1.0, -178.0, 2.0]
    """
    shape = shapely.geometry.shape(geometry)
    west, south, east, north_ = shape.bounds
    if geometry["type"] == "MultiPolygon" and (west, east) == (-180, 180):
        parts = [part.bounds for part in shape.geoms]
        west = min(part[0] for part in parts if part[2] == 180)
        east = max(part[2] for part in parts if part[0] == -180)
    return [west, south, east, north_]


def turned(grid: Grid) -> list[Affine]:
    """Return the grid's transform, and its copies whole turns around the Earth away where a projection puts pixels.

    Longitudes of 190, or x beyond the edge of EPSG:3857, are places on Earth, but a transformation to the grid's CRS
    gives −170 for the former. Whoever looks pixels up by their place needs the copy there.
    """
    columns, rows = np.meshgrid(
        *([ALIGNMENT_TOLERANCE, size / 2, size - ALIGNMENT_TOLERANCE] for size in (grid.width, grid.height))
    )
    place = degrees(grid, columns.ravel(), rows.ravel())
    if place is None:
        return [grid.transform]
    longitude = (place[0] + 180) % 360 - 180
    back = np.array(transform(WGS84, grid.crs, list(longitude), list(place[1])))
    across, along = back - grid.transform @ (columns.ravel(), rows.ravel())
    pixel = max(grid.pixel)
    turns = across[(np.abs(across) > pixel) & (np.abs(along) < pixel)]
    if turns.size and np.ptp(np.abs(turns)) > pixel:
        return [grid.transform]  # other than by whole turns: the projection does not repeat itself
    _, first = np.unique(np.sign(turns), return_index=True)
    return [grid.transform, *(Affine.translation(float(turn), 0) @ grid.transform for turn in turns[first])]


def _edge(grid: Grid, points: int, inset: float = 0.0) -> tuple[Array, Array]:
    """Return columns and rows along the grid's edge, closed, from the first corner down its first column."""
    left, right, top, bottom = inset, grid.width - inset, inset, grid.height - inset
    ends = np.array([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], float)
    steps = np.arange(points)[:, np.newaxis] / points
    sides = [start + steps * (end - start) for start, end in pairwise(ends)]
    columns, rows = np.concatenate([*sides, ends[:1]]).T
    return columns, rows


def _ring(grid: Grid) -> tuple[Array, Array] | None:
    """Return longitudes and latitudes of the grid's edge, counter-clockwise in its CRS; longitudes run on past ±180."""
    for points, inset in ((_POINTS_PER_SIDE, 0.0), (_MOST_POINTS_PER_SIDE, _INSET)):
        place = degrees(grid, *_edge(grid, points, inset))
        if place is None:
            return None
        longitude, latitude = np.unwrap(place[0], period=360), place[1]
        if np.abs(np.diff(longitude)).max() < _LARGEST_STEP:
            break
    order = 1 if grid.transform.determinant < 0 else -1
    return longitude[::order], latitude[::order]


def _cut(longitude: Array, latitude: Array) -> Any:
    """Return the polygon, or polygons, inside a ring whose longitudes run on past ±180. Raises ValueError."""
    turns = _turns(longitude)
    if not turns and np.ptp(longitude) >= 360 - 10**-_DIGITS:
        return shapely.box(-180, latitude.min(), 180, latitude.max())
    points = np.column_stack([longitude, latitude])
    points[-1] = points[0]  # not a turn away from it
    return antimeridian.fix_polygon(
        shapely.Polygon(points),
        force_north_pole=turns > 0,
        force_south_pole=turns < 0,
        fix_winding=not turns,
        great_circle=False,
    )


def _turns(longitude: Array) -> int:
    """Return how often a ring goes round the Earth: 1 around the north pole, −1 around the south pole, else 0."""
    return round(float(longitude[-1] - longitude[0]) / 360)
