import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.output.figures.flat_areas import CELL, measure_flat_areas

SHAPE = (260, 300)


def measure_calm(content: np.ndarray, result: np.ndarray, valid: np.ndarray) -> dict[str, float | None]:
    return measure_flat_areas(content, result, valid, [])["calm"]


def scene(seed: int = 0) -> np.ndarray:
    """Sea to the left, town to the right."""
    random = np.random.default_rng(seed)
    picture = np.full((*SHAPE, 3), 60.0)
    picture[:, 100:] += random.normal(0, 30, (*SHAPE, 3))[:, 100:]
    blocks = np.kron(random.normal(0, 20, (17, 19)), np.ones((CELL, CELL)))[: SHAPE[0], : SHAPE[1]]
    picture[:, 100:] += blocks[:, 100:, np.newaxis]
    return picture


def blotched() -> np.ndarray:
    """The same with blotches as large as a cell all over the sea."""
    blotches = np.kron(np.random.default_rng(9).normal(0, 30, (17, 19)), np.ones((CELL, CELL)))
    picture = scene()
    picture[:, :100] += blotches[: SHAPE[0], :100, np.newaxis]
    return picture


def test_a_sea_that_stays_a_sea_is_calm_and_a_blotched_one_is_not() -> None:
    ones = np.ones(SHAPE)
    calm, blotches = (measure_calm(scene(), picture, ones) for picture in (scene(), blotched()))
    assert calm["result"] == calm["content"] == blotches["content"] == 0
    assert blotches["result"] is not None
    assert blotches["result"] > 1


def test_fine_strokes_in_the_sea_are_no_blotches() -> None:
    strokes = scene() + np.random.default_rng(1).normal(0, 30, (*SHAPE, 3))
    found = measure_calm(scene(), strokes, np.ones(SHAPE))["result"]
    assert found is not None
    assert found < 0.2  # a cell's mean of noise varies by 30 / 16, its neighbours in town by 20 and more


@given(st.integers(0, 200), st.integers(0, 200))
def test_what_lies_under_nodata_does_not_matter(top: int, left: int) -> None:
    valid = np.ones(SHAPE)
    valid[top : top + 50, left : left + 70] = 0
    other = np.where(valid[..., np.newaxis] > 0, blotched(), 7.0)
    assert measure_calm(scene(), blotched(), valid) == measure_calm(scene(), other, valid)


@pytest.mark.parametrize("shape", [(CELL - 1, 100), (100, CELL - 1), (CELL, CELL), (100, 100)])
def test_where_there_is_nothing_to_compare_there_is_no_figure(shape: tuple[int, int]) -> None:
    plain = np.full((*shape, 3), 9.0)
    assert measure_calm(plain, plain, np.ones(shape)) == {"result": None, "content": None}
    assert measure_calm(plain, plain, np.zeros(shape)) == {"result": None, "content": None}


def speckled(deviation: float, color: bool, seed: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, (*SHAPE, 3 if color else 1))
    return scene() + noise


def test_speckle_is_what_single_pixels_differ_by_from_their_surroundings_in_flat_areas() -> None:
    found = measure_flat_areas(scene(), speckled(4, color=False), np.ones(SHAPE), [])
    # What a blur by (1, 2, 1) / 4 both ways leaves of noise: 1 − 2 · 4/16 + 36/256 of its variance.
    assert found["speckle"]["result"] == pytest.approx(4 * np.sqrt(1 - 0.5 + 36 / 256), rel=0.05)
    assert found["speckle"]["content"] == found["color_speckle"]["content"] == 0
    assert found["color_speckle"]["result"] < 0.2  # whole values, as the map has them


def test_colour_speckle_is_told_apart() -> None:
    grey, color = (measure_flat_areas(scene(), speckled(4, c), np.ones(SHAPE), []) for c in (False, True))
    assert color["color_speckle"]["result"] > 20 * grey["color_speckle"]["result"]


def test_strokes_of_several_pixels_are_hardly_speckle() -> None:
    strokes = np.kron(np.random.default_rng(1).normal(0, 30, (65, 75)), np.ones((4, 4)))[..., np.newaxis]
    fine, broad = (
        measure_flat_areas(scene(), picture, np.ones(SHAPE), [])["speckle"]["result"]
        for picture in (speckled(30, color=False), scene() + strokes)
    )
    assert broad < 0.5 * fine


def test_the_paintings_own_grain_is_told_beside() -> None:
    painting = np.random.default_rng(4).normal(128, 5, (100, 90, 3))
    found = measure_flat_areas(scene(), scene(), np.ones(SHAPE), [painting, painting])
    alone = measure_flat_areas(scene(), scene(), np.ones(SHAPE), [painting])
    assert found["speckle"]["style"] == alone["speckle"]["style"] > 1
    assert measure_flat_areas(scene(), scene(), np.ones(SHAPE), [])["speckle"]["style"] is None
