from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.picture_figures import (
    ClassSums,
    apart,
    color_histogram,
    comb,
    cosine,
    histogram_cosine,
    match_patches,
    patches,
    prominence,
    spectrum,
    structural_distance,
)


@pytest.fixture
def noise() -> Callable[..., Any]:
    return lambda *shape: np.random.default_rng(0).uniform(0, 255, shape)


def test_the_cosine_is_that_of_the_angle_whatever_the_lengths() -> None:
    assert cosine(np.diag([3.0, 4.0]), np.diag([6.0, 8.0])) == pytest.approx(1)
    assert cosine(np.diag([1.0, 0.0]), np.diag([0.0, 1.0])) == 0
    assert cosine(np.zeros((2, 2)), np.eye(2)) == 0


def test_a_histogram_puts_two_neighbouring_values_into_one_bin_and_255_into_the_last() -> None:
    counts = color_histogram(np.array([[0, 1, 2], [255, 255, 255]], np.uint8))
    assert counts.sum(axis=1).tolist() == [2, 2, 2]
    assert [np.flatnonzero(channel).tolist() for channel in counts] == [[0, 127], [0, 127], [1, 127]]


def test_histograms_of_other_colours_have_cosine_0_and_of_the_same_1(noise: Callable[..., Any]) -> None:
    dark, bright = (color_histogram(np.full((5, 3), value)) for value in (10, 200))
    assert histogram_cosine(dark, bright) == 0
    assert histogram_cosine(color_histogram(noise(9, 3)), 2 * color_histogram(noise(9, 3))) == pytest.approx(1)


def test_a_patch_holds_its_nine_positions_and_has_length_1_unless_it_is_empty() -> None:
    features = np.zeros((3, 4, 1), np.float32)
    features[:, 1:, 0] = 2
    (left, right) = patches(features)
    assert left.tolist() == pytest.approx([0, 6**-0.5, 6**-0.5] * 3)
    assert right.tolist() == pytest.approx([1 / 3] * 9)
    assert not patches(np.zeros((3, 3, 2), np.float32)).any()


def test_a_picture_compared_with_itself_uses_all_of_its_patches(noise: Callable[..., Any]) -> None:
    own = patches(noise(40, 40, 2))  # more than are compared at once
    patterns = match_patches(own, own)
    assert (patterns.likeness, patterns.used) == (pytest.approx(1), 1)


def test_a_repeated_motif_uses_few_patches(noise: Callable[..., Any]) -> None:
    own = patches(noise(12, 12, 2))
    patterns = match_patches(np.repeat(own[:5], 20, axis=0), own)
    assert (patterns.likeness, patterns.used) == (pytest.approx(1), 5 / 100)


def test_the_structural_distance_is_0_where_each_position_is_like_the_same_others() -> None:
    content = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    assert structural_distance(content, content[:, ::-1]) == pytest.approx(0)
    assert structural_distance(content, content[[0, 2, 1]]) > 1


def test_the_structural_distance_is_that_of_its_formula() -> None:
    content, result = np.array([[2.0], [0.0]]), np.zeros((2, 1))
    likely = np.exp(4) / (np.exp(4) + 1)  # S of the first row; all others are halves
    divergence = likely * np.log(2 * likely) + (1 - likely) * np.log(2 * (1 - likely))
    assert structural_distance(content, result) == pytest.approx(divergence / 2)


@pytest.mark.parametrize("period", [2, 4, 64 / 20])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_comb_stands_out_at_its_period_along_rows_and_columns(
    noise: Callable[..., Any], period: float, axis: int
) -> None:
    scene = noise(128, 192)
    lines = np.cos(2 * np.pi * np.arange(scene.shape[axis]) / period)
    combed = scene + 60 * (lines if axis == 1 else lines[:, np.newaxis])
    told = comb(spectrum(combed), spectrum(scene))
    assert told is not None
    assert (told.strongest > 2, told.period) == (True, period)
    assert (told.at_2 > 2, told.at_4 > 2) == (period == 2, period == 4)


def test_the_scene_itself_has_no_comb_and_a_picture_of_one_colour_none_to_tell_of(noise: Callable[..., Any]) -> None:
    sums, flat = spectrum(noise(64, 64)), spectrum(np.full((64, 64), 7.0))
    told = comb(sums, sums)
    assert told is not None
    assert (told.strongest, told.at_2, told.at_4, told.period) == (1, 1, 1, None)
    assert comb(flat, sums) is None
    assert comb(sums, flat) is None


def test_a_smoothly_falling_spectrum_has_no_prominence() -> None:
    falling = 0.7 ** np.arange(33)
    assert [value for period, value in prominence(falling).items() if period > 2.5] == pytest.approx([1] * 16)


def test_spectra_of_windows_add_up(noise: Callable[..., Any]) -> None:
    picture = noise(64, 128)
    whole = spectrum(picture)
    np.testing.assert_allclose(spectrum(picture[:, :64]) + spectrum(picture[:, 64:]), whole)


def test_classes_stand_apart_by_their_mean_colours_over_their_spread() -> None:
    red = ClassSums.of(np.array([[90, 0, 0], [110, 0, 0]]))
    blue = ClassSums.of(np.array([[0, 0, 100]])) + ClassSums.of(np.array([[0, 0, 100]]))
    told = apart({"red": red, "blue": blue, "absent": ClassSums.of(np.zeros((0, 3)))})
    assert told is not None
    assert told.distance == pytest.approx(100 * 2**0.5)
    assert told.spread == pytest.approx(50**0.5)  # 10² for two of four pixels
    assert told.separability == pytest.approx(20)


def test_one_class_stands_apart_from_nothing() -> None:
    assert apart({"water": ClassSums.of(np.ones((3, 3)))}) is None
    assert apart({}) is None
