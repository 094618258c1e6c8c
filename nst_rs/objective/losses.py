"""The scene's objective: Gatys' content and style losses (arXiv 1508.06576) as functions of sums over tiles.

    L_content(l) = 1/2 Σ_ij (F_ij − P_ij)²                                    equation 1
    E_l          = 1/(4 N_l² M_l²) Σ_ij (G_ij − A_ij)²                        equation 4
    L            = α Σ_l c_l L_content(l) + β Σ_l w_l E_l                     equations 5 and 7

We compare Gram matrices per position, Ĝ = G / M, so that scene and style may differ in size:
E_l = 1/(4 N_l²) Σ_ij (Ĝ_ij − Â_ij)². Where the two sizes are equal this is equation 4 to the letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nst_rs.arrays import Array
from nst_rs.objective.moments import Moments
from nst_rs.vgg16 import VGG16

Normalization = Literal["mean", "sum"]


@dataclass(frozen=True)
class Pull:
    """All that a tile must know of the scene to take its own share of the scene's gradient."""

    style: Mapping[str, Array]
    """Layer → ∂(β L_style) / ∂(Σ F Fᵀ), (C, C) float64, symmetric."""
    content: Mapping[str, float]
    """Layer → factor of the tile's 1/2 Σ (F − P)²."""
    variation: float = 0.0
    """Factor of the tile's variation."""


@dataclass(frozen=True)
class Losses:
    """The terms of the objective for one picture."""

    content: Mapping[str, float]
    """Layer → L_content(l), by the chosen normalisation, without α and c_l."""
    style: Mapping[str, float]
    """Layer → E_l, without β and w_l."""
    total: float
    """α Σ c_l L_content(l) + β Σ w_l E_l + τ variation."""
    variation: float = 0.0
    """Mean squared step from a pixel to the next, in pixel values of 255 squared, without τ; 0 where τ is."""


@dataclass(frozen=True)
class Objective:
    """What is to be minimised over the pixels of a scene."""

    alpha: float
    beta: float
    content_layers: Mapping[str, float]
    """Layer → c_l."""
    style_layers: Mapping[str, float]
    """Layer → w_l."""
    content_normalization: Normalization
    """``sum``: equation 1 to the letter. ``mean``: divided by N_l M_l, so that α holds for scenes of any size."""
    targets: Mapping[str, Array]
    """Layer → Â, the style's Gram matrix per position, (C, C) float64."""
    variation: float = 0.0
    """τ, the weight of the total variation."""

    def content_factors(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Layer → what 1/2 Σ (F − P)² over the whole scene is multiplied by to be L_content(l)."""
        if self.content_normalization == "sum":
            return dict.fromkeys(self.content_layers, 1.0)
        return {name: 1.0 / (VGG16[name].channels * counts[name]) for name in self.content_layers}

    def pull(self, moments: Moments) -> Pull:
        """Return the derivative of the objective with respect to the scene's sums.

        ∂E_l/∂G_ij = (Ĝ − Â)_ij / (2 N_l² M_l); with ∂(F Fᵀ)/∂F this is the closed form of equation 6.
        """
        style = {
            name: self.beta * weight * (gram - self.targets[name]) / (2 * gram.shape[0] ** 2 * moments.counts[name])
            for (name, weight), gram in zip(self.style_layers.items(), self._grams(moments), strict=True)
        }
        factors = self.content_factors(moments.counts)
        content = {name: self.alpha * weight * factors[name] for name, weight in self.content_layers.items()}
        return Pull(style, content, self.variation / _values(moments))

    def losses(self, moments: Moments) -> Losses:
        """Return the terms, from the scene's moments."""
        style = {
            name: float(np.sum((gram - self.targets[name]) ** 2)) / (4 * gram.shape[0] ** 2)
            for name, gram in zip(self.style_layers, self._grams(moments), strict=True)
        }
        factors = self.content_factors(moments.counts)
        content = {name: moments.half_squares[name] * factors[name] for name in self.content_layers}
        total = self.alpha * sum(self.content_layers[name] * value for name, value in content.items())
        total += self.beta * sum(self.style_layers[name] * value for name, value in style.items())
        variation = moments.variation / _values(moments)
        return Losses(content, style, total + self.variation * variation, variation)

    def _grams(self, moments: Moments) -> list[Array]:
        grams = moments.grams
        return [grams[name] for name in self.style_layers]


def _values(moments: Moments) -> float:
    """Return the weight of the scene's pixels, times three channels."""
    name, count = next(iter(moments.counts.items()))
    return 3 * count * VGG16[name].stride ** 2
