"""The part of a scene that shows the most of it: where a composite has the most contrast and holds data."""

import numpy as np

from nst_rs.arrays import Array
from nst_rs.files.storage import PixelArray, strips
from nst_rs.style.color import luminance

_CELL = 16
"""Pixels along the side of the cells by which places are compared."""
_WHOLE = 0.99
"""The share of valid pixels from which on a part counts as whole."""


def most_contrast(image: PixelArray, weight: PixelArray, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of the part of `side` pixels, or less where the scene is smaller.

    `image` is (H, W, 3) in [0, 255] and `weight` (H, W), 0 where there is no data; both are read in strips. It is the
    part of the largest variance of luminance among those that are valid throughout or, where none is, the most.

    >>> image = np.zeros((64, 96, 3))
    >>> image[40:, 70:] = np.arange(0, 260, 10)[:, np.newaxis]
    >>> most_contrast(image, np.ones((64, 96)), 32)
    (slice(32, 64, None), slice(64, 96, None))
    """
    height, width = weight.shape
    sums = np.concatenate([_sums(image, weight, rows) for rows in strips(height // _CELL * _CELL, 8 * _CELL)], axis=1)
    cells = tuple(min(side // _CELL, size) for size in sums.shape[1:])
    count, total, squares = (_boxes(plane, cells) for plane in sums)
    valid = np.maximum(count, 1)
    variance = squares / valid - (total / valid) ** 2
    whole = count >= min(_WHOLE * cells[0] * cells[1] * _CELL**2, count.max())
    row, column = np.unravel_index(np.argmax(np.where(whole, variance, -1)), variance.shape)
    return _span(int(row), side, height), _span(int(column), side, width)


def _span(cell: int, side: int, size: int) -> slice:
    start = max(0, min(cell * _CELL, size - side))
    return slice(start, min(start + side, size))


def _sums(image: PixelArray, weight: PixelArray, rows: slice) -> Array:
    """Return Σ 1, Σ Y and Σ Y² over the valid pixels of the strip's cells, (3, h, w)."""
    valid = weight[rows] > 0
    grey = np.where(valid, luminance(image[rows]), 0).astype(np.float64)
    planes = np.stack([valid, grey, grey**2])
    height, width = (size // _CELL for size in valid.shape)
    cells = planes[:, : height * _CELL, : width * _CELL].reshape(3, height, _CELL, width, _CELL)
    sums: Array = cells.sum(axis=(2, 4))
    return sums


def _boxes(plane: Array, size: tuple[int, ...]) -> Array:
    """Return the sums over all boxes of `size` cells, (h − size + 1, w − size + 1)."""
    corners = np.pad(plane.cumsum(axis=0).cumsum(axis=1), [(1, 0), (1, 0)])
    rows, columns = size
    boxes: Array = (
        corners[rows:, columns:] - corners[:-rows, columns:] - corners[rows:, :-columns] + corners[:-rows, :-columns]
    )
    return boxes
