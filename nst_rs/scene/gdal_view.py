"""A raster as GDAL is to see it where its file says it otherwise: a VRT over the file, in memory.

Palettes become red, green and blue, types become those that this program computes in, and one mask says which pixels
hold data, where GDAL's own order (a mask before a nodata value before an alpha band, which must be of whole numbers)
would leave something out.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from rasterio._path import _parse_path, _vsi_path  # what GDAL calls a location; rasterio has no public name for it
from rasterio.io import DatasetReader

from nst_rs.scene.raster_file import Header

_GDAL_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}
_LARGEST_FLOAT = float(np.finfo("float32").max)


@dataclass(frozen=True)
class Fill:
    """A stored value that means no data."""

    band: int
    """From 1, in the file."""
    value: float
    whole: bool
    """Whether all bands of the file must hold it; else `band` alone decides."""


@contextmanager
def viewing(source: Any, header: Header, fills: Sequence[Fill], masked: bool) -> Iterator[Any]:
    """Give the file that is open as `source` as its header describes it.

    With `masked` the view has one mask of all that says where there is data. Else that is left to who reads, but for a
    palette, whose `fills` are numbers of its colours.
    """
    name = _vsi_path(_parse_path(header.location))
    if header.in_colors:
        colors = source.colormap(1)
        if header.nodata in colors:  # GDAL tells a nodata value as transparent; it counts among the fills alone
            colors[header.nodata] = (*colors[header.nodata][:3], 255)
        text = _colors(name, header, colors, {fill.value for fill in fills})
    elif header.is_converted or masked:
        text = _bands(name, header, _mask(name, header, fills if masked else (), with_alpha=masked))
    else:
        yield source
        return
    with DatasetReader(text, driver=["VRT"]) as view:
        yield view


def _colors(name: str, header: Header, colors: Mapping[int, Sequence[int]], fills: set[float]) -> str:
    """Return a view of a palette's colours; there is no data where they are transparent, or their number means it."""
    root = _dataset(header)
    for band, color in enumerate(("Red", "Green", "Blue"), start=1):
        target = _band(root, "Byte")
        SubElement(target, "ColorInterp").text = color
        SubElement(_source(target, name, "1"), "ColorTableComponent").text = str(band)
    held = {number: color[3] > 0 and number not in fills for number, color in sorted(colors.items())}
    if not all(held.values()):
        mask = _band(SubElement(root, "MaskBand"), "Byte")
        SubElement(_source(mask, name, "1"), "LUT").text = _steps(held)
    return tostring(root, encoding="unicode")


def _steps(held: Mapping[int, bool]) -> str:
    """Return a look-up table of 255 and 0: the ends of every run, as GDAL interpolates between entries."""
    entries = []
    for valid, run in groupby(held, key=lambda number: held[number]):
        numbers = list(run)
        entries += [f"{number}:{255 * valid}" for number in dict.fromkeys((numbers[0], numbers[-1]))]
    return ",".join(entries)


def _bands(name: str, header: Header, mask: Element) -> str:
    """Return a view of a file's bands in its header's type, without a nodata value or colours."""
    root = _dataset(header)
    for band in range(1, header.count + 1):
        _source(_band(root, _GDAL_TYPES[header.dtype]), name, str(band))
    if len(mask) > 1:  # its function and what it is of
        SubElement(root, "MaskBand").append(mask)
        _computable(root)
    return tostring(root, encoding="unicode")


def _mask(name: str, header: Header, fills: Sequence[Fill], with_alpha: bool) -> Element:
    """Return a band of 255 where the file's mask, its alpha band and its values all say that there is data, else 0."""
    mask = _derived("min")
    if header.masked:
        _source(mask, name, "mask,1")
    elif header.alpha is not None and with_alpha:
        _test(mask, name, header.alpha, 0)
    whole = {fill.value for fill in fills if fill.whole}
    for fill in fills:
        if not fill.whole:
            _test(mask, name, fill.band, fill.value)
    for value in whole:  # in a view of its own, as a band has one function
        inner, held = _dataset(header), _derived("max")
        inner.append(held)
        for band in header.colors:
            _test(held, name, band, value)
        _source(mask, tostring(_computable(inner), encoding="unicode"), "1")
    return mask


def _test(target: Element, name: str, band: int, value: float) -> None:
    """Add to `target` whether a band holds another value: 255, or 0 where it does not."""
    step = max(abs(value) * 1e-6, 1e-30) if abs(value) > 2**20 or value % 1 else 0.5
    entries = [(value - step, 255), (value, 0), (value + step, 255)]
    # A float64 beyond float32's range means no data like float32's own end.
    kept = [(x, y) for x, y in entries if y == 0 or abs(x) <= _LARGEST_FLOAT]
    SubElement(_source(target, name, str(band)), "LUT").text = ",".join(f"{x:.17g}:{y}" for x, y in kept)


def _dataset(header: Header) -> Element:
    grid = header.grid
    root = Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    SubElement(root, "SRS").text = grid.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ",".join(f"{number:.17g}" for number in grid.transform.to_gdal())
    return root


def _band(parent: Element, dtype: str) -> Element:
    return SubElement(parent, "VRTRasterBand", dataType=dtype)


def _derived(function: str) -> Element:
    band = Element("VRTRasterBand", dataType="Byte", subClass="VRTDerivedRasterBand")
    SubElement(band, "PixelFunctionType").text = function
    return band


def _computable(root: Element) -> Element:
    """Give functions of one source the same source again: GDAL computes them of two at least."""
    for band in root.iter("VRTRasterBand"):
        if band.get("subClass") and len(band) == 2:  # the function and its source
            band.append(band[1])
    return root


def _source(target: Element, name: str, band: str) -> Element:
    source = SubElement(target, "ComplexSource")
    SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    SubElement(source, "SourceBand").text = band
    return source
