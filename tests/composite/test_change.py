import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.composite.change import EDGE, REACH, Likeness, soft_edge, unchanged

SHAPE = 90, 70
SEEN = np.ones(SHAPE, bool)


def noisy(seed: int, size: float = 3.0) -> np.ndarray:
    """A scene of fields with a sensor's noise."""
    fields = np.kron(np.random.default_rng(0).uniform(40, 210, (9, 7, 3)), np.ones((10, 10, 1)))
    return (fields + np.random.default_rng(seed).normal(0, size, fields.shape)).astype(np.float32)


def test_noise_is_no_change_and_a_field_of_another_colour_is() -> None:
    then, now = noisy(1), noisy(2)
    now[30:60, 20:50] += (60, -40, 20)
    weights = unchanged(now, then, SEEN)
    elsewhere = np.ones(SHAPE, bool)
    elsewhere[26:64, 16:54] = False  # the averages reach a little farther than the field
    assert (weights[elsewhere] > 0.98).all()
    assert weights[30:60, 20:50].max() < 0.1  # its corners are averaged with what is around them
    assert not weights[35:55, 25:45].any()


@pytest.mark.parametrize("side", [2, 4, 8])
def test_a_small_bright_thing_that_is_new_is_a_change(side: int) -> None:
    then, now = noisy(1, 0), noisy(1, 0)
    now[40 : 40 + side, 30 : 30 + side] += 150
    assert unchanged(now, then, SEEN)[40 : 40 + side, 30 : 30 + side].max() < 0.9


def test_where_either_composite_has_no_data_nothing_is_known() -> None:
    known = SEEN.copy()
    known[:, :20] = False
    now, then = noisy(1), noisy(1)
    now[:, :20] = 1e6
    weights = unchanged(now, then, known)
    assert not weights[:, :20].any()
    assert (weights[:, 20:] == 1).all()


def test_the_edge_is_soft_where_the_map_ends_and_nowhere_else() -> None:
    ends = np.zeros(SHAPE, bool)
    ends[:, :20] = True
    weights = soft_edge(ends)
    assert (np.diff(weights[:, 20:], axis=1) >= 0).all()
    assert weights[:, 20].max() < 0.05
    assert (weights[:, 20 + EDGE :] == 1).all()
    np.testing.assert_allclose(weights, weights[:1].repeat(SHAPE[0], axis=0))  # the scene's own edge is none
    assert (soft_edge(np.zeros(SHAPE, bool)) == 1).all()


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 30))
def test_a_strip_with_what_is_around_it_is_weighted_as_the_whole(seed: int, top: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    now, then, known = noisy(1), noisy(2) + rng.normal(0, 12, (9, 7, 3)).repeat(10, 0).repeat(10, 1), rng.random(SHAPE)
    known = known > 0.1
    outer = slice(max(0, top - REACH), min(SHAPE[0], top + rows + REACH))
    inner = slice(top - outer.start, min(top + rows, SHAPE[0]) - outer.start)
    whole = slice(top, top + rows)
    # Running sums begin elsewhere, and round in another way.
    part = unchanged(now[outer], then[outer], known[outer])[inner]
    np.testing.assert_allclose(part, unchanged(now, then, known)[whole], atol=1e-6)
    np.testing.assert_allclose(soft_edge(~known[outer])[inner], soft_edge(~known)[whole], atol=1e-6)


def test_a_map_alone_tells_of_a_large_change_by_what_its_colours_are_elsewhere() -> None:
    scene = np.kron(np.random.default_rng(0).uniform(40, 210, (6, 6, 3)), np.ones((40, 40, 1))).astype(np.float32)
    strokes = np.random.default_rng(1).normal(0, 30, scene.shape)
    styled = (40 + 0.6 * scene[..., ::-1] + 0.001 * scene**2 + strokes).astype(np.float32)
    covered = np.ones(scene.shape[:2], bool)
    now = scene.copy()
    now[80:160, 80:160] = (250, 20, 30)
    likeness = Likeness.of(lambda: [(now, styled, covered, slice(0, 240))])
    weights = likeness.unchanged(now, styled, covered)
    assert weights[100:140, 100:140].max() < 0.01
    assert weights[:60].mean() > 0.9
    assert weights[180:].mean() > 0.9
