"""How a scene's colours follow from an earlier date's where the ground has not changed.

Season, haze and the height of the sun change a whole scene: without this, none of the ground of two real dates would be
the same. It is relative radiometric normalisation, one line per channel, whose slope is the ratio of the standard
deviations: a slope by least squares would come out too small, because both dates have noise.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.composite.change import SMOOTHED, Bounds, box_means

_FITS = 4
"""How often the lines are found: first by all of the ground, then by what the lines before say has not changed."""
_GAINS = 0.5, 2.0
"""The least and the largest slope. What lies outside is no light: one of the dates has hardly any contrast."""
_LEAST_SPREAD = 1.0
"""Standard deviation, of 255, below which a channel has nothing to find a slope by."""
_BINS = np.arange(0, 256, 0.125)
_MOST_USUAL = 6.0, 9.0
"""The largest median differences, of 255, that the two bounds of change are multiples of: dates that differ by more are
not told apart by light and noise alone."""

Pairs = Callable[[], Iterable[tuple[Pixels, Pixels, Mask]]]
"""Yields strips of this scene and of the earlier one, (h, W, 3) RGB in [0, 255], and where both hold data, (h, W)."""


@dataclass(frozen=True)
class Light:
    """One line per channel, from an earlier date's values to this one's, and how far unchanged ground is from it."""

    gain: Array  # (3,)
    offset: Array  # (3,), in values of 255
    usual: float
    """The median distance from the lines, in values of 255."""

    @classmethod
    def of(cls, read: Pairs) -> "Light":
        """Find the lines by the ground that has not changed, which must be most of it. `read` is called often.

        >>> then = np.random.default_rng(0).uniform(60, 160, (40, 40, 3)).astype(np.float32)
        >>> light = Light.of(lambda: [(1.25 * then - 20, then, np.ones((40, 40), bool))])
        >>> light.gain.round(2).tolist(), light.offset.round().tolist()
        ([1.25, 1.25, 1.25], [-20.0, -20.0, -20.0])
        """
        light = cls(np.ones(3), np.zeros(3), math.inf)
        for _ in range(_FITS):
            light = light._fitted(read())
            light = cls(light.gain, light.offset, light._median(read()))
        return light

    def of_now(self, then: Pixels) -> Pixels:
        """Return an earlier composite, (H, W, 3), as it would look in this one's light."""
        seen: Pixels = np.clip(self.gain * then + self.offset, 0, 255).astype(np.float32)
        return seen

    @property
    def bounds(self) -> Bounds:
        """The differences up to which the ground has not changed, and from which on it has altogether."""
        least, usual = Bounds(), [min(self.usual, most) for most in _MOST_USUAL]
        return Bounds(max(least.unchanged, 2 * usual[0]), max(least.changed, 4 * usual[1]))

    def _fitted(self, pairs: Iterable[tuple[Pixels, Pixels, Mask]]) -> "Light":
        sums = np.zeros((5, 3))
        for now, then, known in pairs:
            means, counted = _means(now, then, known)
            a, b = (each[counted & self._alike(*means)] for each in means)
            sums += [np.full(3, len(a)), *(each.sum(axis=0) for each in (a, b, a * a, b * b))]
        if not sums[0, 0]:
            return self
        now_mean, then_mean, now_square, then_square = sums[1:] / sums[0]
        spread, then_spread = _spread(now_mean, now_square), _spread(then_mean, then_square)
        told = np.minimum(spread, then_spread) >= _LEAST_SPREAD
        gain = np.where(told, np.clip(spread / np.where(told, then_spread, 1), *_GAINS), 1.0)
        return Light(gain, now_mean - gain * then_mean, self.usual)

    def _alike(self, now: Array, then: Array) -> Mask:
        alike: Mask = self._distance(now, then) <= (self.bounds.changed if math.isfinite(self.usual) else math.inf)
        return alike

    def _distance(self, now: Array, then: Array) -> Array:
        distance: Array = np.sqrt(((now - self.gain * then - self.offset) ** 2).mean(axis=-1))
        return distance

    def _median(self, pairs: Iterable[tuple[Pixels, Pixels, Mask]]) -> float:
        counts = np.zeros(len(_BINS) - 1)
        for now, then, known in pairs:
            means, counted = _means(now, then, known)
            counts += np.histogram(self._distance(*means)[counted], _BINS)[0]
        return float(_BINS[int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))])


def _spread(mean: Array, square: Array) -> Array:
    """Return standard deviations from means and mean squares."""
    return np.sqrt(np.maximum(square - mean**2, 0))


def _means(now: Pixels, then: Pixels, known: Mask) -> tuple[tuple[Array, Array], Mask]:
    """Return both composites averaged as their difference will be, and where they count.

    A value at 0 or 255 may stand for any beyond it, and counts nowhere.
    """
    within = (np.minimum(now, then).min(axis=-1) > 0) & (np.maximum(now, then).max(axis=-1) < 255)
    counted = known & within
    now_means, then_means = box_means((now, then), counted, SMOOTHED)
    return (now_means, then_means), counted
