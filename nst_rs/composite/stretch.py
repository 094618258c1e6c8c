"""From a band's values to [0, 255]: two limits, then a curve."""

import math
from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels


@dataclass(frozen=True)
class Limits:
    """The stretch of one band: `low` becomes 0 and `high` 255."""

    low: float
    high: float


@dataclass(frozen=True)
class Stretch:
    """The stretch of the three channels, the same over the whole scene."""

    percentiles: tuple[float, float] = (2.0, 98.0)
    """The percentiles of each channel's valid pixels that become its limits."""
    limits: tuple[Limits, Limits, Limits] | None = None
    """Limits in the percentiles' place, so that scenes of one place match."""
    gamma: float = 1.0
    sigmoid: float = 0

    def apply(self, band: Pixels, limits: Limits) -> Pixels:
        """Return a channel's values in [0, 255].

        With v the value between its limits, from 0 to 1: v^(1/gamma); then, with c = `sigmoid`,
        (s(c (v − 1/2)) − s(−c/2)) / (s(c/2) − s(−c/2)), where s is the logistic function.

        >>> Stretch(gamma=2.0).apply(np.float32([0, 25, 100]), Limits(0, 100))
        array([  0. , 127.5, 255. ], dtype=float32)
        >>> Stretch(sigmoid=8.0).apply(np.float32([0, 25, 50, 100]), Limits(0, 100)).round()
        array([  0.,  27., 128., 255.], dtype=float32)
        """
        with np.errstate(over="ignore"):  # an unmarked nodata value may be the least float
            scaled = (band - np.float32(limits.low)) * np.float32(255 / (limits.high - limits.low))
        stretched: Pixels = np.clip(scaled, 0.0, 255.0)
        if self.gamma != 1:
            stretched = np.float32(255) * (stretched / np.float32(255)) ** np.float32(1 / self.gamma)
        return self._contrasted(stretched) if self.sigmoid else stretched

    def _contrasted(self, stretched: Pixels) -> Pixels:
        # s(x) = (1 + tanh(x/2)) / 2: the same curve, exact however faint the contrast.
        half = np.float32(self.sigmoid / 2)
        curve = np.tanh(half * (stretched / np.float32(255) - np.float32(0.5))) / np.float32(
            math.tanh(self.sigmoid / 4)
        )
        contrasted: Pixels = np.clip(np.float32(127.5) * (curve + np.float32(1)), 0.0, 255.0)
        return contrasted
