from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.errors import ConfigError
from nst_rs.pyramid.tiling import Axis, make_axis, make_plan
from nst_rs.vgg16 import VGG16, Trunk

trunks = st.sampled_from([Trunk.reaching([name]) for name in VGG16])
axes = st.builds(make_axis, st.integers(16, 5000), st.integers(64, 2048), trunks)
CONV5_1 = Trunk.reaching(["conv5_1"])


@given(axes)
def test_cores_partition_the_canvas(axis: Axis) -> None:
    covered = np.zeros(axis.canvas, int)
    for core in axis.cores:
        covered[core.slice] += 1
    assert (covered == 1).all()


@given(axes)
def test_seams_are_the_lines_inside_the_scene_where_two_cores_meet(axis: Axis) -> None:
    owner = np.repeat(np.arange(len(axis.cores)), [core.size for core in axis.cores])[axis.scene_slice]
    assert axis.seams == tuple(np.flatnonzero(np.diff(owner)) + 1)


@given(axes)
def test_the_canvas_holds_the_scene_and_a_border_on_both_sides(axis: Axis) -> None:
    assert axis.scene_slice.start == axis.border
    assert axis.scene_slice.stop - axis.scene_slice.start == axis.scene
    assert axis.canvas - axis.scene_slice.stop >= axis.border


@given(st.integers(16, 5000), st.integers(64, 2048), trunks)
def test_windows_hold_all_that_their_cores_depend_on(scene: int, tile: int, trunk: Trunk) -> None:
    axis = make_axis(scene, tile, trunk)
    for core, window in zip(axis.cores, axis.windows, strict=True):
        assert 0 <= window.start <= max(0, core.start - trunk.halo)
        assert min(axis.canvas, core.stop + trunk.halo) <= window.stop <= axis.canvas


@given(st.integers(16, 5000), st.integers(64, 2048), trunks)
def test_all_windows_have_one_size_on_the_pooling_grid(scene: int, tile: int, trunk: Trunk) -> None:
    axis = make_axis(scene, tile, trunk)
    assert len({window.size for window in axis.windows}) == 1
    assert all(edge % trunk.stride == 0 for span in (*axis.cores, *axis.windows) for edge in (span.start, span.stop))


@given(st.integers(16, 5000), st.integers(64, 2048), trunks)
def test_cores_are_no_larger_than_the_tile_asked_for(scene: int, tile: int, trunk: Trunk) -> None:
    # A tile that is no multiple of the stride is rounded up to one.
    assert max(core.size for core in make_axis(scene, tile, trunk).cores) < tile + trunk.stride


@given(st.tuples(st.integers(64, 1500), st.integers(64, 1500)), st.integers(64, 700))
def test_tiles_partition_the_canvas_in_two_dimensions(shape: tuple[int, int], tile: int) -> None:
    (level,) = make_plan(shape, levels=1, tile=tile, trunk=CONV5_1).levels
    covered = np.zeros(level.canvas_shape, int)
    for each in level.tiles:
        covered[each.core_slices] += 1
    assert (covered == 1).all()


def test_a_tile_knows_its_core_inside_its_window() -> None:
    (level,) = make_plan((700, 900), levels=1, tile=256, trunk=CONV5_1).levels
    places = np.arange(np.prod(level.canvas_shape)).reshape(level.canvas_shape)
    for tile in level.tiles:
        assert (places[tile.window_slices][tile.core_in_window] == places[tile.core_slices]).all()


@given(st.integers(64, 4000), st.integers(1, 3))
def test_every_level_is_half_the_next_rounded_up(side: int, levels: int) -> None:
    plan = make_plan((side, side), levels=levels, tile=512, trunk=CONV5_1)
    heights = [level.shape[0] for level in plan.levels]
    assert heights[-1] == side
    assert all(coarse == -(-fine // 2) for coarse, fine in pairwise(heights))


def test_a_scene_that_fits_one_tile_has_one_window_of_the_whole_canvas() -> None:
    (level,) = make_plan((300, 200), levels=1, tile=512, trunk=CONV5_1).levels
    assert level.window_shape == level.canvas_shape == (368, 272)
    assert len(level.tiles) == 1


def test_more_levels_than_the_scene_can_halve_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"schedule.levels 6: expected a coarsest level of 16 pixels or more, got 13 × 10"
    ):
        make_plan((300, 400), levels=6, tile=512, trunk=CONV5_1)
