import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.files.storage import strips
from nst_rs.pyramid import resample
from nst_rs.pyramid.resample import continued, enlarge, enlarged_rows, halve, halve_into

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20))
seeds = st.integers(0, 2**32 - 1)


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (*shape, 3)).astype(np.float32)


def mask(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) < 0.6).astype(np.float32)


@given(shapes, seeds)
def test_halving_halves_both_sides_rounding_up(shape: tuple[int, int], seed: int) -> None:
    half, weight = halve(picture(shape, seed), mask(shape, seed))
    assert half.shape == (-(-shape[0] // 2), -(-shape[1] // 2), 3)
    assert weight.shape == half.shape[:2]
    assert half.dtype == weight.dtype == np.float32


@given(shapes, seeds, st.integers(1, 4))
def test_halving_preserves_the_weighted_mean_level_after_level(shape: tuple[int, int], seed: int, levels: int) -> None:
    image, weight = picture(shape, seed), mask(shape, seed)
    weight[0, 0] = 1
    mean = np.average(image, axis=(0, 1), weights=weight[..., np.newaxis].repeat(3, axis=-1))
    for _ in range(levels):
        image, weight = halve(image, weight)
    halved = np.average(image, axis=(0, 1), weights=weight[..., np.newaxis].repeat(3, axis=-1))
    # A few float32 roundings of numbers up to 255 a level.
    np.testing.assert_allclose(halved, mean, rtol=0, atol=1e-3)


@given(shapes, seeds)
def test_halving_preserves_the_weight_in_pixels_of_the_full_picture(shape: tuple[int, int], seed: int) -> None:
    weight = mask(shape, seed)
    # Quarters are exact in float32.
    assert 4 * halve(picture(shape, seed), weight)[1].sum() == weight.sum()


@given(shapes, seeds)
def test_pixels_that_weigh_nothing_change_nothing_that_weighs(shape: tuple[int, int], seed: int) -> None:
    image, weight = picture(shape, seed), mask(shape, seed)
    other = np.where(weight[..., np.newaxis] > 0, image, picture(shape, seed + 1))
    one, half_weight = halve(image, weight)
    np.testing.assert_array_equal(one[half_weight > 0], halve(other, weight)[0][half_weight > 0])


@given(shapes, seeds, st.floats(0, 1))
def test_what_weighs_something_is_continued_and_what_weighs_nothing_makes_no_difference(
    shape: tuple[int, int], seed: int, share: float
) -> None:
    image = picture(shape, seed)
    weight = (np.random.default_rng(seed).random(shape) < share).astype(np.float32)
    weight[0, 0] = 1
    heavy = weight > 0
    other = np.where(heavy[..., np.newaxis], image, picture(shape, seed + 1))
    filled = continued(image, weight)
    np.testing.assert_array_equal(filled[heavy], image[heavy])
    np.testing.assert_array_equal(filled, continued(other, weight))
    assert filled.dtype == np.float32
    assert filled.min() >= 0
    assert filled.max() <= 255


@given(shapes, seeds)
def test_a_picture_of_one_colour_is_continued_in_that_colour(shape: tuple[int, int], seed: int) -> None:
    weight = mask(shape, seed)
    weight[-1, -1] = 1
    image = np.where(weight[..., np.newaxis] > 0, np.float32(77), picture(shape, seed))
    # Cubic interpolation's weights add up to one but for float32's rounding, level after level.
    np.testing.assert_allclose(continued(image, weight), 77, atol=1e-3)


@pytest.mark.parametrize("share", [0, 1])
def test_an_image_that_weighs_everywhere_or_nowhere_stays(share: int) -> None:
    image = picture((5, 7))
    assert continued(image, np.full((5, 7), share, np.float32)) is image


def test_pixels_are_averaged_by_weight() -> None:
    image = np.array([[10, 20], [30, 40]], np.float32)[..., np.newaxis].repeat(3, axis=-1)
    half, weight = halve(image, np.array([[1, 0], [0.5, 0]], np.float32))
    # (10 × 1 + 30 × ½) / 1½, all exact in float32 but the last division.
    np.testing.assert_allclose(half, np.full((1, 1, 3), 50 / 3), rtol=1e-6)
    assert weight == 0.375


def test_where_nothing_weighs_the_plain_mean_stands() -> None:
    image = np.array([[10, 20], [30, 40]], np.float32)[..., np.newaxis].repeat(3, axis=-1)
    half, weight = halve(image, np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(half, np.full((1, 1, 3), 25))
    assert weight == 0


def test_an_odd_last_row_and_column_keep_their_colour_and_weigh_half() -> None:
    image = np.arange(1, 28, dtype=np.float32).reshape(3, 3, 3)
    half, weight = halve(image, np.ones((3, 3), np.float32))
    np.testing.assert_array_equal(weight, [[1, 0.5], [0.5, 0.25]])
    np.testing.assert_array_equal(half[1, 1], image[2, 2])
    np.testing.assert_array_equal(half[0, 1], image[:2, 2].mean(axis=0))


@given(shapes, seeds)
def test_enlarging_doubles_both_sides_and_stays_in_range(shape: tuple[int, int], seed: int) -> None:
    # Black and white, where cubic interpolation overshoots most.
    double = enlarge(np.where(picture(shape, seed) < 128, np.float32(0), np.float32(255)))
    assert (double.shape, double.dtype) == ((2 * shape[0], 2 * shape[1], 3), np.float32)
    assert double.min() >= 0
    assert double.max() <= 255


@given(shapes, seeds, st.sampled_from([0, 1]))
def test_enlarging_does_not_shift(shape: tuple[int, int], seed: int, axis: int) -> None:
    image = picture(shape, seed)
    # The same sums in another order, in float32.
    np.testing.assert_allclose(enlarge(np.flip(image, axis)), np.flip(enlarge(image), axis), rtol=0, atol=1e-3)


def test_pixel_i_becomes_pixels_2i_and_2i_plus_1() -> None:
    ramp = np.arange(0, 200, 10, dtype=np.float32)[np.newaxis, :, np.newaxis] * np.ones((20, 1, 3), np.float32)
    double = enlarge(ramp)
    # Cubic interpolation reproduces a straight line, but near the ends, where it lacks neighbours; float32.
    np.testing.assert_allclose(double[:, 6:-6:2], (ramp - 2.5)[:, 3:-3].repeat(2, axis=0), rtol=0, atol=1e-3)
    np.testing.assert_allclose(double[:, 7:-6:2], (ramp + 2.5)[:, 3:-3].repeat(2, axis=0), rtol=0, atol=1e-3)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_channels_are_enlarged_apart(channel: int) -> None:
    image, other = picture((5, 6)), picture((5, 6), seed=1)
    other[..., channel] = image[..., channel]
    np.testing.assert_array_equal(enlarge(image)[..., channel], enlarge(other)[..., channel])
    assert (enlarge(image) != enlarge(other)).any()


@given(shapes, st.floats(0, 255, width=32, allow_subnormal=False))
def test_halving_and_enlarging_keep_one_colour_as_it_is(shape: tuple[int, int], value: float) -> None:
    image = np.full((*shape, 3), value, np.float32)
    # Interpolation between equals, in float32.
    np.testing.assert_allclose(enlarge(image), value, rtol=1e-6)
    np.testing.assert_allclose(halve(image, mask(shape))[0], value, rtol=1e-6)


@given(shapes, seeds, st.integers(1, 9))
def test_halving_by_bands_is_halving_the_whole(shape: tuple[int, int], seed: int, rows: int) -> None:
    image, weight = picture(shape, seed), mask(shape, seed)
    expected, expected_weight = halve(image, weight)
    half, half_weight = np.zeros_like(expected), np.zeros_like(expected_weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "strips", lambda height, *_: strips(height, rows))
        halve_into(image, weight, half, half_weight)
    np.testing.assert_array_equal(half, expected)
    np.testing.assert_array_equal(half_weight, expected_weight)


@given(shapes, seeds, st.data())
def test_enlarging_some_rows_is_enlarging_the_whole(shape: tuple[int, int], seed: int, data: st.DataObject) -> None:
    image = picture(shape, seed)
    start = data.draw(st.integers(0, 2 * shape[0] - 1))
    stop = data.draw(st.integers(start + 1, 2 * shape[0]))
    np.testing.assert_array_equal(enlarged_rows(image, start, stop), enlarge(image)[start:stop])
