import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.optimise import bfgs
from nst_rs.optimise.bfgs import Curvature
from nst_rs.optimise.iterate import Iterate, Move

SHAPE = (6, 5, 3)


def pixels(seed: int, low: float = 50.0, high: float = 200.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, SHAPE).astype(np.float32)


def normal(seed: int, scale: float = 1.0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).normal(size=SHAPE)).astype(np.float32)


def at_rest(picture: np.ndarray) -> Iterate:
    return Iterate(picture, np.zeros_like(picture), np.zeros_like(picture))


def curvature(part: Iterate, gradient: np.ndarray) -> Curvature:
    return Curvature.of([bfgs.measure(part, gradient)])


def go(part: Iterate, gradient: np.ndarray, move: Move) -> None:
    bfgs.step(part, gradient, move, curvature(part, gradient).factors(move, gradient.size))


def textbook(step: np.ndarray, before: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """−H g, H being the BFGS update of a multiple of the identity: Nocedal & Wright, equations 7.16 and 7.20."""
    s, y, g = (x.astype(np.float64).ravel() for x in (step, gradient - before, gradient))
    rho = 1 / (y @ s)
    v = np.eye(len(s)) - rho * np.outer(y, s)
    inverse = v.T @ v * (y @ s) / (y @ y) + rho * np.outer(s, s)
    return -(inverse @ g).reshape(gradient.shape)


@given(st.integers(0, 100))
def test_a_step_is_the_textbooks(seed: int) -> None:
    start, last = pixels(seed), normal(seed + 1)
    before = normal(seed + 2)
    gradient = before + 0.5 * last + 0.1 * normal(seed + 3)  # the curvature along the last step is positive
    part = Iterate(start.copy(), last.copy(), before.copy())
    go(part, gradient, Move(2, 100.0))
    # float32 pixels of 50 to 200.
    np.testing.assert_allclose(part.pixels, start + textbook(last, before, gradient), atol=1e-3)
    np.testing.assert_allclose(part.first, part.pixels - start, atol=1e-4)
    assert (part.second == gradient).all()


def test_the_first_step_goes_down_the_gradient_by_a_length_of_its_own() -> None:
    start, gradient = pixels(0), normal(1, 1e-7)
    part = at_rest(start.copy())
    go(part, gradient, Move(1, 2.0))
    moved = part.pixels - start
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(bfgs.FIRST * 2.0, rel=1e-4)
    np.testing.assert_allclose(moved / np.abs(moved).max(), -gradient / np.abs(gradient).max(), atol=1e-3)


def test_without_positive_curvature_a_step_is_like_the_first() -> None:
    start, last, gradient = pixels(0), normal(1), normal(2)
    bent, straight = Iterate(start.copy(), last.copy(), gradient + last), at_rest(start.copy())
    assert curvature(bent, gradient).step_change < 0
    go(bent, gradient, Move(7, 2.0))
    go(straight, gradient, Move(1, 2.0))
    assert (bent.pixels == straight.pixels).all()


def test_a_picture_without_a_gradient_stays_as_it_is() -> None:
    part = at_rest(pixels(0))
    for number in (1, 2):
        go(part, np.zeros(SHAPE, np.float32), Move(number, 5.0))
    assert (part.pixels == pixels(0)).all()


@given(st.floats(1e-10, 1e6))
def test_the_gradients_scale_does_not_matter(scale: float) -> None:
    ordinary, scaled = at_rest(pixels(0)), at_rest(pixels(0))
    target = pixels(1)
    for number in range(1, 5):
        go(ordinary, ordinary.pixels - target, Move(number, 1.0))
        go(scaled, (scaled.pixels - target) * np.float32(scale), Move(number, 1.0))
    # float32 rounding of pixels near 200.
    np.testing.assert_allclose(ordinary.pixels, scaled.pixels, atol=1e-2)


def test_a_badly_scaled_bowl_is_gone_down_far_faster_than_by_the_gradient_alone() -> None:
    bowl = np.geomspace(1, 100, pixels(0).size).reshape(SHAPE).astype(np.float32)
    target, part = pixels(1, 100, 150), at_rest(pixels(0))
    for number in range(1, 31):
        go(part, bowl * (part.pixels - target), Move(number, 5.0))
    found = float((bowl * (part.pixels - target) ** 2).sum())
    alone = pixels(0)
    for _ in range(30):
        alone = alone - bowl * (alone - target) / 100
    assert found < 0.1 * float((bowl * (alone - target) ** 2).sum())


def test_pixels_stay_in_range_and_are_moved_no_farther_than_the_bound() -> None:
    picture = np.array([[[1.0, 254.0, 128.0]]], np.float32)
    part = at_rest(picture.copy())
    bfgs.step(part, np.array([[[1.0, -1.0, 5.0]]], np.float32), Move(2, 2.0), (-10.0, 0.0, 0.0))
    np.testing.assert_array_equal(part.pixels, [[[0.0, 255.0, 128.0 - 2 * bfgs.LARGEST]]])
    np.testing.assert_array_equal(part.first, part.pixels - picture)


def test_a_pixel_that_is_pushed_out_of_its_range_does_not_count() -> None:
    picture = np.array([[[0.0, 255.0, 128.0, 0.0, 255.0, 9.0]]], np.float32).reshape(1, 2, 3)
    gradient = np.array([[[1.0, -1.0, 3.0, -2.0, 2.0, 1.0]]], np.float32).reshape(1, 2, 3)
    part = Iterate(picture, np.ones_like(picture), np.zeros_like(picture))
    found = curvature(part, gradient)
    assert found.slope_slope == 9 + 4 + 4 + 1
    assert found.step_slope == 3 - 2 + 2 + 1


@given(st.integers(1, 40), st.integers(1, 3000), st.integers(0, 40))
def test_a_rows_products_do_not_depend_on_what_is_measured_with_it(height: int, width: int, cut: int) -> None:
    rng = np.random.default_rng(0)
    part = Iterate(*(rng.uniform(0, 255, (height, width + 7, 3)).astype(np.float32) for _ in range(3)))
    gradient = rng.normal(size=(height, width + 7, 3)).astype(np.float32)
    place = slice(None), slice(3, 3 + width)
    whole = bfgs.measure(part.inside(place), gradient[place])
    core = part.inside(place).copy()
    halves = [slice(0, min(cut, height)), slice(min(cut, height), height)]
    cuts = [
        bfgs.measure(core.inside((rows, slice(None))), np.ascontiguousarray(gradient[place][rows]))
        for rows in halves
        if rows.start < rows.stop
    ]
    assert (np.concatenate(cuts) == whole).all()


def test_the_scenes_products_do_not_depend_on_the_order_of_its_tiles() -> None:
    rng = np.random.default_rng(0)
    parts = [Curvature(*(rng.normal(size=5) * 10.0 ** rng.integers(-9, 9, 5))) for _ in range(5)]
    assert len({Curvature.total(order) for order in itertools.permutations(parts)}) == 1


def test_the_mean_is_that_of_the_iterates() -> None:
    part = Iterate(pixels(0), np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32))
    seen = []
    for number in range(1, 5):
        go(part, part.pixels - 100, Move(number, 2.0, share=1 / number))
        seen.append(part.pixels.copy())
    # float32 rounding of pixels near 200.
    np.testing.assert_allclose(part.mean, np.mean(seen, axis=0), atol=1e-4)
