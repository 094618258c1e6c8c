"""An area of interest on a scene's grid: in longitude and latitude, in the grid's units, or by its pixels."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import bounds as geometry_bounds
from rasterio.features import geometry_mask
from rasterio.transform import Affine
from rasterio.warp import transform_bounds, transform_geom

from nst_rs.arrays import Mask
from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_json, read_text, reason
from nst_rs.geo.geopackage import SUFFIX, read_geopackage
from nst_rs.geo.grid import ALIGNMENT_TOLERANCE, Box, Grid, bounds

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees; where west is the greater, across the antimeridian."""

_WGS84 = CRS.from_epsg(4326)
_STEPS = 20
"""Parts of a side of bounds, which is a curve in a projection."""
_MOST_DEPTH = 8


@dataclass(frozen=True)
class Area:
    """Polygons on the ground."""

    polygons: tuple[Mapping[str, Any], ...]
    """GeoJSON geometries."""
    outlined: bool
    """Whether what lies outside of the polygons is no data; bounds only crop."""
    frame: Literal["degrees", "units", "pixels"] = "degrees"
    """What their coordinates are: longitude and latitude, or the grid's own, or its columns and rows."""

    def on(self, grid: Grid) -> "Outline":
        """Return the area on `grid`, from whose first pixel columns and rows are counted."""
        if self.frame == "degrees":
            return Outline(tuple(_moved(polygon, grid) for polygon in self.polygons), self.outlined)
        turn = grid.transform if self.frame == "pixels" else Affine.identity()
        rings = [[[turn @ point for point in ring] for ring in polygon["coordinates"]] for polygon in self.polygons]
        return Outline(tuple({"type": "Polygon", "coordinates": ring} for ring in rings), self.outlined)

    def swapped(self) -> "Area":
        """Return the area with the axes of its coordinates in the other order."""
        rings = [[[(y, x) for x, y in ring] for ring in polygon["coordinates"]] for polygon in self.polygons]
        return replace(self, polygons=tuple({"type": "Polygon", "coordinates": ring} for ring in rings))


@dataclass(frozen=True)
class Outline:
    """Polygons in a grid's CRS."""

    polygons: tuple[Mapping[str, Any], ...]
    outlined: bool

    def box(self, grid: Grid) -> Box:
        """Return the smallest box of `grid`, which may reach beyond it, that holds the polygons."""
        points = [~grid.transform @ corner for polygon in self.polygons for corner in _points(polygon)]
        columns, rows = zip(*points, strict=True)
        top, left = (math.floor(min(values) + ALIGNMENT_TOLERANCE) for values in (rows, columns))
        bottom, right = (math.ceil(max(values) - ALIGNMENT_TOLERANCE) for values in (rows, columns))
        return top, left, bottom, right

    def inside(self, grid: Grid) -> Mask:
        """Return, (H, W), the pixels of `grid` whose middle lies in the polygons."""
        inside: Mask = geometry_mask(self.polygons, grid.shape, grid.transform, invert=True)
        return inside


def rectangle(left: float, bottom: float, right: float, top: float, frame: Literal["units", "pixels"]) -> Area:
    """Return the area between some coordinates of a grid, or between some of its columns and rows."""
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return Area(({"type": "Polygon", "coordinates": [corners]},), outlined=False, frame=frame)


def degrees(grid: Grid) -> Bounds | None:
    """Return the bounds of a grid in degrees; None where its CRS leads to none."""
    try:
        west, south, east, north = transform_bounds(grid.crs, _WGS84, *bounds(grid))
    except (CRSError, CPLE_BaseError, ValueError):
        return None
    edges = west, south, east, north
    return edges if all(math.isfinite(edge) for edge in edges) else None


def describe_degrees(grid: Grid) -> str:
    """Return the bounds of a grid as ``scene.area`` takes them, to metres; nothing where its CRS leads to none."""
    edges = degrees(grid)
    return "" if edges is None else f"[{', '.join(f'{edge:.5f}' for edge in edges)}]"


def extent_of(grid: Grid) -> str:
    """Return the bounds of a grid in its units, as ``scene.area`` takes them, to less than a thousandth of a pixel."""
    digits = max(0, 4 - math.floor(math.log10(min(grid.pixel))))
    edges = zip(("left", "bottom", "right", "top"), bounds(grid), strict=True)
    return "{" + ", ".join(f"{name}: {edge:.{digits}f}" for name, edge in edges) + "}"


def read_area(area: Bounds | Path) -> Area:
    """Return the area that bounds or a GeoJSON file describe. Raises ConfigError."""
    if not isinstance(area, Path):
        return Area((_rectangle(area),), outlined=False)
    try:
        polygons = tuple(_polygons(parse_json(read_text(area)), 0))
    except (DocumentError, TypeError, KeyError, AttributeError) as error:
        numbers = re.findall(r"-?\d+(?:\.\d+)?", area.name)
        if len(numbers) == 4 and re.fullmatch(r"[-\d.,;:()\s]+", area.name):
            written = f"write scene.area=[{', '.join(numbers)}]"
            raise ConfigError("scene.area", expected="bounds in brackets", got=area.name, do=written) from error
        raise ConfigError(f"scene.area {area}", expected="a GeoJSON file", got=reason(error)) from error
    if not polygons:
        raise ConfigError(f"scene.area {area}", expected="a polygon", got="none")
    for polygon in polygons:
        _check(area, polygon)
    return Area(polygons, outlined=True)


def read_chosen(path: Path, setting: str, attribute: str | None, values: Sequence[int | str]) -> Area:
    """Return the polygons of a GeoJSON file or a GeoPackage: all, or those whose `attribute` is one of `values`.

    Raises ConfigError, about `setting`, for another file, and where none has such an attribute.
    """
    is_package = path.suffix.lower() == SUFFIX and path.is_file()
    kind = "a GeoPackage" if is_package else "a GeoJSON file"
    read = read_geopackage if is_package else _features
    try:
        polygons = tuple(polygon for each in read(path, attribute, values) for polygon in _polygons(each, 0))
    except (DocumentError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(setting, expected=f"{kind} of polygons", got=_reason(path, error)) from error
    if not polygons:
        wanted = f"whose {attribute} is {' or '.join(map(str, values))}" if attribute else "in it"
        raise ConfigError(setting, expected=f"a polygon {wanted}", got=f"none in {path.name}")
    for polygon in polygons:
        _check(path, polygon, setting)
    return Area(polygons, outlined=True)


def _features(path: Path, attribute: str | None, values: Sequence[int | str]) -> list[Mapping[str, Any]]:
    """Return the features of a GeoJSON file whose `attribute` is one of `values`; the whole of it without one."""
    data = parse_json(read_text(path))
    if attribute is None:
        return [data]
    return [each for each in data["features"] if each["properties"].get(attribute) in values]


def _reason(path: Path, error: Exception) -> str:
    """Return why a file is not what was expected, in a few words."""
    if not path.is_file():
        return f"{'a folder' if path.is_dir() else 'no such file'}, {path}"
    return f"{path.name}: {reason(error)}"


def _rectangle(area: Bounds) -> Mapping[str, Any]:
    west, south, east, north = area
    east += 360 * (east < west)
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    ring = [
        (a[0] + (b[0] - a[0]) * step / _STEPS, a[1] + (b[1] - a[1]) * step / _STEPS)
        for a, b in pairwise(corners)
        for step in range(_STEPS)
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _polygons(data: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Return the polygons of a GeoJSON object."""
    if depth > _MOST_DEPTH:
        raise DocumentError("collections within collections")
    kind = data["type"]
    if kind == "Polygon":
        yield {"type": kind, "coordinates": data["coordinates"]}
    elif kind == "MultiPolygon":
        yield from ({"type": "Polygon", "coordinates": part} for part in data["coordinates"])
    elif kind == "Feature":
        yield from _polygons(data["geometry"], depth + 1)
    elif kind in ("FeatureCollection", "GeometryCollection"):
        for part in data["features" if kind == "FeatureCollection" else "geometries"]:
            yield from _polygons(part, depth + 1)
    else:
        raise DocumentError(f"a {kind!r:.40}")


def _check(path: Path, polygon: Mapping[str, Any], setting: str = "scene.area") -> None:
    """Refuse a polygon that is none, or whose coordinates are no degrees."""
    try:
        rings = [[(float(x), float(y)) for x, y, *_ in ring] for ring in polygon["coordinates"]]
        closed = rings and all(len(ring) >= 4 and ring[0] == ring[-1] for ring in rings)
        on_earth = all(abs(x) <= 540 and abs(y) <= 90 for ring in rings for x, y in ring)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{setting} {path}", expected="rings of coordinates", got=reason(error)) from error
    if not closed or not on_earth:
        raise ConfigError(f"{setting} {path}", expected="closed rings in degrees", got="others")


def _moved(polygon: Mapping[str, Any], grid: Grid) -> Mapping[str, Any]:
    """Return a polygon in the grid's CRS, in a geographic one on the grid's side of the antimeridian."""
    moved: Mapping[str, Any] = transform_geom(_WGS84, grid.crs, polygon)
    if not grid.crs.is_geographic:
        return moved
    turn = 2 * math.pi / grid.crs.units_factor[1]
    middle, _ = grid.transform @ (grid.width / 2, grid.height / 2)
    left, _, right, _ = geometry_bounds(moved)
    shift = turn * round((middle - (left + right) / 2) / turn)
    rings = [[(x + shift, y) for x, y, *_ in ring] for ring in moved["coordinates"]]
    return {"type": "Polygon", "coordinates": rings}


def _points(polygon: Mapping[str, Any]) -> Sequence[tuple[float, float]]:
    return [(x, y) for ring in polygon["coordinates"] for x, y, *_ in ring]
