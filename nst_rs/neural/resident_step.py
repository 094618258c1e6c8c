"""A step of all pixels in the device's own operations: the canvas's border, BFGS and Adam.

The optimisers are those of nst_rs/optimise, the border is that of nst_rs/pyramid/border.py; this is the same arithmetic
for a picture that the device holds, equal but for rounding.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.optimise import adam
from nst_rs.pyramid.resample import mirrored_places
from nst_rs.pyramid.tiling import Axis, Level

Part = tuple[Any, Any, Any]
"""The first three arrays of :class:`nst_rs.optimise.iterate.Iterate`, as tensors (H, W, 3) float32."""


class Border:
    """The border of a canvas on the device; see nst_rs/pyramid/border.py."""

    def __init__(self, level: Level) -> None:
        self._places = [_shown(axis) for axis in (level.rows, level.columns)]
        self._folds = [_folds(places) for places in self._places]
        self._is_border = [tf.constant(places != np.arange(len(places))) for places in self._places]

    def mirrored_in(self, picture: Any) -> Any:
        """Return the picture with the scene mirrored in its border."""
        rows, columns = self._places
        return tf.gather(tf.gather(picture, rows, axis=0), columns, axis=1)

    def folded_back(self, gradient: Any) -> Any:
        """Return the gradient with that of every border pixel moved to the pixel it mirrors."""
        rows = self._along(1, tf.transpose(gradient, (1, 0, 2)))
        return self._along(0, tf.transpose(rows, (1, 0, 2)))

    def _along(self, axis: int, lines: Any) -> Any:
        for border, sources in self._folds[axis]:
            lines = tf.tensor_scatter_nd_add(lines, sources[:, np.newaxis], tf.gather(lines, border))
        return tf.where(self._is_border[axis][:, tf.newaxis, tf.newaxis], 0.0, lines)


def _shown(axis: Axis) -> npt.NDArray[np.int32]:
    """Return, for every line of the canvas, the line that it shows."""
    places = mirrored_places(-axis.border, axis.canvas - axis.border, axis.scene) + axis.border
    return places.astype(np.int32)


def _folds(places: npt.NDArray[np.int32]) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
    """Return border lines and the lines they mirror, in groups that name no line twice.

    So a sum never depends on the order in which a device's threads add.
    """
    (border,) = np.nonzero(places != np.arange(len(places)))
    groups: list[tuple[list[int], list[int]]] = []
    for line, source in zip(border.tolist(), places[border].tolist(), strict=True):
        group = next((group for group in groups if source not in group[1]), None)
        if group is None:
            group = ([], [])
            groups.append(group)
        group[0].append(line)
        group[1].append(source)
    return [(np.array(lines, np.int32), np.array(sources, np.int32)) for lines, sources in groups]


def curvature(part: Part, gradient: Any) -> Any:
    """Return the five inner products of :class:`nst_rs.optimise.bfgs.Curvature`, added up in float64."""
    pixels, first, second = part
    change, free = gradient - second, _free(pixels, gradient)
    pairs = (first, change), (change, change), (first, free), (change, free), (free, free)
    rows = (tf.reduce_sum(a * b, axis=(1, 2)) for a, b in pairs)
    return tf.stack([tf.reduce_sum(tf.cast(row, tf.float64)) for row in rows])


def bfgs_step(part: Part, gradient: Any, factors: Any, largest: Any) -> Part:
    """Return pixels, last step and gradient after a step; see :func:`nst_rs.optimise.bfgs.step`."""
    pixels, first, second = part
    moved = (gradient - second) * factors[1] + factors[0] * _free(pixels, gradient) + factors[2] * first
    after = tf.clip_by_value(tf.clip_by_value(moved, -largest, largest) + pixels, 0.0, 255.0)
    return after, after - pixels, gradient


def _free(pixels: Any, gradient: Any) -> Any:
    blocked = ((pixels <= 0) & (gradient > 0)) | ((pixels >= 255) & (gradient < 0))
    return tf.where(blocked, 0.0, gradient)


def adam_step(part: Part, gradient: Any, size: Any, scales: Any) -> Part:
    """Return pixels and running means after a step; see :func:`nst_rs.optimise.adam.step`."""
    pixels, first, second = part
    mean = first + (1 - adam.FIRST_DECAY) * (gradient - first)
    square = second + (1 - adam.SECOND_DECAY) * (gradient * gradient - second)
    moved = pixels - size * (mean / scales[0]) / (tf.sqrt(square / scales[1]) + adam.EPSILON)
    return tf.clip_by_value(moved, 0.0, 255.0), mean, square
