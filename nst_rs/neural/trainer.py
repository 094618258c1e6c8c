"""One step of learning: windows of scenes through the learned network, judged by VGG16, and Adam on its weights.

In the beginning the network is normalised by the statistics of each lesson (Ioffe & Szegedy, arXiv 1502.03167), without
which learning takes many times as long. They are frozen before the end, so that what is applied, which is local, is
also what was learned: a network that was not taught with the statistics it is applied with runs away where a scene is
unlike the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.arrays import Pixels
from nst_rs.errors import ConfigError
from nst_rs.learned.architecture import Architecture, Weights
from nst_rs.neural.generator import convolve, corrected
from nst_rs.neural.vgg16 import Encoder
from nst_rs.objective.losses import Objective
from nst_rs.objective.terms.base import Term
from nst_rs.objective.terms.content import Content, Normalization
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.variation import Variation

RING = 16
"""Pixels along a window's border whose features are not judged: there VGG16 sees its own zero padding."""

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.99, 1e-9
AVERAGE_DECAY = 0.98
"""The decay of the running means of weights, which are kept in the end, and of statistics: a step sees few windows."""
_BLOCK_GAIN = 0.5
"""Standard deviation of what a residual block adds, where it is normalised; of all else it is 1."""
_LEAST_VARIANCE = 1e-3
_LONGEST_GRADIENT = 3.0
"""A gradient longer than this many running mean lengths is cut: an odd window must not undo what was learned."""
_OUTSIDE = 1e-4
"""The price of pixels outside [0, 255]: the factor of their mean squared distance to it."""

Values = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Lesson:
    """Windows to learn from. N windows, H and W multiples of VGG16's stride."""

    seen: Pixels  # (N, H + 2 margin, W + 2 margin, 3) RGB in [0, 255]: what the network is shown
    grain: Pixels  # (N, H + 2 margin, W + 2 margin, GRAIN_CHANNELS)
    scene: Pixels  # (N, H, W, 3) RGB in [0, 255]: what the picture is to keep the content of


@dataclass(frozen=True)
class Memory:
    """The state of learning, from which it can go on: each is a mapping, parameter → values."""

    weights: Values
    first: Values
    second: Values
    average: Values
    """Running mean of the weights: what is kept in the end."""
    statistics: Values
    """Convolution → running means of its values and of their squares, (2, channels); empty once they are frozen."""
    usual_length: float = 0.0
    """Running mean of the gradient's length; 0 before the first step."""
    steps: int = 0
    """The steps taken since the statistics were frozen."""

    @classmethod
    def beginning(cls, weights: Weights, normalised: bool = False) -> "Memory":
        """Return the state before the first step, of a network that is `normalised` or not."""
        zeros = {name: np.zeros_like(value) for name, value in weights.items()}
        convolutions = {name.split(".")[0]: value.shape[-1] for name, value in weights.items()} if normalised else {}
        statistics = {name: np.zeros((2, size), np.float32) for name, size in convolutions.items() if name != "last"}
        return cls(dict(weights), dict(zeros), dict(zeros), dict(weights), statistics)

    @property
    def applied(self) -> Values:
        """The weights to be applied: the running mean, with the statistics as they are now in it."""
        weights = dict(self.average)
        for name, (mean, square) in self.statistics.items():
            scale = _gain(name) / np.sqrt(np.maximum(square - mean**2, 0) + np.float32(_LEAST_VARIANCE))
            weights[f"{name}.kernel"] = weights[f"{name}.kernel"] * scale
            weights[f"{name}.bias"] = weights[f"{name}.bias"] - mean * scale
        return weights

    def frozen(self) -> "Memory":
        """Return the state before the first step of the network as it is applied now."""
        return self.beginning(self.applied)


def refuse_untaught(terms: Sequence[Term]) -> None:
    """Raise ConfigError for a term that a network cannot be taught: the teacher has its own arithmetic for each."""
    taught = (Content, Gram, Variation)
    for term in terms:
        if not isinstance(term, taught):
            names = ", ".join(kind.name for kind in taught)
            raise ConfigError(
                f"objective.terms.{term.name}", expected=f"terms that a style can be learned with: {names}"
            )


class Teacher:
    """Teaches a network one objective. Each window of a lesson has statistics of its own."""

    def __init__(self, encoder: Encoder, objective: Objective, architecture: Architecture, memory: Memory) -> None:
        """Go on from `memory`. The network computes in the encoder's type, float32 or bfloat16."""
        refuse_untaught(objective.terms)
        self._encoder = encoder
        self._content = next(term for term in objective.terms if isinstance(term, Content))
        self._style = next(term for term in objective.terms if isinstance(term, Gram))
        self._variation = next((term.weight for term in objective.terms if isinstance(term, Variation)), 0.0)
        self._architecture = architecture
        self._targets = {name: tf.constant(gram, tf.float32) for name, gram in self._style.targets.items()}
        self._weights, self._first, self._second, self._average, self._statistics = (
            {name: tf.Variable(value) for name, value in values.items()}
            for values in (memory.weights, memory.first, memory.second, memory.average, memory.statistics)
        )
        self._usual_length = tf.Variable(memory.usual_length)
        self._steps = memory.steps
        self._step = tf.function(self._trace_step, autograph=False)

    def step(self, lesson: Lesson, rate: float) -> float:
        """Take a step of size `rate`; return the mean total objective of the windows before it."""
        arrays = (lesson.seen, lesson.grain, lesson.scene)
        self._steps += 1
        numbers = tf.constant(float(self._steps)), tf.constant(float(rate))
        return float(self._step(*map(tf.convert_to_tensor, arrays), *numbers))

    @property
    def normalises(self) -> bool:
        """Whether the network still normalises by the statistics of each lesson."""
        return bool(self._statistics)

    @property
    def steps(self) -> int:
        """The number of steps taken since the statistics were frozen."""
        return self._steps

    @property
    def memory(self) -> Memory:
        """Return a copy of the state of learning."""
        weights, first, second, average, statistics = map(
            _values, (self._weights, self._first, self._second, self._average, self._statistics)
        )
        return Memory(weights, first, second, average, statistics, float(self._usual_length.numpy()), self._steps)

    def _trace_step(self, seen: Any, grain: Any, scene: Any, number: Any, rate: Any) -> Any:
        statistics: dict[str, Any] = {}
        with tf.GradientTape() as tape:
            weights = {name: tf.cast(value, self._encoder.dtype) for name, value in self._weights.items()}
            convolve = partial(self._convolve, statistics)
            made = corrected(weights, self._architecture, seen, grain, convolve)
            picture = tf.stop_gradient(tf.clip_by_value(made, 0.0, 255.0))
            total, gradient = self._judge(picture, scene)
            # As in the optimiser, no gradient moves a pixel at the edge of the range out of it.
            outwards = ((made > 255.0) & (gradient < 0)) | ((made < 0.0) & (gradient > 0))
            inwards = tf.stop_gradient(tf.where(outwards, 0.0, gradient))
            surrogate = tf.reduce_sum(inwards * made) + _OUTSIDE * tf.reduce_mean((made - picture) ** 2)
            surrogate += self._variation * _variation(made)
        gradients = tape.gradient(surrogate, self._weights)
        self._move(self._shortened(gradients), number, rate)
        _approach(self._average, self._weights, number)
        _approach(self._statistics, statistics, number)
        return total + self._variation * _variation(picture)

    def _convolve(
        self, statistics: dict[str, Any], weights: Mapping[str, Any], name: str, x: Any, stride: int = 1
    ) -> Any:
        """Convolve, and normalise by the lesson's own statistics, which are added to `statistics`."""
        if name not in self._statistics:
            return convolve(weights, name, x, stride)
        values = tf.cast(tf.nn.conv2d(x, weights[f"{name}.kernel"], stride, "VALID"), tf.float32)
        mean, variance = tf.nn.moments(values, axes=[0, 1, 2])
        statistics[name] = tf.stack([mean, variance + mean**2])
        normalised = (values - mean) * (_gain(name) * tf.math.rsqrt(variance + _LEAST_VARIANCE))
        return tf.nn.bias_add(tf.cast(normalised, x.dtype), weights[f"{name}.bias"])

    def _judge(self, picture: Any, scene: Any) -> tuple[Any, Any]:
        """Return the windows' mean total, without variation, and its gradient with respect to the picture."""
        content, style, count = self._content, self._style, tf.cast(tf.shape(picture)[0], tf.float32)
        features = self._encoder.features(picture)
        wanted = self._encoder.features(scene) if content.layers else {}
        total, upstream = tf.constant(0.0), {}
        for name, weight in style.layers.items():
            loss, upstream[name] = _style(features[name], self._targets[name], _ring(picture, features[name]))
            total += style.weight * weight * loss / count
            upstream[name] *= style.weight * weight / count
        for name, weight in content.layers.items():
            ring = _ring(picture, features[name])
            loss, gradient = _content(features[name], wanted[name], ring, content.normalization)
            total += content.weight * weight * loss / count
            upstream[name] = upstream.get(name, 0.0) + content.weight * weight * gradient / count
        given = {name: tf.cast(value, self._encoder.dtype) for name, value in upstream.items()}
        return total, tf.cast(self._encoder.carry_back(features, given), tf.float32)

    def _shortened(self, gradients: Mapping[str, Any]) -> dict[str, Any]:
        length = tf.linalg.global_norm(list(gradients.values()))
        usual = tf.where(self._usual_length > 0, self._usual_length, length)
        self._usual_length.assign(usual + 0.05 * (tf.minimum(length, _LONGEST_GRADIENT * usual) - usual))
        factor = tf.minimum(1.0, _LONGEST_GRADIENT * usual / (length + 1e-30))
        return {name: factor * gradient for name, gradient in gradients.items()}

    def _move(self, gradients: Mapping[str, Any], number: Any, rate: Any) -> None:
        """Adam (Kingma & Ba, arXiv 1412.6980) on the weights."""
        scale = tf.sqrt(1 - SECOND_DECAY**number) / (1 - FIRST_DECAY**number)
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first.assign_add((1 - FIRST_DECAY) * (gradient - first))
            second.assign_add((1 - SECOND_DECAY) * (gradient**2 - second))
            self._weights[name].assign_sub(rate * scale * first / (tf.sqrt(second) + EPSILON))


def _gain(convolution: str) -> float:
    return _BLOCK_GAIN if convolution.startswith("block") and convolution.endswith("_2") else 1.0


def _approach(means: Mapping[str, Any], values: Mapping[str, Any], number: Any) -> None:
    """Move running means towards the values of step `number`."""
    # In the beginning over all steps so far, else the first values would linger.
    share = tf.maximum(1 - AVERAGE_DECAY, 1 / number)
    for name, mean in means.items():
        mean.assign_add(share * (values[name] - mean))


def _ring(picture: Any, features: Any) -> int:
    """Return the positions of a layer along a window's border that are not judged."""
    return RING // int(picture.shape[1] // features.shape[1])


def _style(features: Any, target: Any, ring: int) -> tuple[Any, Any]:
    """Return Σ_windows E_l, and its derivative with respect to the features."""
    inner = tf.cast(features[:, ring:-ring, ring:-ring], tf.float32)
    flat = tf.reshape(inner, (tf.shape(inner)[0], -1, inner.shape[-1]))
    count, channels = float(inner.shape[1] * inner.shape[2]), float(inner.shape[-1])
    difference = tf.matmul(flat, flat, transpose_a=True) / count - target
    loss = tf.reduce_sum(difference**2) / (4 * channels**2)
    gradient = tf.reshape(tf.matmul(flat, difference), tf.shape(inner)) / (channels**2 * count)
    return loss, _framed(gradient, ring)


def _content(features: Any, wanted: Any, ring: int, normalization: Normalization) -> tuple[Any, Any]:
    """Return Σ_windows L_content(l), and its derivative with respect to the features."""
    inner = slice(ring, -ring)
    difference = tf.cast(features[:, inner, inner], tf.float32) - tf.cast(wanted[:, inner, inner], tf.float32)
    count = 1.0 if normalization == "sum" else float(np.prod(difference.shape[1:]))
    return tf.reduce_sum(difference**2) / (2 * count), _framed(difference / count, ring)


def _framed(inner: Any, ring: int) -> Any:
    return tf.pad(inner, [(0, 0), (ring, ring), (ring, ring), (0, 0)])


def _variation(pictures: Any) -> Any:
    """Return the mean squared step from a pixel to the next, as nst_rs/objective/terms/variation.py has it."""
    down, right = pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1]
    return (tf.reduce_sum(down**2) + tf.reduce_sum(right**2)) / tf.cast(tf.size(pictures), tf.float32)


def _values(variables: Mapping[str, Any]) -> Values:
    return {name: variable.numpy() for name, variable in variables.items()}
