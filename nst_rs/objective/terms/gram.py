"""Gatys' style loss (arXiv 1508.06576): how far the picture's Gram matrices are from the style's.

    E_l = 1/(4 N_l² M_l²) Σ_ij (G_ij − A_ij)²                                 equation 4

Gram matrices are compared per position, Ĝ = G / M, so that scene and style may differ in size:
E_l = 1/(4 N_l²) Σ_ij (Ĝ_ij − Â_ij)². Where the two sizes are equal this is equation 4 to the letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from nst_rs.arrays import Array
from nst_rs.config.picture import ObjectiveSection
from nst_rs.objective.moments import Moments, Pull, Statistics
from nst_rs.objective.terms.base import Term


@dataclass(frozen=True)
class Gram(Term):
    """β Σ_l w_l E_l."""

    name: ClassVar[str] = "style"
    label: ClassVar[str] = "style"
    meaning: ClassVar[str] = "distance to the painting"
    key: ClassVar[str] = "beta"
    always: ClassVar[bool] = True

    layers: Mapping[str, float]
    """Layer → w_l."""
    targets: Mapping[str, Array] = field(default_factory=dict)
    """Layer → Â, the style's Gram matrix per position, (C, C) float64; empty before :meth:`towards`."""

    @classmethod
    def build(cls, weight: float, section: ObjectiveSection) -> "Gram":
        """Return the term of ``objective.style_layers``, without targets."""
        return cls(weight, section.style_layers)

    @property
    def layer_weights(self) -> Mapping[str, float]:
        """Layer → w_l."""
        return self.layers

    @property
    def statistics(self) -> Statistics:
        """Feature products."""
        return Statistics(products=tuple(self.layers))

    def towards(self, style: Moments) -> "Gram":
        """Return the term whose targets are the style's Gram matrices."""
        grams = style.grams
        return replace(self, targets={name: grams[name] for name in self.layers})

    def value(self, moments: Moments) -> dict[str, float]:
        """Return layer → E_l."""
        grams = moments.grams
        return {
            name: float(np.sum((grams[name] - self.targets[name]) ** 2)) / (4 * grams[name].shape[0] ** 2)
            for name in self.layers
        }

    def pull(self, moments: Moments) -> Pull:
        """Return layer → the derivative with respect to Σ F Fᵀ.

        ∂E_l/∂G_ij = (Ĝ − Â)_ij / (2 N_l² M_l); with ∂(F Fᵀ)/∂F this is the closed form of equation 6.
        """
        grams = moments.grams
        products = {}
        for name, weight in self.layers.items():
            difference, channels = grams[name] - self.targets[name], grams[name].shape[0]
            products[name] = self.weight * weight * difference / (2 * channels**2 * moments.counts[name])
        return Pull(products)
