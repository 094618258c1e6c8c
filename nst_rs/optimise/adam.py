"""Adam (Kingma & Ba, arXiv 1412.6980): elementwise, so a tile's step needs nothing of another tile."""

from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels

FIRST_DECAY = 0.9
# 0.99 instead of the paper's 0.999: a level runs for tens of iterations, and a memory of a thousand would never forget
# the first, largest gradients.
SECOND_DECAY = 0.99
# Far below the paper's 1e-8: the gradient of a pixel shrinks with the size of the scene, and multiplying α and β by one
# number must not change the picture. It only keeps 0/0 out.
EPSILON = 1e-20


@dataclass(frozen=True)
class Move:
    """One step of every pixel."""

    number: int
    """The step's number, from 1: Adam's t."""
    size: float
    """The distance in pixel values of 255 that a pixel moves at most, about: Adam's α."""
    share: float = 1.0
    """The share of the moved pixels in the mean of iterates; the mean so far keeps the rest."""


@dataclass(frozen=True)
class Iterate:
    """Any part of a picture, and Adam's memory of it: arrays of (H, W, 3) float32."""

    pixels: Pixels  # RGB in [0, 255]
    first: Pixels
    """Running mean of the gradient: the paper's m."""
    second: Pixels
    """Running mean of its square: the paper's v."""
    mean: Pixels | None = None
    """Mean of the last iterates (Polyak & Juditsky, 1992), where one is wanted."""

    def inside(self, slices: tuple[slice, slice]) -> "Iterate":
        """Return a part of it, as views."""
        mean = None if self.mean is None else self.mean[slices]
        return Iterate(self.pixels[slices], self.first[slices], self.second[slices], mean)

    def step(self, gradient: Pixels, move: Move) -> None:
        """Move the pixels one step down, in place, and keep them in [0, 255].

        Works row by row, so that the temporaries stay in the cache. Clipping is a departure from the paper: a pixel
        outside the range could not be written to the map.
        """
        first_scale, second_scale = 1 - FIRST_DECAY**move.number, 1 - SECOND_DECAY**move.number
        for row, slope in enumerate(gradient):
            pixels, first, second = self.pixels[row], self.first[row], self.second[row]
            first += (1 - FIRST_DECAY) * (slope - first)
            second += (1 - SECOND_DECAY) * (slope * slope - second)
            pixels -= move.size * (first / first_scale) / (np.sqrt(second / second_scale) + EPSILON)
            np.clip(pixels, 0.0, 255.0, out=pixels)
        if self.mean is not None:
            self.mean[...] += move.share * (self.pixels - self.mean)
