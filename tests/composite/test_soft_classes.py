import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.composite.soft_classes import SOFT, depths_of, join_small, shares_of, standing_in

SHAPE = 60, 40
Array = np.ndarray


def classes_and_weight(seed: int = 0, classes: int = 3) -> tuple[Array, Array]:
    """Patches of classes, a part of them without data."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, classes, (SHAPE[0] // 5, SHAPE[1] // 5)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
    return numbers, (rng.random(SHAPE) > 0.1).astype(np.float32)


def whole(numbers: Array, weight: Array, chosen: tuple[int, ...]) -> Array:
    return shares_of(numbers, weight, chosen, slice(0, SHAPE[0]))


@given(st.integers(0, 50), st.integers(1, 59))
def test_the_shares_of_a_pixel_do_not_depend_on_the_rows_asked_for(seed: int, cut: int) -> None:
    numbers, weight = classes_and_weight(seed)
    parts = [shares_of(numbers, weight, (0, 2), rows) for rows in (slice(0, cut), slice(cut, SHAPE[0]))]
    assert (np.concatenate(parts) == whole(numbers, weight, (0, 2))).all()


@given(st.integers(0, 50))
def test_all_classes_shares_add_up_to_one_where_there_is_data_and_to_none_elsewhere(seed: int) -> None:
    numbers, weight = classes_and_weight(seed)
    total = whole(numbers, weight, (0, 1, 2)).sum(axis=-1)
    np.testing.assert_allclose(total, weight, atol=1e-6)  # float32


def test_a_border_is_soft_over_some_pixels_and_hard_beyond() -> None:
    numbers = np.zeros(SHAPE, np.uint8)
    numbers[:, 20:] = 1
    (row,) = whole(numbers, np.ones(SHAPE, np.float32), (1,))[30:31, :, 0]
    assert (row[: 20 - SOFT] == 0).all()
    assert (row[20 + SOFT :] == 1).all()
    inner = row[19 - SOFT : 21 + SOFT]
    assert (np.diff(inner) > 0).all()
    np.testing.assert_allclose(row[19] + row[20], 1, atol=1e-6)


def test_no_data_beside_a_class_makes_it_no_softer() -> None:
    numbers, weight = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.float32)
    weight[:, 20:] = 0
    assert (whole(numbers, weight, (0,))[..., 0] == weight).all()


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8), st.integers(1, 20))
def test_every_class_stands_or_has_joined_one_that_stands(pixels: list[int], least: int) -> None:
    names = [f"class {number}" for number in range(len(pixels))]
    classes = join_small(names, pixels, [least] * len(pixels))
    standing = {each.name for each in classes if each.joined is None}
    assert standing
    assert {each.joined for each in classes} - {None} <= standing
    held = np.bincount(standing_in(classes), weights=pixels)
    assert held.sum() == sum(pixels)
    assert len(standing) == 1 or (held[held > 0] >= least).all()


def test_a_small_class_joins_the_next_one_in_order_and_the_last_one_the_one_before() -> None:
    joined = [each.joined for each in join_small(["a", "b", "c", "d"], [90, 1, 90, 1], [5] * 4)]
    assert joined == [None, "c", None, "c"]


def test_a_class_that_needs_little_stands_though_it_is_small() -> None:
    assert [each.joined for each in join_small(["a", "b"], [3, 90], [1, 50])] == [None, None]


@given(st.integers(0, 20), st.integers(1, 8))
def test_a_pixels_depth_is_as_far_as_all_around_it_is_of_its_class(seed: int, most: int) -> None:
    numbers, weight = classes_and_weight(seed)[0], np.ones(SHAPE, np.float32)
    shares = (numbers[..., np.newaxis] == np.array([0, 2])).astype(np.float32)  # class 1 is not styled
    depth = depths_of(shares, weight, slice(0, SHAPE[0]), most).astype(int)
    for row, column in np.random.default_rng(seed).integers(0, SHAPE, (30, 2)):
        reach = depth[row, column]
        assert reach <= most
        assert len(np.unique(around(numbers, row, column, reach))) == 1
        assert reach == most or len(np.unique(around(numbers, row, column, reach + 1))) > 1


def around(array: Array, row: int, column: int, reach: int) -> Array:
    return array[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]


@given(st.integers(0, 20), st.integers(1, 59))
def test_the_depth_of_a_pixel_does_not_depend_on_the_rows_asked_for(seed: int, cut: int) -> None:
    numbers, weight = classes_and_weight(seed)
    shares = whole(numbers, weight, (0, 1))
    parts = [depths_of(shares, weight, rows, 5) for rows in (slice(0, cut), slice(cut, SHAPE[0]))]
    assert (np.concatenate(parts) == depths_of(shares, weight, slice(0, SHAPE[0]), 5)).all()


def test_ground_without_data_ends_no_class() -> None:
    shares, weight = np.ones((*SHAPE, 1), np.float32), np.ones(SHAPE, np.float32)
    weight[20:30], shares[20:30] = 0, 0
    assert (depths_of(shares, weight, slice(0, SHAPE[0]), 7) == 7).all()
