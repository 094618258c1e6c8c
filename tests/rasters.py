"""Small real GeoTIFFs to test with."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import Affine

from nst_rs.scene.array import SceneArray

UTM = "EPSG:32621"
NORTH_UP = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 9_000_000.0)
SOUTH_UP = Affine(30.0, 0.0, 500_000.0, 0.0, 30.0, 9_000_000.0)
ROTATED = NORTH_UP @ Affine.rotation(25.0)
TRANSFORMS = (NORTH_UP, SOUTH_UP, ROTATED)


def random_values(shape: tuple[int, int, int], dtype: str = "uint8", seed: int = 0) -> npt.NDArray[Any]:
    """Return (bands, H, W) values from 1 to 250: 0 and 255 stay free for nodata."""
    return np.random.default_rng(seed).integers(1, 251, shape).astype(dtype)


def write_raster(
    path: Path,
    values: npt.NDArray[Any],
    *,
    names: Sequence[str] = (),
    mask: npt.NDArray[np.bool_] | None = None,
    internal_mask: bool = True,
    **profile: Any,
) -> Path:
    """Write (bands, H, W) `values`; the rest of `profile` is rasterio's. The mask is True where there is data.

    Unless `profile` says otherwise the bands are colourless: GDAL would take the first three bytes for RGB.
    """
    count, height, width = values.shape
    profile = {"crs": UTM, "transform": NORTH_UP, "photometric": "minisblack", "alpha": "no"} | profile
    size = {"count": count, "height": height, "width": width, "dtype": values.dtype}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal_mask),
        rasterio.open(path, "w", driver="GTiff", **size, **profile) as target,
    ):
        target.write(values)
        for band, name in enumerate(names, start=1):
            target.set_band_description(band, name)
        if mask is not None:
            target.write_mask(mask)
    return path


def write_tiles(
    folder: Path,
    values: npt.NDArray[Any],
    rows: Sequence[int],
    columns: Sequence[int],
    transform: Affine = NORTH_UP,
    **options: Any,
) -> list[Path]:
    """Cut `values` before each of `rows` and `columns`, and write the parts, row by row, each where it lies."""
    _, height, width = values.shape
    return [
        write_raster(
            folder / f"r{top}_c{left}.tif",
            values[:, top:bottom, left:right],
            transform=transform @ Affine.translation(left, top),
            **options,
        )
        for top, bottom in pairwise([0, *rows, height])
        for left, right in pairwise([0, *columns, width])
    ]


def in_memory(array: npt.NDArray[Any], **changed: Any) -> SceneArray:
    """Return a scene in memory of (bands, H, W) values, with 0 for nodata unless `changed` says otherwise."""
    place = {"transform": NORTH_UP, "crs": UTM, "nodata": 0, "bands": ("red", "green", "blue")}
    return SceneArray(**{"values": array, **place, **changed})


def pixels(path: Path) -> npt.NDArray[Any]:
    """Return the (bands, H, W) values of a raster."""
    with rasterio.open(path) as source:
        found: npt.NDArray[Any] = source.read()
    return found
