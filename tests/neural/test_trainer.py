from collections.abc import Mapping
from functools import reduce
from operator import add

import numpy as np
import pytest
import tensorflow as tf

from nst_rs.errors import ConfigError
from nst_rs.learned.architecture import Architecture, first_weights
from nst_rs.neural.generator import corrected
from nst_rs.neural.normalising import normalised_by_itself
from nst_rs.neural.trainer import RING, Lesson, Memory, Teacher
from nst_rs.neural.vgg16 import Convolution, Encoder
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import Statistics
from nst_rs.objective.terms.content import Content, Normalization
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.variation import Variation
from tests.toy_terms import Darkness

ARCHITECTURE = Architecture((4, 8, 8), 1)
SIDE = 64


STATISTICS = Statistics(("conv1_1", "conv2_2"), ("conv2_1",))


def objective(encoder: Encoder, alpha: float = 0.1, normalization: Normalization = "mean") -> Objective:
    """One content and two style layers of the small network, aiming at noise."""
    kernel = WindowModel(encoder, STATISTICS, "/CPU:0")
    noise = np.random.default_rng(5).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    targets = kernel.measure(noise, np.ones((SIDE, SIDE), np.float32)).grams
    content = Content(alpha, {"conv2_1": 1e-3}, normalization)
    return Objective((content, Gram(1.0, {"conv1_1": 1e-5, "conv2_2": 1e-5}, targets)))


@pytest.fixture(scope="module")
def encoder(small_network: list[Convolution]) -> Encoder:
    return Encoder(small_network)


def lesson(windows: int = 2) -> Lesson:
    generator, margin = np.random.default_rng(1), ARCHITECTURE.margin
    shape = windows, SIDE + 2 * margin, SIDE + 2 * margin
    seen = generator.uniform(60, 200, (*shape, 3)).astype(np.float32)
    grain = generator.uniform(-1, 1, (*shape, 2)).astype(np.float32)
    return Lesson(seen, grain, seen[:, margin:-margin, margin:-margin])


def test_learning_brings_the_objective_down(encoder: Encoder) -> None:
    teacher = Teacher(encoder, objective(encoder), ARCHITECTURE, Memory.beginning(first_weights(ARCHITECTURE, 0)))
    losses = [teacher.step(lesson(), 1e-2) for _ in range(12)]
    assert losses[-1] < 0.95 * losses[0]


def test_the_loss_is_the_objective_of_all_windows_as_one_picture(encoder: Encoder) -> None:
    """As the optimiser measures a scene of several tiles, but for the ring along each window's border."""
    # The mean would be over VGG16's channels, of which the small network has fewer.
    aim = objective(encoder, normalization="sum", alpha=1e-4)
    taught, first = lesson(), first_weights(ARCHITECTURE, 0)
    teacher = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first))
    pictures = np.clip(corrected(first, ARCHITECTURE, taught.seen, taught.grain, normalised_by_itself), 0, 255)
    kernel = WindowModel(encoder, STATISTICS, "/CPU:0")
    weight = np.zeros((SIDE, SIDE), np.float32)
    weight[RING:-RING, RING:-RING] = 1
    measured = [
        kernel.measure(picture, weight, kernel.content(scene))
        for picture, scene in zip(pictures, taught.scene, strict=True)
    ]
    pooled = aim.losses(reduce(add, measured)).terms["style"].share
    content = np.mean([aim.losses(each).terms["content"].share for each in measured])
    assert teacher.step(taught, 0.0) == pytest.approx(pooled + content, rel=1e-5)


def gradient_by_tape(encoder: Encoder, aim: Objective, weights: Mapping[str, np.ndarray], taught: Lesson) -> np.ndarray:
    """The gradient with respect to the last bias, TensorFlow's own, of the objective written down plainly."""
    variables = {name: tf.Variable(value) for name, value in weights.items()}
    with tf.GradientTape() as tape:
        picture = corrected(
            {name: tf.convert_to_tensor(value) for name, value in variables.items()},
            ARCHITECTURE,
            *(tf.convert_to_tensor(x) for x in (taught.seen, taught.grain)),
            normalised_by_itself,
        )
        found, wanted = encoder.features(picture), encoder.features(tf.convert_to_tensor(taught.scene))
        total = tf.constant(0.0)
        content, style = aim.terms
        for name, factor in {**style.layer_weights, **content.layer_weights}.items():
            ring = RING // (SIDE // found[name].shape[1])
            f, p = (x[:, ring:-ring, ring:-ring] for x in (found[name], wanted[name]))
            if name in content.layer_weights:
                total += content.weight * factor * tf.reduce_mean((f - p) ** 2) / 2
                continue
            flat = tf.reshape(f, (-1, f.shape[-1]))
            gram = tf.matmul(flat, flat, transpose_a=True) / flat.shape[0]
            error = tf.reduce_sum((gram - style.targets[name].astype(np.float32)) ** 2) / (4 * f.shape[-1] ** 2)
            total += style.weight * factor * error
    found_gradient: np.ndarray = tape.gradient(total, variables["last.bias"]).numpy()
    return found_gradient


def test_the_gradient_is_the_objectives(encoder: Encoder) -> None:
    aim, taught, weights = objective(encoder), lesson(), first_weights(ARCHITECTURE, 0)
    teacher = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(weights))
    teacher.step(taught, 0.0)
    learned = teacher.memory.first["last.bias"] / (1 - 0.9)
    # Sums over positions in another order.
    np.testing.assert_allclose(learned, gradient_by_tape(encoder, aim, weights, taught), rtol=1e-3)


def test_a_learner_goes_on_from_what_it_knew(encoder: Encoder) -> None:
    aim, taught = objective(encoder), lesson()
    first = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first_weights(ARCHITECTURE, 0)))
    first.step(taught, 1e-3)
    second = Teacher(encoder, aim, ARCHITECTURE, first.memory)
    assert first.step(taught, 1e-3) == second.step(taught, 1e-3)
    assert (first.memory.weights["up2.kernel"] == second.memory.weights["up2.kernel"]).all()


def test_the_variation_is_learned_at_its_weight(encoder: Encoder) -> None:
    plain, taught, first = objective(encoder), lesson(), first_weights(ARCHITECTURE, 0)
    losses = [
        Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first)).step(taught, 0.0)
        for aim in (plain, Objective((*plain.terms, Variation(0.5))))
    ]
    pictures = np.clip(corrected(first, ARCHITECTURE, taught.seen, taught.grain, normalised_by_itself), 0, 255)
    ones = np.ones((SIDE, SIDE), np.float32)
    variation = np.mean([Variation(1.0).measure(picture, ones) / picture.size for picture in pictures])
    assert losses[1] - losses[0] == pytest.approx(0.5 * variation, rel=1e-4)


def test_a_term_that_cannot_be_taught_is_refused_by_name(encoder: Encoder) -> None:
    aim = Objective((*objective(encoder).terms, Darkness(1.0)))
    with pytest.raises(ConfigError, match=r"objective\.terms\.darkness: expected .*content, style, variation"):
        Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first_weights(ARCHITECTURE, 0)))
