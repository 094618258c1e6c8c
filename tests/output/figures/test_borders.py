import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.output.figures.borders import NEAR, Palette, measure_borders, within
from nst_rs.style.picture import Style

SHAPE = 300, 90
BLUE, GREEN = (30, 60, 200), (40, 160, 50)
Array = np.ndarray


def noisy(color: tuple[int, int, int], shape: tuple[int, int], seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(0, 12, (*shape, 3))
    return np.clip(np.float32(color) + noise, 0, 255).astype(np.float32)


PALETTES = {
    number: Palette.of([Style.opaque(noisy(color, (40, 40), number))]) for number, color in enumerate((BLUE, GREEN))
}
NUMBERS = np.zeros(SHAPE, np.uint8)
NUMBERS[150:] = 1
WEIGHT = np.ones(SHAPE, np.float32)


def map_with_shore_at(row: int) -> Array:
    """Blue above a row, green below it, whatever the classes are."""
    return np.concatenate([noisy(BLUE, (row, SHAPE[1]), 2), noisy(GREEN, (SHAPE[0] - row, SHAPE[1]), 3)])


def test_where_every_class_keeps_to_its_colours_nothing_bleeds() -> None:
    figures = measure_borders(map_with_shore_at(150), NUMBERS, WEIGHT, PALETTES)
    assert figures["pixels"] == 2 * NEAR * SHAPE[1]
    assert figures["near"] < 0.001
    assert figures["inside"] < 0.001


@pytest.mark.parametrize("bled", [-4, 4])
def test_colours_that_cross_the_border_are_counted(bled: int) -> None:
    figures = measure_borders(map_with_shore_at(150 + bled), NUMBERS, WEIGHT, PALETTES)
    assert figures["near"] == pytest.approx(4 / (2 * NEAR), abs=0.002)
    assert figures["inside"] < 0.001


def test_a_map_of_one_palette_looks_like_the_other_class_on_half_of_the_ground() -> None:
    figures = measure_borders(noisy(BLUE, SHAPE, 2), NUMBERS, WEIGHT, PALETTES)
    assert figures["near"] == pytest.approx(0.5, abs=0.01)
    assert figures["inside"] == pytest.approx(0.5, abs=0.01)


def test_no_data_and_unstyled_ground_have_no_borders() -> None:
    alone = measure_borders(map_with_shore_at(150), NUMBERS, WEIGHT, {0: PALETTES[0]})
    assert alone == {"pixels": 0, "near": None, "inside": None}
    weight = np.where(NUMBERS == 0, np.float32(1), np.float32(0))
    assert measure_borders(map_with_shore_at(150), NUMBERS, weight, PALETTES)["pixels"] == 0


@given(st.integers(0, 99), st.integers(1, 6))
def test_within_reaches_as_far_as_it_says(seed: int, distance: int) -> None:
    mask = np.random.default_rng(seed).random((20, 30)) > 0.97
    rows, columns = np.nonzero(mask)
    expected = np.zeros(mask.shape, np.bool_)
    for row, column in zip(rows, columns, strict=True):
        expected[max(0, row - distance) : row + distance + 1, max(0, column - distance) : column + distance + 1] = True
    assert (within(mask, distance) == expected).all()


def test_a_painting_of_one_colour_has_a_palette_too() -> None:
    palette = Palette.of([Style.opaque(np.full((8, 8, 3), 99, np.float32))])
    near, far = palette.distance(np.float64([[99, 99, 99], [120, 99, 99]]))
    assert near < far
