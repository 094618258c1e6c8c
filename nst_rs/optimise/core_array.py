"""A picture kept core by core, so that processes may write their tiles side by side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.files.storage import PixelArray, Window, check_whole, check_written
from nst_rs.pyramid.tiling import Level, Tile


class CoreArray:
    """An array (H, W, 3) of a level's canvas, of which every tile's core is one chunk.

    A chunk that two processes write parts of would lose what one of them wrote. Cores are all but equal in size, so a
    picture's own grid of chunks cannot follow them; a stack of cores, (tiles, h, w, 3), can.
    """

    def __init__(self, level: Level, stack: PixelArray) -> None:
        """Show `stack`, which has :meth:`stack_shape`, as a picture."""
        self._level = level
        self._stack = stack
        self.shape: tuple[int, ...] = (*level.canvas_shape, *stack.shape[3:])
        self.dtype: np.dtype[Any] = stack.dtype

    @staticmethod
    def stack_shape(level: Level) -> tuple[int, ...]:
        """Return (tiles, h, w, 3): as many cores as there are tiles, each in a place for the largest."""
        rows, columns = (max(core.size for core in axis.cores) for axis in (level.rows, level.columns))
        return len(level.tiles), rows, columns, 3

    def __getitem__(self, window: Window, /) -> npt.NDArray[Any]:
        rows, columns, *channels = self._ranges(window)
        values = np.empty((rows.stop - rows.start, columns.stop - columns.start, *self.shape[2:]), self.dtype)
        for in_stack, in_window in self._parts(rows, columns):
            values[in_window] = self._stack[in_stack][0]
        return values[(slice(None), slice(None), *channels)]

    def __setitem__(self, window: Window, values: Any, /) -> None:
        rows, columns, *channels = self._ranges(window)
        if channels:
            raise IndexError("a picture kept core by core is written in all its channels")
        shape = rows.stop - rows.start, columns.stop - columns.start, *self.shape[2:]
        whole = np.broadcast_to(values, shape)
        for in_stack, in_window in self._parts(rows, columns):
            self._stack[in_stack] = whole[in_window][np.newaxis]

    def check_whole(self) -> None:
        """See :func:`nst_rs.files.storage.check_whole`."""
        check_whole(self._stack)

    def check_written(self, window: Window) -> None:
        """See :func:`nst_rs.files.storage.check_written`."""
        rows, columns, *_ = self._ranges(window)
        for in_stack, _ in self._parts(rows, columns):
            check_written(self._stack, in_stack)

    def _ranges(self, window: Window) -> tuple[slice, ...]:
        """Return rows and columns from a start to a stop, and the window's channels where it names some."""
        rows, columns, *channels = (window, slice(None)) if isinstance(window, slice) else (*window, slice(None))[:3]
        ranges = []
        for part, size in zip((rows, columns), self.shape, strict=False):
            start, stop, _ = part.indices(size)
            ranges.append(slice(start, max(start, stop)))
        return (*ranges, *(part for part in channels if part != slice(None)))

    def _parts(self, rows: slice, columns: slice) -> Iterator[tuple[tuple[slice, ...], tuple[slice, slice]]]:
        """Return where the cores that a window meets lie in the stack, and in the window."""
        for tile in self._level.tiles:
            met = _meet(rows, tile, 0), _meet(columns, tile, 1)
            if all(part.start < part.stop for part in met):
                in_core = (
                    slice(part.start - x.start, part.stop - x.start) for part, x in zip(met, tile.core, strict=True)
                )
                row, column = (
                    slice(part.start - x.start, part.stop - x.start)
                    for part, x in zip(met, (rows, columns), strict=True)
                )
                yield (slice(tile.index, tile.index + 1), *in_core), (row, column)


def _meet(part: slice, tile: Tile, axis: int) -> slice:
    core = tile.core[axis]
    return slice(max(part.start, core.start), min(part.stop, core.stop))
