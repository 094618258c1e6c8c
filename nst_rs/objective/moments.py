"""Sums over a picture, measured tile by tile: positions, feature products, distances to the content, pixels.

Three values have the same fields. :class:`Statistics` names the layers at which the network measures, :class:`Moments`
holds what it measured there, and :class:`Pull` is the derivative of the objective with respect to that.

Where the ground is divided into classes, every class has its own sums, weighted by its share of each position (guided
Gram matrices: Gatys et al., arXiv 1611.07865). They stand side by side in one :class:`Moments`, under the layer's name
with the class's number, :func:`in_class`, so that all that adds and carries sums needs to know nothing of classes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

from nst_rs.arrays import Array
from nst_rs.vgg16 import VGG16

_CLASS = "@"


def in_class(layer: str, number: int) -> str:
    """Return the name under which the sums of a class stand at a layer.

    >>> in_class("conv1_1", 2), layer_of("conv1_1@2"), layer_of("conv1_1")
    ('conv1_1@2', 'conv1_1', 'conv1_1')
    """
    return f"{layer}{_CLASS}{number}"


def layer_of(name: str) -> str:
    """Return the layer of a sum: the name itself where the ground is not divided."""
    return name.partition(_CLASS)[0]


@dataclass(frozen=True)
class Statistics:
    """The layers at which the network measures, statistic by statistic.

    >>> (Statistics(products=("conv1_1",)) | Statistics(("conv1_1", "conv2_1"), ("conv4_2",))).counted
    ('conv1_1', 'conv2_1', 'conv4_2')
    """

    products: tuple[str, ...] = ()
    """Layers of which Σ F Fᵀ is measured."""
    half_squares: tuple[str, ...] = ()
    """Layers of which 1/2 Σ (F − P)² is measured, P being the scene's features: the content layers."""

    def __or__(self, other: "Statistics") -> "Statistics":
        """Return what either measures, each layer once."""
        return Statistics(_each_once(self.products, other.products), _each_once(self.half_squares, other.half_squares))

    @property
    def counted(self) -> tuple[str, ...]:
        """All these layers, at which positions are counted."""
        return _each_once(self.products, self.half_squares)


@dataclass(frozen=True)
class Moments:
    """Weighted sums over a picture's positions and pixels.

    Additive: the moments of a scene are the sum of the moments of its tiles, because every position belongs to the
    core of exactly one tile.

    >>> import numpy as np
    >>> tile = Moments({"conv1_1": 2.0}, {"conv1_1": 6 * np.eye(2)})
    >>> (tile + tile).grams["conv1_1"].tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """

    counts: Mapping[str, float]
    """Layer → sum of the positions' weights (a position half nodata weighs one half)."""
    products: Mapping[str, Array]
    """Layer → Σ weight · F Fᵀ, (C, C) float64."""
    half_squares: Mapping[str, float] = field(default_factory=dict)
    """Content layer → 1/2 Σ weight · (F − P)²; empty where there is no content to compare with."""
    pixels: Mapping[str, float] = field(default_factory=dict)
    """Term → Σ weight · what the term measures of the pixels themselves."""

    def __add__(self, other: "Moments") -> "Moments":
        """Add layer by layer and term by term."""
        return Moments(
            {name: self.counts[name] + other.counts[name] for name in self.counts},
            {name: self.products[name] + other.products[name] for name in self.products},
            {name: self.half_squares[name] + other.half_squares[name] for name in self.half_squares},
            {name: self.pixels[name] + other.pixels[name] for name in self.pixels},
        )

    @property
    def grams(self) -> dict[str, Array]:
        """Layer → Gram matrix per position, Ĝ = G / M, (C, C) float64; independent of the picture's size."""
        return {name: self.products[name] / self.counts[name] for name in self.products}

    @property
    def pixel_values(self) -> float:
        """The weight of the picture's pixels, times three channels."""
        layers: dict[str, float] = {}
        for name in self.counts:
            layers[layer_of(name)] = layers.get(layer_of(name), 0.0) + self.pixels_of(name)
        first = next(iter(self.counts))
        # All layers count all of the pixels, but those that make less of the borders between classes.
        return 3 * (layers[first] if layer_of(first) == first else max(layers.values()))

    def pixels_of(self, name: str) -> float:
        """Return the weight of the pixels that are counted under a name."""
        return self.counts[name] * VGG16[layer_of(name)].stride ** 2

    @property
    def counted_shares(self) -> dict[str, float]:
        """Layer → the share of the ground that counts there: 1, or less where a class's border is made less of."""
        pixels = {name: self.pixels_of(name) for name in self.counts}
        return {name: each / max(pixels.values()) for name, each in pixels.items()}

    def of_class(self, number: int) -> "Moments":
        """Return the sums of one class, by layer; none over pixels, which are the whole scene's."""
        own = {layer: in_class(layer, number) for layer in dict.fromkeys(map(layer_of, self.counts))}
        return Moments(_chosen(self.counts, own), _chosen(self.products, own), _chosen(self.half_squares, own))

    def expected(self, part: "Moments", part_before: "Moments") -> "Moments":
        """Return what these, an earlier state of a scene, should have become, by how a part of it has changed.

        Position by position the whole is taken to have changed as the part did: Ĝ + (ĝ_part − ĝ_part before). Counts
        and products only: the derivatives with respect to distances and pixels depend on nothing else.
        """
        now, before = part.grams, part_before.grams
        products = {name: gram + self.counts[name] * (now[name] - before[name]) for name, gram in self.products.items()}
        return Moments(self.counts, products)


@dataclass(frozen=True)
class Pull:
    """The derivative of the objective with respect to the scene's moments, field by field.

    This is all that a tile must know of the scene to take its own share of the scene's gradient.
    """

    products: Mapping[str, Array] = field(default_factory=dict)
    """Layer → ∂L / ∂(Σ F Fᵀ), (C, C) float64, symmetric."""
    half_squares: Mapping[str, float] = field(default_factory=dict)
    """Content layer → ∂L / ∂(1/2 Σ (F − P)²)."""
    pixels: Mapping[str, float] = field(default_factory=dict)
    """Term → ∂L / ∂(what the term measures of the pixels)."""

    def __add__(self, other: "Pull") -> "Pull":
        """Add layer by layer; what only one of them has stays as it is."""
        products = dict(self.products)
        for name, matrix in other.products.items():
            products[name] = products[name] + matrix if name in products else matrix
        return Pull(products, _added(self.half_squares, other.half_squares), _added(self.pixels, other.pixels))

    def in_class(self, number: int, shares: Mapping[str, float]) -> "Pull":
        """Return the pull on the sums of a class that adds, layer by layer, so many times what it would alone."""
        return Pull(
            {in_class(name, number): shares[name] * matrix for name, matrix in self.products.items()},
            {in_class(name, number): shares[name] * factor for name, factor in self.half_squares.items()},
        )


_V = TypeVar("_V")


def _chosen(part: Mapping[str, _V], own: Mapping[str, str]) -> dict[str, _V]:
    """Return layer → what stands under the name that is its own, where there is any."""
    return {layer: part[name] for layer, name in own.items() if name in part}


def _added(some: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {**some, **{name: some[name] + value if name in some else value for name, value in others.items()}}


def _each_once(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*some, *others]))


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
    sum_so_far = Total()
    for part in parts:
        sum_so_far.add(part)
    return sum_so_far.value
