"""The window model on a ground that is divided into classes: every class has its own sums."""

from dataclasses import replace

import numpy as np
import pytest

from nst_rs.files.storage import MemoryStorage
from nst_rs.neural.resident import DeviceRound
from nst_rs.neural.vgg16 import Convolution, Encoder
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import ClassObjective, Objective
from nst_rs.objective.moments import Pull, Statistics, in_class
from nst_rs.objective.problem import Problem
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.rounds import Exact
from nst_rs.optimise.state import Form
from nst_rs.pyramid.canvas import ENDLESS, Canvas
from nst_rs.pyramid.tiling import make_level
from nst_rs.runs.record import peak_memory_bytes
from nst_rs.vgg16 import VGG16, Trunk
from tests.forked import from_a_process
from tests.pixel_kernel import scene_gradient

TRUNK = Trunk.reaching(["conv2_2"])
SHAPE = 90, 120
Array = np.ndarray


def kernel_of(network: list[Convolution], dtype: str = "float64") -> WindowModel:
    return WindowModel(Encoder(network, dtype), Statistics(("conv1_2", "conv2_1"), ("conv2_2",)), "/CPU:0")


def problem_of(network: list[Convolution], tile: int, dtype: str = "float64") -> Problem:
    """A scene of noise, two classes after a painting of noise each, and a corner that belongs to none."""
    rng = np.random.default_rng(3)
    scene, *paintings = (rng.uniform(0, 255, (*size, 3)).astype(np.float32) for size in (SHAPE, (64, 64), (64, 64)))
    kernel, level = kernel_of(network, dtype), make_level(SHAPE, 1, tile, TRUNK)
    canvas = Canvas.around(level, scene, np.ones(SHAPE, np.float32))
    shares = np.zeros((*level.canvas_shape, 2), np.float32)
    shares[level.scene_slices] = soft_shares()
    depth = np.zeros(level.canvas_shape, np.float32)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth[level.scene_slices] = np.abs(rows + columns - 103) // 2  # nothing at the border between the two
    parts = []
    for number, painting in enumerate(paintings):
        terms = Content(1e-4, {"conv2_2": 1.0}, "mean"), Gram(1.0, {"conv1_2": 1e-9, "conv2_1": 1e-10}, {})
        style = kernel.measure(painting, np.ones((64, 64), np.float32))
        towards = Objective(terms).towards(style).terms
        parts.append(ClassObjective(f"class {number}", number, (0.4, 0.55)[number], towards, {}))
    return Problem.of(
        kernel, replace(canvas, classes=shares, depth=depth), Objective((), tuple(parts)), MemoryStorage()
    )


def soft_shares() -> Array:
    """A border that runs across all tiles, soft over some pixels."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    first = np.clip((rows + columns - 100) / 7, 0, 1)
    shares = np.stack([first, 1 - first], axis=-1)
    shares[:20, :20] = 0
    return shares.astype(np.float32)


def test_a_classs_sums_are_those_of_the_window_with_its_weight(small_network: list[Convolution]) -> None:
    kernel = kernel_of(small_network)
    rng = np.random.default_rng(0)
    window, scene = (rng.uniform(0, 255, (32, 48, 3)) for _ in range(2))
    weight, content = rng.uniform(0, 1, (32, 48, 4)), kernel.content(scene)
    weight[..., 3] = ENDLESS
    found = kernel.measure(window, weight, content)
    for number in range(3):
        expected = kernel.measure(window, weight[..., number], content)
        own = found.of_class(number)
        assert own.counts == pytest.approx(expected.counts)
        assert own.half_squares == pytest.approx(expected.half_squares)
        for name, matrix in expected.products.items():
            np.testing.assert_allclose(own.products[name], matrix, rtol=1e-10)


def test_positions_that_see_another_class_count_less_in_the_products_and_as_much_in_the_distances(
    small_network: list[Convolution],
) -> None:
    kernel = kernel_of(small_network)
    window = np.random.default_rng(0).uniform(0, 255, (32, 48, 3))
    content = kernel.content(window)
    for layer in ("conv1_2", "conv2_1"):
        radius = VGG16[layer].radius
        for depth, share in ((radius - 1, 1), (0, radius**-4)):
            weight = np.ones((32, 48, 2))
            weight[..., 1] = depth
            measured = kernel.measure(window, weight, content)
            own = measured.of_class(0)
            assert own.pixels_of(layer) == pytest.approx(32 * 48 * share)
            assert own.counted_shares[layer] == pytest.approx(share)
            assert own.pixels_of("conv2_2") == 32 * 48
            assert measured.pixel_values == 3 * 32 * 48


def test_with_classes_the_network_is_exact_in_tiles(small_network: list[Convolution]) -> None:
    whole, cut = (problem_of(small_network, tile) for tile in (1024, 64))
    assert len(whole.canvas.tiles) == 1 < len(cut.canvas.tiles)
    picture = np.random.default_rng(1).uniform(0, 255, whole.canvas.image.shape).astype(np.float32)
    (expected, expected_loss), (found, loss) = scene_gradient(whole, picture), scene_gradient(cut, picture)
    # Windows are float32, and the shares of the gradient come back in it.
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_with_classes_the_gradient_is_the_losss_derivative(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network, 64)
    picture = np.random.default_rng(2).uniform(50, 200, problem.canvas.image.shape).astype(np.float32)
    gradient, _ = scene_gradient(problem, picture)
    step = (gradient / np.abs(gradient).max()).astype(np.float32)  # uphill, where the loss changes most
    slope = float(np.sum(gradient * step))
    after, before = (scene_gradient(problem, picture + sign * np.float32(0.05) * step)[1] for sign in (1, -1))
    # Pixels are float32, and on the way some maxima and zeros of the network change places.
    assert (after - before) / 0.1 == pytest.approx(slope, rel=1e-2)


def test_with_classes_the_device_and_the_host_compute_one_descent(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network, 64, "float32")
    pictures = []
    for kind in (Exact(problem), DeviceRound(problem.kernel, problem, 99)):
        now, after = (Form(problem.canvas.level, False, layers=None).create(MemoryStorage(), name) for name in "ab")
        now.picture[:, :] = problem.canvas.image[:, :]
        if isinstance(kind, DeviceRound):
            now, after = kind.take(now), kind.take(after)
        for number in (1, 2, 3):
            kind(now, after, [Move(number, 4.0, 1 / number, "bfgs")], lambda _: None)
            now, after = after, now
        pictures.append(now.picture[:, :])
    # Both are float32; the device adds up in another order.
    np.testing.assert_allclose(*pictures, atol=0.02)


def peak_with(network: list[Convolution], classes: int) -> int:
    """Return the bytes that a step over one window adds to what a process holds."""
    side = 384
    kernel = WindowModel(Encoder(network, "float32"), Statistics(("conv1_2",)), "/CPU:0")
    weight = np.full((side, side, classes + 1), 1 / classes, np.float32)
    before = peak_memory_bytes()
    forward = kernel.forward(np.full((side, side, 3), 99, np.float32), weight, {})
    pull = Pull({in_class("conv1_2", number): np.eye(64, dtype=np.float32) for number in range(classes)})
    kernel.backward(forward.activations, weight, {}, pull)
    return peak_memory_bytes() - before


def test_many_classes_take_hardly_more_memory_than_two(vgg16: list[Convolution]) -> None:
    """They have a layer one after another: a plan counts none of it."""
    two, many = (from_a_process(peak_with, vgg16[:2], classes) for classes in (2, 12))
    assert many < 1.6 * two  # side by side they took three times as much
