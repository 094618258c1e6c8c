import numpy as np
import pytest

from nst_rs.arrays import Mask, Pixels
from nst_rs.output.figures import agreement as agreement_figures
from nst_rs.output.figures.agreement import Read, measure_change, measure_seams

SHAPE = 80, 100


def reading(pixels: np.ndarray, data: Mask) -> Read:
    def read(rows: slice) -> tuple[Pixels, Mask]:
        return pixels[rows].astype(np.float32), data[rows]

    return read


def halves() -> tuple[Mask, Mask]:
    """The left part of a grid and the right one, which share 20 columns."""
    columns = np.broadcast_to(np.arange(SHAPE[1]), SHAPE)
    return columns < 60, columns >= 40


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3)).astype(np.float32)


def test_maps_that_are_one_picture_have_seam_ratios_of_one() -> None:
    left, right = halves()
    seams = measure_seams(reading(noise(), right), reading(noise(), left), SHAPE[0])
    for each in seams.values():
        assert each["ratio"] == pytest.approx(1, abs=4 * each["standard_error"])


def test_a_step_between_two_maps_shows_at_either_border() -> None:
    left, right = halves()
    smooth = np.broadcast_to(np.arange(SHAPE[1])[:, np.newaxis], (*SHAPE, 3)).astype(np.float32)
    seams = measure_seams(reading(smooth + 9, right), reading(smooth, left), SHAPE[0])
    assert {name: each["ratio"] for name, each in seams.items()} == {"this_above": 10, "earlier_above": 10}


@pytest.mark.parametrize("turned", [False, True])
def test_the_ratio_does_not_depend_on_strips_nor_on_the_borders_direction(
    monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    left, right = halves()
    one, other = noise(1), noise(2)
    expected = measure_seams(reading(one, right), reading(other, left), SHAPE[0])
    monkeypatch.setattr(agreement_figures, "_STRIP_ROWS", 7)
    if turned:
        left, right, one, other = (np.swapaxes(each, 0, 1) for each in (left, right, one, other))
    assert measure_seams(reading(one, right), reading(other, left), one.shape[0]) == expected


def test_a_map_that_covers_the_other_has_a_border_of_its_own_alone() -> None:
    _, right = halves()
    seams = measure_seams(reading(noise(), np.ones(SHAPE, bool)), reading(noise(), right), SHAPE[0])
    assert seams["this_above"] is None
    assert seams["earlier_above"] is not None


def test_the_change_is_a_root_mean_square_over_what_is_held_firmly() -> None:
    earlier, hold = noise(), np.ones(SHAPE, np.float32)
    hold[:, :50] = 0.5
    picture = earlier + np.where(np.arange(SHAPE[1]) < 50, 77, 3)[:, np.newaxis]
    assert measure_change(picture, earlier, hold, 0.99) == 3
    assert measure_change(picture, earlier, np.zeros(SHAPE), 0.99) is None
