import numpy as np

from nst_rs.objective.terms.variation import Variation

TERM = Variation(0.5)


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
    np.testing.assert_allclose(TERM.measure(picture, weight), expected, rtol=1e-12)
