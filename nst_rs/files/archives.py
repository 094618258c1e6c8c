"""What lies in a ZIP or TAR archive, by GDAL's names for it: ``/vsizip/scene.zip/a/B04.jp2``. Nothing is unpacked."""

import re
import tarfile
import zipfile
from pathlib import Path

from nst_rs.files.documents import MOST_BYTES, DocumentError, decode

SUFFIXES = frozenset({".zip", ".tar"})
"""Compressed TAR archives are none of them: to read a pixel, all that lies before it would be unpacked each time."""

_INSIDE = re.compile(r"/vsi(?:zip|tar)/(?!/?vsi)(.+?\.(?:zip|tar))/(.+)", re.IGNORECASE)
_MOST_MEMBERS = 100_000
_ERRORS = (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError)


def inside(location: str) -> tuple[Path, str] | None:
    """Return the archive of this machine that `location` lies in, and its name there; None where it lies in none.

    >>> inside("/vsizip/scene.zip/a/B04.jp2"), inside("B04.jp2")
    ((PosixPath('scene.zip'), 'a/B04.jp2'), None)
    """
    match = _INSIDE.fullmatch(location)
    return (Path(match[1]), match[2]) if match else None


def locations_in(archive: Path) -> list[str]:
    """Return the locations of the files in an archive, sorted. Raises DocumentError for one that cannot be read."""
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as packed:
                names = [entry.filename for entry in packed.infolist() if not entry.is_dir()]
        else:
            with tarfile.open(archive, "r:") as tar:
                names = [_tar_name(entry) for entry in tar if entry.isfile()]
    except _ERRORS as error:
        raise DocumentError(str(error)) from error
    if len(names) > _MOST_MEMBERS:
        raise DocumentError(f"more than {_MOST_MEMBERS} files")
    prefix = "/vsizip/" if archive.suffix.lower() == ".zip" else "/vsitar/"
    return sorted(f"{prefix}{archive}/{name}" for name in names)


def _tar_name(entry: tarfile.TarInfo) -> str:
    if "path" in entry.pax_headers:
        raise DocumentError("long names in PAX headers, which GDAL does not read: unpack it, or use tar --format=gnu")
    return entry.name.removeprefix("./")


def read_text_in(archive: Path, name: str) -> str:
    """Return the text of a file in an archive. Raises DocumentError where it cannot be read, or is too large."""
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as packed, packed.open(name) as file:
                return decode(file.read(MOST_BYTES + 1))
        with tarfile.open(archive, "r:") as tar:
            entry = next((entry for entry in tar if entry.name.removeprefix("./") == name), None)
            member = tar.extractfile(entry) if entry is not None else None
            if member is None:
                raise DocumentError("no such file in the archive")
            with member:
                return decode(member.read(MOST_BYTES + 1))
    except DocumentError:
        raise
    except (*_ERRORS, KeyError) as error:
        raise DocumentError(str(error)) from error
