"""What a file was when it was read: path, size and SHA-256."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nst_rs.files.locations import absolute, file_of


def fingerprint(location: str | Path) -> dict[str, Any]:
    """Return a file's absolute path, size in bytes and SHA-256. In an archive, the archive is the file.

    For what lies on no disk of this machine only the place is known. Raises OSError where there is no such file.
    """
    return fingerprints([location])[0]


def fingerprints(locations: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Return the fingerprint of everything that is read, like :func:`fingerprint`; an archive is read once."""
    digests: dict[Path | None, dict[str, Any]] = {None: {"bytes": None, "sha256": None}}
    entries = []
    for location in map(str, locations):
        file = file_of(location)
        if file is not None and file not in digests:
            digests[file] = _digest(file)
        entries.append({"path": absolute(location), **digests[file]})
    return entries


def _digest(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}
