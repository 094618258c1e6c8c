"""Agreement: a price on what differs from earlier maps of the same ground, where the ground has not changed.

Σ_p h(p) (x(p) − e(p))², with e the earlier maps and h in [0, 1] how firmly they hold, as a mean over the scene's pixel
values. A pixel's part depends on nothing but the pixel, so that it adds up over tiles without any halo.

Ground that is held counts less than other ground in all the other terms. It is to stay as it is, whatever they ask, and
the hold need not be stiff for that: a stiff one would slow down the descent of the ground that is free.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import PixelArray, Window
from nst_rs.objective.terms.base import PixelTerm

_LEAST_VOICE = 0.1
"""What ground that is held altogether counts in other terms."""


def voice(hold: Pixels) -> Pixels:
    """Return what ground counts in other terms by how firmly it is held, (H, W) in [0, 1] both."""
    return 1 - np.float32(1 - _LEAST_VOICE) * hold


@dataclass(frozen=True)
class Agreement(PixelTerm):
    """The mean squared distance to earlier maps, in pixel values of 255 squared.

    A run has it where ``style.agree`` names maps; no weight alone asks for it. The weights of pixels that it is given
    are the scene's times :func:`voice`.
    """

    name: ClassVar[str] = "agreement"
    label: ClassVar[str] = "agreement"
    meaning: ClassVar[str] = "squared distance to the earlier maps"

    earlier: PixelArray  # (H, W, 3) float32 in [0, 255], on the canvas
    hold: PixelArray  # (H, W) float32 in [0, 1], on the canvas: 0 where no earlier map holds

    def inside(self, window: Window) -> "Agreement":
        """Return the term with the window's part of the earlier maps."""
        return replace(self, earlier=self.earlier[window], hold=self.hold[window])

    def measure(self, window: Pixels, weight: Pixels) -> float:
        """Return Σ weight / voice · hold · (x − e)² over the window's pixels and channels."""
        squares = (window - self.earlier[:, :]) ** 2
        return float((self._held(weight) * squares).sum())

    def gradient(self, window: Pixels, weight: Pixels) -> Pixels:
        """Return the derivative of :meth:`measure` with respect to the window's pixels, (H, W, 3)."""
        gradient: Pixels = 2 * self._held(weight) * (window - self.earlier[:, :])
        return gradient

    def _held(self, weight: Pixels) -> Pixels:
        """Return the scene's weights times the hold, (H, W, 1)."""
        hold = self.hold[:, :]
        held: Pixels = (weight / voice(hold) * hold)[..., np.newaxis]
        return held
