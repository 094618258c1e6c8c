import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.composite.change import Bounds, unchanged
from nst_rs.composite.light import Light

SHAPE = 90, 70
SEEN = np.ones(SHAPE, bool)
FIELD = np.s_[30:60, 20:50]


def seen_through(gain: float, offset: float, seed: int, noise: float = 2.0) -> np.ndarray:
    """A scene of fields, (90, 70, 3), in some light, with a sensor's noise."""
    fields = np.kron(np.random.default_rng(0).uniform(70, 170, (9, 7, 3)), np.ones((10, 10, 1)))
    return (gain * fields + offset + np.random.default_rng(seed).normal(0, noise, fields.shape)).astype(np.float32)


def light_of(now: np.ndarray, then: np.ndarray, known: np.ndarray = SEEN) -> Light:
    return Light.of(lambda: [(now, then, known)])


@settings(max_examples=25)
@given(st.floats(0.6, 1.4), st.floats(-30, 30))
def test_a_scene_in_another_light_has_not_changed(gain: float, offset: float) -> None:
    then, now = seen_through(1, 0, 1), np.clip(seen_through(gain, offset, 2), 0, 255)
    light = light_of(now, then)
    np.testing.assert_allclose(light.gain, gain, atol=0.05)
    within = ((now > 0) & (now < 255)).all(axis=-1)
    assert unchanged(now, light.of_now(then), SEEN, light.bounds)[within].min() > 0.9


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.8, 35.0), (1.3, -30.0)])
def test_what_has_changed_neither_moves_the_lines_nor_is_taken_for_light(gain: float, offset: float) -> None:
    then, now = seen_through(1, 0, 1), seen_through(gain, offset, 2)
    now[FIELD] = 30, 60, 200
    light = light_of(now, then)
    np.testing.assert_allclose(light.gain, gain, atol=0.06)
    same = unchanged(now, light.of_now(then), SEEN, light.bounds)
    assert not same[35:55, 25:45].any()
    elsewhere = np.ones(SHAPE, bool)
    elsewhere[26:64, 16:54] = False  # the averages reach a little farther than the field
    assert same[elsewhere].min() > 0.9


def test_one_light_and_no_noise_are_told_by_the_least_bounds() -> None:
    scene = seen_through(1, 0, 1)
    light = light_of(scene, scene)
    assert light.bounds == Bounds()
    np.testing.assert_array_equal(light.of_now(scene), scene)


def test_ground_that_differs_everywhere_by_more_than_light_is_not_taken_for_unchanged() -> None:
    rng = np.random.default_rng(5)
    now, then = (np.kron(rng.uniform(30, 220, (9, 7, 3)), np.ones((10, 10, 1))).astype(np.float32) for _ in range(2))
    light = light_of(now, then)
    assert unchanged(now, light.of_now(then), SEEN, light.bounds).mean() < 0.1


def test_a_scene_without_contrast_is_shifted_and_not_stretched() -> None:
    then, now = np.full((*SHAPE, 3), 100, np.float32), np.full((*SHAPE, 3), 130, np.float32)
    light = light_of(now, then)
    assert light.gain.tolist() == [1, 1, 1]
    assert light.offset.tolist() == [30, 30, 30]


def test_values_that_are_cut_off_and_places_without_data_do_not_count() -> None:
    then, now = seen_through(1, 0, 1), seen_through(1.2, 10, 2)
    known = SEEN.copy()
    known[:20] = False
    now[:20], then[70:] = 77, 255
    light = light_of(now, then, known)
    np.testing.assert_allclose(light.gain, 1.2, atol=0.05)
    nothing = light_of(now, then, np.zeros(SHAPE, bool))
    assert nothing.gain.tolist() == [1, 1, 1]
    assert nothing.offset.tolist() == [0, 0, 0]
