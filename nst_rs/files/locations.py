"""Places of rasters: paths, or what GDAL reads from an archive or over the network. Nothing is opened here."""

import os
import re
from collections.abc import Callable
from pathlib import Path

_SUBDATASET = re.compile(r'(NETCDF|HDF5|HDF4_SDS|HDF4_EOS):"?([^"]+?)"?:(.+)', re.IGNORECASE)
"""A variable of a file of several: format, file, variable."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_path(location: str) -> bool:
    """Whether `location` is a file or folder of this machine, named as such.

    >>> is_path("tiles/a.tif"), is_path("/vsizip/scene.zip/a.tif"), is_path("s3://bucket/a.tif"), is_path("HDF5:a.h5:b")
    (True, False, False, False)
    """
    return not (location.startswith("/vsi") or _SCHEME.match(location) or _SUBDATASET.fullmatch(location))


def subdataset(location: str) -> tuple[str, str, str] | None:
    """Return the format, file and variable that `location` names, as GDAL does; None where it names none.

    >>> subdataset("NETCDF:tiles/a.nc:red")
    ('NETCDF', 'tiles/a.nc', 'red')
    """
    match = _SUBDATASET.fullmatch(location)
    return (match[1].upper(), match[2], match[3]) if match else None


def absolute(location: str) -> str:
    """Return `location` so that it means the same from any folder."""
    return _moved(location, os.path.abspath)


def anchored(folder: Path, location: str) -> str:
    """Return `location` as starting from `folder`."""
    return _moved(location, lambda path: os.path.normpath(folder / path))


def _moved(location: str, move: Callable[[str], str]) -> str:
    """Return `location` with its path moved, where it has one on this machine."""
    named = subdataset(location)
    if named is not None and is_path(named[1]):
        return f'{named[0]}:"{move(named[1])}":{named[2]}'
    return move(location) if is_path(location) else location


def file_of(location: str) -> Path | None:
    """Return the file of this machine that holds `location`; None where it lies elsewhere.

    >>> file_of("tiles/a.tif")
    PosixPath('tiles/a.tif')
    >>> file_of("s3://bucket/a.tif")
    """
    named = subdataset(location)
    if named is not None:
        return file_of(named[1])
    if is_path(location):
        return Path(location)
    archive = re.match(
        r"(?:/vsizip/|/vsitar/|(?:zip|tar)://)(?!/?vsi)(.+?\.(?:zip|tar|tgz|tar\.gz))(?=[/!}]|$)", location
    )
    return Path(archive[1]) if archive and Path(archive[1]).is_file() else None
