"""Places of rasters: paths, or what GDAL reads from an archive or over the network. Nothing is opened here."""

import os
import re
from pathlib import Path

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_path(location: str) -> bool:
    """Whether `location` is a file or folder of this machine, named as such.

    >>> is_path("tiles/a.tif"), is_path("/vsizip/scene.zip/a.tif"), is_path("s3://bucket/a.tif")
    (True, False, False)
    """
    return not location.startswith("/vsi") and _SCHEME.match(location) is None


def absolute(location: str) -> str:
    """Return `location` so that it means the same from any folder."""
    return os.path.abspath(location) if is_path(location) else location


def anchored(folder: Path, location: str) -> str:
    """Return `location` as starting from `folder`."""
    return os.path.normpath(folder / location) if is_path(location) else location


def file_of(location: str) -> Path | None:
    """Return the file of this machine that holds `location`; None where it lies elsewhere.

    >>> file_of("tiles/a.tif")
    PosixPath('tiles/a.tif')
    >>> file_of("s3://bucket/a.tif")
    """
    if is_path(location):
        return Path(location)
    archive = re.match(
        r"(?:/vsizip/|/vsitar/|(?:zip|tar)://)(?!/?vsi)(.+?\.(?:zip|tar|tgz|tar\.gz))(?=[/!}]|$)", location
    )
    return Path(archive[1]) if archive and Path(archive[1]).is_file() else None
