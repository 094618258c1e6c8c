"""Canvas and grid to GeoTIFF: the styled pixels, back where the scene was."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

from nst_rs.arrays import Mask, Rgb
from nst_rs.errors import OutputError
from nst_rs.grid import Grid, crs_name
from nst_rs.sources import GDAL_CACHE_BYTES
from nst_rs.storage import BAND_ROWS, PixelArray, bands

BLOCK = BAND_ROWS
"""Pixels along a side of a GeoTIFF's blocks: a band of rows is written as whole blocks."""


def to_bytes(picture: npt.NDArray[np.float32], valid: Mask) -> Rgb:
    """Round a picture, (H, W, 3) in [0, 255], to uint8; nodata becomes 0."""
    return np.where(valid[..., np.newaxis], np.rint(picture), 0).astype(np.uint8)


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


def write_geotiff(path: Path, picture: PixelArray, weight: PixelArray, grid: Grid) -> None:
    """Write a tiled RGB GeoTIFF with an internal mask on exactly `grid`, by bands of rows.

    `picture` is (H, W, 3) in [0, 255]; where `weight`, (H, W), is 0 there is no data.
    """
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "width": grid.width,
        "height": grid.height,
        "crs": grid.crs,
        "transform": grid.transform,
        "photometric": "RGB",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
    options = {"GDAL_TIFF_INTERNAL_MASK": True, "GDAL_CACHEMAX": GDAL_CACHE_BYTES}
    with rasterio.Env(**options), rasterio.open(path, "w", **profile) as target:
        target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        for rows in bands(grid.height):
            window = Window(0, rows.start, grid.width, rows.stop - rows.start)
            valid = weight[rows] > 0
            target.write(np.moveaxis(to_bytes(picture[rows], valid), -1, 0), window=window)
            target.write_mask(valid, window=window)
