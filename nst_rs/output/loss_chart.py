"""Loss curves by level, as inline SVG that takes its colours from the page around it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_rs.config.sections import RunConfig

WIDTH, HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 30


@dataclass(frozen=True)
class Curve:
    """One term of the objective over a level's iterations, weighted as it enters the total."""

    name: str
    values: tuple[float, ...]


def curves(level: Mapping[str, Any], config: RunConfig, alpha: float) -> tuple[Curve, ...]:
    """Return a level's total, content and style terms from its part of the run record; `alpha` is the level's.

    Terms that are nowhere above zero are left out: there is nothing to draw on a logarithmic axis.
    """
    losses, objective = level["losses"], config.objective
    found = (
        Curve("total", tuple(losses["total"])),
        Curve("content", _weighted(losses["content"], objective.content_layers, alpha)),
        Curve("style", _weighted(losses["style"], objective.style_layers, objective.beta)),
    )
    return tuple(curve for curve in found if any(value > 0 for value in curve.values))


def draw(found: Sequence[Curve], title: str) -> str:
    """Return the curves as one SVG, iterations from left to right, values on a logarithmic axis.

    `title` is what a screen reader says, plain text.
    """
    count = max((len(curve.values) for curve in found), default=0)
    positive = [value for curve in found for value in curve.values if value > 0]
    if not positive:
        return ""
    axis = _Axis(min(positive), max(positive))
    lines = "".join(_line(curve, count, axis) for curve in found)
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
            found = [step * 10.0**decade for decade in decades for step in steps]
            inside = [value for value in found if self.low <= value <= self.high]
            if len(inside) >= 3:
                return inside[:: math.ceil(len(inside) / 7)]
        return [self.low, self.high] if self.high > self.low else [self.low]


def _weighted(layers: Mapping[str, Sequence[float]], weights: Mapping[str, float], factor: float) -> tuple[float, ...]:
    columns = zip(*([factor * weights[name] * value for value in layers[name]] for name in layers), strict=True)
    return tuple(sum(column) for column in columns)


def _x(iteration: int, count: int) -> float:
    share = 0.5 if count == 1 else (iteration - 1) / (count - 1)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _line(curve: Curve, count: int, axis: _Axis) -> str:
    points = [(_x(i, count), axis.y(value)) for i, value in enumerate(curve.values, start=1) if value > 0]
    if len(points) == 1:
        return f'<circle class="{curve.name}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>'
    return f'<polyline class="{curve.name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


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
