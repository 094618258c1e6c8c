"""A GeoTIFF and its overviews, each a file of its own, as one raster: a VRT."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import SubElement, tostring

import rasterio.shutil
from defusedxml.ElementTree import fromstring


def join(path: Path, full: Path, overviews: Sequence[Path]) -> None:
    """Write a VRT of `full` whose overviews are the files `overviews`, from fine to coarse, all in one folder.

    Their masks, which lie in the files, are the overviews of its mask.
    """
    rasterio.shutil.copy(full, path, driver="VRT")
    root = fromstring(path.read_bytes())
    for band in root.findall("VRTRasterBand"):
        for overview in overviews:
            element = SubElement(band, "Overview")
            SubElement(element, "SourceFilename", relativeToVRT="1").text = overview.name
            SubElement(element, "SourceBand").text = band.get("band")
    path.write_bytes(tostring(root))
