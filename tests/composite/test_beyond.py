import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.composite.beyond import COLORS, COLORS_REACH, STROKES, STROKES_REACH, colors, strokes

END = 30
SHAPE = (40, 80)


def smooth_scene(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A scene of large patches, (H, W, 3), with a little noise."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(60, 180, (shape[0] // 10, shape[1] // 10, 3)).repeat(10, 0).repeat(10, 1)
    return (patches + rng.normal(0, 3, patches.shape)).astype(np.float32)


def ending(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Where a map has pixels, (H, W): up to a straight end."""
    return np.arange(shape[1])[np.newaxis].repeat(shape[0], 0) < END


def test_beyond_its_end_a_maps_strokes_are_mirrored_and_hold_less_and_less() -> None:
    pixels = np.random.default_rng(1).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)
    mirrored, falling = strokes(pixels, ending().astype(np.float32))
    np.testing.assert_array_equal(mirrored[:, END : END + STROKES], pixels[:, END - 2 : END - 2 - STROKES : -1])
    assert 0 < falling[20, END] < 0.3
    assert (np.diff(falling[20, END:]) <= 0).all()
    assert (falling[:, END + STROKES :] == 0).all()
    np.testing.assert_array_equal(mirrored[:, :END], pixels[:, :END])


def test_a_strip_too_narrow_to_be_mirrored_goes_on_as_its_nearest_pixel() -> None:
    hold = np.zeros((1, 20), np.float32)
    hold[:, 9] = 1
    pixels = np.where(hold[..., np.newaxis] > 0, np.float32(77), np.float32(0)).repeat(3, axis=-1)
    mirrored, falling = strokes(pixels, hold)
    assert (falling[0, 9 - STROKES + 1 : 9 + STROKES] > 0).all()
    assert (mirrored[falling > 0] == 77).all()


@settings(max_examples=20)  # each takes a tenth of a second
@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 30))
def test_in_a_strip_with_what_is_around_it_strokes_go_on_as_in_the_whole(seed: int, top: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    hold = (rng.random((9, 7)) > 0.5).repeat(10, 0).repeat(10, 1).astype(np.float32)
    pixels = rng.uniform(0, 255, (*hold.shape, 3)).astype(np.float32)
    stop = min(len(hold), top + rows)
    outer = slice(max(0, top - STROKES_REACH), min(len(hold), stop + STROKES_REACH))
    part = slice(top - outer.start, stop - outer.start)
    (mirrored, falling), (whole, firmness) = strokes(pixels[outer], hold[outer]), strokes(pixels, hold)
    # Running sums begin elsewhere, and round in another way.
    np.testing.assert_allclose(falling[part], firmness[top:stop], atol=1e-6)
    where = firmness[top:stop] > 1e-6
    np.testing.assert_array_equal(mirrored[part][where], whole[top:stop][where])


@pytest.mark.parametrize("seed", range(3))
def test_where_a_maps_colours_follow_from_the_scenes_they_follow_beyond_its_end_too(seed: int) -> None:
    scene = smooth_scene(seed)
    slopes, offset = np.random.default_rng(seed).uniform(-0.3, 0.5, (3, 3)), np.array([90, 110, 70])
    picture = (scene @ slopes + offset).astype(np.float32)
    found, _ = colors(scene, np.where(ending()[..., np.newaxis], picture, 0), ending())
    beside = slice(END, END + 8)
    plain = np.abs(scene - picture)[:, beside].mean()
    assert np.abs(found - picture)[:, beside].mean() < plain / 4  # the ridge, and patches that the map does not have


def test_where_a_map_ends_its_colours_do_not_change_at_once() -> None:
    scene = np.full((*SHAPE, 3), 100, np.float32)
    rows = np.linspace(20, 220, SHAPE[0], dtype=np.float32)  # a map whose colours the scene tells nothing of
    picture = np.where(ending()[..., np.newaxis], rows[:, np.newaxis, np.newaxis], 0).repeat(3, axis=-1)[..., :3]
    found, _ = colors(scene, picture, ending())
    inner = slice(4, -4)
    np.testing.assert_allclose(found[inner, END], picture[inner, END - 1], atol=6)  # a row's step is 5


def test_a_maps_colours_count_beyond_its_end_less_and_less() -> None:
    _, share = colors(smooth_scene(0), smooth_scene(1), ending())
    assert (share[:, :END] == 1).all()
    assert (share[:, END] > 0.9).all()
    assert (np.diff(share[:, END:], axis=1) <= 1e-6).all()
    np.testing.assert_allclose(share[:, END + COLORS :], 0, atol=1e-6)


def test_without_any_map_no_colours_count() -> None:
    found, share = colors(smooth_scene(0), smooth_scene(1), np.zeros(SHAPE, bool))
    assert (share == 0).all()
    assert np.isfinite(found).all()


@settings(max_examples=20)  # each takes a tenth of a second
@given(st.integers(0, 1000), st.integers(0, 180), st.integers(1, 40))
def test_in_a_block_with_what_is_around_it_colours_go_on_as_in_the_whole(seed: int, left: int, width: int) -> None:
    shape = (20, 220)
    scene, picture = smooth_scene(seed, shape), smooth_scene(seed + 1, shape)
    firm = np.random.default_rng(seed).random((2, 22)).repeat(10, 0).repeat(10, 1) > 0.6
    stop = min(shape[1], left + width)
    outer = slice(max(0, left - COLORS_REACH), min(shape[1], stop + COLORS_REACH))
    part = slice(left - outer.start, stop - outer.start)
    found, share = colors(scene[:, outer], picture[:, outer], firm[:, outer])
    whole, shares = colors(scene, picture, firm)
    # Running sums begin elsewhere, and round in another way; where hardly any of the map is near, that is divided.
    np.testing.assert_allclose(share[:, part], shares[:, left:stop], atol=1e-6)
    counted = shares[:, left:stop] > 1e-3
    np.testing.assert_allclose(found[:, part][counted], whole[:, left:stop][counted], atol=0.01)
