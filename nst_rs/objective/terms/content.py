"""Gatys' content loss (arXiv 1508.06576): how far the picture's features are from the scene's.

L_content(l) = 1/2 Σ_ij (F_ij − P_ij)²                                    equation 1
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from nst_rs.config.picture import ObjectiveSection
from nst_rs.objective.moments import Moments, Pull, Statistics
from nst_rs.objective.terms.base import Term
from nst_rs.vgg16 import VGG16

Normalization = Literal["mean", "sum"]


@dataclass(frozen=True)
class Content(Term):
    """α Σ_l c_l L_content(l)."""

    name: ClassVar[str] = "content"
    label: ClassVar[str] = "content"
    meaning: ClassVar[str] = "distance to the scene"
    key: ClassVar[str] = "alpha"
    always: ClassVar[bool] = True

    layers: Mapping[str, float]
    """Layer → c_l."""
    normalization: Normalization
    """``sum``: equation 1 to the letter. ``mean``: divided by N_l M_l, so that α holds for scenes of any size."""

    @classmethod
    def build(cls, weight: float, section: ObjectiveSection) -> "Content":
        """Return the term of ``objective.content_layers``."""
        return cls(weight, section.content_layers, section.content_normalization)

    @property
    def layer_weights(self) -> Mapping[str, float]:
        """Layer → c_l."""
        return self.layers

    @property
    def statistics(self) -> Statistics:
        """Distances to the scene's features."""
        return Statistics(half_squares=tuple(self.layers))

    def value(self, moments: Moments) -> dict[str, float]:
        """Return layer → L_content(l), by the chosen normalisation."""
        factors = self._factors(moments)
        return {name: moments.half_squares[name] * factors[name] for name in self.layers}

    def pull(self, moments: Moments) -> Pull:
        """Return layer → the factor of 1/2 Σ (F − P)²."""
        factors = self._factors(moments)
        return Pull(half_squares={name: self.weight * weight * factors[name] for name, weight in self.layers.items()})

    def _factors(self, moments: Moments) -> dict[str, float]:
        """Return layer → what 1/2 Σ (F − P)² over the whole scene is multiplied by to be L_content(l)."""
        if self.normalization == "sum":
            return dict.fromkeys(self.layers, 1.0)
        return {name: 1.0 / (VGG16[name].channels * moments.counts[name]) for name in self.layers}
