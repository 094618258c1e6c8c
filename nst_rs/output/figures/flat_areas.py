"""Measures of the scene's flat areas, water, desert, cloud: whether they came out in blotches, or speckled."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.files.storage import strips
from nst_rs.style.color import channels_first, luminance

CELL = 16
"""Side in pixels of the cells that are compared: about the size of a blotch, larger than the grain of strokes."""
FLAT_PERCENT = 25
"""The percentage of cells that count as flat: those in which the scene varies least."""

_STRIP_ROWS = 8 * CELL

Figures = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class _Picture:
    """A picture, cell by cell."""

    means: Pixels  # (3, h, w)
    speckle: Array  # (2, h, w): the mean square of luminance, and of colour, from pixel to pixel


def measure_flat_areas(content: Any, result: Any, valid: Any, styles: Iterable[Pixels]) -> Figures:
    """Return the figures of the cells in which the scene varies least; None for what there is nothing to tell of.

    `content` and `result` are (H, W, 3) RGB in [0, 255], `valid` is (H, W), above 0 where there is data; all three are
    read by slices of rows. `styles` are the style's pictures, (H, W, 3) each. Cells with nodata do not count.

    - ``calm``: how much flat areas vary from cell to cell, over how much the others do. Blotches bring the result's
      ratio up to 1, that of areas full of detail, or beyond; the scene's is far below.
    - ``speckle``: the standard deviation of what is left of luminance, in values of 255, when every pixel is compared
      with its surroundings of 3 × 3 pixels; in the flat areas of the result and of the content, and all over the
      style's pictures.
    - ``color_speckle``: the same of what is left of the colours without their luminance.

    >>> scene = np.zeros((64, 64, 3))
    >>> scene[32:, 32:] = np.arange(0, 256, 8)[:, np.newaxis]
    >>> figures = measure_flat_areas(scene, scene, np.ones((64, 64)), [scene])
    >>> figures["calm"], figures["speckle"]["result"]
    ({'result': 0.0, 'content': 0.0}, 0.0)
    """
    rows = list(strips(valid.shape[0] // CELL * CELL, _STRIP_ROWS))
    if not rows or valid.shape[1] < CELL:
        return _figures(None, None, np.zeros((0, 0), np.bool_), np.zeros((0, 0), np.bool_), styles)
    whole = np.concatenate([_means((_cells(valid[part]) > 0).astype(np.float32)) == 1 for part in rows])
    spread = np.concatenate([_spread(channels_first(content[part])) for part in rows])
    flat = whole & (spread <= np.percentile(spread[whole], FLAT_PERCENT)) if whole.any() else whole
    scene = _joined(_measured(content[part]) for part in rows)
    styled = _joined(_measured(np.rint(result[part])) for part in rows)  # as it is published
    return _figures(styled, scene, flat, whole & ~flat, styles)


def _figures(
    result: _Picture | None, content: _Picture | None, flat: Mask, others: Mask, styles: Iterable[Pixels]
) -> Figures:
    pictures = {"result": result, "content": content}
    calm = {
        name: _ratio(_mean_step(x.means, flat), _mean_step(x.means, others)) if x else None
        for name, x in pictures.items()
    }
    paintings = [_measured(style).speckle.reshape(2, -1) for style in styles if min(style.shape[:2]) >= CELL]
    painted = np.concatenate(paintings, axis=1) if paintings else np.zeros((2, 0))
    speckles = {name: x.speckle[:, flat] if x else np.zeros((2, 0)) for name, x in pictures.items()} | {
        "style": painted
    }
    luminances, colors = ({name: _deviation(values[index]) for name, values in speckles.items()} for index in range(2))
    return {"calm": calm, "speckle": luminances, "color_speckle": colors}


def _joined(parts: Iterable[_Picture]) -> _Picture:
    pictures = list(parts)
    return _Picture(*(np.concatenate([getattr(x, name) for x in pictures], axis=1) for name in ("means", "speckle")))


def _measured(picture: npt.NDArray[Any]) -> _Picture:
    picture = np.asarray(picture, np.float32)
    grey = luminance(picture)
    of_grey = _high_band(grey) ** 2
    of_color = np.sum([_high_band(picture[..., channel] - grey) ** 2 for channel in range(3)], axis=0)
    inner = (of_grey.mean(axis=(-3, -1)), of_color.mean(axis=(-3, -1)))
    return _Picture(_means(_cells(channels_first(picture))), np.stack(inner).astype(np.float64))


def _high_band(values: Pixels) -> Pixels:
    """Return by how much the inner pixels of every cell differ from their surroundings, (h, CELL − 2, w, CELL − 2)."""
    cells = _cells(values)
    rows = (cells[:, :-2] + 2 * cells[:, 1:-1] + cells[:, 2:]) / np.float32(4)
    blurred = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / np.float32(4)
    band: Pixels = cells[:, 1:-1, :, 1:-1] - blurred
    return band


def _spread(planes: Pixels) -> Pixels:
    """Return the standard deviation in every cell, (h, w), as a mean over the channels."""
    cells = _cells(planes)
    variances = _means((cells - _means(cells)[..., np.newaxis, :, np.newaxis]) ** 2)
    spread: Pixels = np.sqrt(variances).mean(axis=0)
    return spread


def _cells(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (..., h, CELL, w, CELL) of (..., H, W): whole cells; the rows and columns beyond them are left out."""
    *channels, height, width = values.shape
    height, width = (size // CELL * CELL for size in (height, width))
    return values[..., :height, :width].reshape(*channels, height // CELL, CELL, width // CELL, CELL)


def _means(cells: Pixels) -> Pixels:
    """Return every cell's mean, (..., h, w). Rows first: they lie one after the other."""
    means: Pixels = cells.sum(axis=-3).sum(axis=-1) / np.float32(CELL**2)
    return means


def _mean_step(means: Pixels, chosen: Mask) -> float:
    """Return the mean absolute step between neighbouring cells that are both `chosen`; NaN where there are none."""
    steps = []
    for first, second in ((np.s_[..., :-1, :], np.s_[..., 1:, :]), (np.s_[..., :-1], np.s_[..., 1:])):
        both = chosen[first] & chosen[second]
        steps.append(np.abs(means[second] - means[first])[:, both].ravel())
    all_steps = np.concatenate(steps)
    return float(all_steps.mean()) if len(all_steps) else np.nan


def _deviation(squares: Array) -> float | None:
    return round(float(np.sqrt(squares.mean())), 4) if squares.size else None


def _ratio(flat: float, others: float) -> float | None:
    return round(flat / others, 4) if others > 0 and not np.isnan(flat) else None
