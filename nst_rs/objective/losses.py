"""The scene's objective: the sum of its terms, each a function of sums over tiles.

    L = α Σ_l c_l L_content(l) + β Σ_l w_l E_l + …                            equations 5 and 7 of arXiv 1508.06576

The terms are in nst_rs/objective/terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from nst_rs.objective.moments import Moments, Pull
from nst_rs.objective.terms.base import PixelTerm, Term, Value


@dataclass(frozen=True)
class TermLoss:
    """One term of the objective for one picture."""

    value: Value
    """One number, or layer → number; without the weights."""
    share: float
    """The part of the total that it adds."""


@dataclass(frozen=True)
class Losses:
    """The objective for one picture."""

    total: float
    terms: Mapping[str, TermLoss]
    """Term → its part of the total, in the order in which they were added."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Losses":
        """Return the losses that :func:`dataclasses.asdict` made `data` of.

        Raises KeyError, TypeError or AttributeError for other data.
        """
        return cls(data["total"], {name: TermLoss(**term) for name, term in data["terms"].items()})


@dataclass(frozen=True)
class Objective:
    """The function to be minimised over the pixels of a scene: a sum of terms."""

    terms: tuple[Term, ...]

    def weighted(self, name: str, weight: float) -> "Objective":
        """Return the objective with another weight for one term."""
        return Objective(tuple(replace(term, weight=weight) if term.name == name else term for term in self.terms))

    def towards(self, style: Moments) -> "Objective":
        """Return the objective whose style is `style`, moments per position: see :meth:`Term.towards`."""
        return Objective(tuple(term.towards(style) for term in self.terms))

    @property
    def of_pixels(self) -> "Objective":
        """The part of the objective that tiles measure without the network. Small: it holds no target."""
        return Objective(self.pixel_terms)

    @property
    def pixel_terms(self) -> tuple[PixelTerm, ...]:
        """The terms that measure the pixels themselves."""
        return tuple(term for term in self.terms if isinstance(term, PixelTerm))

    def pull(self, moments: Moments) -> Pull:
        """Return the derivative of the objective with respect to the scene's moments, the sum of the terms' pulls."""
        return reduce(add, (term.pull(moments) for term in self.terms), Pull())

    def losses(self, moments: Moments) -> Losses:
        """Return the terms and their sum, from the scene's moments."""
        terms = {term.name: _loss(term, moments) for term in self.terms}
        total = 0.0
        for loss in terms.values():  # not sum(), which rounds in another way in later Pythons
            total += loss.share
        return Losses(total, terms)


def _loss(term: Term, moments: Moments) -> TermLoss:
    value = term.value(moments)
    return TermLoss(value, term.share(value))
