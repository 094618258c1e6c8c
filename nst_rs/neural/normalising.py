"""What a learned network is normalised by, computed: a lesson's own values, or those of a sample of a scene."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.learned.architecture import Architecture, Weights
from nst_rs.learned.normalising import LEAST_VARIANCE, Moments, Sample, adapted, gain, is_normalised
from nst_rs.neural.folding import folded
from nst_rs.neural.generator import applied, middle

_GRIDS = {"first": 2, "detail": 2, "up2": 2, "deep": 8, "up0": 8}
"""Convolution → pixels along a side of the cells that its values stand for, where they are not 4."""


def normalised_by_itself(weights: Mapping[str, Any], name: str, x: Any, stride: int = 1) -> Any:
    """Return the named convolution of `x`, (N, H, W, channels), normalised by all its own values as one."""
    values = tf.nn.conv2d(x, weights[f"{name}.kernel"], stride, "VALID")
    if is_normalised(name):
        exact = tf.cast(values, tf.float32)
        mean, variance = tf.nn.moments(exact, axes=[0, 1, 2])
        values = tf.cast((exact - mean) * (gain(name) * tf.math.rsqrt(variance + LEAST_VARIANCE)), x.dtype)
    return tf.nn.bias_add(values, weights[f"{name}.bias"])


def measure_moments(architecture: Architecture, weights: Weights, sample: Sample, device: str) -> Moments:
    """Return the moments of all convolutions' values in a sample of a scene, layer by layer, each over all blocks.

    What comes before a convolution is normalised already, as it is in the network that will be applied.
    """
    measuring = _Measuring(sample.weight)
    with tf.device(device):
        constants = {name: tf.constant(value) for name, value in folded(architecture, weights).items()}
        applied(constants, architecture, tf.constant(sample.scene), tf.constant(sample.grain), measuring)
    return measuring.moments


def fitted(architecture: Architecture, weights: Weights, blocks: Sample, device: str) -> Weights:
    """Return the weights of a plain network, normalised by a sample of the scene that it is for."""
    return adapted(weights, measure_moments(architecture, weights, blocks, device))


class _Measuring:
    """A convolution that keeps its values' moments and is normalised by them."""

    def __init__(self, weight: npt.NDArray[np.float32]) -> None:
        """Weigh values by the means of `weight`, (N, H, W), over the cells that they stand for."""
        self.moments: dict[str, npt.NDArray[np.float32]] = {}
        # Without any data at all every value counts.
        self._weight = tf.constant(weight if weight.any() else np.ones_like(weight))[..., tf.newaxis]

    def __call__(self, weights: Mapping[str, Any], name: str, x: Any, stride: int = 1) -> Any:
        values = tf.nn.conv2d(x, weights[f"{name}.kernel"], stride, "VALID")
        bias = weights[f"{name}.bias"]
        if not is_normalised(name):
            return tf.nn.bias_add(values, bias)
        cells = 4 if name.startswith("up") else 1
        grid = _GRIDS.get(name, 8 if name.startswith("deepblock") else 4)
        weight = middle(tf.nn.avg_pool2d(self._weight, grid, grid, "VALID"), values)
        mean, variance = self.moments[name] = _moments(values, weight.numpy(), cells)
        scale = np.float32(gain(name)) / np.sqrt(variance + np.float32(LEAST_VARIANCE))
        return values * np.tile(scale, cells) + (bias - np.tile(mean * scale, cells))


def _moments(values: Any, weight: npt.NDArray[np.float32], cells: int) -> npt.NDArray[np.float32]:
    """Return means and variances, (2, channels), of values, (N, H, W, cells · channels), weighed by (N, H, W, 1).

    Blocks are added up in float64.
    """
    sums = np.zeros((2, values.shape[-1]))
    for block, share in zip(values, weight, strict=True):
        flat, shares = block.numpy().reshape(-1, values.shape[-1]), share.ravel()
        sums += [shares @ flat, shares @ flat**2]
    mean, square = sums.reshape(2, cells, -1).sum(axis=1) / (cells * weight.sum(dtype=np.float64))
    return np.stack([mean, np.maximum(square - mean**2, 0)]).astype(np.float32)
