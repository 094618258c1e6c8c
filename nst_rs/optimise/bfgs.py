"""Memoryless BFGS: a quasi-Newton step from the last step and the change of the gradient along it.

Shanno, *Conjugate gradient methods with inexact searches*, Mathematics of Operations Research 3 (1978); L-BFGS with
one pair (Nocedal & Wright, *Numerical Optimization*, algorithm 7.4 with m = 1). The direction is a sum of three
pictures, the gradient, its change and the last step, and the factors depend on five inner products over the whole
scene. Inner products add up over tiles, as Gram matrices do, so the step of a tile is the tile's part of the scene's
step (Chen, Wang and Zhou, *Large-scale L-BFGS using MapReduce*, NIPS 2014).

Departures: there is no line search, which would cost passes through the network; a step is bounded instead. A pixel at
the end of its range that the gradient would push beyond it counts as having no gradient.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels
from nst_rs.optimise.iterate import Iterate, Move

FIRST = 0.7
"""The root mean square of the first step's moves, in `Move.size`: there is no curvature yet that tells how far."""
LARGEST = 8.0
"""The farthest that a pixel moves in one step, in `Move.size`."""
_AT_ONCE = 2**14
"""Numbers to work on at a time, so that the temporaries stay in the cache."""

Rows = npt.NDArray[np.float64]
"""(rows, 5): the inner products of :class:`Curvature`, row by row."""


@dataclass(frozen=True)
class Curvature:
    """Inner products over a part of the picture, or over all of it; s is the last step, y the gradient's change, g it.

    >>> Curvature.total([Curvature(1.0, 2.0, 3.0, 4.0, 5.0), Curvature(1.0, 1.0, 1.0, 1.0, 1.0)])
    Curvature(step_change=2.0, change_change=3.0, step_slope=4.0, change_slope=5.0, slope_slope=6.0)
    """

    step_change: float
    """s · y"""
    change_change: float
    """y · y"""
    step_slope: float
    """s · g"""
    change_slope: float
    """y · g"""
    slope_slope: float
    """g · g"""

    @classmethod
    def of(cls, rows: Iterable[Rows]) -> "Curvature":
        """Return the sum of the rows of a tile's core, which come in any portions, in order."""
        return cls(*(float(x) for x in np.concatenate(list(rows)).sum(axis=0)))

    @classmethod
    def total(cls, parts: Iterable["Curvature"]) -> "Curvature":
        """Return the sum of all tiles', correctly rounded, so that it does not depend on their order."""
        return cls(*(math.fsum(column) for column in zip(*(astuple(part) for part in parts), strict=True)))

    def factors(self, move: Move, numbers: int) -> tuple[float, float, float]:
        """Return what the gradient, its change and the last step are multiplied by, for a picture of so many numbers.

        Where there is no last step, or where the curvature along it is not positive, it is the gradient alone.
        """
        if move.number == 1 or not self.step_change > 0:
            length = math.sqrt(self.slope_slope / numbers)
            return (-FIRST * move.size / length if length else 0.0), 0.0, 0.0
        scale = self.step_change / self.change_change
        along, across = self.step_slope / self.step_change, self.change_slope / self.step_change
        return -scale, scale * along, scale * across - 2 * along


def measure(iterate: Iterate, gradient: Pixels) -> Rows:
    """Return the inner products of a part of the picture with its new gradient, row by row.

    A row's numbers do not depend on how many rows are measured together.
    """
    portions = [_measured(part, slope) for part, slope in _portions(iterate, gradient)]
    return np.concatenate(portions)


def step(before: Iterate, gradient: Pixels, move: Move, factors: tuple[float, float, float], after: Iterate) -> None:
    """Write to `after` where the sum that `factors` tell of takes the pixels, in [0, 255], and the memory of it."""
    for (part, slope), (moved, _) in zip(_portions(before, gradient), _portions(after, gradient), strict=True):
        _step(part, slope, LARGEST * move.size, factors, moved)
    after.take_in(move.share, before.mean)


def _step(part: Iterate, slope: Pixels, largest: float, factors: tuple[float, float, float], after: Iterate) -> None:
    of_gradient, of_change, of_step = (np.float32(x) for x in factors)
    moved = slope - part.second
    moved *= of_change
    moved += of_gradient * _free(part.pixels, slope)
    moved += of_step * part.first
    np.clip(moved, -largest, largest, out=moved)
    moved += part.pixels
    np.clip(moved, 0.0, 255.0, out=moved)
    np.subtract(moved, part.pixels, out=after.first)
    after.pixels[...] = moved
    after.second[...] = slope


def _measured(part: Iterate, slope: Pixels) -> Rows:
    last, change, free = (
        x.reshape(len(slope), -1) for x in (part.first, slope - part.second, _free(part.pixels, slope))
    )
    pairs = (last, change), (change, change), (last, free), (change, free), (free, free)
    return np.stack([np.einsum("ij,ij->i", *pair) for pair in pairs], axis=1).astype(np.float64)


def _free(pixels: Pixels, slope: Pixels) -> Pixels:
    """Return the gradient where a pixel may follow it, 0 where it would be pushed out of its range."""
    if pixels.min() > 0 and pixels.max() < 255:
        return slope
    blocked = ((pixels <= 0) & (slope > 0)) | ((pixels >= 255) & (slope < 0))
    free: Pixels = np.where(blocked, np.float32(0), slope)
    return free


def _portions(iterate: Iterate, gradient: Pixels) -> Iterator[tuple[Iterate, Pixels]]:
    height, *rest = gradient.shape
    count = max(1, _AT_ONCE // math.prod(rest))
    for start in range(0, height, count):
        rows = slice(start, start + count), slice(None)
        yield iterate.inside(rows), gradient[rows]
