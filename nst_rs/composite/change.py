"""How far two composites of one ground agree, and where a map ends: weights in [0, 1], pixel by pixel.

Windows of any size come out the same where REACH pixels around them are given too.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask, Pixels

EDGE = 12
"""Pixels from where the ground has changed over which an earlier map's hold grows from nothing to all, and from where
the map ends over which it gives way to the next one."""
SMOOTHED = 3
"""Pixels on every side over which a difference is averaged, so that a sensor's noise is no change."""
REACH = EDGE + SMOOTHED
"""Pixels around a window that its weights depend on."""

_USUAL, _UNUSUAL = 2.0, 4.0
"""The same without the earlier composite: in medians of how far a map's colours are from what the scene's lead to."""
_STROKES = 12
"""Pixels on every side over which the colours of a map are averaged, which a stroke or two fills."""
_BINS = np.arange(0, 256, 0.125)
_FITS = 3
"""How often the function is found: first by all of the ground, then by what the one before says has not changed."""


@dataclass(frozen=True)
class Bounds:
    """Averaged differences of two composites, of 255."""

    unchanged: float = 4.0
    """Up to this one the ground has not changed."""
    changed: float = 16.0
    """From this one on it has altogether."""


def unchanged(now: Pixels, then: Pixels, known: Mask, bounds: Bounds = Bounds()) -> Pixels:
    """Return 1 where two composites, (H, W, 3), show the same ground, 0 where they do not, (H, W) float32.

    `known` says where both hold data; elsewhere it is 0. The difference is averaged over neighbours with its sign.

    >>> now = np.zeros((1, 40, 3), np.float32)
    >>> then = now + np.where(np.arange(40) < 20, 1, 90)[:, np.newaxis].astype(np.float32)
    >>> unchanged(now, then, np.ones((1, 40), bool))[0, [0, 10, 30]].tolist()
    [1.0, 1.0, 0.0]
    """
    (mean,) = box_means((now - then,), known, SMOOTHED)
    distance = np.sqrt((mean**2).mean(axis=-1))
    share = np.clip((bounds.changed - distance) / (bounds.changed - bounds.unchanged), 0, 1)
    return np.where(known, smooth(share), 0).astype(np.float32)


def soft_edge(ends: Mask | Pixels) -> Pixels:
    """Return 0 beside pixels at which a hold `ends`, growing to 1 at EDGE pixels from them, (H, W) float32.

    A pixel may be such an end in part, by a number in [0, 1].

    >>> soft_edge(np.arange(40)[np.newaxis] < 20)[0, [19, 26, 32]].round(1).tolist()
    [0.0, 0.5, 1.0]
    """
    share = box_sums(ends, EDGE) / box_sums(np.ones(ends.shape), EDGE)
    return smooth(np.clip(1 - 2 * share, 0, 1)).astype(np.float32)


@dataclass(frozen=True)
class Likeness:
    """How a map's colours follow from the scene's where both show the same ground: all that a map alone can tell.

    The map's mean colour around a pixel is a linear function of the scene's. Where it is far from that, as maps of this
    manner go, the ground has changed.
    """

    coefficients: Array  # (4, 3)
    usual: float
    """The median distance from the function, in pixel values of 255; at least 1."""

    @classmethod
    def of(cls, read: Callable[[], Iterable[tuple[Pixels, Pixels, Mask, slice]]]) -> "Likeness":
        """Find it for a scene and a map, by the ground that has not changed, which must be most of it.

        `read` yields strips of the scene's composite and of the map, (h, W, 3), with where the map has data, (h, W),
        and the rows that count: those with REACH more around them, as far as there are any. It is called often.
        """
        found = cls(np.zeros((4, 3)), math.inf)
        for _ in range(_FITS):
            products, sums = np.zeros((4, 4)), np.zeros((4, 3))
            for now, picture, covered, rows in read():
                colors, styled = _around(now, picture, covered)
                counted = covered & (found._distance(colors, styled) <= _UNUSUAL * found.usual)
                terms = colors[rows][counted[rows]]
                products += terms.T @ terms
                sums += terms.T @ styled[rows][counted[rows]]
            coefficients = np.asarray(np.linalg.lstsq(products, sums, rcond=None)[0], np.float64)
            found = cls(coefficients, cls(coefficients, 1.0)._median(read()))
        return found

    def unchanged(self, now: Pixels, picture: Pixels, covered: Mask) -> Pixels:
        """Return 1 where a map shows the ground that the composite does, 0 where it does not, (H, W) float32."""
        distance = self._distance(*_around(now, picture, covered)) / self.usual
        share = np.clip((_UNUSUAL - distance) / (_UNUSUAL - _USUAL), 0, 1)
        return np.where(covered, smooth(share), 0).astype(np.float32)

    def _distance(self, colors: Array, styled: Array) -> Array:
        distance: Array = np.sqrt(((colors @ self.coefficients - styled) ** 2).mean(axis=-1))
        return distance

    def _median(self, parts: Iterable[tuple[Pixels, Pixels, Mask, slice]]) -> float:
        counts = np.zeros(len(_BINS) - 1)
        for now, picture, covered, rows in parts:
            distance = self._distance(*_around(now, picture, covered))
            counts += np.histogram(distance[rows][covered[rows]], _BINS)[0]
        middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return max(1.0, float(_BINS[middle + 1]))


def _around(now: Pixels, picture: Pixels, covered: Mask) -> tuple[Array, Array]:
    """Return 1 and the scene's mean colours around every pixel, (H, W, 4), and the map's, (H, W, 3)."""
    colors, styled = box_means((now, picture), covered, _STROKES)
    return np.concatenate([np.ones((*covered.shape, 1)), colors / 255], axis=-1), styled


def smooth(share: Array) -> Array:
    """Return a share, from 0 to 1, with no corner at either end."""
    smooth: Array = share * share * (3 - 2 * share)
    return smooth


def box_means(pictures: Iterable[Pixels], counted: Mask, radius: int) -> list[Array]:
    """Return for every pixel the means of pictures, (H, W, C), over what is `counted` up to `radius` pixels away."""
    count = np.maximum(box_sums(counted, radius), 1)[..., np.newaxis]
    return [box_sums(np.where(counted[..., np.newaxis], each, 0), radius) / count for each in pictures]


def box_sums(values: npt.NDArray[np.generic], radius: int) -> Array:
    """Return for every pixel the sum over those up to `radius` rows and columns away, as far as there are any."""
    sums = values.astype(np.float64)
    for axis in (0, 1):
        pad = [(radius + 1, radius) if axis == each else (0, 0) for each in range(sums.ndim)]
        running = np.moveaxis(np.cumsum(np.pad(sums, pad), axis=axis), axis, 0)
        sums = np.moveaxis(running[2 * radius + 1 :] - running[: -2 * radius - 1], 0, axis)
    return sums
