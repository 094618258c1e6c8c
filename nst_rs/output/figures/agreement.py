"""How well a map agrees with earlier ones: its change where the ground has not changed, and the seams between them.

The figures come from sums, which add up over strips of rows: no picture need be in memory whole.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.files.storage import strips
from nst_rs.output.figures.edges import BESIDE, Rows

AROUND = 16
"""Pixels around a map that its seams with an earlier one are measured in."""

_REACH = max(BESIDE) + 1
_STRIP_ROWS = 256
Read = Callable[[slice], tuple[Pixels, Mask]]
"""Returns rows of a picture, (h, W, 3) in [0, 255], and where it has data, (h, W)."""


def measure_change(picture: Rows, earlier: Rows, hold: Rows, firm: float) -> float | None:
    """Return the root mean square of a map's change where earlier maps hold it firmly, None where none does."""
    total, count = 0.0, 0
    for rows in strips(hold.shape[0], _STRIP_ROWS):
        held = hold[rows] >= firm
        change = (np.rint(picture[rows]) - earlier[rows])[held]
        total += float((change.astype(np.float64) ** 2).sum())
        count += change.size
    return float(np.sqrt(total / count)) if count else None


def measure_seams(this: Read, earlier: Read, height: int) -> dict[str, Any]:
    """Return the seam ratios along the border of two maps that lie one over the other.

    A ratio is the mean step of pixels across the line where one map ends and the other goes on, over that of the lines
    beside it; None where there is no such line. ``this_above`` is the border of this map, ``earlier_above`` that of the
    earlier one. Both are read on one grid of so many rows.
    """
    sums = np.zeros((2, 1 + len(BESIDE), 2))
    for rows in strips(height, _STRIP_ROWS):
        pair = _read(this, rows, height), _read(earlier, rows, height)
        sums += [_border(*pair), _border(*reversed(pair))]
    return {name: _ratio(each) for name, each in zip(("this_above", "earlier_above"), sums, strict=True)}


def _read(read: Read, rows: slice, height: int) -> tuple[Pixels, Mask]:
    """Return rows with _REACH more around them, without data beyond the grid."""
    known = slice(max(0, rows.start - _REACH), min(height, rows.stop + _REACH))
    pixels, data = read(known)
    pad = (known.start - rows.start + _REACH, rows.stop + _REACH - known.stop), (_REACH, _REACH)
    return np.pad(np.rint(pixels), (*pad, (0, 0))), np.pad(data, pad)


def _border(above: tuple[Pixels, Mask], below: tuple[Pixels, Mask]) -> Array:
    """Return sum and number of the steps across the border of `above`, and of those beside it, (1 + BESIDE, 2)."""
    (upper, is_upper), (lower, is_lower) = above, below
    picture = np.where(is_upper[..., np.newaxis], upper, lower)
    known = is_upper | is_lower
    down = _steps(picture, is_upper, known)
    across = _steps(np.swapaxes(picture, 0, 1), is_upper.T, known.T)
    return down + across


def _steps(picture: Pixels, is_upper: Mask, known: Mask) -> Array:
    """Return the sums of :func:`_border` for steps along the first axis, of lines that are not within _REACH of an end.

    Along the second axis _REACH lines at either end count neither.
    """
    sizes = np.abs(np.diff(picture, axis=0)).mean(axis=-1)
    both = known[:-1] & known[1:]
    meets = both & (is_upper[:-1] != is_upper[1:])
    rows, columns = np.nonzero(meets[_REACH : len(picture) - _REACH, _REACH:-_REACH])
    sums = []
    for offset in (0, *BESIDE):
        at = rows + _REACH + offset, columns + _REACH
        counted = both[at] & (meets[at] == (offset == 0))
        sums.append([float(sizes[at][counted].sum(dtype=np.float64)), np.count_nonzero(counted)])
    return np.array(sums)


def _ratio(sums: Array) -> dict[str, float] | None:
    """Return the ratio and its standard error, as the lines beside the border scatter."""
    (step, count), *beside = sums
    means = np.array([total / number for total, number in beside if number])
    if not count or len(means) < 2 or not means.mean():
        return None
    error = means.std(ddof=1) * np.sqrt(1 + 1 / len(means)) / means.mean()
    return {"ratio": round(float(step / count / means.mean()), 4), "standard_error": round(float(error), 4)}
