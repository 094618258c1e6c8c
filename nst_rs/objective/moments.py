"""What a tile tells the scene of itself: counts, sums of feature products, distances. They add up over tiles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from nst_rs.arrays import Array


@dataclass(frozen=True)
class Moments:
    """Weighted second moments of the features, layer by layer.

    Additive: the moments of a scene are the sum of the moments of its tiles, because every position belongs to the
    core of exactly one tile.
    """

    counts: Mapping[str, float]
    """Layer → sum of the positions' weights (a position half nodata weighs one half)."""
    sums: Mapping[str, Array]
    """Layer → Σ weight · F Fᵀ, (C, C) float64."""
    half_squares: Mapping[str, float] = field(default_factory=dict)
    """Content layer → 1/2 Σ weight · (F − P)²; empty where there is no content to compare with."""
    variation: float = 0.0
    """Σ weight · squared steps to the next pixels, where the objective has a variation term.""" ""

    def __add__(self, other: "Moments") -> "Moments":
        """Add layer by layer."""
        return Moments(
            {name: self.counts[name] + other.counts[name] for name in self.counts},
            {name: self.sums[name] + other.sums[name] for name in self.sums},
            {name: self.half_squares[name] + other.half_squares[name] for name in self.half_squares},
            self.variation + other.variation,
        )

    @property
    def grams(self) -> dict[str, Array]:
        """Layer → Gram matrix per position, Ĝ = G / M, (C, C) float64; independent of the picture's size."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def expected(self, part: "Moments", part_before: "Moments") -> "Moments":
        """Return what these, an earlier state of a scene, should have become, by how a part of it has changed.

        Position by position the whole is taken to have changed as the part did: Ĝ + (ĝ_part − ĝ_part before).
        """
        now, before = part.grams, part_before.grams
        sums = {name: gram + self.counts[name] * (now[name] - before[name]) for name, gram in self.sums.items()}
        return Moments(self.counts, sums)


class Total:
    """A sum of moments, added pairwise in the order given: the rounding does not depend on who computed what, or when.

    Holds one partial sum for each binary digit of the number of parts, however many there are.
    """

    def __init__(self) -> None:
        self._partial: list[tuple[int, Moments]] = []
        """(parts, their sum), of ever fewer parts, each a power of two."""

    def add(self, part: Moments) -> None:
        """Add the next part."""
        parts = 1
        while self._partial and self._partial[-1][0] == parts:
            part = self._partial.pop()[1] + part
            parts *= 2
        self._partial.append((parts, part))

    @property
    def value(self) -> Moments:
        """The sum so far. Raises ValueError when nothing was added."""
        if not self._partial:
            raise ValueError("no moments to add")
        return reduce(lambda later, earlier: earlier + later, (part for _, part in reversed(self._partial)))


def total(parts: Iterable[Moments]) -> Moments:
    """Return the :class:`Total` of `parts`. Raises ValueError when there are none."""
    found = Total()
    for part in parts:
        found.add(part)
    return found.value
