"""The terms' common ground: a term names what it needs measured, gives its value and its pull, and describes itself.

A term never sees a tile. The network measures sums over positions, :class:`nst_rs.objective.moments.Moments`, which add
up over tiles; a term is a function of the scene's sums. Its derivative with respect to them, its pull, is carried back
to every tile's pixels by the network.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from nst_rs.arrays import Pixels
from nst_rs.config.picture import ObjectiveSection
from nst_rs.files.storage import Window
from nst_rs.objective.moments import Moments, Pull, Statistics

Value = float | Mapping[str, float]
"""One number, or layer → number. Without the term's weight, and without the layers'."""


@dataclass(frozen=True)
class Term(ABC):
    """One term of the objective. A frozen dataclass, as all that inherit it: terms travel to other processes."""

    name: ClassVar[str]
    """The term's name in configurations (``objective.terms``), in records and in tables."""
    label: ClassVar[str]
    """The term's name for people, in legends and titles."""
    meaning: ClassVar[str]
    """The meaning of the value, for people: a few words that follow the label."""
    key: ClassVar[str] = ""
    """The key of the objective's section that holds the weight; empty: ``objective.terms`` holds it, by name."""
    always: ClassVar[bool] = False
    """Whether the term is measured and recorded even where its weight is 0."""

    weight: float
    """The factor of the term's value, summed over its layers, in the total."""

    @classmethod
    def build(cls, weight: float, section: ObjectiveSection) -> Self:  # noqa: ARG003
        """Return the term at `weight`; a term that takes more than its weight from the configuration says so here."""
        return cls(weight)

    @property
    def statistics(self) -> Statistics:
        """The statistics that the network must measure for the term; by default none."""
        return Statistics()

    @property
    def layer_weights(self) -> Mapping[str, float]:
        """Layer → the weight of its value in the sum. A term of one number has none."""
        return {}

    def towards(self, style: Moments) -> Self:  # noqa: ARG002
        """Return the term with the style's moments per position for its target; by default the style is no matter.

        `style` has counts of 1, so that its products are Gram matrices per position.
        """
        return self

    @abstractmethod
    def value(self, moments: Moments) -> Value:
        """Return the term's value at every one of its layers, or its one value, from the scene's moments."""

    @abstractmethod
    def pull(self, moments: Moments) -> Pull:
        """Return the derivative of :meth:`share` with respect to the scene's moments.

        `moments` may be predicted: then they hold counts and products only.
        """

    def distance(self, value: Value) -> float:
        """Return one number for a term's value: the sum over its layers, weighted."""
        if isinstance(value, Mapping):
            return float(sum(self.layer_weights[name] * each for name, each in value.items()))
        return value

    def share(self, value: Value) -> float:
        """Return what a term of this value adds to the total."""
        return self.weight * self.distance(value)


@dataclass(frozen=True)
class PixelTerm(Term):
    """A term that measures the pixels themselves: the mean over the scene's pixel values of what :meth:`measure` sums.

    No halo is needed where a pixel's part depends on its next neighbours only.
    """

    def inside(self, window: Window) -> Self:  # noqa: ARG002
        """Return the term as it is in a window of the canvas; by default it is the same everywhere."""
        return self

    @abstractmethod
    def measure(self, window: Pixels, weight: Pixels) -> float:
        """Return Σ weight · the term's part of each pixel, in NumPy.

        `window` is (H, W, 3) float32 RGB in [0, 255], `weight` (H, W) float32: 0 in the halo and on nodata.
        """

    @abstractmethod
    def gradient(self, window: Pixels, weight: Pixels) -> Pixels:
        """Return the derivative of :meth:`measure` with respect to the window's pixels, (H, W, 3) float32."""

    def value(self, moments: Moments) -> float:
        """Return the mean over the pixels and their three channels."""
        return moments.pixels[self.name] / moments.pixel_values

    def pull(self, moments: Moments) -> Pull:
        """Return the factor of what a tile measures."""
        return Pull(pixels={self.name: self.weight / moments.pixel_values})
