import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.adam import Adam


def pixels(seed: int, low: float = 50.0, high: float = 200.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (6, 5, 3)).astype(np.float32)


def gradient(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, 5, 3)).astype(np.float32)


def test_steps_follow_the_papers_algorithm_1() -> None:
    picture, adam = pixels(0), Adam.at_rest((6, 5, 3))
    expected, m, v = picture.astype(np.float64), 0.0, 0.0
    for t in range(1, 6):
        g = gradient(t)
        adam.step(picture, g, 2.0)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g.astype(np.float64) ** 2
        expected -= 2.0 * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.99**t))
    # Five float32 steps of numbers around 100.
    np.testing.assert_allclose(picture, expected, atol=1e-3)


@given(st.floats(1e-12, 1e6))
def test_the_gradients_scale_does_not_matter(scale: float) -> None:
    ordinary, scaled = pixels(0), pixels(0)
    states = Adam.at_rest((6, 5, 3)), Adam.at_rest((6, 5, 3))
    for t in range(3):
        states[0].step(ordinary, gradient(t), 1.0)
        states[1].step(scaled, gradient(t) * np.float32(scale), 1.0)
    # float32 rounding of pixels near 200.
    np.testing.assert_allclose(ordinary, scaled, atol=1e-3)


def test_a_step_of_a_part_is_the_part_of_the_step() -> None:
    whole, part = pixels(0), pixels(0)[2:5]
    Adam.at_rest((6, 5, 3)).step(whole, gradient(1), 3.0)
    Adam.at_rest((3, 5, 3)).step(part, gradient(1)[2:5], 3.0)
    assert (whole[2:5] == part).all()


def test_pixels_stay_in_range() -> None:
    picture = np.array([[[1.0, 254.0, 128.0]]], np.float32)
    Adam.at_rest((1, 1, 3)).step(picture, np.array([[[1.0, -1.0, 0.0]]], np.float32), 10.0)
    np.testing.assert_array_equal(picture, [[[0.0, 255.0, 128.0]]])
