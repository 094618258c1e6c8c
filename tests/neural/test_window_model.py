"""The kernel's arithmetic against the paper's closed form, and TensorFlow's own derivative of the plain formula."""

from typing import Any, Literal

import numpy as np
import pytest
import tensorflow as tf

from nst_rs.neural.vgg16 import Convolution, Encoder
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import Statistics
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram

CPU = "/CPU:0"
Array = np.ndarray


def picture(height: int, width: int, seed: int, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(dtype)


def model(encoder: Encoder, style_layers: list[str], content_layers: list[str]) -> WindowModel:
    return WindowModel(encoder, Statistics(tuple(style_layers), tuple(content_layers)), CPU)


def literal_objective(kernel: WindowModel, style: Array, content_weight: float = 0.5) -> Objective:
    """The source's objective: sums over positions, a style image as large as the picture."""
    ones = np.ones(style.shape[:2])
    weights = {name: 0.3 + 0.1 * i for i, name in enumerate(kernel.statistics.products)}
    contents = dict.fromkeys(kernel.statistics.half_squares, content_weight)
    return Objective((Content(2.0, contents, "sum"), Gram(3.0, weights, kernel.measure(style, ones).grams)))


def whole_gradient(kernel: WindowModel, x: Array, p: Array, objective: Objective) -> tuple[Array, float]:
    ones = np.ones(x.shape[:2], x.dtype)
    content = kernel.content(p)
    forward = kernel.forward(x, ones, content)
    gradient = kernel.backward(forward.activations, ones, content, objective.pull(forward.moments))
    return gradient, objective.losses(forward.moments).total


def paper_loss(kernel: WindowModel, objective: Objective, x: Any, p: Array, a: Array) -> Any:
    """Equations 1, 4, 5 and 7 as they stand, on TensorFlow's own layers and their own derivatives."""
    fx, fp, fa = (plain_features(kernel.encoder, tf.constant(y) if isinstance(y, Array) else y) for y in (x, p, a))
    (content, style), loss = objective.terms, tf.zeros((), tf.float64)
    for name, weight in content.layers.items():
        loss += content.weight * weight * tf.reduce_sum((fx[name] - fp[name]) ** 2) / 2
    for name, weight in style.layers.items():
        m, n = (int(size) for size in fx[name].shape)
        g, big_a = (tf.matmul(f[name], f[name], transpose_a=True) for f in (fx, fa))
        loss += style.weight * weight * tf.reduce_sum((g - big_a) ** 2) / (4 * n**2 * m**2)
    return loss


def plain_features(encoder: Encoder, x: Any) -> dict[str, Any]:
    """Layer → (positions, channels), computed without the encoder's own gradient."""
    x = (x[tf.newaxis, ..., ::-1]) - tf.constant([103.939, 116.779, 123.68], tf.float64)
    found, block = {}, 1
    for c in encoder.convolutions:
        if c.block != block:
            x, block = tf.nn.max_pool2d(x, 2, 2, "VALID"), c.block
        x = tf.nn.relu(tf.nn.conv2d(x, c.kernel.astype(np.float64), 1, "SAME") + c.bias.astype(np.float64))
        found[c.name] = tf.reshape(x, (-1, x.shape[-1]))
    return found


@pytest.fixture(scope="module", params=["small network", "VGG16"])
def kernel(request: pytest.FixtureRequest, small_network: list[Convolution], vgg16: list[Convolution]) -> WindowModel:
    if request.param == "VGG16":
        layers = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
        return model(Encoder(vgg16[:11], "float64"), layers, ["conv4_2"])
    return model(Encoder(small_network, "float64"), ["conv1_2", "conv2_1"], ["conv2_2"])


def test_the_gradient_is_that_of_the_papers_formula(kernel: WindowModel) -> None:
    x, p, a = (picture(48, 32, seed) for seed in range(3))
    objective = literal_objective(kernel, a)
    found, found_loss = whole_gradient(kernel, x, p, objective)
    variable = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = paper_loss(kernel, objective, variable, p, a)
    expected = tape.gradient(loss, variable).numpy()
    assert found_loss == pytest.approx(float(loss), rel=1e-10)
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


def test_the_gradient_is_the_papers_closed_form_carried_back(kernel: WindowModel) -> None:
    x, p, a = (picture(32, 32, seed) for seed in range(3))
    objective = literal_objective(kernel, a)
    found, _ = whole_gradient(kernel, x, p, objective)
    variable = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        fx = plain_features(kernel.encoder, variable)
    fp, fa = (plain_features(kernel.encoder, tf.constant(y)) for y in (p, a))
    upstream = {name: np.zeros(f.shape) for name, f in fx.items()}
    content, style = objective.terms
    for name, weight in content.layers.items():
        upstream[name] += content.weight * weight * (fx[name] - fp[name]).numpy()
    for name, weight in style.layers.items():
        f = fx[name].numpy().T  # (N, M), as the paper writes it
        n, m = f.shape
        g, big_a = f @ f.T, fa[name].numpy().T @ fa[name].numpy()
        upstream[name] += style.weight * weight * ((f.T @ (g - big_a)) / (n**2 * m**2))
    masked = [tf.constant(np.where(fx[name].numpy() > 0, upstream[name], 0.0)) for name in fx]
    expected = tape.gradient(list(fx.values()), variable, output_gradients=masked).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_what_is_carried_back_is_what_tensorflow_differentiates(
    small_network: list[Convolution], pooling: Literal["max", "average"]
) -> None:
    encoder = Encoder(small_network, "float64", pooling)
    x = tf.constant(picture(24, 16, 0)[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(x)
        features = encoder.features(x)
    rng = np.random.default_rng(1)
    upstream = {name: tf.constant(rng.normal(size=features[name].shape)) for name in ("conv1_1", "conv2_1")}
    expected = tape.gradient([features[name] for name in upstream], x, output_gradients=list(upstream.values()))
    np.testing.assert_allclose(encoder.carry_back(features, upstream), expected, rtol=1e-9, atol=1e-12)


def test_a_small_step_changes_the_loss_as_the_gradient_says(small_network: list[Convolution]) -> None:
    kernel = model(Encoder(small_network, "float64"), ["conv1_2", "conv2_1"], ["conv2_2"])
    x, p, a, direction = (picture(16, 16, seed) for seed in range(4))
    objective = literal_objective(kernel, a)
    gradient, _ = whole_gradient(kernel, x, p, objective)
    step = 1e-6 * (direction - 128)
    after, before = (whole_gradient(kernel, x + sign * step, p, objective)[1] for sign in (1, -1))
    # Central difference: what is left is of third order in a step of 1e-6, and rounding of the loss.
    assert (after - before) / 2 == pytest.approx(float(np.sum(gradient * step)), rel=1e-5)


def test_positions_that_weigh_nothing_change_nothing(small_network: list[Convolution]) -> None:
    kernel = model(Encoder(small_network, "float64"), ["conv1_2", "conv2_1"], ["conv2_2"])
    weight = np.zeros((32, 32))
    weight[:, :16] = 1
    x, other = picture(32, 32, 0), picture(32, 32, 1)
    other[:, :24] = x[:, :24]  # 8 pixels beyond the weighted half: more than the network's radius
    a, b = kernel.measure(x, weight), kernel.measure(other, weight)
    assert a.counts == b.counts == {"conv1_2": 512.0, "conv2_1": 128.0, "conv2_2": 128.0}
    for name in a.products:
        np.testing.assert_allclose(a.products[name], b.products[name], rtol=1e-12)


def test_a_position_weighs_as_much_as_its_cell_holds_valid_pixels(small_network: list[Convolution]) -> None:
    kernel = model(Encoder(small_network, "float64"), ["conv2_1"], ["conv2_2"])
    weight = np.ones((8, 8))
    weight[0, 0] = 0
    assert kernel.measure(picture(8, 8, 0), weight).counts["conv2_1"] == 15.75


def test_a_window_without_weight_asks_for_nothing(small_network: list[Convolution]) -> None:
    kernel = model(Encoder(small_network, "float64"), ["conv1_2", "conv2_1"], ["conv2_2"])
    x, p, a = (picture(16, 16, seed) for seed in range(3))
    content = kernel.content(p)
    forward = kernel.forward(x, np.ones((16, 16)), content)
    pull = literal_objective(kernel, a).pull(forward.moments)
    assert not kernel.backward(forward.activations, np.zeros((16, 16)), content, pull).any()
    assert kernel.measure(x, np.zeros((16, 16)), content).half_squares == {"conv2_2": 0.0}


def test_bfloat16_gives_the_gradient_of_float32_to_its_few_digits(vgg16: list[Convolution]) -> None:
    x, p, a = (picture(64, 64, seed, "float32") for seed in range(3))
    found = {}
    for dtype in ("float32", "bfloat16"):
        kernel = model(Encoder(vgg16[:9], dtype), ["conv1_1", "conv2_1", "conv3_1"], ["conv4_2"])
        gradient, loss = whole_gradient(kernel, x, p, literal_objective(kernel, a, 1e-4))
        assert gradient.dtype == np.float32
        found[dtype] = gradient.astype(np.float64), loss
    (exact, exact_loss), (rough, rough_loss) = found.values()
    # bfloat16 keeps 8 bits, 0.4 %; nine layers forward and back add up to some multiple of it.
    assert rough_loss == pytest.approx(exact_loss, rel=0.03)
    assert np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_picture_is_at_no_distance_from_its_own_content(small_network: list[Convolution], dtype: str) -> None:
    kernel = model(Encoder(small_network, dtype), ["conv1_2"], ["conv2_2"])
    x, ones = picture(16, 16, 0, "float32"), np.ones((16, 16), np.float32)
    content = kernel.content(x)
    assert content["conv2_2"].itemsize == (4 if dtype == "float32" else 2)
    assert kernel.measure(x, ones, content).half_squares == {"conv2_2": 0.0}


def test_windows_of_many_shapes_are_no_cause_for_a_warning(
    small_network: list[Convolution], caplog: pytest.LogCaptureFixture
) -> None:
    kernel = model(Encoder(small_network), ["conv1_1"], [])
    with caplog.at_level("WARNING"):
        for side in range(8, 36, 4):
            kernel.measure(np.zeros((side, side, 3), np.float32), np.ones((side, side), np.float32))
    assert not caplog.records
