"""Two further loss terms, each as one module of its own would hold it: docs/architecture.md tells how to write one."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.objective.moments import Moments, Pull, Statistics
from nst_rs.objective.terms.base import PixelTerm, Term
from nst_rs.objective.terms.registry import TERMS


@dataclass(frozen=True)
class Darkness(PixelTerm):
    """The mean squared pixel value: it darkens the map."""

    name: ClassVar[str] = "darkness"
    label: ClassVar[str] = "darkness"
    meaning: ClassVar[str] = "squared brightness"

    def measure(self, window: Pixels, weight: Pixels) -> float:
        return float((weight[..., np.newaxis] * window**2).sum())

    def gradient(self, window: Pixels, weight: Pixels) -> Pixels:
        return 2 * weight[..., np.newaxis] * window


@dataclass(frozen=True)
class Energy(Term):
    """Half the mean squared feature of one layer, the trace of its Gram matrix: it calms what the layer responds to."""

    name: ClassVar[str] = "energy"
    label: ClassVar[str] = "feature energy"
    meaning: ClassVar[str] = "strength of the features"

    layer: str = "conv1_1"

    @property
    def statistics(self) -> Statistics:
        return Statistics(products=(self.layer,))

    def value(self, moments: Moments) -> float:
        gram = moments.grams[self.layer]
        return float(np.trace(gram)) / (2 * len(gram))

    def pull(self, moments: Moments) -> Pull:
        channels = len(moments.products[self.layer])
        return Pull(products={self.layer: self.weight * np.eye(channels) / (2 * channels * moments.counts[self.layer])})


WITH_TOYS = (*TERMS, Darkness, Energy)
"""The list of terms as it is with these two in it."""
