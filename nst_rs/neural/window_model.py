"""The network's arithmetic on one window of a picture: moments, content features, the share of the gradient."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.neural.vgg16 import Encoder
from nst_rs.objective.moments import Moments, Pull, Statistics, in_class, layer_of
from nst_rs.objective.problem import Features, Forward, Kernel
from nst_rs.vgg16 import VGG16

Array = npt.NDArray[Any]


class WindowModel:
    """VGG16 on one window: the loop sees it as a :class:`nst_rs.objective.problem.Kernel`, and no more of TensorFlow.

    Windows are (H, W, 3) RGB in [0, 255] with H and W multiples of the deepest layer's stride. Weights are (H, W) in
    [0, 1]: 0 in the halo and on nodata. A position's weight is the mean of the weights of the pixels in its cell. Where
    weights are (H, W, classes + 1), every class is measured by itself; its sums have the names of
    :func:`nst_rs.objective.moments.in_class`. The last plane is how many pixels around each one are of its class.
    Positions that see farther count less in the products, so that a class's statistics are of its own ground.
    """

    def __init__(self, encoder: Encoder, statistics: Statistics, device: str) -> None:
        """Measure `statistics` on `device`, a TensorFlow name such as ``/CPU:0``."""
        self.encoder = encoder
        self.statistics = statistics
        self.device = device
        # Gram matrices, losses and pixels stay in float32 (float64 with a float64 encoder) whatever the encoder's type.
        self.accumulate = tf.float64 if encoder.dtype == tf.float64 else tf.float32
        self.seconds = 0.0
        """The seconds that this model's arithmetic has taken so far."""
        tf.get_logger().addFilter(_is_news)
        # Without AutoGraph, which leaves a file in the temporary folder for every function it rewrites.
        self._measure, self._content, self._forward, self._backward = (
            tf.function(trace, autograph=False)
            for trace in (self._trace_measure, self._trace_content, self._trace_forward, self._trace_backward)
        )

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute on the model's device, and count the time."""
        started = time.perf_counter()
        with tf.device(self.device):
            yield
        self.seconds += time.perf_counter() - started

    def measure(self, window: Array, weight: Array, content: Features | None = None) -> Moments:
        """Return the window's counts and products, and its distances to `content` where that is given."""
        with self.computing():
            return on_host(*self._measure(self._tensor(window), self._tensor(weight), self._tensors(content or {})))

    def content(self, window: Array) -> Features:
        """Return content layer → features of the scene's window, (H / stride, W / stride, C).

        In the encoder's own type; bfloat16, which NumPy has not, as the same bits in uint16.
        """
        with self.computing():
            return {name: x.numpy() for name, x in self._content(self._tensor(window)).items()}

    def forward(self, window: Array, weight: Array, content: Features) -> Forward:
        """Return the window's moments, as :meth:`measure` does, and its activations for :meth:`backward`."""
        with self.computing():
            tensors = self._tensor(window), self._tensor(weight), self._tensors(content)
            activations, *parts = self._forward(*tensors)
            return Forward(on_host(*parts), activations)

    def backward(self, activations: Any, weight: Array, content: Features, pull: Pull) -> Array:
        """Return this window's share of the scene's gradient.

        The share is (H, W, 3): the pull on the window's weighted positions, carried back to all its pixels, halo
        included. The shares of all windows, added where they overlap, are the gradient of the whole scene's objective.
        """
        with self.computing():
            share = self.back(activations, *self.on_device(weight, content), self.pull_on_device(pull))
            gradient: Array = share.numpy()
            return gradient

    def on_device(self, weight: Array, content: Features) -> tuple[Any, dict[str, Any]]:
        """Return a window's weights and content features as tensors, for :meth:`ahead` and :meth:`back`."""
        return self._tensor(weight), self._tensors(content)

    def pull_on_device(self, pull: Pull) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the pull on the products and on the distances as tensors, for :meth:`back`."""
        factors = {name: self._tensor(np.asarray(x)) for name, x in pull.half_squares.items()}
        return {name: self._tensor(x) for name, x in pull.products.items()}, factors

    def ahead(self, window: Any, weight: Any, content: Mapping[str, Any], keep: bool) -> tuple[Any, Moments]:
        """Return what :meth:`forward` does of tensors, in tensors; the activations only if they are to be kept."""
        trace = self._forward if keep else self._measure
        *activations, counts, products, half_squares = trace(window, weight, content)
        doubled = {name: tf.cast(x, tf.float64) for name, x in products.items()}
        return (activations[0] if keep else None), Moments(counts, doubled, half_squares)

    def back(self, activations: Any, weight: Any, content: Mapping[str, Any], pull: tuple[Any, Any]) -> Any:
        """Return what :meth:`backward` does of tensors, as a tensor."""
        return self._backward(activations, weight, content, *pull)

    def _tensor(self, array: Array) -> Any:
        return tf.convert_to_tensor(array.astype(self.accumulate.as_numpy_dtype, copy=False))

    def _tensors(self, content: Features) -> dict[str, Any]:
        return {name: tf.convert_to_tensor(x) for name, x in content.items()}

    def _unpacked(self, content: Any) -> Any:
        """Undo what :meth:`content` does for NumPy."""
        return tf.cast(tf.bitcast(content, tf.bfloat16) if content.dtype == tf.uint16 else content, self.accumulate)

    def _chosen(self, activations: Mapping[str, Any]) -> dict[str, Any]:
        """Return the layers that are measured, (H / stride, W / stride, C) each."""
        counted = self.statistics.counted
        return {name: tf.cast(x[0], self.accumulate) for name, x in activations.items() if name in counted}

    def _position_weights(self, weight: Any, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights of all positions; where distances are measured too, all of a class's count alike."""
        guided = frozenset(self.statistics.products) - frozenset(self.statistics.half_squares)
        return position_weights(weight, features, guided)

    def _trace_measure(self, window: Any, weight: Any, content: Mapping[str, Any]) -> Any:
        return self._trace_forward(window, weight, content)[1:]

    def _trace_content(self, window: Any) -> dict[str, Any]:
        features = self.encoder.features(window[tf.newaxis])
        chosen = {name: features[name][0] for name in self.statistics.half_squares}
        return {name: tf.bitcast(x, tf.uint16) if x.dtype == tf.bfloat16 else x for name, x in chosen.items()}

    def _trace_forward(self, window: Any, weight: Any, content: Mapping[str, Any]) -> tuple[Any, ...]:
        activations = self.encoder.features(window[tf.newaxis])
        features = self._chosen(activations)
        weights = self._position_weights(weight, features)
        counts = {name: tf.reduce_sum(weighed) for name, weighed in weights.items()}
        products: dict[str, Any] = {}
        latest: dict[str, Any] = {}
        for name, weighed in weights.items():
            layer = layer_of(name)
            if layer in self.statistics.products:
                with _after(latest.get(layer)):
                    products[name] = latest[layer] = _products(features[layer], weighed)
        squares = {name: (features[name] - self._unpacked(x)) ** 2 for name, x in content.items()}
        half_squares = {
            name: tf.reduce_sum(weighed * squares[layer_of(name)]) / 2
            for name, weighed in weights.items()
            if layer_of(name) in squares
        }
        return activations, counts, products, half_squares

    def _trace_backward(
        self, activations: Any, weight: Any, content: Mapping[str, Any], matrices: Mapping[str, Any], factors: Any
    ) -> Any:
        """Return the window's gradient: `matrices` are the pull on the products, `factors` that on the distances."""
        chosen = {name: activations[name][0] for name in self.statistics.counted}
        weights = self._position_weights(weight, chosen)
        upstream: dict[str, Any] = {}
        for name in matrices:
            # In the encoder's type: what it carries back is of that type in any case, and this is a tenth of the step.
            layer = layer_of(name)
            with _after(upstream.get(layer)):
                gradient = _times(chosen[layer], tf.cast(2 * matrices[name], self.encoder.dtype))
                _add(upstream, layer, tf.cast(weights[name], self.encoder.dtype) * gradient)
        for name in factors:
            layer = layer_of(name)
            difference = tf.cast(chosen[layer], self.accumulate) - self._unpacked(content[layer])
            _add(upstream, layer, tf.cast(factors[name] * weights[name] * difference, self.encoder.dtype))
        share = self.encoder.carry_back(activations, {name: x[tf.newaxis] for name, x in upstream.items()})
        return tf.cast(share[0], self.accumulate)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether it is anything but TensorFlow's warning of several traces: every shape of window has one, on purpose."""
    return "triggered tf.function retracing" not in record.getMessage()


def on_host(counts: Mapping[str, Any], products: Mapping[str, Any], half_squares: Mapping[str, Any]) -> Moments:
    """Return sums that are tensors as the host's numbers."""
    return Moments(
        {name: float(count) for name, count in counts.items()},
        {name: x.numpy().astype(np.float64) for name, x in products.items()},
        {name: float(x) for name, x in half_squares.items()},
    )


def position_weights(weight: Any, features: Mapping[str, Any], guided: Collection[str] = ()) -> dict[str, Any]:
    """Return layer → (H / stride, W / stride, 1): the mean of the pixels' weights in each position's cell.

    Weights of (H, W, classes + 1) give one of these for each class of each layer. The last plane is a depth in pixels:
    at `guided` layers a position that sees beyond it counts less, by :func:`_own_share`.
    """
    height, by_class = weight.shape[0], len(weight.shape) == 3
    planes = weight if by_class else weight[..., tf.newaxis]
    means: dict[str, Any] = {}
    for name, x in features.items():
        stride = height // x.shape[0]
        mean = tf.nn.avg_pool2d(planes[tf.newaxis], stride, stride, "VALID")[0]
        if by_class:
            own = _own_share(mean[..., -1:], VGG16[name].radius) if name in guided else 1.0
            classes = range(planes.shape[-1] - 1)
            means |= {in_class(name, number): own * mean[..., number : number + 1] for number in classes}
        else:
            means[name] = mean
    return means


def _own_share(depth: Any, radius: int) -> Any:
    """Return what positions count that see `radius` pixels far, where all is of their class up to a depth in pixels.

    It is about the square of the share of what they see, (depth / radius)⁴: by the share alone twice as much of one
    class's paintings came to be seen across a border. It is never 0, so that a narrow class has statistics too.
    """
    return tf.minimum((depth + 1) / radius, 1.0) ** 4


def _after(earlier: Any | None) -> Any:
    """Return a context whose operations wait for a tensor, if any.

    Classes have a layer's products one after another. Each takes memory of the layer's size while it is at work.
    """
    return tf.control_dependencies([] if earlier is None else [earlier])


def _add(sums: dict[str, Any], name: str, part: Any) -> None:
    sums[name] = sums[name] + part if name in sums else part


def _products(features: Any, weights: Any) -> Any:
    """Return Σ weight · F Fᵀ, (C, C)."""
    flat = tf.reshape(features, (-1, features.shape[-1]))
    weighted = tf.reshape(features * weights, (-1, features.shape[-1]))
    return tf.matmul(flat, weighted, transpose_a=True)


def _times(features: Any, matrix: Any) -> Any:
    """Return `features` (H, W, C) times `matrix` (C, C), position by position."""
    flat = tf.reshape(features, (-1, features.shape[-1]))
    return tf.reshape(tf.matmul(flat, matrix), tf.shape(features))


if TYPE_CHECKING:
    _: type[Kernel] = WindowModel
