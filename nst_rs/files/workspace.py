"""The hidden folder beside a map in which a run keeps what does not fit in memory, until the map is there."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_rs.files.failures import unwritable
from nst_rs.files.replacing import written_at_once
from nst_rs.files.storage import DiskStorage


@dataclass(frozen=True)
class Workspace:
    """The workspace of the map `tif`: ``.OUT.tif.work`` for ``OUT.tif``."""

    tif: Path

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.tif.with_name(f".{self.tif.name}.work")

    @property
    def arrays(self) -> DiskStorage:
        """The arrays in it."""
        return DiskStorage(self.folder / "arrays")

    @property
    def checkpoint(self) -> Path:
        """The file that says where the run stands."""
        return self.folder / "checkpoint.json"

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return what :meth:`write_checkpoint` wrote; None where there is nothing that can be read."""
        return _read(self.checkpoint)

    def write_checkpoint(self, data: Mapping[str, Any]) -> None:
        """Replace the checkpoint, at once. Raises OutputError."""
        _replace(self.checkpoint, data)

    @property
    def album(self) -> Path:
        """The file that holds small pictures of the map on the way."""
        return self.folder / "album.json"

    def read_album(self) -> dict[str, Any] | None:
        """Return what :meth:`write_album` wrote; None where there is nothing that can be read."""
        return _read(self.album)

    def write_album(self, data: Mapping[str, Any]) -> None:
        """Replace the album, at once. Raises OutputError."""
        self.create()
        _replace(self.album, data)

    @property
    def learning(self) -> Path:
        """The file that holds what a style's learning has come to."""
        return self.folder / "learning.safetensors"

    def create(self) -> None:
        """Make the folder, or take the one that is there. Raises OutputError."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(f"workspace {self.folder}", error) from error

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder on the map's own disk, which is removed when the context ends.

        A folder that a killed run has left is emptied first. Raises OutputError.
        """
        self.create()
        folder = self.folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                self.folder.rmdir()  # where nothing else is in it

    def remove(self) -> None:
        """Remove the folder and all in it, where it is there."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _replace(path: Path, data: Mapping[str, Any]) -> None:
    with written_at_once(path, f"workspace {path.parent}") as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")
