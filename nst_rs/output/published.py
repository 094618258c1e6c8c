"""A published map, read again: as an array, as a DataArray, as a small picture for a notebook."""

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.errors import RasterioIOError

from nst_rs.errors import OutputError
from nst_rs.files.extras import naming_extras

if TYPE_CHECKING:
    import xarray

_THUMBNAIL_SIDE = 512


def read_map(tif: Path) -> "np.ma.MaskedArray[Any, Any]":
    """Return a map, (H, W, 3) uint8 RGB, masked where there is no data. Raises OutputError where it cannot be read."""
    try:
        with rasterio.open(tif) as source:
            pixels, valid = np.moveaxis(source.read(), 0, -1), source.dataset_mask() > 0
    except RasterioIOError as error:
        raise OutputError(f"map {tif}", expected="the map that was made", got=str(error)) from error
    return np.ma.MaskedArray(pixels, np.broadcast_to(~valid[..., np.newaxis], pixels.shape))


def is_made_here(tif: Path) -> bool:
    """Whether a file is a map that this program has made, as its tags say."""
    try:
        with rasterio.open(tif) as source:
            return "NST_RS_STYLE" in source.tags()
    except RasterioIOError:
        return False


def map_to_xarray(tif: Path) -> "xarray.DataArray":
    """Return a map as a DataArray, (band, y, x) uint8, with a coordinate ``valid``, (y, x).

    Raises OutputError where it cannot be read, ResourceError without rioxarray.
    """
    with naming_extras("a map as xarray's"):
        import rioxarray
    pixels = read_map(tif)
    with rioxarray.open_rasterio(tif) as opened:
        array: xarray.DataArray = opened.copy(data=np.moveaxis(pixels.data, -1, 0))
    valid = ~np.ma.getmaskarray(pixels)[..., 0]
    return array.assign_coords(band=["red", "green", "blue"], valid=(array.dims[-2:], valid))


def thumbnail(preview: Path, caption: str) -> str:
    """Return a map's preview as a small picture in HTML that needs no other file, with a caption."""
    file = io.BytesIO()
    with Image.open(preview) as image:
        image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        image.save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    said = html.escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="The styled map"><figcaption>{said}</figcaption></figure>'
    )
