"""Measures of how faithful and how seamless a finished map is: legibility, seam ratio, frame ratio.

All figures come from sums over pairs of pixels, which add up over strips of rows: no picture need be in memory whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.files.storage import strips
from nst_rs.style.color import channels_first, luminance

DISTANCES = (1, 2, 4)
"""Pixels between the two ends of a luminance gradient."""
RIM = 16
"""Pixels from the edge of the valid data inwards within which a frame would show. Compared with as many further in, not
with all that lie elsewhere: a scene's middle may be town where its edges are sea."""
BESIDE = (-8, -6, -4, -2, 2, 4, 6, 8)
"""The lines that a core border is compared with, in pixels from it. Even: pooling takes pixels by twos, and
leaves the steps between two cells larger than those within a cell; core borders always lie between cells."""

_STRIP_ROWS = 128
_FLAT = 1e-6
"""A variance smaller than this share of the mean square is float32's rounding."""


class Rows(Protocol):
    """An array in memory, on disk, or anything else that is read by slices of its rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Return these rows."""


@dataclass(frozen=True)
class Gradients:
    """Luminance gradients of the content, a, and of the result, b, along rows and columns. Additive."""

    sums: Array
    """Σ 1, Σ a, Σ b, Σ a², Σ b², Σ ab over the valid pairs of each of DISTANCES, (distances, 6)."""

    def __add__(self, other: "Gradients") -> "Gradients":
        """Add the sums."""
        return Gradients(self.sums + other.sums)

    @property
    def correlations(self) -> list[float | None]:
        """Pearson's correlation of a and b at each of DISTANCES; None where either does not vary."""
        return [_correlation(*(float(value) for value in sums)) for sums in self.sums]


@dataclass(frozen=True)
class Steps:
    """Absolute steps between neighbouring valid pixels of one picture, as means over the channels. Additive."""

    rows: Array
    """Sum and number of the steps from row i to row i + 1, (H − 1, 2)."""
    columns: Array
    """Sum and number of the steps from column i to column i + 1, (W − 1, 2)."""
    rim: Array
    """Sum and number of the steps within RIM pixels of the edge of the valid data, and within the next RIM, (2, 2)."""

    def __add__(self, other: "Steps") -> "Steps":
        """Add the sums and the numbers."""
        return Steps(self.rows + other.rows, self.columns + other.columns, self.rim + other.rim)

    @property
    def frame(self) -> float | None:
        """The mean step within RIM pixels of the edge over that within the next RIM; None where there is no such."""
        (outer, outer_count), (inner, inner_count) = self.rim
        return _ratio(outer * inner_count, inner * outer_count)

    def across(self, seams: tuple[Sequence[int], Sequence[int]]) -> tuple[float | None, float | None]:
        """Return the seam ratio, and its standard error as the lines beside the seams scatter.

        `seams` are the rows and the columns before which a core begins. None, None where nothing can be compared.
        """
        comparisons = [
            comparison
            for lines, places in zip((self.rows, self.columns), seams, strict=True)
            for place in places
            if (comparison := _beside(lines, place, places)) is not None
        ]
        step, expected, variance = np.sum(comparisons, axis=0) if comparisons else (0.0, 0.0, 0.0)
        return _ratio(step, expected), _ratio(np.sqrt(variance), expected)


@dataclass(frozen=True)
class Sums:
    """The sums that the figures are computed from. A picture's are the sum of those of its strips of rows."""

    gradients: Gradients
    content: Steps
    result: Steps

    def __add__(self, other: "Sums") -> "Sums":
        """Add each to each."""
        return Sums(self.gradients + other.gradients, self.content + other.content, self.result + other.result)


@dataclass(frozen=True)
class _Strip:
    """A strip of rows, and below it as many rows as its pairs reach into."""

    rows: slice
    """The rows of the strip itself, in the scene."""
    height: int
    """The number of rows of the whole scene."""
    valid: Mask  # (rows and below, W)
    ring: npt.NDArray[np.uint8]  # (rows and one below, W)
    """Whole RIMs between a pixel and the edge of the valid data: 0, 1, or 2 for more."""


def measure(
    content: Rows,
    result: Rows,
    valid: Rows,
    seams: tuple[Sequence[int], Sequence[int]],
    *,
    strip_rows: int = _STRIP_ROWS,
) -> dict[str, Any]:
    """Return the figures of `result` against `content`, ready for JSON.

    Both are (H, W, 3) RGB in [0, 255], the result as it is or already rounded to whole values; `valid` is (H, W), above
    0 where there is data. `seams` are the rows and the columns of the scene before which a tile's core begins.
    `strip_rows` rows are read at a time.

    >>> scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    >>> figures = measure(scene, 255 - scene, np.ones((64, 64), bool), ([32], []))
    >>> figures["legibility"]
    {'1': -1.0, '2': -1.0, '4': -1.0}
    >>> figures["seams"]["lines"], figures["seams"]["result"] == figures["seams"]["content"]
    (1, True)
    """
    height = valid.shape[0]
    sums = reduce(add, (_sums(content, result, valid, rows) for rows in strips(height, strip_rows)))
    ratio, error = sums.result.across(seams)
    correlations = zip(DISTANCES, sums.gradients.correlations, strict=True)
    return {
        "legibility": {str(distance): value for distance, value in correlations},
        "seams": {
            "lines": sum(map(len, seams)),
            "result": ratio,
            "standard_error": error,
            "content": sums.content.across(seams)[0],
        },
        "frame": {"result": sums.result.frame, "content": sums.content.frame},
    }


def _sums(content: Rows, result: Rows, valid: Rows, rows: slice) -> Sums:
    reach = slice(rows.start, min(rows.stop + DISTANCES[-1], valid.shape[0]))
    ring = _inner(valid, rows, RIM).astype(np.uint8) + _inner(valid, rows, 2 * RIM)
    strip = _Strip(rows, valid.shape[0], valid[reach] > 0, ring)
    scene = _planes(content[reach], strip.valid)
    styled = np.rint(_planes(result[reach], strip.valid))  # as it is published
    return Sums(_gradients(scene, styled, strip), _steps(scene, strip), _steps(styled, strip))


def _planes(picture: npt.NDArray[Any], valid: Mask) -> Pixels:
    """Return the channels of a picture one after the other, (3, H, W), with 0 for nodata, which may be anything.

    float32, in which one strip's sums are good to more digits than the figures have; the strips' are added in float64.
    """
    return np.where(valid, channels_first(picture), np.float32(0))


def _inner(valid: Rows, rows: slice, distance: int) -> Mask:
    """Return where all pixels up to `distance` rows and columns away are valid, for `rows` and the one below."""
    height, width = valid.shape
    top, bottom = rows.start - distance, rows.stop + 1 + distance
    around = np.zeros((bottom - top, width + 2 * distance), np.bool_)
    known = slice(max(0, top), min(height, bottom))
    around[known.start - top : known.stop - top, distance:-distance] = valid[known] > 0
    length = 2 * distance + 1
    return _unbroken(_unbroken(around, length).T, length).T[: height - rows.start]


def _unbroken(mask: Mask, length: int) -> Mask:
    """Return of every `length` rows in a row whether they are all True: (H − length + 1, W)."""
    counts = np.cumsum(np.pad(mask, [(1, 0), (0, 0)]), axis=0, dtype=np.int32)
    unbroken: Mask = counts[length:] - counts[:-length] == length
    return unbroken


_Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def _pairs(array: npt.NDArray[Any], rows: int, distance: int = 1) -> tuple[_Pair, _Pair]:
    """Return the first and the second ends of all pairs `distance` apart that begin in `rows`: down, then across."""
    below = array[distance : distance + rows]
    return (array[: len(below)], below), (array[:rows, :-distance], array[:rows, distance:])


def _gradients(content: Pixels, result: Pixels, strip: _Strip) -> Gradients:
    rows = strip.rows.stop - strip.rows.start
    luminances = [luminance(np.moveaxis(planes, 0, -1)) for planes in (content, result)]
    sums = np.zeros((len(DISTANCES), 6))
    for index, distance in enumerate(DISTANCES):
        pairs = (_pairs(array, rows, distance) for array in (*luminances, strip.valid))
        for (a, a_next), (b, b_next), (valid, valid_next) in zip(*pairs, strict=True):
            both = valid & valid_next
            da, db = (a_next - a) * both, (b_next - b) * both
            products = (np.vecdot(x, y).sum(dtype=np.float64) for x, y in ((da, da), (db, db), (da, db)))
            sums[index] += [np.count_nonzero(both), _sum(da), _sum(db), *products]
    return Gradients(sums)


def _steps(planes: Pixels, strip: _Strip) -> Steps:
    rows = strip.rows.stop - strip.rows.start
    (valid, valid_across), (ring, ring_across) = (_pairs(array, rows) for array in (strip.valid, strip.ring))
    channels = [_pairs(plane, rows) for plane in planes]
    down = _step([pair for pair, _ in channels], valid, ring)
    across = _step([pair for _, pair in channels], valid_across, ring_across)
    lines = np.zeros((strip.height - 1, 2))
    lines[strip.rows.start : strip.rows.start + len(down.sizes)] = down.along(1)
    rim = [down.within(number) + across.within(number) for number in (0, 1)]
    return Steps(lines, across.along(0), np.array(rim))


@dataclass(frozen=True)
class _Step:
    """The steps of all pairs of a strip in one direction, (rows, columns) all three."""

    sizes: Pixels
    """The steps as means over the channels; 0 where a pair does not count."""
    counted: Mask
    ring: npt.NDArray[np.uint8]
    """The outer of the ends' rings."""

    def along(self, axis: int) -> Array:
        """Return sum and number of the steps on every line, (lines, 2)."""
        return np.stack([self.sizes.sum(axis, dtype=np.float64), np.count_nonzero(self.counted, axis)], axis=-1)

    def within(self, ring: int) -> Array:
        """Return sum and number of the steps in a ring, (2,)."""
        inside = self.ring == ring
        return np.array([_sum(self.sizes[inside]), np.count_nonzero(self.counted & inside)])


def _step(channels: Sequence[_Pair], valid: _Pair, ring: _Pair) -> _Step:
    both = valid[0] & valid[1]
    sizes = sum(np.abs(after - before) for before, after in channels) / np.float32(len(channels))
    return _Step(sizes * both, both, np.minimum(*ring))


def _sum(values: Pixels) -> float:
    return float(values.sum(dtype=np.float64))


def _correlation(count: float, a: float, b: float, aa: float, bb: float, ab: float) -> float | None:
    variances = count * aa - a * a, count * bb - b * b
    if variances[0] <= _FLAT * count * aa or variances[1] <= _FLAT * count * bb:
        return None
    return _ratio(count * ab - a * b, float(np.sqrt(variances[0]) * np.sqrt(variances[1])))


def _beside(lines: Array, place: int, seams: Sequence[int]) -> tuple[float, float, float] | None:
    """Return the sum of the steps across the line before `place`, what the lines beside it let expect, its variance."""
    others = [place + offset for offset in BESIDE if 0 < place + offset <= len(lines) and place + offset not in seams]
    means = [lines[other - 1, 0] / lines[other - 1, 1] for other in others if lines[other - 1, 1]]
    step, count = lines[place - 1]
    if len(means) < 2 or not count:
        return None
    variance = count**2 * np.var(means, ddof=1) * (1 + 1 / len(means))
    return step, count * np.mean(means), variance


def _ratio(value: float, to: float) -> float | None:
    return round(float(value / to), 4) if to else None
