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
    file = file_of(str(location))
    place = absolute(str(location))
    if file is None:
        return {"path": place, "bytes": None, "sha256": None}
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"path": place, "bytes": file.stat().st_size, "sha256": digest}


def fingerprints(locations: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Return the fingerprint of everything that is read."""
    return [fingerprint(location) for location in locations]
