"""Arrays of the scene's size, in memory or on disk, which are read and written strip by strip.

All that is as large as the scene is read and written in windows through :class:`PixelArray`. No user needs to know
where an array lies, and no more than a few strips of rows are held in memory besides.
"""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import zarr
from zarr.storage import LocalStore

from nst_rs.errors import OutputError
from nst_rs.files.failures import unwritable

STRIP_ROWS = 512
"""Rows of a strip: the side of a stored chunk and of a GeoTIFF's block."""

_MOST_CHUNK_BYTES = 4 * 2**20

Window = slice | tuple[slice, ...]
"""Rows, or (rows, columns), or (rows, columns, channels); in steps of one."""


class PixelArray(Protocol):
    """What is read and written in windows: a NumPy array, or one on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W), or (H, W, channels)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a pixel's values."""

    def __getitem__(self, window: Window, /) -> npt.NDArray[Any]:
        """Return the pixels of a window: a copy, or a view. What is changed in it is to be written back."""

    def __setitem__(self, window: Window, values: Any, /) -> None:
        """Write the pixels of a window."""


class Storage(Protocol):
    """Makes arrays and keeps them by name."""

    def create(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> PixelArray:
        """Return a new array of zeros. It replaces an earlier one of this name."""

    def open(self, name: str) -> PixelArray:
        """Return the array of that name; raises KeyError when there is none."""

    def delete(self, name: str) -> None:
        """Forget the array of that name, where there is one."""


class MemoryStorage:
    """Arrays in memory.

    >>> storage = MemoryStorage()
    >>> storage.create("weight", (2, 3), np.float32)[0:1, 1:3] = 1
    >>> storage.open("weight")
    array([[0., 1., 1.],
           [0., 0., 0.]], dtype=float32)
    """

    def __init__(self) -> None:
        self._arrays: dict[str, npt.NDArray[Any]] = {}

    def create(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> PixelArray:
        """See :class:`Storage`."""
        self._arrays[name] = np.zeros(shape, dtype)
        return self._arrays[name]

    def open(self, name: str) -> PixelArray:
        """See :class:`Storage`."""
        return self._arrays[name]

    def delete(self, name: str) -> None:
        """See :class:`Storage`."""
        self._arrays.pop(name, None)


class DiskStorage:
    """Arrays on disk: in `folder`, one uncompressed Zarr array per name, in square chunks of STRIP_ROWS pixels at most.

    In a stack of pictures, (N, H, W, channels), every picture is a chunk.

    A chunk is never half written. OutputError says so when the folder cannot take or give the pixels. An array means
    the same files in every process that it is sent to, and is not made there where it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def create(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> PixelArray:
        """See :class:`Storage`."""
        self.delete(name)
        try:
            array = zarr.create_array(
                LocalStore(self._folder),
                name=name,
                shape=shape,
                dtype=np.dtype(dtype),
                chunks=_chunk(shape, dtype),
                compressors=None,
                filters=None,
                fill_value=0,
                config={"write_empty_chunks": True},  # else -0.0 would come back as 0.0
            )
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return _DiskArray(array, self._folder / name)

    def open(self, name: str) -> PixelArray:
        """See :class:`Storage`."""
        try:
            return _DiskArray(zarr.open_array(LocalStore(self._folder), path=name, mode="r+"), self._folder / name)
        except (FileNotFoundError, ValueError) as error:  # not there, or its description is damaged
            raise KeyError(name) from error

    def delete(self, name: str) -> None:
        """See :class:`Storage`."""
        shutil.rmtree(self._folder / name, ignore_errors=True)


class _DiskArray:
    """A Zarr array whose failures are told in this program's words."""

    def __init__(self, array: zarr.Array[Any], path: Path) -> None:
        self._array = array
        self._path = path
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = np.dtype(array.dtype)

    def __getitem__(self, window: Window, /) -> npt.NDArray[Any]:
        self._check_there()
        try:
            return np.asarray(self._array[window])
        except OSError as error:
            raise _unusable(self._path.parent, error) from error

    def __setitem__(self, window: Window, values: Any, /) -> None:
        self._check_there()
        try:
            self._array[window] = values
        except OSError as error:
            raise _unusable(self._path.parent, error) from error

    def check_written(self, window: Window) -> None:
        """See :func:`check_written`."""
        self._check_there()
        parts = (window,) if isinstance(window, slice) else window
        bounds = [part.indices(size)[:2] for part, size in zip(parts, self.shape, strict=False)]
        bounds += [(0, size) for size in self.shape[len(bounds) :]]
        chunks = [
            range(start // side, -(-stop // side))
            for (start, stop), side in zip(bounds, self._array.chunks, strict=True)
        ]
        for chunk in product(*chunks):
            if not self._is_whole(self._path.joinpath("c", *map(str, chunk))):
                raise _missing(self._path, f"none at {chunk}")

    def check_whole(self) -> None:
        """See :func:`check_whole`."""
        for path in self._path.joinpath("c").rglob("*"):
            if path.suffix != ".partial" and path.is_file() and not self._is_whole(path):
                raise _missing(self._path, f"a part of {path.stat().st_size} bytes")

    def _is_whole(self, chunk: Path) -> bool:
        """Return whether a chunk's file is there and was not cut, as by a machine that went down."""
        whole = math.prod(self._array.chunks) * self.dtype.itemsize
        return chunk.is_file() and chunk.stat().st_size == whole

    def _check_there(self) -> None:
        """Raise OutputError where this process has no such array: Zarr would read zeros, and write another one."""
        if not self._path.joinpath("zarr.json").exists():
            raise _missing(self._path, "no such array")


class Inset:
    """A part of an array as an array of its own, whose rows and columns count from 0.

    >>> inset = Inset(np.arange(12).reshape(3, 4), (slice(1, 3), slice(1, 4)))
    >>> inset.shape, inset[0:1, 1:3]
    ((2, 3), array([[6, 7]]))
    """

    def __init__(self, array: PixelArray, place: tuple[slice, slice]) -> None:
        """Show `array` at `place`, (rows, columns)."""
        self._array = array
        self._place = place
        self.shape: tuple[int, ...] = (*(part.stop - part.start for part in place), *array.shape[2:])
        self.dtype = array.dtype

    def __getitem__(self, window: Window, /) -> npt.NDArray[Any]:
        return self._array[self._moved(window)]

    def __setitem__(self, window: Window, values: Any, /) -> None:
        self._array[self._moved(window)] = values

    def check_written(self, window: Window) -> None:
        """See :func:`check_written`."""
        check_written(self._array, self._moved(window))

    def check_whole(self) -> None:
        """See :func:`check_whole`."""
        check_whole(self._array)

    def _moved(self, window: Window) -> Window:
        rows, columns, *channels = (window, slice(None)) if isinstance(window, slice) else window
        moved = []
        for part, place in zip((rows, columns), self._place, strict=True):
            start, stop, _ = part.indices(place.stop - place.start)
            moved.append(slice(place.start + start, place.start + stop))
        return (*moved, *channels)


@dataclass(frozen=True)
class Derived:
    """An array whose pixels are made of another's as they are read: of that one's shape and type, and never written."""

    under: PixelArray

    @property
    def shape(self) -> tuple[int, ...]:
        """The other array's."""
        return self.under.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The other array's."""
        return self.under.dtype

    def __setitem__(self, window: Window, values: Any, /) -> None:
        """Refuse."""
        raise TypeError("these pixels are only read")


@runtime_checkable
class Chunked(Protocol):
    """An array that knows which parts of it were written."""

    def check_written(self, window: Window) -> None:
        """Raise OutputError where a part of the window was never written."""

    def check_whole(self) -> None:
        """Raise OutputError where a part was cut after it was written."""


def check_written(array: PixelArray, window: Window) -> None:
    """Raise OutputError where a part of an array on disk was never written, though pixels are expected there.

    A new array is zero, so what was lost, or written to another machine's disk, would be taken for black.
    """
    if isinstance(array, Chunked):
        array.check_written(window)


def check_whole(array: PixelArray) -> None:
    """Raise OutputError where a part of an array on disk was cut after it was written; parts may never have been."""
    if isinstance(array, Chunked):
        array.check_whole()


def strips(height: int, rows: int = STRIP_ROWS) -> Iterator[slice]:
    """Return the rows of an array of `height` rows, `rows` at a time, from the top.

    >>> list(strips(5, rows=2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def widened(part: slice, reach: int, size: int) -> tuple[slice, slice]:
    """Return a part of `size` rows or columns with `reach` more on either side, as far as there are any, and its place.

    >>> widened(slice(1, 5), 3, 7)
    (slice(0, 7, None), slice(1, 5, None))
    """
    wide = slice(max(0, part.start - reach), min(size, part.stop + reach))
    return wide, slice(part.start - wide.start, part.stop - wide.start)


def stored_bytes(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Return the bytes that an array takes on disk: whole chunks."""
    whole = [-(-size // side) * side for size, side in zip(shape, _chunk(shape, dtype), strict=True)]
    return math.prod(whole) * np.dtype(dtype).itemsize


def _chunk(shape: tuple[int, ...], dtype: npt.DTypeLike) -> tuple[int, ...]:
    """Return the shape of a chunk: STRIP_ROWS along a side, fewer for many channels; one picture of a stack."""
    if len(shape) == 4:
        return 1, *shape[1:]
    side = STRIP_ROWS
    while side > 1 and side**2 * math.prod(shape[2:]) * np.dtype(dtype).itemsize > _MOST_CHUNK_BYTES:
        side //= 2
    return (*(min(side, size) for size in shape[:2]), *shape[2:])


def _missing(array: Path, got: str) -> OutputError:
    return OutputError(
        f"workspace {array.parent}",
        expected=f"pixels of {array.name}, written by this run",
        got=got,
        do="have every worker reach the same disk under the same path, and leave the folder alone while a run is at it",
    )


def _unusable(folder: Path, error: OSError) -> OutputError:
    in_memory = "without a cluster, a larger compute.memory keeps the pixels in memory"
    return unwritable(f"workspace {folder}", error, in_memory)
