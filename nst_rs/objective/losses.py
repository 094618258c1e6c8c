"""The scene's objective: the sum of its terms, each a function of sums over tiles.

    L = α Σ_l c_l L_content(l) + β Σ_l w_l E_l + …                            equations 5 and 7 of arXiv 1508.06576

The terms are in nst_rs/objective/terms.
"""

from collections.abc import Iterable, Mapping, Sequence
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
class ClassObjective:
    """The part of the objective that one class of ground has to itself: terms of the class's own sums."""

    name: str
    number: int
    """The class's place among the sums: :func:`nst_rs.objective.moments.in_class`."""
    share: float
    """The class's share of the ground, which its terms are multiplied by: so the style pulls a position as hard in a
    small class as in a large one, and as hard as where the ground is not divided."""
    terms: tuple[Term, ...]
    factors: Mapping[str, float]
    """Term → the factor of its weight in this class, where it is not 1."""

    def weighted(self, name: str, weight: float) -> "ClassObjective":
        """Return the part with another weight for one term, before the class's own factor."""
        own = weight * self.factors.get(name, 1.0)
        return replace(self, terms=_weighted(self.terms, name, own))

    def pull(self, moments: Moments) -> Pull:
        """Return the derivative with respect to the scene's moments."""
        own = moments.of_class(self.number)
        pull = reduce(add, (term.pull(own) for term in self.terms), Pull())
        return pull.in_class(self.number, self._shares(own))

    def losses(self, moments: Moments) -> dict[str, TermLoss]:
        """Return term → its value, layer by layer, with the class's name behind the layer's, and what it adds."""
        own, losses = moments.of_class(self.number), {}
        shares = self._shares(own)
        for term in self.terms:
            value = term.value(own)
            by_layer = value if isinstance(value, Mapping) else {term.name: value}
            named = {f"{layer} {self.name}": each for layer, each in by_layer.items()}
            added = {layer: shares.get(layer, self.share) * each for layer, each in by_layer.items()}
            losses[term.name] = TermLoss(named, term.share(added if isinstance(value, Mapping) else added[term.name]))
        return losses

    def _shares(self, own: Moments) -> dict[str, float]:
        """Return layer → what the class's terms are multiplied by there.

        A layer that makes less of the class's border pulls the rest no harder for that.
        """
        return {layer: self.share * counted for layer, counted in own.counted_shares.items()}


@dataclass(frozen=True)
class Objective:
    """The function to be minimised over the pixels of a scene: a sum of terms."""

    terms: tuple[Term, ...]
    classes: tuple[ClassObjective, ...] = ()
    """The parts of the classes into which the ground is divided. Then `terms` are those of the pixels alone."""

    def weighted(self, name: str, weight: float) -> "Objective":
        """Return the objective with another weight for one term."""
        classes = tuple(part.weighted(name, weight) for part in self.classes)
        return Objective(_weighted(self.terms, name, weight), classes)

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
        pulls = (*(term.pull(moments) for term in self.terms), *(part.pull(moments) for part in self.classes))
        return reduce(add, pulls, Pull())

    def losses(self, moments: Moments) -> Losses:
        """Return the terms and their sum, from the scene's moments."""
        by_class = [part.losses(moments) for part in self.classes]
        divided = {name: _joined([losses[name] for losses in by_class]) for name in (by_class[0] if by_class else ())}
        terms = {**divided, **{term.name: _loss(term, moments) for term in self.terms}}
        total = 0.0
        for loss in terms.values():  # not sum(), which rounds in another way in later Pythons
            total += loss.share
        return Losses(total, terms)


def _weighted(terms: Iterable[Term], name: str, weight: float) -> tuple[Term, ...]:
    return tuple(replace(term, weight=weight) if term.name == name else term for term in terms)


def _joined(losses: Sequence[TermLoss]) -> TermLoss:
    """Return a term of all classes."""
    values: dict[str, float] = {}
    share = 0.0
    for loss in losses:
        values |= loss.value if isinstance(loss.value, Mapping) else {}
        share += loss.share
    return TermLoss(values, share)


def _loss(term: Term, moments: Moments) -> TermLoss:
    value = term.value(moments)
    return TermLoss(value, term.share(value))
