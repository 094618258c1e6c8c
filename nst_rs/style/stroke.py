"""The style's size and the number of levels that a stroke in metres asks for. A stroke is 1/32 of a style image."""

import math

from nst_rs.config.loading import Decisions
from nst_rs.config.sections import LARGEST_STYLE, MOST_LEVELS, SMALLEST_STYLE, RunConfig, trunk_of
from nst_rs.errors import ConfigError
from nst_rs.geo.grid import Grid
from nst_rs.pyramid.tiling import coarsest_shape

_STROKES = 32
"""Strokes along the style image's longer side."""

_COARSEST_STROKE = 8.0
"""Pixels at the coarsest level, from this to twice this: where the style is then 256 to 512 pixels, the network's
layers take strokes for what they are."""


def settle_stroke(config: RunConfig, grid: Grid) -> Decisions:
    """Return the style.size and the schedule.levels that the configuration's style.stroke asks for on `grid`.

    Without a stroke nothing is decided. Raises ConfigError where no size is allowed that the stroke would need, and
    where schedule.iterations or objective.alpha holds another number of numbers.
    """
    if config.style.stroke is None:
        return {}
    pixels, most = config.style.stroke / grid.metres_per_pixel, _most_levels(grid.shape, trunk_of(config).stride)
    levels, size = fit(pixels, most)
    if config.style.scaling == "level":
        size, most = round(_STROKES * pixels), 1
    if not SMALLEST_STYLE <= size <= LARGEST_STYLE:
        larger = "set style.scaling=fixed for a larger one" if size > LARGEST_STYLE and most == 1 else ""
        raise _out_of_range(config.style.stroke, most, grid.metres_per_pixel, larger)
    for name, given in (
        ("schedule.iterations", config.schedule.iterations),
        ("objective.alpha", config.objective.alpha),
    ):
        if isinstance(given, tuple) and len(given) != levels:
            raise ConfigError(
                name,
                expected=f"one number, or one for each of the {levels} levels of style.stroke {config.style.stroke:g}",
                got=f"{len(given)} numbers",
            )
    return {"style.size": size, "schedule.levels": levels}


def settle_learned_stroke(config: RunConfig, grid: Grid) -> Decisions:
    """Return the style.size that the configuration's style.stroke asks for where there is one level only.

    A learned network paints at the scene's own resolution. Raises ConfigError like :func:`settle_stroke`.
    """
    if config.style.stroke is None:
        return {}
    _, size = fit(config.style.stroke / grid.metres_per_pixel, most=1)
    if not SMALLEST_STYLE <= size <= LARGEST_STYLE:
        raise _out_of_range(config.style.stroke, 1, grid.metres_per_pixel)
    return {"style.size": size}


def fit(pixels: float, most: int) -> tuple[int, int]:
    """Return levels, `most` at most, and the style's longer side at the coarsest, for `pixels` a stroke at the finest.

    The stroke is 8 to 16 pixels at the coarsest level, if there are levels enough and it is not smaller to begin with.

    >>> fit(35.0, most=5), fit(35.0, most=2), fit(4.0, most=5)
    ((3, 280), (2, 560), (1, 128))
    """
    halvings = min(most - 1, max(0, math.floor(math.log2(pixels / _COARSEST_STROKE))))
    return halvings + 1, round(_STROKES * pixels / 2**halvings)


def _most_levels(shape: tuple[int, int], stride: int) -> int:
    possible = (levels for levels in range(MOST_LEVELS, 1, -1) if min(coarsest_shape(shape, levels)) >= stride)
    return next(possible, 1)


def _out_of_range(stroke: float, most: int, metres_per_pixel: float, do: str = "") -> ConfigError:
    """Return the error, where the size is that at the coarsest of `most` levels."""
    finest, coarsest = metres_per_pixel / _STROKES, metres_per_pixel / _STROKES * 2 ** (most - 1)
    return ConfigError(
        "style.stroke",
        expected=f"{SMALLEST_STYLE * finest:g} to {LARGEST_STYLE * coarsest:g} metres for this scene",
        got=f"{stroke:g}",
        do=do,
    )
