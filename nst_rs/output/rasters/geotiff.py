"""Canvas and grid to GeoTIFF: the styled pixels, back where the scene was."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

from nst_rs.arrays import Mask, Rgb
from nst_rs.config.sections import Profile
from nst_rs.errors import OutputError
from nst_rs.files.storage import STRIP_ROWS, PixelArray, strips
from nst_rs.geo.grid import Grid, crs_name
from nst_rs.scene.raster_file import GDAL_CACHE_BYTES

BLOCK = STRIP_ROWS
"""Pixels along a side of a GeoTIFF's blocks: a strip of rows is written as whole blocks."""

_LEAST_CACHE = 32 * 2**20
_ROUNDED_ROWS = 8

LOSSY: frozenset[Profile] = frozenset({"jpeg", "webp"})
"""Profiles under which a pixel changes with its neighbours."""


@dataclass(frozen=True)
class StyledMap:
    """A finished picture, and all that its GeoTIFF needs."""

    picture: PixelArray  # (H, W, 3) RGB in [0, 255], continued into nodata
    weight: PixelArray  # (H, W)
    """0 where there is no data."""
    grid: Grid
    profile: Profile = "deflate"
    tags: Mapping[str, str] = field(default_factory=dict)
    """The file's tags: nst_rs/output/provenance.py."""
    zooms: tuple["StyledMap", ...] = ()
    """What the map shows from afar, each half as large as the one before; where there is none, its averaged pixels."""

    def pixels(self, rows: slice) -> tuple[Rgb, Mask]:
        """Return these rows as they are stored, and where there is data.

        Where there is none the bytes are 0, which takes no room. Under a lossy profile they are the picture's: black
        beside the data would bleed into it.
        """
        picture, valid = self.picture[rows], self.weight[rows] > 0
        shown = np.ones_like(valid) if self.profile in LOSSY else valid
        return to_bytes(picture, shown), valid


def to_bytes(picture: npt.NDArray[np.float32], valid: Mask) -> Rgb:
    """Round a picture, (H, W, 3) in [0, 255], to uint8; nodata becomes 0."""
    pixels = np.zeros(picture.shape, np.uint8)
    for rows in strips(
        len(picture), _ROUNDED_ROWS
    ):  # what lies in the processor's cache is rounded three times as fast
        with np.errstate(invalid="ignore"):  # nodata may be anything
            pixels[rows] = np.rint(picture[rows])
    pixels[~valid] = 0
    return pixels


def cache_bytes(grid: Grid) -> int:
    """Return what GDAL may keep of decoded blocks while a map on `grid` is written or read: four rows of its blocks.

    With all that it is allowed elsewhere, memory would grow with the map's rows until that was reached.
    """
    return min(GDAL_CACHE_BYTES, max(_LEAST_CACHE, 4 * BLOCK * grid.width * 4))


def tiled_on(grid: Grid) -> dict[str, Any]:
    """Return rasterio's profile of a tiled GeoTIFF on `grid`, but for what its pixels are."""
    return {
        "driver": "GTiff",
        "width": grid.width,
        "height": grid.height,
        "crs": grid.crs,
        "transform": grid.transform,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }


def writing_options(grid: Grid) -> dict[str, Any]:
    """Return GDAL's options while a GeoTIFF with a mask is written on `grid`."""
    return {"GDAL_TIFF_INTERNAL_MASK": True, "GDAL_CACHEMAX": cache_bytes(grid)}


def block_pixels(grid: Grid) -> int:
    """Return how many pixels a GeoTIFF on `grid` stores: whole blocks."""
    return math.prod(-(-size // BLOCK) * BLOCK for size in grid.shape)


def check_crs(grid: Grid) -> None:
    """Raise OutputError where a GeoTIFF cannot hold the grid's CRS: GDAL would drop it without an error."""
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 1, "height": 1}
    with MemoryFile() as memory:
        memory.open(**profile, crs=grid.crs, transform=grid.transform).close()
        # From the bytes alone: GDAL may have put the CRS into a file beside.
        with MemoryFile(memory.read()) as copy, copy.open() as written:
            kept = written.crs is not None
    if not kept:
        raise OutputError(
            "output",
            expected="a scene whose CRS a GeoTIFF can hold",
            got=crs_name(grid.crs),
            do="reproject the scene first, with gdalwarp -t_srs",
        )


def write_geotiff(path: Path, styled: StyledMap) -> None:
    """Write a tiled RGB GeoTIFF with an internal mask on exactly the map's grid, strip by strip; nothing is lost.

    Its pixels are not compressed, because they are soon read and copied, and strokes hardly can be; blocks without data
    take no room.
    """
    grid = styled.grid
    profile = {**tiled_on(grid), "dtype": "uint8", "count": 3, "photometric": "RGB", "sparse_ok": True}
    with rasterio.Env(**writing_options(grid)), rasterio.open(path, "w", **profile) as target:
        target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        target.update_tags(**styled.tags)
        for rows in strips(grid.height):
            window = Window(0, rows.start, grid.width, rows.stop - rows.start)
            pixels, valid = styled.pixels(rows)
            target.write(np.moveaxis(pixels, -1, 0), window=window)
            target.write_mask(valid, window=window)
