"""The style images at the levels of the pyramid: halved with the scene, or of one size at all of them."""

from collections.abc import Sequence
from dataclasses import replace

from nst_rs.config.sections import SMALLEST_STYLE, RunConfig
from nst_rs.pyramid.resample import halve
from nst_rs.style.picture import Style


def at_levels(config: RunConfig, styles: Sequence[Style]) -> list[Sequence[Style]]:
    """Return the styles of every level, from coarse to fine, by ``style.scaling``."""
    depths = reversed(range(config.schedule.levels))
    if config.style.scaling == "fixed":
        return [styles for _ in depths]
    return [[halved(style, depth) for style in styles] for depth in depths]


def halved(style: Style, times: int) -> Style:
    """Return the style with its image halved so many times, but not to less than the smallest that a style may be.

    >>> import numpy as np
    >>> halved(Style.opaque(np.zeros((400, 300, 3), np.float32)), 2).image.shape
    (100, 75, 3)
    """
    image, weight = style.image, style.weight
    for _ in range(times):
        if max(weight.shape) < 2 * SMALLEST_STYLE:
            break
        image, weight = halve(image, weight)
    return replace(style, image=image, weight=weight)
