"""A part of a picture with an optimiser's memory of it, and the facts of one step. The optimisers are beside it."""

from dataclasses import dataclass
from typing import Literal

from nst_rs.arrays import Pixels

Optimizer = Literal["bfgs", "adam"]


@dataclass(frozen=True)
class Move:
    """One step of every pixel."""

    number: int
    """The step's number, from 1: Adam's t."""
    size: float
    """A distance in pixel values of 255: what it means is the optimiser's own."""
    share: float = 1.0
    """The share of the moved pixels in the mean of iterates; the mean so far keeps the rest."""
    optimizer: Optimizer = "bfgs"


@dataclass(frozen=True)
class Iterate:
    """Any part of a picture, and the optimiser's memory of it: arrays of (H, W, 3) float32."""

    pixels: Pixels  # RGB in [0, 255]
    first: Pixels
    """BFGS: the last step, in pixel values. Adam: the running mean of the gradient, the paper's m."""
    second: Pixels
    """BFGS: the gradient before that step. Adam: the running mean of the gradient's square, the paper's v."""
    mean: Pixels | None = None
    """Mean of the last iterates (Polyak & Juditsky, 1992), where one is wanted."""

    def inside(self, slices: tuple[slice, slice]) -> "Iterate":
        """Return a part of it, as views."""
        mean = None if self.mean is None else self.mean[slices]
        return Iterate(self.pixels[slices], self.first[slices], self.second[slices], mean)

    def copy(self) -> "Iterate":
        """Return the same in arrays of its own."""
        mean = None if self.mean is None else self.mean.copy()
        return Iterate(self.pixels.copy(), self.first.copy(), self.second.copy(), mean)

    def take_in(self, share: float) -> None:
        """Take the pixels into the mean of iterates, in place, where there is one."""
        if self.mean is not None:
            self.mean[...] += share * (self.pixels - self.mean)
