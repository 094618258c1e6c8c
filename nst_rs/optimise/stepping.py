"""The end of a round: the tiles' shares of the gradient become the scene's, and every pixel takes one step."""

from collections.abc import Iterable, Iterator

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import STRIP_ROWS
from nst_rs.optimise import adam, bfgs
from nst_rs.optimise.bfgs import Curvature, Rows
from nst_rs.optimise.iterate import Iterate, Move
from nst_rs.optimise.state import State
from nst_rs.pyramid.tiling import Level, Span, Tile


def step(part: Iterate, gradient: Pixels, move: Move, factors: tuple[float, float, float] | None) -> None:
    """Move a part of the picture one step, in place. `factors` are BFGS's; Adam has none."""
    if factors is None:
        adam.step(part, gradient, move)
    else:
        bfgs.step(part, gradient, move, factors)


def factors_of(parts: Iterable[Curvature], move: Move, level: Level) -> tuple[float, float, float]:
    """Return BFGS's factors for the whole scene, from the inner products over every tile's core."""
    height, width = level.shape
    return Curvature.total(parts).factors(move, 3 * height * width)


class Stepping:
    """Adds up the tiles' shares of the gradient, row by row, and moves the pixels.

    Adam's step of a row is taken as soon as no later tile reaches it. BFGS needs inner products over the whole scene:
    the gradient is kept where the new state remembers it, and the step is taken once all of it is known.
    """

    def __init__(self, level: Level, now: State, after: State, move: Move) -> None:
        """Go from `now` to `after` by `move`."""
        self._level = level
        rows, columns = level.canvas_shape
        self._rows = rows
        self._sum: Pixels = np.zeros((level.window_shape[0], columns, 3), np.float32)
        self._top = 0
        self._now, self._after, self._move = now, after, move

    def add(self, tile: Tile, share: Pixels) -> None:
        """Add a tile's share; tiles come row by row."""
        rows, columns = tile.window
        self._complete(rows.start)
        self._sum[rows.start - self._top : rows.stop - self._top, columns.slice] += share

    def finish(self) -> None:
        """Take what is left of the step."""
        self._complete(self._rows)
        if self._move.optimizer == "bfgs":
            factors = factors_of(self._curvatures(), self._move, self._level)
            for rows in _pieces(Span(0, self._rows)):
                part = self._now.part(rows)
                bfgs.step(part, self._after.second[rows], self._move, factors)
                self._after.put(rows, part)

    def _complete(self, row: int) -> None:
        """Take the rows before `row` for complete."""
        while self._top < row:
            (rows, _) = next(_pieces(Span(self._top, min(row, self._top + len(self._sum)))))
            count = rows.stop - rows.start
            self._take((rows, slice(None)), self._sum[:count])
            self._sum[:-count] = self._sum[count:]
            self._sum[-count:] = 0
            self._top = rows.stop

    def _take(self, rows: tuple[slice, slice], gradient: Pixels) -> None:
        if self._move.optimizer == "bfgs":
            self._after.second[rows] = gradient
            return
        part = self._now.part(rows)
        adam.step(part, gradient, self._move)
        self._after.put(rows, part)

    def _curvatures(self) -> Iterator[Curvature]:
        """Return the inner products over every tile's core."""
        for core in self._level.rows.cores:
            portions: list[list[Rows]] = [[] for _ in self._level.columns.cores]
            for rows in _pieces(core):
                part, gradient = self._now.part(rows), self._after.second[rows]
                for portion, columns in zip(portions, self._level.columns.cores, strict=True):
                    place = slice(None), columns.slice
                    portion.append(bfgs.measure(part.inside(place), gradient[place]))
            yield from map(Curvature.of, portions)


def _pieces(span: Span) -> Iterator[tuple[slice, slice]]:
    """Return rows as slices on the grid of the arrays' chunks, with all columns."""
    start = span.start
    while start < span.stop:
        stop = min(span.stop, (start // STRIP_ROWS + 1) * STRIP_ROWS)
        yield slice(start, stop), slice(None)
        start = stop
