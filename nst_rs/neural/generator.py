"""The learned network's arithmetic: a window of a scene in, a window of the picture out.

Its geometry is in nst_rs/learned/architecture.py.
"""

from collections.abc import Callable, Mapping, Sequence
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
            self._weights = {name: tf.constant(value, dtype) for name, value in folded(architecture, weights).items()}
        # Without AutoGraph, which leaves a file in the temporary folder for every function it rewrites.
        self._apply = tf.function(partial(applied, self._weights, architecture), autograph=False)

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
    enlarged = interpolated if architecture.enlarging == "interpolated" else _repeated
    given = _seen(weights, scene, grain)
    x = tf.nn.relu(convolve(weights, "first", given, 2))
    x = tf.nn.relu(convolve(weights, "down", x, 2))
    if architecture.deep_blocks:
        change = convolve(weights, "up0", enlarged(_drawn(weights, architecture, x, convolve)))
        x = middle(x, change) + change
    x = _revised(weights, "block", architecture.blocks, x, convolve)
    x = _detailed(weights, convolve(weights, "up1", enlarged(x)), lambda: convolve(weights, "detail", given, 2))
    x = tf.nn.relu(convolve(weights, "up2", enlarged(x)))
    return _picture(architecture, scene, convolve(weights, "last", x))


def applied(
    weights: Mapping[str, Any], architecture: Architecture, scene: Any, grain: Any, convolve: Convolve = convolve
) -> Any:
    """Return the pictures of :func:`corrected`, computed with the weights of :func:`nst_rs.neural.folding.folded`."""
    cells = tf.nn.space_to_depth(_seen(weights, scene, grain), 2)
    x = tf.nn.relu(convolve(weights, "down", tf.nn.relu(convolve(weights, "first", cells)), 2))
    if architecture.deep_blocks:
        change = tf.nn.depth_to_space(convolve(weights, "up0", _drawn(weights, architecture, x, convolve)), 2)
        x = middle(x, change) + change
    x = _revised(weights, "block", architecture.blocks, x, convolve)
    x = tf.nn.depth_to_space(convolve(weights, "up1", x), 2)
    x = _detailed(weights, x, lambda: convolve(weights, "detail", cells))
    x = tf.nn.relu(convolve(weights, "up2", x))
    return _picture(architecture, scene, tf.nn.depth_to_space(convolve(weights, "last", x), 2))


def _seen(weights: Mapping[str, Any], scene: Any, grain: Any) -> Any:
    """Return the network's input, in the type of its weights."""
    return tf.cast(tf.concat([scene / 127.5 - 1.0, grain], axis=-1), weights["first.kernel"].dtype)


def _detailed(weights: Mapping[str, Any], x: Any, detail: Callable[[], Any]) -> Any:
    """Return the features at half the resolution, from what is enlarged to it and what is seen there again."""
    return tf.nn.relu(x + middle(detail(), x) if "detail.kernel" in weights else x)


def _drawn(weights: Mapping[str, Any], architecture: Architecture, x: Any, convolve: Convolve) -> Any:
    """Return the features at an eighth of the resolution, after its residual blocks, from `x` at a quarter of it."""
    return _revised(
        weights, "deepblock", architecture.deep_blocks, tf.nn.relu(convolve(weights, "deep", x, 2)), convolve
    )


def _revised(weights: Mapping[str, Any], name: str, blocks: int, x: Any, convolve: Convolve) -> Any:
    """Return `x` after residual blocks."""
    for index in range(1, blocks + 1):
        change = convolve(weights, f"{name}{index}_2", tf.nn.relu(convolve(weights, f"{name}{index}_1", x)))
        x = middle(x, change) + change
    return x


def _picture(architecture: Architecture, scene: Any, correction: Any) -> Any:
    """Return the scene, smoothed, plus the network's correction; without the margin."""
    margin = architecture.margin
    own = scene[:, margin:-margin, margin:-margin]
    smoothed = _smoothed if architecture.enlarging == "interpolated" else _smoothed_by_cells
    return middle(smoothed(scene), own) + 127.5 * middle(tf.cast(correction, tf.float32), own)


_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_QUADRATIC = ((9 / 32, 22 / 32, 1 / 32), (1 / 32, 22 / 32, 9 / 32))
"""The weights of three cells in a row, by a quadratic B-spline, a quarter of a cell before and after the middle."""


def _smoothed(scene: Any) -> Any:
    """Return the scene as if seen through a bell of 2.3 pixels' standard deviation; some pixels less around.

    It is taken at half the resolution, for speed: means of cells, a binomial of five of them, and a quadratic spline
    between them. What it leaves of the cells' own period is too little to be seen.
    """
    x = tf.nn.avg_pool2d(scene, 2, 2, "VALID")
    for axis in (1, 2):
        x = _weighted(x, _BINOMIAL, axis)
    for axis in (1, 2):
        x = _interleaved([_weighted(x, weights, axis) for weights in _QUADRATIC], axis)
    return x


def _weighted(x: Any, weights: Sequence[float], axis: int) -> Any:
    """Return weighted sums of as many neighbours along an axis as there are weights."""
    length = x.shape[axis] - len(weights) + 1
    parts = (
        x[:, begun : begun + length] if axis == 1 else x[:, :, begun : begun + length] for begun in range(len(weights))
    )
    return tf.add_n([weight * part for weight, part in zip(weights, parts, strict=True)])


def _smoothed_by_cells(scene: Any) -> Any:
    """Return means over cells of STRIDE pixels, with the steps between cells smoothed in turn; two pixels less around.

    The mean of five pixels in a row, in cells of four, is one of two cells' values by their shares of the five.
    """
    x = tf.nn.avg_pool2d(scene, STRIDE, STRIDE, "VALID")
    for axis in (1, 2):
        x = _interleaved(_between(x, axis, [(1 + begun) / (STRIDE + 1) for begun in range(STRIDE)]), axis)
    return x


def interpolated(x: Any) -> Any:
    """Return pictures twice as large, less the outer pixel, by interpolating between pixels along both axes."""
    for axis in (1, 2):
        x = _interleaved(_between(x, axis, (1 / 4, 3 / 4)), axis)
    return x


def _between(x: Any, axis: int, shares: Sequence[float]) -> list[Any]:
    """Return values between pixels and the next ones along an axis, which have these shares in them."""
    first, second = (x[:, :-1], x[:, 1:]) if axis == 1 else (x[:, :, :-1], x[:, :, 1:])
    return [(1 - share) * first + share * second for share in shares]


def _interleaved(parts: Sequence[Any], axis: int) -> Any:
    """Return arrays of one shape as one, their pixels in turn along an axis."""
    count, height, width, channels = parts[0].shape
    height, width = (height * len(parts), width) if axis == 1 else (height, width * len(parts))
    return tf.reshape(tf.stack(parts, axis=axis + 1), (count, height, width, channels))


def _repeated(x: Any) -> Any:
    """Repeat every pixel twice along both axes."""
    for axis in (1, 2):
        x = _interleaved([x, x], axis)
    return x


def middle(x: Any, other: Any) -> Any:
    """Return the middle of `x`, as large as `other`."""
    rows, columns = ((x.shape[axis] - other.shape[axis]) // 2 for axis in (1, 2))
    return x[:, rows : x.shape[1] - rows, columns : x.shape[2] - columns]


if TYPE_CHECKING:
    _: type[Network] = GeneratorNetwork
