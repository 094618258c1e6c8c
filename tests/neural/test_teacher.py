from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf

from nst_rs.neural.kernel import Kernel
from nst_rs.neural.stylizer import corrected
from nst_rs.neural.teacher import RING, Lesson, Memory, Teacher
from nst_rs.neural.vgg import Convolution, Encoder
from nst_rs.objective import Objective
from nst_rs.stylizer import Architecture, first_weights

ARCHITECTURE = Architecture((4, 8, 8), 1)
SIDE = 64


def objective(encoder: Encoder, **changes: object) -> Objective:
    """One content and two style layers of the small network, aiming at noise."""
    kernel = Kernel(encoder, ["conv1_1", "conv2_2"], ["conv2_1"], "/CPU:0")
    noise = np.random.default_rng(5).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    targets = kernel.measure(noise, np.ones((SIDE, SIDE), np.float32)).grams
    plain: dict[str, object] = {
        "alpha": 0.1,
        "beta": 1.0,
        "content_layers": {"conv2_1": 1e-3},
        "style_layers": {"conv1_1": 1e-5, "conv2_2": 1e-5},
        "content_normalization": "mean",
        "targets": targets,
    }
    return Objective(**{**plain, **changes})  # type: ignore[arg-type]


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
    losses = [teacher.step(lesson(), number, 1e-2) for number in range(1, 13)]
    assert losses[-1] < 0.95 * losses[0]


def test_the_loss_is_the_objective_of_each_windows_own_moments(encoder: Encoder) -> None:
    """As the optimiser measures it, but for the ring along the window's border."""
    aim, taught = objective(encoder), lesson()
    teacher = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first_weights(ARCHITECTURE, 0)))
    kernel = Kernel(encoder, list(aim.style_layers), list(aim.content_layers), "/CPU:0")
    weight = np.zeros((SIDE, SIDE), np.float32)
    weight[RING:-RING, RING:-RING] = 1
    totals = [aim.losses(kernel.measure(scene, weight, kernel.content(scene))).total for scene in taught.scene]
    assert teacher.step(taught, 1, 0.0) == pytest.approx(float(np.mean(totals)), rel=1e-5)


def gradient_by_tape(encoder: Encoder, aim: Objective, weights: Mapping[str, np.ndarray], taught: Lesson) -> np.ndarray:
    """The gradient with respect to the last bias, TensorFlow's own, of the objective written down plainly."""
    variables = {name: tf.Variable(value) for name, value in weights.items()}
    with tf.GradientTape() as tape:
        picture = corrected(
            {name: tf.convert_to_tensor(value) for name, value in variables.items()},
            ARCHITECTURE,
            *(tf.convert_to_tensor(x) for x in (taught.seen, taught.grain)),
        )
        found, wanted = encoder.features(picture), encoder.features(tf.convert_to_tensor(taught.scene))
        total = tf.constant(0.0)
        for name, factor in {**aim.style_layers, **aim.content_layers}.items():
            ring = RING // (SIDE // found[name].shape[1])
            f, p = (x[:, ring:-ring, ring:-ring] for x in (found[name], wanted[name]))
            if name in aim.content_layers:
                total += aim.alpha * factor * tf.reduce_mean((f - p) ** 2) / 2
                continue
            flat = tf.reshape(f, (f.shape[0], -1, f.shape[-1]))
            gram = tf.matmul(flat, flat, transpose_a=True) / flat.shape[1]
            error = tf.reduce_sum((gram - aim.targets[name].astype(np.float32)) ** 2) / (4 * f.shape[-1] ** 2)
            total += aim.beta * factor * error / f.shape[0]
    found_gradient: np.ndarray = tape.gradient(total, variables["last.bias"]).numpy()
    return found_gradient


def test_the_gradient_is_the_objectives(encoder: Encoder) -> None:
    aim, taught, weights = objective(encoder), lesson(), first_weights(ARCHITECTURE, 0)
    teacher = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(weights))
    teacher.step(taught, 1, 0.0)
    learned = teacher.memory.first["last.bias"] / (1 - 0.9)
    # Sums over positions in another order.
    np.testing.assert_allclose(learned, gradient_by_tape(encoder, aim, weights, taught), rtol=1e-3)


def test_a_learner_goes_on_from_what_it_knew(encoder: Encoder) -> None:
    aim, taught = objective(encoder), lesson()
    first = Teacher(encoder, aim, ARCHITECTURE, Memory.beginning(first_weights(ARCHITECTURE, 0)))
    first.step(taught, 1, 1e-3)
    second = Teacher(encoder, aim, ARCHITECTURE, first.memory)
    assert first.step(taught, 2, 1e-3) == second.step(taught, 2, 1e-3)
    assert (first.memory.weights["up2.kernel"] == second.memory.weights["up2.kernel"]).all()
