"""A measure of whether the scene's flat areas, water, desert, cloud, stayed calm or came out in blotches."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Mask, Pixels
from nst_rs.files.storage import strips
from nst_rs.style.color import channels_first

CELL = 16
"""Side in pixels of the cells that are compared: about the size of a blotch, larger than the grain of strokes."""
FLAT_PERCENT = 25
"""The percentage of cells that count as flat: those in which the scene varies least."""

_STRIP_ROWS = 8 * CELL


def measure_calm(content: Any, result: Any, valid: Any) -> dict[str, float | None]:
    """Return how much flat areas vary from cell to cell, over how much the others do: in the result and in the scene.

    `content` and `result` are (H, W, 3) RGB in [0, 255], `valid` is (H, W), above 0 where there is data; all three are
    read by slices of rows. Cells with nodata do not count. Blotches bring the result's ratio up to 1, that of areas
    full of detail, or beyond; the scene's is far below. None where there is nothing to compare.

    >>> scene = np.zeros((64, 64, 3))
    >>> scene[32:, 32:] = np.arange(0, 256, 8)[:, np.newaxis]
    >>> measure_calm(scene, scene, np.ones((64, 64)))
    {'result': 0.0, 'content': 0.0}
    """
    rows = list(strips(valid.shape[0] // CELL * CELL, _STRIP_ROWS))
    if not rows or valid.shape[1] < CELL:
        return {"result": None, "content": None}
    whole = np.concatenate([_means((_cells(valid[part]) > 0).astype(np.float32)) == 1 for part in rows])
    shown = [_means_and_spread(content[part]) for part in rows]
    spread = np.concatenate([spread for _, spread in shown])
    content_means = np.concatenate([means for means, _ in shown], axis=1)
    published = (np.rint(channels_first(result[part])) for part in rows)
    result_means = np.concatenate([_means(_cells(planes)) for planes in published], axis=1)
    flat = whole & (spread <= np.percentile(spread[whole], FLAT_PERCENT)) if whole.any() else whole
    return {
        name: _ratio(_mean_step(means, flat), _mean_step(means, whole & ~flat))
        for name, means in (("result", result_means), ("content", content_means))
    }


def _means_and_spread(picture: npt.NDArray[Any]) -> tuple[Pixels, Pixels]:
    """Return the means of every cell, (3, h, w), and the standard deviation in it, as a mean over the channels."""
    cells = _cells(channels_first(picture))
    means = _means(cells)
    variances = _means((cells - means[..., np.newaxis, :, np.newaxis]) ** 2)
    return means, np.sqrt(variances).mean(axis=0)


def _cells(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (..., h, CELL, w, CELL) of (..., H, W): whole cells; the columns beyond them are left out."""
    *channels, height, width = values.shape
    width = width // CELL * CELL
    return values[..., :width].reshape(*channels, height // CELL, CELL, width // CELL, CELL)


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


def _ratio(flat: float, others: float) -> float | None:
    return round(flat / others, 4) if others > 0 and not np.isnan(flat) else None
