"""Windows of one raster file, on the scene's grid: values, physical or as stored, and where they hold data."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.dtypes import in_dtype_range
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from nst_rs.arrays import Mask
from nst_rs.errors import SceneError
from nst_rs.geo.grid import Box, Grid
from nst_rs.scene.gdal_view import Fill, viewing
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
    """Return values, (sources, h, w), physical or as `stored`, and where each holds data, (sources, h, w)."""
    direct = place.direct()
    with opened(header.location, "readable pixels") as source:
        if direct is None:
            values, valid = _read_warped(source, header, sources, place, resampling)
        else:
            values, valid = _read_window(source, header, sources, place.shape, direct)
    for place_of, wanted in enumerate(sources):
        for excluded in _excluded(wanted):
            valid[place_of] &= values[place_of] != excluded
        if values.dtype.kind == "f":
            valid[place_of] &= np.isfinite(values[place_of])
    _check_exact(header, values, valid)
    return (values if stored else _physical(values, sources)), valid


def _excluded(source: Source) -> list[float]:
    """Return the values that mean no data in this band, but those that GDAL finds by itself."""
    by_value = not (source.whole or source.header.in_colors)
    converted = source.tagged and source.header.is_converted and not source.header.masked
    values = (source.fill if by_value else None, source.header.nodata if by_value and converted else None)
    return [value for value in (*values, source.saturated) if value is not None]


def _read_window(
    source: Any,
    header: Header,
    sources: Sequence[Source],
    shape: tuple[int, int],
    place: tuple[tuple[slice, slice], Window],
) -> tuple[Values, Mask]:
    """Read pixels that are the scene's own."""
    inside, window = place
    indices = [wanted.index for wanted in sources]
    values = np.zeros((len(indices), *shape), header.dtype)
    valid = np.zeros((len(indices), *shape), np.bool_)
    if window.width:
        with viewing(source, header, _fills(sources), masked=False) as view:
            values[(slice(None), *inside)] = view.read(indices, window=window)
            valid[(slice(None), *inside)] = _valid(view, header, sources, window)
    return values, valid


def _valid(view: Any, header: Header, sources: Sequence[Source], window: Window) -> Mask:
    """Return, (sources, h, w), where a file's mask, alpha band and nodata value say that there is data.

    Values that no tag of the file tells are left to :func:`read_file`, but for those that all bands must hold.
    """
    first = sources[0]
    valid = np.ones((len(sources), window.height, window.width), np.bool_)
    if header.in_colors or header.masked or (first.tagged and not first.whole):
        # GDAL knows values that differ by rounding for the same.
        valid &= view.read_masks([wanted.index for wanted in sources], window=window) > 0
    if header.alpha is not None and not header.masked:
        valid &= view.read(header.alpha, window=window) != 0
    whole = set() if header.in_colors else {fill.value for fill in _fills(sources) if fill.whole}
    for value in whole:
        valid &= (view.read(header.colors, window=window) != value).any(axis=0)
    return valid


def _fills(sources: Sequence[Source]) -> list[Fill]:
    """Return the values that mean no data in some of the sources; NaN and infinity do in any case."""
    values = [
        (wanted, value)
        for wanted in sources
        for value in (wanted.fill, wanted.header.nodata if wanted.tagged and not wanted.header.masked else None)
    ]
    return [
        Fill(wanted.index, value, wanted.whole) for wanted, value in values if value is not None and isfinite(value)
    ]


def _read_warped(
    source: Any, header: Header, sources: Sequence[Source], place: Place, resampling: str
) -> tuple[Values, Mask]:
    """Read pixels of another grid, brought onto the scene's; GDAL warps by blocks, whatever window is asked for."""
    top, left, _, _ = place.tile
    grid = place.scene.cut(place.tile)
    window = Window(place.part.col_off - left, place.part.row_off - top, *reversed(place.shape))
    indices = [wanted.index for wanted in sources]
    masked = _needs_mask(source, header, sources)
    options = {"src_nodata": None, "add_alpha": True} if masked else _warp_options(header, sources[0])
    at = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    with (
        viewing(source, header, _fills(sources), masked) as view,
        WarpedVRT(view, **at, resampling=Resampling[resampling], **options) as warped,
    ):
        values = warped.read(indices, window=window)
        if options.get("add_alpha"):  # GDAL takes an alpha band for a mask in whole numbers only
            alpha = warped.read(warped.count, window=window) > 0
            return values, np.broadcast_to(alpha, values.shape).copy()
        return values, warped.read_masks(indices, window=window) > 0


def _needs_mask(source: Any, header: Header, sources: Sequence[Source]) -> bool:
    """Return whether GDAL, left alone, would not see all of what says where there is data, or see what says nothing."""
    tagged_alpha = ColorInterp.alpha in source.colorinterp
    has_value = bool(_fills(sources))
    if has_value and (header.masked or header.alpha is not None or header.is_converted or sources[0].whole):
        return True
    return tagged_alpha and (header.alpha is None or header.stored not in ("uint8", "uint16"))


def _warp_options(header: Header, first: Source) -> dict[str, Any]:
    """Return how GDAL is to know which pixels hold data: by a value, or by the mask, kept as an alpha band."""
    nodata = first.fill if header.masked else first.nodata
    if nodata is not None and in_dtype_range(nodata, header.dtype) and not header.in_colors:
        return {"src_nodata": nodata, "nodata": nodata}
    return {"src_nodata": None, "add_alpha": header.alpha is None}


_EXACT = 2**24
"""Up to which float32 holds every whole number."""


def _check_exact(header: Header, values: Values, valid: Mask) -> None:
    """Refuse whole numbers that float32 rounds."""
    if header.is_converted and np.dtype(header.stored).kind in "iu" and (np.abs(values[valid]) > _EXACT).any():
        raise SceneError(
            f"scene {header.location}",
            expected=f"numbers up to {_EXACT} in pixels of {header.stored}",
            got="larger ones",
            do="set scene.nodata if they mean no data, else scale them with gdal_translate -ot Float32 -scale",
        )


def _physical(values: Values, sources: Sequence[Source]) -> Values:
    """Return what stored values mean, in float32 where that is another number."""
    if not any(wanted.calibration.changes for wanted in sources):
        return values
    scales, offsets = (
        np.array([getattr(wanted.calibration, name) for wanted in sources], np.float32)[:, np.newaxis, np.newaxis]
        for name in ("scale", "offset")
    )
    scaled: Values = values.astype(np.float32) * scales + offsets
    return scaled
