"""A measure of the borders between classes of ground: whether one class's colours bleed into the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask
from nst_rs.files.storage import strips, widened
from nst_rs.output.figures.edges import Rows
from nst_rs.style.color import Colors
from nst_rs.style.picture import Style

NEAR = 8
"""Pixels from a border within which a colour that bleeds would show. Compared with as far again, and twice as far: what
lies deep inside of a class may be other ground."""

_STRIP_ROWS = 128
_LEAST_VARIANCE = 1.0
"""Added to a palette's variances, so that a painting of one colour has a palette too."""


@dataclass(frozen=True)
class Palette:
    """The colours of a class's paintings, as a normal distribution."""

    mean: Array  # (3,) RGB in [0, 255]
    precision: Array  # (3, 3): the inverse of the covariance
    volume: float
    """The logarithm of the covariance's determinant."""

    @classmethod
    def of(cls, styles: Sequence[Style]) -> "Palette":
        """Return the palette of a blend: every painting counts by its share."""
        blend = Colors.of_blend(styles)
        covariance = blend.covariance + _LEAST_VARIANCE * np.eye(3)
        precision = np.linalg.inv(covariance).astype(np.float64)
        return cls(blend.mean, precision, float(np.linalg.slogdet(covariance)[1]))

    def distance(self, colors: npt.NDArray[np.floating]) -> Array:
        """Return how far colours, (N, 3), are from the palette, (N,): minus twice their log likelihood, but a constant.

        >>> grey = Palette(np.array([9.0, 9, 9]), np.eye(3), 0.0)
        >>> grey.distance(np.array([[9.0, 9, 9], [9, 9, 11]])).tolist()
        [0.0, 4.0]
        """
        off = colors - self.mean
        distance: Array = np.einsum("ni,ij,nj->n", off, self.precision, off) + self.volume
        return distance


def measure_borders(
    picture: Rows, numbers: Rows, weight: Rows, palettes: Mapping[int, Palette], names: Mapping[int, str]
) -> dict[str, Any]:
    """Return which share of the pixels beside another class look like that class's paintings.

    `picture` is (H, W, 3) RGB in [0, 255]; `numbers`, (H, W), holds the class of every pixel; `weight`, (H, W), is 0
    where there is no data; `palettes` are those of the styled classes. All are read by rows.

    - ``near``: of the pixels within NEAR of another styled class, the share whose colour is nearer to that class's
      palette than to their own;
    - ``inside``: the same of those two and three times as far, which no border touches. Where a palette bleeds, more of
      the near ones than of these look like the other class;
    - ``pixels``: how many are near. Where there are none, the shares are None;
    - ``classes``: the same three of every styled class's own pixels, by its name.
    """
    sums = {number: np.zeros((2, 2)) for number in palettes}
    for rows in strips(weight.shape[0], _STRIP_ROWS):
        for number, measured in _measured(picture, numbers, weight, palettes, rows):
            sums[number] += measured
    by_class = {names[number]: _figures(each) for number, each in sums.items()}
    return {**_figures(reduce(add, sums.values(), np.zeros((2, 2)))), "classes": by_class}


def _figures(sums: Array) -> dict[str, float | None]:
    (near, near_count), (inside, inside_count) = sums
    return {"pixels": int(near_count), "near": _share(near, near_count), "inside": _share(inside, inside_count)}


def _measured(
    picture: Rows, numbers: Rows, weight: Rows, palettes: Mapping[int, Palette], rows: slice
) -> Iterator[tuple[int, Array]]:
    """Yield each class with, of its near and its inner pixels of some rows, how many look like another, and are."""
    seen, inside = widened(rows, 3 * NEAR, weight.shape[0])
    valid, number = weight[seen] > 0, numbers[seen]
    here, colors = number[inside], picture[rows]
    is_class = {each: valid & (number == each) for each in palettes}
    reached = {
        distance: {each: within(mask, distance)[inside] for each, mask in is_class.items()}
        for distance in (NEAR, 3 * NEAR)
    }
    for own in palettes:
        mine, sums = is_class[own][inside], np.zeros((2, 2))
        near, far = (_any([r for each, r in reached[d].items() if each != own], here.shape) for d in (NEAR, 3 * NEAR))
        for place, (chosen, distance) in enumerate(((mine & near, NEAR), (mine & far & ~near, 3 * NEAR))):
            others = {each: reached[distance][each][chosen] for each in palettes if each != own}
            sums[place] = _foreign(colors[chosen], own, others, palettes), np.count_nonzero(chosen)
        yield own, sums


def _foreign(
    colors: npt.NDArray[np.floating], own: int, others: Mapping[int, Mask], palettes: Mapping[int, Palette]
) -> int:
    """Return how many colours, (N, 3), are nearer to another palette than to their own.

    `others` say, (N,), where a palette counts.
    """
    to_own = palettes[own].distance(colors)
    foreign = np.zeros(len(colors), np.bool_)
    for each, there in others.items():
        foreign |= there & (palettes[each].distance(colors) < to_own)
    return int(np.count_nonzero(foreign))


def _any(masks: Sequence[Mask], shape: tuple[int, ...]) -> Mask:
    return reduce(np.logical_or, masks, np.zeros(shape, np.bool_))


def within(mask: Mask, distance: int) -> Mask:
    """Return the pixels that have one of `mask`, (H, W), within so many rows and columns of them."""
    for _ in (0, 1):
        counts = np.cumsum(np.pad(mask, [(distance + 1, distance), (0, 0)]), axis=0, dtype=np.int32)
        length = 2 * distance + 1
        mask = (counts[length:] > counts[:-length]).T
    return mask


def _share(part: float, count: float) -> float | None:
    return round(float(part / count), 4) if count else None
