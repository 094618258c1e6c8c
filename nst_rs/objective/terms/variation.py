"""Total variation: a price on the steps from pixel to pixel, which calms what the network does not see.

The squared form of Mahendran and Vedaldi, arXiv 1412.0035, equation 3 with β = 2.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.objective.terms.base import PixelTerm


@dataclass(frozen=True)
class Variation(PixelTerm):
    """The mean squared step from a pixel to the next, in pixel values of 255 squared, times τ."""

    name: ClassVar[str] = "variation"
    label: ClassVar[str] = "variation"
    meaning: ClassVar[str] = "squared steps from pixel to pixel"
    key: ClassVar[str] = "variation"

    def measure(self, window: Pixels, weight: Pixels) -> float:
        """Return Σ weight · (squared steps to the pixel below and to the one on the right), over all three channels.

        A step weighs as its first pixel does.
        """
        down, right = _steps(window)
        return float((weight[:-1, :, np.newaxis] * down**2).sum() + (weight[:, :-1, np.newaxis] * right**2).sum())

    def gradient(self, window: Pixels, weight: Pixels) -> Pixels:
        """Return the derivative of :meth:`measure` with respect to the window's pixels, (H, W, 3)."""
        down, right = _steps(window)
        down *= 2 * weight[:-1, :, np.newaxis]
        right *= 2 * weight[:, :-1, np.newaxis]
        gradient = np.zeros_like(window)
        gradient[1:] += down
        gradient[:-1] -= down
        gradient[:, 1:] += right
        gradient[:, :-1] -= right
        return gradient


def _steps(window: Pixels) -> tuple[Pixels, Pixels]:
    """Return the steps to the pixel below, (H − 1, W, 3), and to the one on the right, (H, W − 1, 3)."""
    return np.diff(window, axis=0), np.diff(window, axis=1)
