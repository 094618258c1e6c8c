"""Which pixels of a GeoTIFF hold data, as its nodata value, mask or alpha band say."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from nst_rs.errors import StyleError


def validity(path: Path) -> npt.NDArray[np.uint8] | None:
    """Return (H, W) uint8, 255 where a TIFF holds data and 0 where it does not; None where it marks nothing.

    With a nodata value a pixel holds no data where every band has that value: a map's blue may well be 0. Raises
    StyleError for a file that GDAL cannot read.
    """
    try:
        with warnings.catch_warnings(), rasterio.Env():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture need not lie anywhere
            with rasterio.open(path, driver="GTiff") as source:
                marks = any(MaskFlags.all_valid not in flags for flags in source.mask_flag_enums)
                return _mask(source) if marks else None
    except RasterioError as error:
        raise StyleError(f"style {path}", expected="a TIFF that GDAL can read", got=str(error)) from error


def _mask(source: Any) -> npt.NDArray[np.uint8]:
    mask: npt.NDArray[np.uint8] = source.dataset_mask()
    return mask
