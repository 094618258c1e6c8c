"""What a tile tells the scene about its style: counts and sums of feature products, which add up over tiles."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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

    def __add__(self, other: "Moments") -> "Moments":
        """Add layer by layer."""
        return Moments(
            {name: self.counts[name] + other.counts[name] for name in self.counts},
            {name: self.sums[name] + other.sums[name] for name in self.sums},
        )

    @property
    def grams(self) -> dict[str, Array]:
        """Layer → Gram matrix per position, Ĝ = G / M, (C, C) float64; independent of the picture's size."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}


def total(parts: Iterable[Moments]) -> Moments:
    """Add moments pairwise, in the order given: the rounding does not depend on who computed what, or when.

    Raises ValueError when there is nothing to add.
    """
    level = list(parts)
    if not level:
        raise ValueError("no moments to add")
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]
