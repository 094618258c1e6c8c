"""Loss curves by level, as inline SVG that takes its colours from the page around it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 30


COLORS = 6
"""The number of the page's colours for terms, ``--term-0`` and on. With more terms they come round again."""


@dataclass(frozen=True)
class Curve:
    """The total, or one term of it, over a level's iterations; terms are weighted as they enter the total."""

    name: str
    label: str
    values: tuple[float, ...]
    color: str = "var(--ink)"
    """A CSS colour."""
    meaning: str = ""
    """The meaning of a small value, for people."""


def curves(level: Mapping[str, Any]) -> tuple[Curve, ...]:
    """Return a level's total and its terms from its part of the run record.

    Terms that are nowhere above zero are left out: there is nothing to draw on a logarithmic axis.
    """
    terms = (
        Curve(term["name"], term["label"], tuple(term["share"]), f"var(--term-{number % COLORS})", term["meaning"])
        for number, term in enumerate(level["terms"])
    )
    total = Curve("total", "total", tuple(level["losses"]["total"]))
    return tuple(curve for curve in (total, *terms) if any(value > 0 for value in curve.values))


def draw(shown: Sequence[Curve], title: str) -> str:
    """Return the curves as one SVG, iterations from left to right, values on a logarithmic axis.

    `title` is what a screen reader says, plain text.
    """
    count = max((len(curve.values) for curve in shown), default=0)
    positive = [value for curve in shown for value in curve.values if value > 0]
    if not positive:
        return ""
    axis = _Axis(min(positive), max(positive))
    lines = "".join(_line(curve, count, axis) for curve in shown)
    return (
        f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"{_values(axis)}{_iterations(count)}{lines}</svg>"
    )


@dataclass(frozen=True)
class _Axis:
    """From values to heights, in powers of ten."""

    low: float
    high: float

    def y(self, value: float) -> float:
        low, high = math.log10(self.low), math.log10(self.high)
        share = 0.5 if high == low else (math.log10(value) - low) / (high - low)
        return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)

    @property
    def ticks(self) -> list[float]:
        """Round values between low and high: powers of ten, with twos and fives where those are few."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            values = [step * 10.0**decade for decade in decades for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) >= 3:
                return inside[:: math.ceil(len(inside) / 7)]
        return [self.low, self.high] if self.high > self.low else [self.low]


def _x(iteration: int, count: int) -> float:
    share = 0.5 if count == 1 else (iteration - 1) / (count - 1)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _line(curve: Curve, count: int, axis: _Axis) -> str:
    points = [(_x(i, count), axis.y(value)) for i, value in enumerate(curve.values, start=1) if value > 0]
    if len(points) == 1:
        ((x, y),) = points
        return f'<circle class="{curve.name}" style="--key: {curve.color}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{curve.name}" style="--key: {curve.color}" points="{line}"/>'


def _values(axis: _Axis) -> str:
    return "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{axis.y(value):.1f}" y2="{axis.y(value):.1f}"/>'
        f'<text class="value" x="{_LEFT - 7}" y="{axis.y(value) + 4:.1f}">{value:.2g}</text>'
        for value in axis.ticks
    )


def _iterations(count: int) -> str:
    shown = sorted({1, *(round(1 + share * (count - 1)) for share in (0.25, 0.5, 0.75)), count})
    shown = shown if count > 8 else sorted({1, count})
    return "".join(f'<text class="iteration" x="{_x(i, count):.1f}" y="{HEIGHT - 10}">{i}</text>' for i in shown)
