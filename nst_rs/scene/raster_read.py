"""Windows of one raster file, on the scene's grid: values, physical or as stored, and where they hold data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.dtypes import in_dtype_range
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from nst_rs.arrays import Mask
from nst_rs.geo.grid import Box, Grid
from nst_rs.scene.products import Source
from nst_rs.scene.raster_file import Header, opened

Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """A part of the scene to be read from a file."""

    scene: Grid
    tile: Box
    file: Grid
    part: Window

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the part."""
        return self.part.height, self.part.width

    def direct(self) -> tuple[tuple[slice, slice], Window] | None:
        """Return where part and file meet, and that window in the file, where its pixels are the scene's pixels."""
        placed = self.scene.place(self.file)
        if placed is None:
            return None
        row, column = placed
        met = overlap((row, column, row + self.file.height, column + self.file.width), self.part)
        if met is None:
            return (slice(0, 0), slice(0, 0)), Window(0, 0, 0, 0)
        inside, part = met
        return inside, Window(part.col_off - column, part.row_off - row, part.width, part.height)


def box_of(window: Window) -> Box:
    """Return a window as (top, left, bottom, right)."""
    return window.row_off, window.col_off, window.row_off + window.height, window.col_off + window.width


def overlap(box: Box, window: Window) -> tuple[tuple[slice, slice], Window] | None:
    """Return where `box` and `window` meet: (rows, columns) in the window, and as a window of the scene."""
    top, left = max(box[0], window.row_off), max(box[1], window.col_off)
    bottom = min(box[2], window.row_off + window.height)
    right = min(box[3], window.col_off + window.width)
    if top >= bottom or left >= right:
        return None
    inside = (
        slice(top - window.row_off, bottom - window.row_off),
        slice(left - window.col_off, right - window.col_off),
    )
    return inside, Window(left, top, right - left, bottom - top)


def read_file(
    header: Header, sources: Sequence[Source], place: Place, resampling: str, stored: bool = False
) -> tuple[Values, Mask]:
    """Return values, (sources, h, w), physical or as `stored`, and where all of them hold data."""
    direct = place.direct()
    with opened(header.location, "readable pixels") as source:
        if direct is None:
            values, valid = _read_warped(source, sources, place, resampling)
        else:
            values, valid = _read_window(source, sources, place.shape, direct)
    for band, found in zip(values, sources, strict=True):
        for excluded in (found.fill, found.saturated):
            if excluded is not None:
                valid &= band != excluded
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return (values if stored else _physical(values, sources)), valid


def _read_window(
    source: Any, sources: Sequence[Source], shape: tuple[int, int], place: tuple[tuple[slice, slice], Window]
) -> tuple[Values, Mask]:
    """Read pixels that are the scene's own."""
    inside, window = place
    indices = [found.index for found in sources]
    values = np.zeros((len(indices), *shape), sources[0].header.dtype)
    valid = np.zeros(shape, np.bool_)
    if window.width:
        values[(slice(None), *inside)] = source.read(indices, window=window)
        valid[inside] = (source.read_masks(indices, window=window) > 0).all(axis=0)
    return values, valid


def _read_warped(source: Any, sources: Sequence[Source], place: Place, resampling: str) -> tuple[Values, Mask]:
    """Read pixels of another grid, brought onto the scene's; GDAL warps by blocks, whatever window is asked for."""
    top, left, _, _ = place.tile
    grid = place.scene.cut(place.tile)
    window = Window(place.part.col_off - left, place.part.row_off - top, *reversed(place.shape))
    indices = [found.index for found in sources]
    options = _warp_options(source, sources[0])
    at = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    with WarpedVRT(source, **at, resampling=Resampling[resampling], **options) as warped:
        values = warped.read(indices, window=window)
        if options.get("add_alpha"):  # GDAL takes an alpha band for a mask in whole numbers only
            return values, warped.read(warped.count, window=window) > 0
        return values, (warped.read_masks(indices, window=window) > 0).all(axis=0)


def _warp_options(source: Any, first: Source) -> dict[str, Any]:
    """Return how GDAL is to know which pixels hold data: by a value, or by the mask, kept as an alpha band."""
    nodata = first.header.nodata if first.fill is None else first.fill
    if nodata is not None and in_dtype_range(nodata, first.header.dtype):
        return {"src_nodata": nodata, "nodata": nodata}
    has_alpha = any(flag.name == "alpha" for flags in source.mask_flag_enums for flag in flags)
    return {"add_alpha": not has_alpha}


def _physical(values: Values, sources: Sequence[Source]) -> Values:
    """Return what stored values mean, in float32 where that is another number."""
    if not any(found.calibration.changes for found in sources):
        return values
    scales, offsets = (
        np.array([getattr(found.calibration, name) for found in sources], np.float32)[:, np.newaxis, np.newaxis]
        for name in ("scale", "offset")
    )
    scaled: Values = values.astype(np.float32) * scales + offsets
    return scaled
