"""The scenes in an inbox, each a file or a folder of files, and whether they have arrived whole.

An inbox is a folder or any URL that fsspec knows. This module reads the names, sizes and times of its files, no more.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nst_rs.errors import ConfigError, SceneError
from nst_rs.files.archives import SUFFIXES as ARCHIVES
from nst_rs.scene.listing import SUFFIXES, is_hidden

_PARTIAL = frozenset({".part", ".partial", ".filepart", ".crdownload", ".tmp", ".download"})
"""Endings under which programs write what they have not received whole."""

_STAMPS = ("mtime", "LastModified", "last_modified", "updated", "ETag", "created")
"""The keys under which file systems tell when a file was written, or another value that changes with it."""


@dataclass(frozen=True)
class Arrival:
    """Something in an inbox that can be styled."""

    entry: str
    """Its name in the inbox: ``olinda.tif``, or a folder's."""
    files: tuple[tuple[str, int, str], ...]
    """Path inside the inbox, size in bytes and stamp of every file, sorted."""

    @property
    def name(self) -> str:
        """The scene's name, and its map's: a file's without the ending."""
        is_file = any(path == self.entry for path, _, _ in self.files)
        return PurePosixPath(self.entry).stem if is_file else self.entry

    @property
    def listing(self) -> str:
        """A digest of the files, which tells this delivery from another of the same name."""
        return hashlib.sha256(repr(self.files).encode()).hexdigest()[:16]

    @property
    def is_partial(self) -> bool:
        """Whether a file's name says that it is not there whole."""
        return any(PurePosixPath(path).suffix.lower() in _PARTIAL for path, _, _ in self.files)


@dataclass(frozen=True)
class Inbox:
    """A folder that scenes are delivered to."""

    url: str
    """A folder's path, or a URL such as ``s3://bucket/folder``."""

    def look(self) -> list[Arrival]:
        """Return what lies in it, by name. Raises SceneError where it cannot be read.

        What is hidden, and what holds no raster, is no scene.
        """
        system, root = self._open()
        try:
            system.invalidate_cache(root)
            if not system.isdir(root):
                raise SceneError(f"inbox {self.url}", expected="a folder", got="none of that name")
            files = system.find(root, detail=True)
        except OSError as error:
            raise SceneError(f"inbox {self.url}", expected="leave to read", got=str(error)) from error
        return _arrivals({path[len(root) :].strip("/"): state for path, state in files.items()})

    def names(self) -> frozenset[str]:
        """Return the names of all that lies in it, scenes or not: what is hidden, half there, or cannot be read now.

        Raises SceneError where it cannot be read.
        """
        system, root = self._open()
        try:
            system.invalidate_cache(root)
            names = [PurePosixPath(str(path)).name for path in system.ls(root, detail=False)]
        except OSError as error:
            raise SceneError(f"inbox {self.url}", expected="leave to read", got=str(error)) from error
        return frozenset(names)

    def check_apart(self, folder: Path) -> None:
        """Raise ConfigError where `folder`, for the maps, lies in the inbox: they would be taken for scenes."""
        system, root = self._open()
        if not isinstance(system, LocalFileSystem):
            return
        inside, inbox = folder.resolve(), Path(root).resolve()
        if inside.is_relative_to(inbox) and not is_hidden(str(inside.relative_to(inbox))):
            raise ConfigError(
                f"output {folder}", expected="a folder outside of the inbox", got=f"one in {inbox}", do="name another"
            )

    def fetch(self, arrival: Arrival, folder: Path) -> Path:
        """Return where the scene lies on this machine: where it is, or copied into `folder`, which is emptied before.

        Raises OSError, SceneError.
        """
        system, root = self._open()
        if isinstance(system, LocalFileSystem):
            return Path(os.path.normpath(root), arrival.entry)
        shutil.rmtree(folder, ignore_errors=True)
        for path, _, _ in arrival.files:
            if ".." in PurePosixPath(path).parts:
                raise SceneError(f"scene {arrival.entry}", expected="names inside the inbox", got=path)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            system.get_file(f"{root.rstrip('/')}/{path}", str(folder / path))
        return folder / arrival.entry

    def _open(self) -> tuple[Any, str]:
        try:
            system, root = fsspec.url_to_fs(self.url)
        except (ImportError, ValueError) as error:  # a protocol without its package, or one that nobody knows
            raise SceneError(f"inbox {self.url}", expected="a folder, or a URL fsspec knows", got=str(error)) from error
        return system, str(root)


def settled(first: Iterable[Arrival], later: Iterable[Arrival]) -> list[Arrival]:
    """Return what has arrived whole: what is the same at a `later` look as it was at `first`.

    >>> half, whole = (Arrival("a.tif", (("a.tif", size, ""),)) for size in (1, 2))
    >>> settled([half], [whole]), settled([whole], [whole]) == [whole]
    ([], True)
    """
    before = {arrival.entry: arrival.listing for arrival in first}
    return [arrival for arrival in later if before.get(arrival.entry) == arrival.listing and not arrival.is_partial]


def _arrivals(files: Mapping[str, Mapping[str, Any]]) -> list[Arrival]:
    """Return the scenes among `files`, path → the file system's description."""
    entries: dict[str, list[tuple[str, int, str]]] = {}
    for path, state in sorted(files.items()):
        parts = PurePosixPath(path).parts
        if parts and not is_hidden(path):
            entries.setdefault(parts[0], []).append((path, int(state.get("size") or 0), _stamp(state)))
    return [Arrival(entry, tuple(parts)) for entry, parts in entries.items() if _holds_a_raster(parts)]


def _stamp(state: Mapping[str, Any]) -> str:
    return next((str(state[key]) for key in _STAMPS if state.get(key) is not None), "")


def _holds_a_raster(files: Iterable[tuple[str, int, str]]) -> bool:
    return any(PurePosixPath(path).suffix.lower() in SUFFIXES | ARCHIVES for path, _, _ in files)
