"""The raster files that a location stands for: itself, or those in a folder."""

import re
from collections.abc import Iterable
from pathlib import Path

from nst_rs.errors import SceneError
from nst_rs.files.locations import is_path

SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".img", ".ntf"})
"""File names that are looked for in a folder."""


def files_at(location: str) -> Iterable[str]:
    """Return the rasters at a location, in the order of their names. Raises SceneError where there is none."""
    if not is_path(location):
        return [location]
    path = Path(location)
    if path.is_dir():
        found = sorted(str(p) for p in _listed(path) if p.suffix.lower() in SUFFIXES)
        if not found:
            raise SceneError(f"scene folder {path}", expected="GeoTIFF files", got="none")
        return found
    if path.exists():
        return [location]
    raise SceneError(f"scene {path}", expected="a file or folder", got="nothing of that name")


def _listed(folder: Path) -> Iterable[Path]:
    """Return a folder's files; of a SAFE folder the bands deep inside."""
    bands = list(folder.glob("GRANULE/*/IMG_DATA/**/*"))
    return [path for path in bands if path.is_file() and not _NO_BAND.match(path.name)] or folder.iterdir()


_NO_BAND = re.compile(r"S2._(OPER|USER)_(?!MSI_)")
"""Classes and other rasters beside the bands of Sentinel-2 products of before December 2016."""
