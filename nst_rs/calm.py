"""Whether the scene's flat areas, water, desert, cloud, stayed calm, or came out in blotches."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask
from nst_rs.storage import bands

CELL = 16
"""Side in pixels of the cells that are compared: about the size of a blotch, larger than the grain of strokes."""
FLAT_PERCENT = 25
"""Of the cells, how many count as flat: those in which the scene varies least."""

_BAND = 8 * CELL


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
    rows = list(bands(valid.shape[0] // CELL * CELL, _BAND))
    if not rows or valid.shape[1] < CELL:
        return {"result": None, "content": None}
    whole = np.concatenate([_cells(valid[part]).min(axis=(1, 3)) > 0 for part in rows])  # (h, w), a cell each
    spread = np.concatenate([_cells(content[part]).std(axis=(1, 3)).mean(axis=-1) for part in rows])  # (h, w)
    means = {
        "result": np.concatenate([_cells(np.rint(result[part])).mean(axis=(1, 3)) for part in rows]),  # as published
        "content": np.concatenate([_cells(content[part]).mean(axis=(1, 3)) for part in rows]),  # (h, w, 3)
    }
    flat = whole & (spread <= np.percentile(spread[whole], FLAT_PERCENT)) if whole.any() else whole
    return {name: _ratio(_mean_step(mean, flat), _mean_step(mean, whole & ~flat)) for name, mean in means.items()}


def _cells(picture: npt.NDArray[Any]) -> Array:
    """Return (h, CELL, w, CELL, ...): a picture's whole cells; the columns beyond them are left out."""
    height, width = picture.shape[0] // CELL, picture.shape[1] // CELL
    return picture[:, : width * CELL].reshape(height, CELL, width, CELL, *picture.shape[2:]).astype(np.float64)


def _mean_step(means: Array, chosen: Mask) -> float:
    """Return the mean absolute step between neighbouring cells that are both `chosen`; NaN where there are none."""
    steps = []
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = chosen[first] & chosen[second]
        steps.append(np.abs(means[second] - means[first])[both].ravel())
    found = np.concatenate(steps)
    return float(found.mean()) if len(found) else np.nan


def _ratio(flat: float, others: float) -> float | None:
    return round(flat / others, 4) if others > 0 and not np.isnan(flat) else None
