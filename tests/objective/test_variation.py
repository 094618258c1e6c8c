import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.objective.variation import variation, variation_gradient


def window(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, (7, 6, 3)), rng.integers(0, 2, (7, 6)).astype(np.float64)


def test_it_is_the_sum_of_squared_steps_down_and_to_the_right() -> None:
    picture, weight = window(0)
    expected = sum(
        weight[i, j] * ((picture[i + a, j + b] - picture[i, j]) ** 2).sum()
        for i in range(7)
        for j in range(6)
        for a, b in ((1, 0), (0, 1))
        if i + a < 7 and j + b < 6
    )
    np.testing.assert_allclose(variation(picture, weight), expected, rtol=1e-12)


@given(st.integers(0, 100))
def test_the_gradient_is_its_derivative(seed: int) -> None:
    picture, weight = window(seed)
    step = np.random.default_rng(seed + 1).normal(size=picture.shape)
    # Exact for a quadratic form but for rounding, whatever the step.
    change = (variation(picture + step, weight) - variation(picture - step, weight)) / 2
    np.testing.assert_allclose(change, np.sum(variation_gradient(picture, weight) * step), rtol=1e-6, atol=1e-6)


def test_parts_whose_weights_add_up_add_up() -> None:
    picture, _ = window(0)
    top, bottom = np.zeros((7, 6)), np.zeros((7, 6))
    top[:3], bottom[3:] = 1, 1
    np.testing.assert_allclose(
        variation(picture, top) + variation(picture, bottom), variation(picture, top + bottom), rtol=1e-12
    )
