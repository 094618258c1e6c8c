import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.pyramid.border import folded_back, mirrored_in
from nst_rs.pyramid.resample import mirror
from nst_rs.pyramid.tiling import Level, Tile, make_level
from nst_rs.vgg16 import Trunk

TRUNKS = st.sampled_from(["conv1_1", "conv2_1", "conv4_1", "conv5_1"])
SIDES = st.integers(8, 300)


def canvas(level: Level, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (*level.canvas_shape, 3)).astype(np.float32)


def near(level: Level, tile: Tile, halo: int) -> tuple[slice, slice]:
    """The part of a tile's window that the scene's own positions in its core see: they, and a halo around them."""
    rows, columns = (
        slice(
            max(core.start, axis.border) - halo - window.start,
            min(core.stop, axis.border + axis.scene) + halo - window.start,
        )
        for axis, core, window in zip((level.rows, level.columns), tile.core, tile.window, strict=True)
    )
    return slice(max(0, rows.start), rows.stop), slice(max(0, columns.start), columns.stop)


@given(SIDES, SIDES, st.integers(64, 200), TRUNKS)
def test_a_window_shows_the_scene_mirrored_wherever_its_core_looks(
    height: int, width: int, side: int, deepest: str
) -> None:
    trunk = Trunk.reaching([deepest])
    level = make_level((height, width), 1, side, trunk)
    picture = canvas(level)
    whole = picture.copy()
    mirror(whole, level)
    for tile in level.tiles:
        shown = mirrored_in(level, tile, picture[tile.window_slices])
        seen = near(level, tile, min(trunk.halo, 32))
        assert (shown[seen] == whole[tile.window_slices][seen]).all()


@given(SIDES, SIDES, st.integers(64, 200), TRUNKS)
def test_folding_back_is_the_adjoint_of_mirroring(height: int, width: int, side: int, deepest: str) -> None:
    level = make_level((height, width), 1, side, Trunk.reaching([deepest]))
    picture, gradient = canvas(level), canvas(level, 1)
    for tile in level.tiles:
        x, y = picture[tile.window_slices].astype(np.float64), gradient[tile.window_slices].astype(np.float64)
        there, back = mirrored_in(level, tile, x), folded_back(level, tile, y)
        assert np.vdot(there, y) == pytest.approx(np.vdot(x, back), rel=1e-12)


def test_a_window_inside_the_scene_is_left_as_it_is() -> None:
    level = make_level((900, 900), 1, 128, Trunk.reaching(["conv4_1"]))
    (inner,) = (
        tile
        for tile in level.tiles
        if tile.core_slices[0].start == tile.core_slices[1].start == level.tiles[3].core[1].start
    )
    window = canvas(level)[inner.window_slices]
    assert mirrored_in(level, inner, window) is window
    assert folded_back(level, inner, window) is window


def test_a_gradient_in_the_border_arrives_at_the_pixel_that_is_mirrored_there() -> None:
    level = make_level((40, 50), 1, 4096, Trunk.reaching(["conv1_1"]))
    (tile,) = level.tiles
    gradient = np.zeros((*level.canvas_shape, 3), np.float32)
    gradient[30, 33] = 1  # the scene's second row, mirrored above it; the scene begins at 32
    gradient[33, 31] = 4  # its first column, mirrored to the left
    folded = folded_back(level, tile, gradient)
    assert folded[33, 33, 0] == 1
    assert folded[33, 32, 0] == 4
    assert folded.sum() == gradient.sum()
