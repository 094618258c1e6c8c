"""One step of learning: windows of a scene through the learned network, judged by VGG16, and Adam on its weights.

All windows of a step are of one scene, and they are judged together, as the scene is when it is optimised: their Gram
matrices are pooled. Judged one by one each would have to hold the whole painting's palette, and water would turn to
wheat. What the network is normalised by (Ulyanov, Vedaldi and Lempitsky, arXiv 1701.02096) is pooled likewise, as that
of a whole scene is when the style is applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.arrays import Pixels
from nst_rs.errors import ConfigError
from nst_rs.learned.architecture import Architecture, Weights
from nst_rs.neural.generator import corrected
from nst_rs.neural.normalising import normalised_by_itself
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
"""The decay of the running means of weights, which are kept in the end."""
_LONGEST_GRADIENT = 3.0
"""A gradient longer than this many running mean lengths is cut: an odd window must not undo what was learned."""
_OUTSIDE = 1e-4
"""The price of pixels outside [0, 255]: the factor of their mean squared distance to it."""

Values = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Lesson:
    """Windows of one scene to learn from. N windows, H and W multiples of VGG16's stride."""

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
    usual_length: float = 0.0
    """Running mean of the gradient's length; 0 before the first step."""
    steps: int = 0

    @classmethod
    def beginning(cls, weights: Weights) -> "Memory":
        """Return the state before the first step."""
        zeros = {name: np.zeros_like(value) for name, value in weights.items()}
        return cls(dict(weights), dict(zeros), dict(zeros), dict(weights))


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
    """Teaches a network one objective. The windows of a lesson are one picture to it."""

    def __init__(self, encoder: Encoder, objective: Objective, architecture: Architecture, memory: Memory) -> None:
        """Go on from `memory`. The network computes in the encoder's type, float32 or bfloat16."""
        refuse_untaught(objective.terms)
        self._encoder = encoder
        self._content = next(term for term in objective.terms if isinstance(term, Content))
        self._style = next(term for term in objective.terms if isinstance(term, Gram))
        self._variation = next((term.weight for term in objective.terms if isinstance(term, Variation)), 0.0)
        self._architecture = architecture
        self._targets = {name: tf.constant(gram, tf.float32) for name, gram in self._style.targets.items()}
        self._weights, self._first, self._second, self._average = (
            {name: tf.Variable(value) for name, value in values.items()}
            for values in (memory.weights, memory.first, memory.second, memory.average)
        )
        self._usual_length = tf.Variable(memory.usual_length)
        self._steps = memory.steps
        self._step = tf.function(self._trace_step, autograph=False)

    def step(self, lesson: Lesson, rate: float) -> float:
        """Take a step of size `rate`; return the total objective of the windows before it."""
        arrays = (lesson.seen, lesson.grain, lesson.scene)
        self._steps += 1
        numbers = tf.constant(float(self._steps)), tf.constant(float(rate))
        return float(self._step(*map(tf.convert_to_tensor, arrays), *numbers))

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return self._steps

    @property
    def memory(self) -> Memory:
        """Return a copy of the state of learning."""
        weights, first, second, average = map(_values, (self._weights, self._first, self._second, self._average))
        return Memory(weights, first, second, average, float(self._usual_length.numpy()), self._steps)

    def _trace_step(self, seen: Any, grain: Any, scene: Any, number: Any, rate: Any) -> Any:
        with tf.GradientTape() as tape:
            weights = {name: tf.cast(value, self._encoder.dtype) for name, value in self._weights.items()}
            made = corrected(weights, self._architecture, seen, grain, normalised_by_itself)
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
        return total + self._variation * _variation(picture)

    def _judge(self, picture: Any, scene: Any) -> tuple[Any, Any]:
        """Return the windows' total, without variation, and its gradient with respect to the pictures."""
        content, style, count = self._content, self._style, tf.cast(tf.shape(picture)[0], tf.float32)
        features = self._encoder.features(picture)
        wanted = self._encoder.features(scene) if content.layers else {}
        total, upstream = tf.constant(0.0), {}
        for name, weight in style.layers.items():
            loss, upstream[name] = _style(features[name], self._targets[name], _ring(picture, features[name]))
            total += style.weight * weight * loss
            upstream[name] *= style.weight * weight
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
    """Return E_l of all windows as one picture, and its derivative with respect to the features."""
    inner = tf.cast(features[:, ring:-ring, ring:-ring], tf.float32)
    flat = tf.reshape(inner, (-1, inner.shape[-1]))
    count, channels = float(np.prod(inner.shape[:3])), float(inner.shape[-1])
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
