import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.objective.moments import Moments, Total, total


def moments_of(features: np.ndarray) -> Moments:
    """The moments of (M, C) features, each position weighing one."""
    return Moments({"conv1_1": float(len(features))}, {"conv1_1": features.T @ features})


@given(st.integers(1, 40), st.data())
def test_moments_of_the_parts_add_up_to_those_of_the_whole(size: int, data: st.DataObject) -> None:
    # Small whole numbers: sums are exact in float64, whatever their order.
    features = np.random.default_rng(size).integers(-9, 9, (size, 3)).astype(np.float64)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=5)))
    parts = total(moments_of(part) for part in np.split(features, cuts))
    assert parts.counts == {"conv1_1": size}
    assert (parts.products["conv1_1"] == features.T @ features).all()


def test_gram_matrices_are_per_position() -> None:
    features = np.random.default_rng(0).normal(size=(10, 4))
    once, twice = moments_of(features), moments_of(np.concatenate([features, features]))
    np.testing.assert_allclose(once.grams["conv1_1"], twice.grams["conv1_1"], rtol=1e-14)


def test_the_order_of_addition_is_pairwise_in_the_order_given() -> None:
    # In this order of pairs 1 + 2⁵³ is rounded and 1 + 1 is not; from left to right both ones would be lost.
    values = [1.0, 2.0**53, 1.0, 1.0]
    sums = total(Moments({"conv1_1": v}, {"conv1_1": np.array([[v]])}) for v in values)
    assert sums.counts["conv1_1"] == (1.0 + 2.0**53) + (1.0 + 1.0) != sum(values)


@given(st.integers(1, 70))
def test_a_sum_holds_no_more_parts_than_their_number_has_binary_digits(parts: int) -> None:
    found = Total()
    for _ in range(parts):
        found.add(moments_of(np.ones((1, 2))))
    assert len(found._partial) == parts.bit_count()
    assert found.value.counts["conv1_1"] == parts


def test_a_whole_is_expected_to_change_as_its_part_did_position_by_position() -> None:
    before, part_before, part = (
        moments_of(np.full((size, 1), value)) for size, value in ((10, 2.0), (4, 3.0), (4, 5.0))
    )
    expected = before.expected(part, part_before)
    assert expected.counts == before.counts
    assert expected.grams["conv1_1"] == 2.0**2 + (5.0**2 - 3.0**2)


def test_there_must_be_something_to_add() -> None:
    with pytest.raises(ValueError, match="no moments"):
        total([])
