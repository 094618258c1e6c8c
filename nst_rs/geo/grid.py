"""Where a raster's pixels lie on the ground, and how grids lie to each other."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

METRES_PER_DEGREE = 111_320.0
"""Along the equator of WGS 84."""
ALIGNMENT_TOLERANCE = 1e-3
"""Of a pixel: what rounding in files' headers may come to."""

Box = tuple[int, int, int, int]
"""Rows and columns of a grid: top, left, bottom, right."""


@dataclass(frozen=True)
class Grid:
    """Where a raster's pixels lie on the ground."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @classmethod
    def of(cls, source: Any) -> "Grid":
        """Return the grid of a raster that is open."""
        return cls(source.crs, source.transform, source.width, source.height)

    @classmethod
    def over(cls, box: tuple[float, float, float, float], crs: CRS) -> "Grid":
        """Return a grid of one pixel that covers a box, (left, bottom, right, top) in `crs`.

        >>> bounds(Grid.over((1.0, 2.0, 3.0, 5.0), CRS.from_epsg(3857)))
        (1.0, 2.0, 3.0, 5.0)
        """
        left, bottom, right, top = box
        return cls(crs, Affine(right - left, 0, left, 0, bottom - top, top), 1, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of a pixel in the CRS's units, however it is turned."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def metres_per_pixel(self) -> float:
        """Side, in metres on the ground, of a square as large as a pixel.

        In a projected CRS of its plane's metres. In a geographic one a degree is taken as 111 320 m along the meridian,
        and cos φ as much along the parallel of the scene's middle.
        """
        unit = self.crs.units_factor[1]  # in metres, or in radians where the CRS is geographic
        area = abs(self.transform.determinant) * unit**2
        if self.crs.is_geographic:
            _, latitude = self.transform @ (self.width / 2, self.height / 2)
            area *= math.degrees(METRES_PER_DEGREE) ** 2 * abs(math.cos(latitude * unit))
        return math.sqrt(area)

    @property
    def first_pixel(self) -> tuple[int, int]:
        """Row and column of the first pixel, counted from where the CRS's coordinates are 0.

        So a pixel of one place has the same numbers in all scenes whose grids are one another's continuation. Where the
        grid is turned it is (0, 0).
        """
        t = self.transform
        if t.b or t.d:
            return 0, 0
        # Grids begin at whole pixels or, as Landsat's, at halves: rounding must not tell neighbours apart.
        return math.floor(t.f / t.e + 0.25), math.floor(t.c / t.a + 0.25)

    @property
    def unit(self) -> str:
        """The CRS's unit, as it is written after a number."""
        name = str(self.crs.units_factor[0])
        return {"metre": "m", "degree": "°"}.get(name, name)

    def describe(self) -> str:
        """Return the grid in one line."""
        resolution = f"{abs(self.transform.a):g} × {abs(self.transform.e):g} {self.unit}"
        return f"{self.width} × {self.height} pixels of {resolution}, {crs_name(self.crs)}"

    def cut(self, box: Box) -> "Grid":
        """Return the grid of the pixels in `box`, which may reach beyond this one."""
        top, left, bottom, right = box
        return Grid(self.crs, self.transform @ Affine.translation(left, top), right - left, bottom - top)

    def scaled(self, width: float, height: float) -> "Grid":
        """Return a grid of about the same extent, from the same corner, with pixels `width` and `height` times ours."""
        across, down = (
            max(1, math.ceil(size - ALIGNMENT_TOLERANCE)) for size in (self.width / width, self.height / height)
        )
        return Grid(self.crs, self.transform @ Affine.scale(width, height), across, down)

    def reduced(self, factor: int) -> "Grid":
        """Return the grid whose pixels are `factor` × `factor` of this one's; the last may reach beyond it."""
        width, height = (-(-size // factor) for size in (self.width, self.height))
        return Grid(self.crs, self.transform @ Affine.scale(factor), width, height)

    def overview(self, factor: int) -> "Grid":
        """Return the grid on which GDAL has a file's overview: as :meth:`reduced`, but exactly as large as this one."""
        height, width = self.reduced(factor).shape
        return Grid(self.crs, self.transform @ Affine.scale(self.width / width, self.height / height), width, height)

    def apart(self, other: "Grid") -> tuple[float, float]:
        """Return (columns, rows) from this grid's first pixel to `other`'s; both in one CRS.

        In a geographic CRS the shorter way round, so that what lies beyond the antimeridian is a neighbour.
        """
        x, y = other.transform.c, other.transform.f
        if self.crs.is_geographic:
            turn = 2 * math.pi / self.crs.units_factor[1]
            x -= turn * round((x - self.transform.c) / turn)
        column, row = ~self.transform @ (x, y)
        return column, row

    def place(self, other: "Grid") -> tuple[int, int] | None:
        """Return (row, column) of `other`'s first pixel where its pixels are pixels of this grid, else None."""
        if self.difference(other) is not None:
            return None
        column, row = self.apart(other)
        return round(row), round(column)

    def difference(self, other: "Grid") -> tuple[str, object, object] | None:
        """Return (what, expected, got) of the first difference in where the pixels lie; extents do not count."""
        if other.crs != self.crs:
            return "CRS", crs_name(self.crs), crs_name(other.crs)
        linear, other_linear = ((t.a, t.b, t.d, t.e) for t in (self.transform, other.transform))
        # A relative difference that adds up to less than the tolerance over the longer side of the tile.
        slack = ALIGNMENT_TOLERANCE / max(other.shape) * max(abs(x) for x in linear)
        if not np.allclose(linear, other_linear, rtol=0, atol=slack):
            return "resolution", linear, other_linear
        column, row = self.apart(other)
        if max(abs(column - round(column)), abs(row - round(row))) > ALIGNMENT_TOLERANCE:
            return "alignment", "whole pixels apart", f"{column:.3f} columns, {row:.3f} rows apart"
        return None

    def box_of(self, other: "Grid") -> Box:
        """Return the smallest box of this grid that holds all of `other`, which may be in another CRS."""
        if other.crs == self.crs:
            column, row = self.apart(other)
            turned = ~self.transform @ other.transform
            corners = [(x, y) for x in (0, other.width) for y in (0, other.height)]
            points = [(column + turned.a * x + turned.b * y, row + turned.d * x + turned.e * y) for x, y in corners]
        else:
            points = [~self.transform @ corner for corner in _corners(self._bounds_here(other))]
        columns, rows = zip(*points, strict=True)
        top, left = (math.floor(min(values) + ALIGNMENT_TOLERANCE) for values in (rows, columns))
        bottom, right = (math.ceil(max(values) - ALIGNMENT_TOLERANCE) for values in (rows, columns))
        return top, left, bottom, right

    def _bounds_here(self, other: "Grid") -> tuple[float, float, float, float]:
        """Return the bounds of `other` in this grid's CRS, on this grid's side of the antimeridian."""
        left, bottom, right, top = transform_bounds(other.crs, self.crs, *bounds(other))
        if self.crs.is_geographic:
            turn = 2 * math.pi / self.crs.units_factor[1]
            right += turn * (right < left)
            turns = turn * round((left - self.transform.c) / turn)
            left, right = left - turns, right - turns
        return left, bottom, right, top


def bounds(grid: Grid) -> tuple[float, float, float, float]:
    """Return the least and greatest coordinates of a grid's corners: left, bottom, right, top."""
    points = [grid.transform @ (x, y) for x in (0, grid.width) for y in (0, grid.height)]
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _corners(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    left, bottom, right, top = box
    return [(left, bottom), (left, top), (right, bottom), (right, top)]


def union(boxes: list[Box]) -> Box:
    """Return the smallest box that holds all of `boxes`.

    >>> union([(0, 0, 2, 2), (-1, 1, 1, 5)])
    (-1, 0, 2, 5)
    """
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def intersection(box: Box, other: Box) -> Box:
    """Return what two boxes that meet have in common.

    >>> intersection((0, 0, 2, 2), (-1, 1, 1, 5))
    (0, 1, 1, 2)
    """
    return max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])


def crs_name(crs: CRS) -> str:
    """Return a CRS as people say it: ``EPSG:32621``, or its WKT's name."""
    code = crs.to_epsg()
    if code:
        return f"EPSG:{code}"
    described = crs.to_dict(projjson=True)
    return str(described.get("source_crs", described)["name"])  # a CRS bound to WGS 84 has no name of its own
