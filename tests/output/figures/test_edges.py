import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.output.figures.edges import BESIDE, RIM, measure
from tests.rasters import random_values

Seams = tuple[Sequence[int], Sequence[int]]
NO_SEAMS: Seams = ([], [])

shapes = st.tuples(st.integers(1, 90), st.integers(1, 90))


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Independent noise of whole values, (H, W, 3) uint8."""
    return np.moveaxis(random_values((3, *shape), seed=seed), 0, -1)


def everywhere(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape[:2], bool)


def holes(shape: tuple[int, int], seed: int) -> np.ndarray:
    """A mask with an oblong of nodata anywhere, and single pixels of it."""
    random = np.random.default_rng(seed)
    valid = random.random(shape) > 0.01
    top, left = (random.integers(0, size) for size in shape)
    valid[top : top + 20, left : left + 30] = False
    return valid


def seams_of(shape: tuple[int, int]) -> Seams:
    rows, columns = (range(24, size, 32) for size in shape)
    return rows, columns


def numbers(figures: dict[str, Any]) -> list[float]:
    """All figures in order, NaN for those there are none of: equal then means none in both."""
    legibility, seams, frame = figures["legibility"].values(), figures["seams"].values(), figures["frame"].values()
    return [np.nan if value is None else value for value in [*legibility, *seams, *frame]]


class OnlyRows:
    """An array that can be read by slices of rows, and counts the most that it was asked for."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.most = array, 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        assert 0 <= rows.start <= rows.stop <= len(self._array)
        self.most = max(self.most, rows.stop - rows.start)
        return self._array[rows]


@settings(deadline=None)
@given(shapes, st.integers(1, 100), st.integers(0, 9))
def test_figures_do_not_depend_on_the_height_of_the_strips(shape: tuple[int, int], strip_rows: int, seed: int) -> None:
    content, result, valid = picture(shape), picture(shape, seed), holes(shape, seed)
    whole = measure(content, result, valid, seams_of(shape), strip_rows=shape[0])
    in_strips = measure(content, result, valid, seams_of(shape), strip_rows=strip_rows)
    # Only the order of additions differs, and figures are rounded to four places.
    np.testing.assert_allclose(numbers(in_strips), numbers(whole), atol=1.01e-4)


def test_pictures_are_read_a_few_rows_at_a_time() -> None:
    shape = (300, 40)
    content, result, valid = (OnlyRows(array) for array in (picture(shape), picture(shape, 1), everywhere(shape)))
    measure(content, result, valid, NO_SEAMS, strip_rows=50)
    assert content.most == result.most == 54
    assert valid.most <= 50 + 1 + 4 * RIM


@settings(deadline=None)
@given(st.tuples(st.integers(6, 60), st.integers(6, 60)), st.integers(0, 9))
def test_identical_pictures_are_wholly_legible(shape: tuple[int, int], seed: int) -> None:
    found = measure(picture(shape, seed), picture(shape, seed), everywhere(shape), NO_SEAMS)
    assert found["legibility"] == {"1": 1.0, "2": 1.0, "4": 1.0}
    assert found["frame"]["result"] == found["frame"]["content"]


def test_contrast_and_brightness_take_nothing_from_legibility() -> None:
    content = picture((80, 80)).astype(float)
    found = measure(content, content / 2 + 20, everywhere((80, 80)), NO_SEAMS)
    # Only rounding to whole values does.
    assert found["legibility"] == pytest.approx({"1": 1, "2": 1, "4": 1}, abs=1e-3)


def test_edges_that_are_elsewhere_are_not_legible() -> None:
    content = picture((80, 80))
    found = measure(content, np.roll(content, (7, 7), axis=(0, 1)), everywhere((80, 80)), NO_SEAMS)
    # 12 000 pairs, each pixel in four of them: a standard error of about 0.012.
    assert found["legibility"] == pytest.approx({"1": 0, "2": 0, "4": 0}, abs=0.06)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 1000))
def test_independent_noise_has_no_legibility(seed: int) -> None:
    found = measure(picture((120, 120)), picture((120, 120), seed), everywhere((120, 120)), NO_SEAMS)
    # 28 000 pairs, each pixel in four of them: a standard error of about 0.008.
    assert all(abs(value) < 0.05 for value in found["legibility"].values())


def test_the_edge_of_the_data_is_no_edge_of_the_scene() -> None:
    valid = np.indices((120, 120)).sum(axis=0) // 3 % 4 > 0  # stripes of nodata, which both pictures share
    found = measure(picture((120, 120)), picture((120, 120), 1), valid, NO_SEAMS)
    assert all(abs(value) < 0.05 for value in found["legibility"].values())


@pytest.mark.parametrize("which", [0, 1])
def test_where_nothing_varies_there_is_no_legibility(which: int) -> None:
    ramp = np.add.outer(np.arange(40.0), np.arange(40.0))[..., np.newaxis].repeat(3, axis=-1)
    for flat in (np.full((40, 40, 3), 77.7), ramp):
        pair = [picture((40, 40)), picture((40, 40))]
        pair[which] = flat
        found = measure(pair[0], pair[1], everywhere((40, 40)), NO_SEAMS)
        assert found["legibility"] == {"1": None, "2": None, "4": None}
        assert "NaN" not in json.dumps(found, allow_nan=False)


def test_without_a_valid_pair_there_are_no_figures() -> None:
    found = measure(picture((40, 40)), picture((40, 40)), np.zeros((40, 40), bool), ([16], [16]))
    assert np.isnan(numbers(found)[:3]).all()
    assert found["seams"] == {"lines": 2, "result": None, "standard_error": None, "content": None}
    assert found["frame"] == {"result": None, "content": None}


def test_one_tile_has_no_seams() -> None:
    found = measure(picture((40, 40)), picture((40, 40)), everywhere((40, 40)), NO_SEAMS)
    assert found["seams"] == {"lines": 0, "result": None, "standard_error": None, "content": None}


@pytest.mark.parametrize("axis", [0, 1])
def test_a_step_on_a_core_border_raises_the_seam_ratio_and_a_step_beside_it_lowers_it(axis: int) -> None:
    content, valid = picture((96, 96)).astype(float) / 2, everywhere((96, 96))

    def with_step_before(place: int) -> float:
        stepped = content.swapaxes(0, axis).copy()
        stepped[place:] += 100
        found = measure(content, stepped.swapaxes(0, axis), valid, ([48], []) if axis == 0 else ([], [48]))
        ratio: float = found["seams"]["result"]
        return ratio

    level = with_step_before(0)
    assert with_step_before(48) > 1.5 * level
    assert all(with_step_before(48 + offset) < level for offset in BESIDE)
    assert with_step_before(20) == level


def test_the_standard_error_says_how_the_ratio_scatters_where_there_is_no_seam() -> None:
    shape, seams = (64, 64), ([16, 32, 48], [20, 44])
    found = [measure(x, x, everywhere(shape), seams)["seams"] for x in (picture(shape, seed) for seed in range(60))]
    ratios, errors = ([each[key] for each in found] for key in ("result", "standard_error"))
    # The mean of 60 has a standard error of an eighth, their scatter one of a tenth of itself.
    assert np.mean(ratios) == pytest.approx(1, abs=0.5 * np.std(ratios))
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.4)


def test_steps_that_alternate_as_poolings_do_are_no_seam() -> None:
    cells = np.arange(96) // 2 % 2 * 60.0  # every second line has a step, core borders among them
    striped = picture((96, 96)) / 4 + cells[:, np.newaxis, np.newaxis]
    found = measure(striped, striped, everywhere((96, 96)), ([32, 64], []))
    assert found["seams"]["result"] == pytest.approx(1, abs=0.05)


@settings(deadline=None)
@given(st.integers(0, 99), st.sampled_from([np.nan, np.inf, -3.4e38, 1e30, 255.0]))
def test_nodata_pixels_do_not_matter_whatever_they_hold(seed: int, value: float) -> None:
    shape = (70, 80)
    content, result, valid = picture(shape, 1).astype(float), picture(shape, 2).astype(float), holes(shape, seed)
    before = measure(content, result, valid, seams_of(shape))
    content[~valid], result[~valid] = value, -value
    assert measure(content, result, valid, seams_of(shape)) == before


@pytest.mark.parametrize("nodata", [0, 20])
def test_a_bright_ring_along_the_edge_of_the_data_raises_the_frame_ratio(nodata: int) -> None:
    """The edge is the scene's border, or lies 20 pixels further in."""
    valid = np.pad(np.ones((120, 120), bool), nodata)
    content, ring = picture((len(valid), len(valid))).astype(float) / 4, valid.copy()
    ring[nodata + 4 : -nodata - 4, nodata + 4 : -nodata - 4] = False
    found = measure(content, content + 120 * ring[..., np.newaxis], valid, NO_SEAMS)
    assert found["frame"]["content"] == pytest.approx(1, abs=0.03)
    assert found["frame"]["result"] > 1.1


@settings(deadline=None)
@given(st.tuples(st.integers(40, 110), st.integers(40, 110)), st.integers(0, 2), st.integers(0, 99))
def test_the_rim_is_as_wide_as_it_says(shape: tuple[int, int], holes: int, seed: int) -> None:
    gaps = np.random.default_rng(seed).integers(0, shape, (holes, 2))
    rows, columns = np.indices(shape)
    outside = [rows + 1, shape[0] - rows, columns + 1, shape[1] - columns]
    distance = np.min([*outside, *(np.maximum(abs(rows - i), abs(columns - j)) for i, j in gaps)], axis=0)
    # The noise grows weaker inwards, so that every pixel counted amiss would tell.
    faded = picture(shape) // (1 + distance // 3)[..., np.newaxis]
    assert measure(faded, faded, distance > 0, NO_SEAMS)["frame"]["result"] == expected_frame(faded, distance)


def expected_frame(image: np.ndarray, distance: np.ndarray) -> Any:
    steps, nearest = (
        [each(array[1:], array[:-1]).ravel(), each(array[:, 1:], array[:, :-1]).ravel()]
        for array, each in ((image.astype(int), lambda a, b: abs(a - b).mean(axis=-1)), (distance, np.minimum))
    )
    step, depth = np.concatenate(steps), np.concatenate(nearest)
    rim, next_in = step[(depth > 0) & (depth <= RIM)], step[(depth > RIM) & (depth <= 2 * RIM)]
    return pytest.approx(rim.mean() / next_in.mean(), abs=1e-4) if len(next_in) and next_in.any() else None


@settings(deadline=None)
@given(st.integers(30, 50), st.lists(st.integers(1, 29), min_size=1, max_size=4, unique=True), st.integers(0, 99))
def test_a_core_border_is_compared_with_the_lines_beside_it(height: int, seams: list[int], seed: int) -> None:
    image, valid = picture((height, 20), seed), holes((height, 20), seed)
    both = valid[1:] & valid[:-1]
    steps = [
        step[pairs] for step, pairs in zip(abs(np.diff(image.astype(int), axis=0)).mean(axis=-1), both, strict=True)
    ]
    beside = {i: [steps[i + k - 1] for k in BESIDE if 0 < i + k < height and i + k not in seams] for i in seams}
    means = {i: [step.mean() for step in lines if len(step)] for i, lines in beside.items() if len(steps[i - 1])}
    means = {i: each for i, each in means.items() if len(each) > 1}
    expected = sum(len(steps[i - 1]) * np.mean(each) for i, each in means.items())
    found = measure(image, image, valid, (seams, []))["seams"]
    if not means:
        assert found["result"] is None
        return
    assert found["result"] == pytest.approx(sum(steps[i - 1].sum() for i in means) / expected, abs=1e-4)
    # A line and the mean of k others of the same scatter: its variance, and a k-th of it.
    variances = [len(steps[i - 1]) ** 2 * np.var(each, ddof=1) * (1 + 1 / len(each)) for i, each in means.items()]
    assert found["standard_error"] == pytest.approx(np.sqrt(sum(variances)) / expected, abs=1e-4)


def test_the_result_is_compared_as_it_is_published() -> None:
    content, valid = picture((60, 60)), everywhere((60, 60))
    result = np.random.default_rng(5).random((60, 60, 3)) * 255
    published = np.rint(result).astype(np.uint8)
    assert measure(content, result, valid, ([32], [])) == measure(content, published, valid, ([32], []))
