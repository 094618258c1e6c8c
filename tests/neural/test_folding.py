"""What is folded is the same function."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nst_rs.learned.architecture import Architecture
from nst_rs.neural.folding import from_cells_to_cells, of_cells, of_doubled, of_interpolated
from nst_rs.neural.generator import GeneratorNetwork, corrected, interpolated
from tests.learned_styles import small_style

GENERATOR = np.random.default_rng(0)
ROUNDING = {"rtol": 0, "atol": 1e-5}
"""Of float32 sums of some hundred values about 1, in another order."""


def random(*shape: int) -> np.ndarray:
    return GENERATOR.uniform(-1, 1, shape).astype(np.float32)


def convolved(pixels: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    found: np.ndarray = tf.nn.conv2d(pixels, kernel, stride, "VALID").numpy()
    return found


def cells(pixels: np.ndarray) -> np.ndarray:
    found: np.ndarray = tf.nn.space_to_depth(pixels, 2).numpy()
    return found


@pytest.mark.parametrize("side", [4, 6])
def test_a_kernel_of_stride_two_is_one_over_cells(side: int) -> None:
    pixels, kernel = random(1, 16, 20, 5), random(side, side, 5, 7)
    np.testing.assert_allclose(convolved(cells(pixels), of_cells(kernel)), convolved(pixels, kernel, 2), **ROUNDING)


def test_a_kernel_over_doubled_pixels_is_one_over_the_pixels_to_cells() -> None:
    pixels, kernel = random(1, 9, 11, 5), random(3, 3, 5, 7)
    expected = convolved(pixels.repeat(2, axis=1).repeat(2, axis=2), kernel)
    np.testing.assert_allclose(convolved(pixels, of_doubled(kernel)), cells(expected), **ROUNDING)


def test_a_kernel_over_interpolated_pixels_is_one_over_the_pixels_to_cells() -> None:
    pixels, kernel = random(1, 9, 11, 5), random(3, 3, 5, 7)
    expected = convolved(interpolated(pixels), kernel)
    np.testing.assert_allclose(convolved(pixels, of_interpolated(kernel)), cells(expected), **ROUNDING)


def test_what_is_interpolated_of_a_slope_is_a_slope() -> None:
    slope = np.arange(6, dtype=np.float32)[np.newaxis, :, np.newaxis, np.newaxis] * np.ones((1, 1, 6, 2), np.float32)
    steps = np.diff(interpolated(slope).numpy(), axis=1)
    np.testing.assert_allclose(steps, 0.5, rtol=1e-6)


def test_the_last_kernel_goes_from_cells_to_cells() -> None:
    pixels, kernel = random(1, 14, 18, 4), random(5, 5, 4, 3)
    expected = cells(convolved(pixels, kernel))
    np.testing.assert_allclose(convolved(cells(pixels), from_cells_to_cells(kernel)), expected, **ROUNDING)


@pytest.mark.parametrize(
    "network", [{}, {"deep_blocks": 2}, {"enlarging": "repeated"}], ids=["plain", "deep", "of version 2"]
)
def test_the_network_that_is_applied_is_the_one_that_was_learned(network: dict[str, Any]) -> None:
    style = small_style(**network)
    architecture: Architecture = style.facts.architecture
    side = 48 + 2 * architecture.margin
    scene, grain = 127.5 + 127.5 * random(side, side, 3), random(side, side, 2)
    expected = corrected(
        {name: tf.constant(value) for name, value in style.weights.items()}, architecture, scene[None], grain[None]
    )
    found = GeneratorNetwork(architecture, style.weights, "/CPU:0")(scene, grain)
    np.testing.assert_allclose(found, np.clip(expected[0].numpy(), 0, 255), rtol=0, atol=1e-3)  # of 255
