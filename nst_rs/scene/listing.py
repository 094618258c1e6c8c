"""The raster files that a location stands for: itself, or those in a folder, a SAFE folder or an archive."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from nst_rs.errors import SceneError
from nst_rs.files import archives
from nst_rs.files.documents import DocumentError
from nst_rs.files.locations import is_path

SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".img", ".ntf"})
"""File names that are looked for in a folder."""

_BAND_OF_SAFE = re.compile(r"(^|.*/)GRANULE/[^/]+/IMG_DATA/(?!(.*/)?S2._(OPER|USER)_(?!MSI_))")
"""Classes and other rasters beside the bands of Sentinel-2 products of before December 2016 are none of these."""


def files_at(location: str) -> list[str]:
    """Return the rasters at a location, in the order of their names. Raises SceneError where there is none."""
    if not is_path(location):
        return [location]
    path = Path(location)
    if path.is_dir():
        names = [str(file) for file in _below(path) if file.is_file()]
        folders = any(each.is_dir() and not is_hidden(each.name) for each in path.iterdir())
        return _rasters(f"scene folder {path}", names, str(path), do="give one of the folders in it" if folders else "")
    if path.suffix.lower() in archives.SUFFIXES and path.is_file():
        try:
            names = archives.locations_in(path)
        except DocumentError as error:
            raise SceneError(f"scene {path}", expected="a ZIP or TAR archive", got=str(error)) from error
        return _rasters(f"scene {path}", names, str(path))
    if path.is_file():
        return [location]
    if path.exists():
        raise SceneError(f"scene {path}", expected="a file or folder", got="a pipe, a socket or a device")
    raise SceneError(f"scene {path}", expected="a file or folder", got="nothing of that name")


def is_hidden(name: str) -> bool:
    """Whether a file is one that systems leave behind, by its path: ``._B04.tif``, ``Thumbs.db``.

    >>> is_hidden("a/._B04.tif"), is_hidden("__MACOSX/B04.tif"), is_hidden("a/B04.tif")
    (True, True, False)
    """
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part.lower() in _LEFT_BEHIND for part in parts)


_LEFT_BEHIND = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"})


def _below(folder: Path) -> Iterable[Path]:
    """Return a folder's files; of a SAFE folder those deep inside too."""
    return (*folder.iterdir(), *folder.glob("GRANULE/*/IMG_DATA/**/*"))


def _rasters(what: str, names: list[str], root: str, do: str = "") -> list[str]:
    """Return the rasters among the files below `root`, of a SAFE folder its bands alone."""
    inner = {name: name.partition(root)[2].lstrip("/") for name in names}
    rasters = [name for name in sorted(names) if PurePosixPath(name).suffix.lower() in SUFFIXES]
    shown = [name for name in rasters if not is_hidden(inner[name])]
    bands = [name for name in shown if _BAND_OF_SAFE.match(inner[name])]
    if not shown:
        raise SceneError(what, expected="GeoTIFF files", got="none", do=do)
    return bands or shown
