"""The learned network's arithmetic: a window of a scene in, a window of the picture out.

Its geometry is in nst_rs/learned/architecture.py.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from nst_rs.arrays import Pixels
from nst_rs.learned.architecture import STRIDE, Architecture, Weights
from nst_rs.learned.windows import Network
from nst_rs.neural.folding import folded


class GeneratorNetwork:
    """A learned network, ready to be applied: it paints windows of scenes."""

    def __init__(self, architecture: Architecture, weights: Weights, device: str, dtype: str = "float32") -> None:
        """Compute on `device`, a TensorFlow name, in `dtype`; the correction is added to the scene in float32."""
        self.architecture = architecture
        self._device = device
        with tf.device(device):
            self._weights = {name: tf.constant(value, dtype) for name, value in folded(weights).items()}
        # Without AutoGraph, which leaves a file in the temporary folder for every function it rewrites.
        self._apply = tf.function(partial(_applied, self._weights, architecture), autograph=False)

    def __call__(self, scene: Pixels, grain: Pixels) -> Pixels:
        """Return the picture, (H, W, 3) in [0, 255], of a window with its margin.

        `scene` is (H + 2 margin, W + 2 margin, 3) RGB in [0, 255], `grain` of the same places; both begin at a multiple
        of the network's stride, and so do H and W.
        """
        with tf.device(self._device):
            pictures = self._apply(tf.convert_to_tensor(scene[np.newaxis]), tf.convert_to_tensor(grain[np.newaxis]))
        picture: Pixels = np.clip(pictures[0].numpy(), 0.0, 255.0)
        return picture


Convolve = Callable[..., Any]
"""(weights, name, x, stride=1) → the named convolution of `x`, without padding."""


def convolve(weights: Mapping[str, Any], name: str, x: Any, stride: int = 1) -> Any:
    """Return the named convolution of `x`, (N, H, W, channels), without padding."""
    return tf.nn.bias_add(tf.nn.conv2d(x, weights[f"{name}.kernel"], stride, "VALID"), weights[f"{name}.bias"])


def corrected(
    weights: Mapping[str, Any], architecture: Architecture, scene: Any, grain: Any, convolve: Convolve = convolve
) -> Any:
    """Return the pictures, (N, H, W, 3), of scenes with their margins, (N, H + 2 margin, …, 3).

    They may leave [0, 255].

    No convolution is padded: with its margin a window holds all that its picture depends on.
    """
    x = tf.nn.relu(convolve(weights, "first", _seen(weights, scene, grain), 2))
    x = _changed(weights, architecture, x, convolve)
    x = tf.nn.relu(convolve(weights, "up1", _doubled(x)))
    x = tf.nn.relu(convolve(weights, "up2", _doubled(x)))
    return _picture(architecture, scene, convolve(weights, "last", x))


def _applied(weights: Mapping[str, Any], architecture: Architecture, scene: Any, grain: Any) -> Any:
    """Return the pictures of :func:`corrected`, computed with the weights of :func:`nst_rs.neural.folding.folded`."""
    cells = tf.nn.space_to_depth(_seen(weights, scene, grain), 2)
    x = _changed(weights, architecture, tf.nn.relu(convolve(weights, "first", cells)), convolve)
    x = tf.nn.depth_to_space(tf.nn.relu(convolve(weights, "up1", x)), 2)
    x = tf.nn.relu(convolve(weights, "up2", x))
    return _picture(architecture, scene, tf.nn.depth_to_space(convolve(weights, "last", x), 2))


def _seen(weights: Mapping[str, Any], scene: Any, grain: Any) -> Any:
    """Return the network's input, in the type of its weights."""
    return tf.cast(tf.concat([scene / 127.5 - 1.0, grain], axis=-1), weights["first.kernel"].dtype)


def _changed(weights: Mapping[str, Any], architecture: Architecture, x: Any, convolve: Convolve) -> Any:
    """Return the features at a quarter of the resolution, after all residual blocks, from `x` at a half of it."""
    x = tf.nn.relu(convolve(weights, "down", x, 2))
    for index in range(1, architecture.blocks + 1):
        change = convolve(weights, f"block{index}_2", tf.nn.relu(convolve(weights, f"block{index}_1", x)))
        x = _middle(x, change) + change
    return x


def _picture(architecture: Architecture, scene: Any, correction: Any) -> Any:
    """Return the scene, smoothed, plus the network's correction; without the margin."""
    margin = architecture.margin
    own = scene[:, margin:-margin, margin:-margin]
    return _middle(_smoothed(scene), own) + 127.5 * _middle(tf.cast(correction, tf.float32), own)


def _smoothed(scene: Any) -> Any:
    """Return means over the network's cells, with the steps between cells smoothed in turn; two pixels less around.

    The mean of five pixels in a row, in cells of four, is one of two cells' values by their shares of the five.
    """
    means = tf.nn.avg_pool2d(scene, STRIDE, STRIDE, "VALID")
    count, rows, columns, channels = means.shape
    tall = tf.stack(_between(means[:, :-1], means[:, 1:]), axis=2)
    tall = tf.reshape(tall, (count, STRIDE * (rows - 1), columns, channels))
    wide = tf.stack(_between(tall[:, :, :-1], tall[:, :, 1:]), axis=3)
    return tf.reshape(wide, (count, STRIDE * (rows - 1), STRIDE * (columns - 1), channels))


def _between(first: Any, second: Any) -> list[Any]:
    """Return the means of five pixels that begin at each of a cell's four."""
    return [((STRIDE - begun) * first + (1 + begun) * second) / (STRIDE + 1) for begun in range(STRIDE)]


def _doubled(x: Any) -> Any:
    """Repeat every pixel twice along both axes."""
    count, height, width, channels = x.shape
    wide = tf.broadcast_to(x[:, :, tf.newaxis, :, tf.newaxis], (count, height, 2, width, 2, channels))
    return tf.reshape(wide, (count, 2 * height, 2 * width, channels))


def _middle(x: Any, other: Any) -> Any:
    """Return the middle of `x`, as large as `other`."""
    rows, columns = ((x.shape[axis] - other.shape[axis]) // 2 for axis in (1, 2))
    return x[:, rows : x.shape[1] - rows, columns : x.shape[2] - columns]


if TYPE_CHECKING:
    _: type[Network] = GeneratorNetwork
