"""What is computed for one window of a picture: its moments, its content features, its share of the gradient."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.moments import Moments
from nst_rs.neural.vgg import Encoder
from nst_rs.objective import Pull
from nst_rs.stylization import Forward

Array = npt.NDArray[Any]
Features = dict[str, Array]


class Kernel:
    """The objective's arithmetic on one window: the only thing of TensorFlow that the loop sees, through its methods.

    Windows are (H, W, 3) RGB in [0, 255] with H and W multiples of the deepest layer's stride. Weights are (H, W) in
    [0, 1]: 0 in the halo and on nodata. A position's weight is the mean of the weights of the pixels in its cell.
    """

    def __init__(self, encoder: Encoder, style_layers: list[str], content_layers: list[str], device: str) -> None:
        """Compute on `device`, a TensorFlow name such as ``/CPU:0``."""
        self.encoder = encoder
        self.style_layers = style_layers
        self.content_layers = content_layers
        self.device = device
        # Gram matrices, losses and pixels stay in float32 (float64 with a float64 encoder) whatever the encoder's type.
        self.accumulate = tf.float64 if encoder.dtype == tf.float64 else tf.float32
        self._measure = tf.function(self._trace_measure)
        self._content = tf.function(self._trace_content)
        self._forward = tf.function(self._trace_forward)
        self._backward = tf.function(self._trace_backward)

    def measure(self, window: Array, weight: Array) -> Moments:
        """Return the window's moments at the style layers, and the counts at the content layers."""
        with tf.device(self.device):
            return _moments(*self._measure(self._tensor(window), self._tensor(weight)))

    def content(self, window: Array) -> Features:
        """Return content layer → features of the scene's window, (H / stride, W / stride, C)."""
        with tf.device(self.device):
            return {name: x.numpy() for name, x in self._content(self._tensor(window)).items()}

    def forward(self, window: Array, weight: Array) -> Forward:
        """Return the window's moments, and its activations for :meth:`backward`."""
        with tf.device(self.device):
            activations, counts, sums = self._forward(self._tensor(window), self._tensor(weight))
        return Forward(_moments(counts, sums), activations)

    def backward(
        self, activations: Any, weight: Array, content: Features, pull: Pull
    ) -> tuple[Array, dict[str, float]]:
        """Return this window's share of the scene's gradient, and its content layers' 1/2 Σ weight · (F − P)².

        The share is (H, W, 3): what the window's weighted positions ask of all its pixels, halo included. The shares of
        all windows, added where they overlap, are the gradient of the whole scene's objective.
        """
        with tf.device(self.device):
            share, half_squares = self._backward(
                activations,
                self._tensor(weight),
                {name: self._tensor(x) for name, x in content.items()},
                {name: self._tensor(x) for name, x in pull.style.items()},
                {name: self._tensor(np.asarray(x)) for name, x in pull.content.items()},
            )
        return share.numpy(), {name: float(x) for name, x in half_squares.items()}

    def _tensor(self, array: Array) -> Any:
        return tf.convert_to_tensor(array.astype(self.accumulate.as_numpy_dtype, copy=False))

    def _chosen(self, activations: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objective's layers, (H / stride, W / stride, C) each."""
        wanted = {*self.style_layers, *self.content_layers}
        return {name: tf.cast(x[0], self.accumulate) for name, x in activations.items() if name in wanted}

    def _trace_measure(self, window: Any, weight: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._trace_forward(window, weight)[1:]

    def _trace_content(self, window: Any) -> dict[str, Any]:
        features = self._chosen(self.encoder.features(window[tf.newaxis]))
        return {name: features[name] for name in self.content_layers}

    def _trace_forward(self, window: Any, weight: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        activations = self.encoder.features(window[tf.newaxis])
        features = self._chosen(activations)
        weights = position_weights(weight, features)
        counts = {name: tf.reduce_sum(weights[name]) for name in features}
        sums = {name: _gram(features[name], weights[name]) for name in self.style_layers}
        return activations, counts, sums

    def _trace_backward(
        self, activations: Any, weight: Any, content: Mapping[str, Any], style_pull: Mapping[str, Any], factors: Any
    ) -> tuple[Any, dict[str, Any]]:
        features = self._chosen(activations)
        weights = position_weights(weight, features)
        upstream = {name: tf.zeros_like(x) for name, x in features.items()}
        half_squares = {}
        for name in self.style_layers:
            upstream[name] += weights[name] * _times(features[name], 2 * style_pull[name])
        for name in self.content_layers:
            difference = features[name] - content[name]
            upstream[name] += factors[name] * weights[name] * difference
            half_squares[name] = tf.reduce_sum(weights[name] * difference**2) / 2
        share = self.encoder.carry_back(activations, {name: x[tf.newaxis] for name, x in upstream.items()})
        return tf.cast(share[0], self.accumulate), half_squares


def _moments(counts: Mapping[str, Any], sums: Mapping[str, Any]) -> Moments:
    return Moments(
        {name: float(count) for name, count in counts.items()},
        {name: gram.numpy().astype(np.float64) for name, gram in sums.items()},
    )


def position_weights(weight: Any, features: Mapping[str, Any]) -> dict[str, Any]:
    """Return layer → (H / stride, W / stride, 1): the mean of the pixels' weights in each position's cell."""
    height = weight.shape[0]
    found = {}
    for name, x in features.items():
        stride = height // x.shape[0]
        found[name] = tf.nn.avg_pool2d(weight[tf.newaxis, :, :, tf.newaxis], stride, stride, "VALID")[0]
    return found


def _gram(features: Any, weights: Any) -> Any:
    """Return Σ weight · F Fᵀ, (C, C)."""
    flat = tf.reshape(features, (-1, features.shape[-1]))
    weighted = tf.reshape(features * weights, (-1, features.shape[-1]))
    return tf.matmul(flat, weighted, transpose_a=True)


def _times(features: Any, matrix: Any) -> Any:
    """Return `features` (H, W, C) times `matrix` (C, C), position by position."""
    flat = tf.reshape(features, (-1, features.shape[-1]))
    return tf.reshape(tf.matmul(flat, matrix), tf.shape(features))
