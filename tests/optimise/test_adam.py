import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.optimise import adam
from nst_rs.optimise.iterate import Iterate, Move


def pixels(seed: int, low: float = 50.0, high: float = 200.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (6, 5, 3)).astype(np.float32)


def at_rest(pixels: np.ndarray) -> Iterate:
    return Iterate(pixels, np.zeros_like(pixels), np.zeros_like(pixels))


def gradient(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, 5, 3)).astype(np.float32)


def test_steps_follow_the_papers_algorithm_1() -> None:
    iterate = at_rest(pixels(0))
    expected, m, v = iterate.pixels.astype(np.float64), 0.0, 0.0
    for t in range(1, 6):
        g = gradient(t)
        adam.step(iterate, g, Move(t, 2.0))
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g.astype(np.float64) ** 2
        expected -= 2.0 * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.99**t))
    # Five float32 steps of numbers around 100.
    np.testing.assert_allclose(iterate.pixels, expected, atol=1e-3)


@given(st.floats(1e-12, 1e6))
def test_the_gradients_scale_does_not_matter(scale: float) -> None:
    ordinary, scaled = at_rest(pixels(0)), at_rest(pixels(0))
    for t in range(1, 4):
        adam.step(ordinary, gradient(t), Move(t, 1.0))
        adam.step(scaled, gradient(t) * np.float32(scale), Move(t, 1.0))
    # float32 rounding of pixels near 200.
    np.testing.assert_allclose(ordinary.pixels, scaled.pixels, atol=1e-3)


def test_a_step_of_a_part_is_the_part_of_the_step() -> None:
    whole, part = at_rest(pixels(0)), at_rest(pixels(0)[2:5])
    adam.step(whole, gradient(1), Move(1, 3.0))
    adam.step(part, gradient(1)[2:5], Move(1, 3.0))
    assert (whole.pixels[2:5] == part.pixels).all()


def test_pixels_stay_in_range() -> None:
    picture = np.array([[[1.0, 254.0, 128.0]]], np.float32)
    adam.step(at_rest(picture), np.array([[[1.0, -1.0, 0.0]]], np.float32), Move(1, 10.0))
    np.testing.assert_array_equal(picture, [[[0.0, 255.0, 128.0]]])


def test_the_mean_is_that_of_the_iterates_it_was_given_equal_shares_of() -> None:
    picture = pixels(0)
    iterate = Iterate(picture, np.zeros_like(picture), np.zeros_like(picture), np.zeros_like(picture))
    seen = []
    for t in range(1, 5):
        adam.step(iterate, gradient(t), Move(t, 2.0, share=1 / t))
        seen.append(iterate.pixels.copy())
    # float32 rounding of pixels near 200.
    np.testing.assert_allclose(iterate.mean, np.mean(seen, axis=0), atol=1e-4)
