"""Tiles of one scene as one virtual mosaic on one grid: opening, checking, reading windows. Pixel values as stored."""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.transform import Affine
from rasterio.windows import Window

from nst_rs.arrays import Mask
from nst_rs.errors import SceneError
from nst_rs.storage import BAND_ROWS, bands

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".img"})
"""File names that are looked for in a folder."""
DTYPES = ("uint8", "uint16", "int16", "float32")
GDAL_CACHE_BYTES = 256 * 2**20
"""For decoded blocks, in place of GDAL's own twentieth of all memory: a band of rows of a wide scene."""
_METRES_PER_RADIAN = math.degrees(111_320.0)  # along the equator of WGS 84, where a degree is 111 320 metres
_ALIGNMENT_TOLERANCE = 1e-3  # of a pixel: what rounding in the tiles' headers may come to


@dataclass(frozen=True)
class Grid:
    """Where a raster's pixels lie on the ground."""

    crs: CRS
    transform: Affine
    width: int
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.height, self.width

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
            area *= _METRES_PER_RADIAN**2 * abs(math.cos(latitude * unit))
        return math.sqrt(area)

    def describe(self) -> str:
        """Return the grid in one line."""
        resolution = f"{abs(self.transform.a):g} × {abs(self.transform.e):g}"
        return f"{self.width} × {self.height} pixels of {resolution}, {crs_name(self.crs)}"


@dataclass(frozen=True)
class SceneTile:
    """One file of the scene."""

    path: Path
    row: int
    """Of the file's first pixel, in the scene."""
    column: int
    width: int
    height: int


@dataclass(frozen=True)
class Scene:
    """The tiles of one scene on one grid."""

    grid: Grid
    tiles: tuple[SceneTile, ...]
    band_names: tuple[str, ...]
    """One a band; empty where the files name none."""
    dtype: str
    nodata: float | None

    def blocks(self, rows: int = BAND_ROWS) -> Iterator[Window]:
        """Return windows over the whole scene, `rows` rows each, from the top."""
        for band in bands(self.grid.height, rows):
            yield Window(0, band.start, self.grid.width, band.stop - band.start)

    def read(self, bands: Sequence[int], window: Window) -> tuple[npt.NDArray[Any], Mask]:
        """Read `bands` (1-based) in `window` of the scene.

        Returns values, (bands, h, w) in the files' dtype, and the mask, (h, w), True where every one of the bands
        holds data: inside a tile, not nodata, not masked, not NaN. Where tiles overlap, the first valid one given
        stands. Raises SceneError when a file cannot be read.
        """
        values = np.zeros((len(bands), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        for tile in self.tiles:
            overlap = _overlap(tile, window)
            if overlap is None:
                continue
            inside, source = overlap
            found, found_valid = _read_tile(tile.path, bands, source, self.nodata)
            new = found_valid & ~valid[inside]
            values[(slice(None), *inside)][:, new] = found[:, new]
            valid[inside] |= new
        return values, valid


@dataclass(frozen=True)
class SceneReport:
    """What can be said of a scene without composing it."""

    scene: Scene
    valid_shares: tuple[float, ...]
    """One a band: the share of the grid's pixels that hold data."""


def report(scene: Scene) -> SceneReport:
    """Read every band once and return the report. Raises SceneError when a file cannot be read."""
    bands = range(1, len(scene.band_names) + 1)
    pixels = scene.grid.width * scene.grid.height
    counts = np.zeros(len(bands))
    for window in scene.blocks():
        counts += [scene.read([band], window)[1].sum() for band in bands]
    return SceneReport(scene, tuple(float(count / pixels) for count in counts))


def open_scene(paths: Iterable[Path], nodata: float | None = None) -> Scene:
    """Open files, or folders of files, as one scene.

    `nodata` is a value that stands for no data besides what the files' tags and masks say. Raises SceneError, naming
    the file, when one is missing, is not a raster, has no CRS, or does not belong on the first one's grid.
    """
    files = list(_files(paths))
    headers = [_read_header(path) for path in files]
    first = headers[0]
    offsets = [_offset(first, header) for header in headers]
    top = min(row for row, _ in offsets)
    left = min(column for _, column in offsets)
    tiles = tuple(
        SceneTile(header.path, row - top, column - left, header.grid.width, header.grid.height)
        for header, (row, column) in zip(headers, offsets, strict=True)
    )
    grid = Grid(
        first.grid.crs,
        first.grid.transform @ Affine.translation(left, top),
        max(tile.column + tile.width for tile in tiles),
        max(tile.row + tile.height for tile in tiles),
    )
    return Scene(grid, tiles, first.band_names, first.dtype, first.nodata if nodata is None else nodata)


@dataclass(frozen=True)
class _Header:
    path: Path
    grid: Grid
    band_names: tuple[str, ...]
    dtype: str
    nodata: float | None


def crs_name(crs: CRS) -> str:
    """Return a CRS as people say it: ``EPSG:32621``, or its WKT's name."""
    code = crs.to_epsg()
    if code:
        return f"EPSG:{code}"
    described = crs.to_dict(projjson=True)
    return str(described.get("source_crs", described)["name"])  # a CRS bound to WGS 84 has no name of its own


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not found:
                raise SceneError(f"scene folder {path}", expected="GeoTIFF files", got="none")
            yield from found
        elif path.exists():
            yield path
        else:
            raise SceneError(f"scene {path}", expected="a file or folder", got="nothing of that name")


def _read_header(path: Path) -> _Header:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # _header refuses such files
            with rasterio.open(path) as source:
                return _header(path, source)
    except RasterioIOError as error:
        raise SceneError(f"scene {path}", expected="a raster that GDAL can read", got=str(error)) from error


def _header(path: Path, source: Any) -> _Header:
    if source.crs is None:
        raise SceneError(f"scene {path}", expected="a CRS", got="none", do="assign one, with gdal_edit.py -a_srs")
    if source.transform == Affine.identity():
        raise SceneError(f"scene {path}", expected="a geotransform", got="none", do="georeference it first")
    dtype = source.dtypes[0]
    if set(source.dtypes) != {dtype} or dtype not in DTYPES:
        raise SceneError(f"scene {path}", expected=f"bands of one type of {', '.join(DTYPES)}", got=f"{source.dtypes}")
    grid = Grid(source.crs, source.transform, source.width, source.height)
    return _Header(path, grid, _band_names(source), dtype, source.nodata)


def _band_names(source: Any) -> tuple[str, ...]:
    names = []
    for description, color in zip(source.descriptions, source.colorinterp, strict=True):
        named = color in (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        names.append(description or (color.name if named else ""))
    return tuple(names)


def _offset(first: _Header, other: _Header) -> tuple[int, int]:
    """Return (row, column) of `other`'s first pixel on `first`'s grid, or refuse it by name."""
    difference = _different_content(first, other) or _different_grid(first.grid, other.grid)
    if difference is not None:
        what, expected, got = difference
        raise SceneError(
            f"tile {other.path} does not belong with {first.path}: {what}",
            expected=str(expected),
            got=str(got),
            do="give the tiles of one scene, on one grid",
        )
    column, row = _pixels_apart(first.grid, other.grid)
    return round(row), round(column)


def _different_content(first: _Header, other: _Header) -> tuple[str, object, object] | None:
    """Return (what, expected, got) of the first difference in what the pixels hold."""
    if len(other.band_names) != len(first.band_names):
        return "band count", len(first.band_names), len(other.band_names)
    if any(a.lower() != b.lower() for a, b in zip(first.band_names, other.band_names, strict=True) if a and b):
        return "band names", ", ".join(first.band_names), ", ".join(other.band_names)
    if other.dtype != first.dtype:
        return "data type", first.dtype, other.dtype
    if other.nodata != first.nodata and not (_is_nan(other.nodata) and _is_nan(first.nodata)):
        return "nodata", first.nodata, other.nodata
    return None


def _different_grid(first: Grid, other: Grid) -> tuple[str, object, object] | None:
    """Return (what, expected, got) of the first difference in where the pixels lie."""
    if other.crs != first.crs:
        return "CRS", crs_name(first.crs), crs_name(other.crs)
    linear, other_linear = ((t.a, t.b, t.d, t.e) for t in (first.transform, other.transform))
    # A relative difference that adds up to less than the tolerance over the longer side of the tile.
    slack = _ALIGNMENT_TOLERANCE / max(other.shape) * max(abs(x) for x in linear)
    if not np.allclose(linear, other_linear, rtol=0, atol=slack):
        return "resolution", linear, other_linear
    column, row = _pixels_apart(first, other)
    if max(abs(column - round(column)), abs(row - round(row))) > _ALIGNMENT_TOLERANCE:
        return "alignment", "whole pixels apart", f"{column:.3f} columns, {row:.3f} rows apart"
    return None


def _pixels_apart(first: Grid, other: Grid) -> tuple[float, float]:
    """Return (columns, rows) from `first`'s first pixel to `other`'s."""
    column, row = ~first.transform @ (other.transform.c, other.transform.f)
    return column, row


def _is_nan(value: float | None) -> bool:
    return value is not None and bool(np.isnan(value))


def _overlap(tile: SceneTile, window: Window) -> tuple[tuple[slice, slice], Window] | None:
    """Return where `tile` and `window` meet: (rows, columns) in the window, and the window in the tile's file."""
    top, left = max(tile.row, window.row_off), max(tile.column, window.col_off)
    bottom = min(tile.row + tile.height, window.row_off + window.height)
    right = min(tile.column + tile.width, window.col_off + window.width)
    if top >= bottom or left >= right:
        return None
    inside = (
        slice(top - window.row_off, bottom - window.row_off),
        slice(left - window.col_off, right - window.col_off),
    )
    return inside, Window(left - tile.column, top - tile.row, right - left, bottom - top)


def _read_tile(path: Path, bands: Sequence[int], window: Window, nodata: float | None) -> tuple[npt.NDArray[Any], Mask]:
    try:
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), rasterio.open(path) as source:
            values = source.read(list(bands), window=window)
            masks = source.read_masks(list(bands), window=window)
    except RasterioIOError as error:
        raise SceneError(f"scene {path}", expected="readable pixels", got=str(error)) from error
    valid = (masks > 0).all(axis=0)
    if nodata is not None:
        valid &= (values != nodata).all(axis=0)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return values, valid
