"""A part of a map as a file of the whole map's size, which holds no more than the part: a VRT over the part's own file.

Programs choose by a file's size and place how they resample it. So the pixels that the part has are shown as those of
the whole map are. Its overviews are not quite the whole's, which GDAL divides by the whole's size.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from nst_rs.geo.grid import Box, Grid
from nst_rs.output.rasters.cog import overviews_of, write_cog
from nst_rs.output.rasters.geotiff import BLOCK, StyledMap

_COLORS = ("Red", "Green", "Blue")


def on_blocks(box: Box, grid: Grid) -> Box:
    """Return the blocks of a map's file that hold `box`: means over their pixels are those that the whole map has."""
    top, left, bottom, right = box
    return top // BLOCK * BLOCK, left // BLOCK * BLOCK, _up(bottom, grid.height), _up(right, grid.width)


def write_placed(path: Path, part: StyledMap, box: Box, grid: Grid) -> None:
    """Write a part of a map on `grid` as a VRT, and its pixels beside it; `part` is that of `box`, on blocks."""
    pixels = _pixels_of(path)
    write_cog(pixels, part, overviews_of(grid))
    path.write_bytes(_vrt(pixels.name, box, grid))


def is_placed(path: Path) -> bool:
    """Whether a part's VRT and its pixels are there."""
    return path.exists() and _pixels_of(path).exists()


def _pixels_of(path: Path) -> Path:
    return path.with_suffix(".tif")


def _vrt(name: str, box: Box, grid: Grid) -> bytes:
    root = Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    SubElement(root, "SRS").text = grid.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ", ".join(repr(float(x)) for x in grid.transform.to_gdal())
    for number, color in enumerate(_COLORS, start=1):
        band = SubElement(root, "VRTRasterBand", dataType="Byte", band=str(number))
        SubElement(band, "ColorInterp").text = color
        _add_source(band, name, str(number), box)
    mask = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
    _add_source(mask, name, "mask,1", box)
    return tostring(root)


def _add_source(band: Element, name: str, number: str, box: Box) -> None:
    top, left, bottom, right = box
    source = SubElement(band, "SimpleSource")
    SubElement(source, "SourceFilename", relativeToVRT="1").text = name
    SubElement(source, "SourceBand").text = number
    width, height = str(right - left), str(bottom - top)
    SubElement(source, "SrcRect", xOff="0", yOff="0", xSize=width, ySize=height)
    SubElement(source, "DstRect", xOff=str(left), yOff=str(top), xSize=width, ySize=height)


def _up(position: int, size: int) -> int:
    return min(size, -(-position // BLOCK) * BLOCK)
