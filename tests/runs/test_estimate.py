from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.pyramid.tiling import Plan, make_plan
from nst_rs.runs import estimate
from nst_rs.vgg16 import Trunk

TRUNK = Trunk.reaching(["conv5_1"])


def plan_of(shape: tuple[int, int], tile: int, levels: int = 1) -> Plan:
    return make_plan(shape, levels=levels, tile=tile, trunk=TRUNK)


def memory_of(
    plan: Plan, styles: Sequence[tuple[int, int]] = ((64, 64),), value_bytes: int = 4, budget: float = 1e12
) -> estimate.Memory:
    return estimate.memory(plan, kept_of(plan), styles, value_bytes, budget)


def kept_of(plan: Plan, precision: str = "float32", arrays: int = 3) -> estimate.Kept:
    return estimate.Kept.by(plan, ["conv4_2"], precision, arrays)


def window_need(plan: Plan) -> float:
    return memory_of(plan).windows


@given(st.tuples(st.integers(100, 6000), st.integers(100, 6000)), st.floats(0.3e9, 16e9))
def test_the_tile_chosen_fits_a_gpus_memory(shape: tuple[int, int], budget: float) -> None:
    assert window_need(plan_of(shape, estimate.best_tile(shape, TRUNK, 4, budget))) <= budget


@given(st.tuples(st.integers(100, 20000), st.integers(100, 20000)), st.floats(3e9, 16e9))
@settings(max_examples=30)  # a large scene has thousands of tiles
def test_with_its_canvases_on_disk_a_scene_fits_the_memory_that_its_tile_was_chosen_for(
    shape: tuple[int, int], budget: float
) -> None:
    tile = estimate.best_tile(shape, TRUNK, 4, estimate.left_for_windows(shape, TRUNK, budget))
    assert memory_of(plan_of(shape, tile), budget=0).host <= budget


def test_more_memory_never_means_more_work() -> None:
    work = [
        plan_of((4000, 5000), estimate.best_tile((4000, 5000), TRUNK, 4, gigabytes * 1e9)).levels[0].computed_pixels
        for gigabytes in (0.5, 1, 2, 4, 8)
    ]
    assert work == sorted(work, reverse=True)
    assert work[0] > work[-1]


def test_without_any_memory_the_smallest_tile_is_returned() -> None:
    assert estimate.best_tile((4000, 5000), TRUNK, 4, 0) == estimate.TILE_STEP


@given(st.tuples(st.integers(100, 6000), st.integers(100, 6000)), st.integers(1, 20))
def test_of_several_workers_none_has_more_to_do_than_with_other_tiles(shape: tuple[int, int], workers: int) -> None:
    def most(tile: int) -> int:
        (level,) = plan_of(shape, tile).levels
        return -(-len(level.tiles) // workers) * level.computed_pixels // len(level.tiles)

    tiles = range(estimate.TILE_STEP, estimate.LARGEST_TILE + 1, estimate.TILE_STEP)
    assert most(estimate.best_tile(shape, TRUNK, 4, 1e12, workers)) == min(map(most, tiles))


def test_half_as_wide_values_take_half_the_memory_of_the_windows() -> None:
    plan = plan_of((1000, 1000), 512)
    assert memory_of(plan, value_bytes=2).windows == window_need(plan) / 2


def test_a_landsat_scene_is_computed_at_most_1_35_times() -> None:
    shape = (1860, 2041)
    plan = plan_of(shape, estimate.best_tile(shape, TRUNK, 4, 8e9))
    assert plan.levels[-1].computed_pixels <= 1.35 * shape[0] * shape[1]


def test_a_levels_operations_are_those_of_its_windows() -> None:
    (level,) = plan_of((500, 500), 256).levels
    forward = level.computed_pixels * TRUNK.flops_per_pixel
    assert estimate.flops(level, TRUNK, 21) == pytest.approx(21 * forward)


def test_a_large_style_takes_its_own_room() -> None:
    plan = plan_of((200, 200), 1024)
    small, large = (memory_of(plan, [(side, side)]).windows for side in (64, 1000))
    assert large > 4 * small


def test_canvases_that_do_not_fit_the_budget_are_kept_on_disk_and_leave_the_memory_to_a_band_of_rows() -> None:
    plan = plan_of((4000, 5000), 512, levels=3)
    fitting = memory_of(plan)
    held = memory_of(plan, budget=fitting.host)
    kept = memory_of(plan, budget=fitting.host - 1)
    assert (held.on_disk, kept.on_disk) == (False, True)
    assert held.canvases == kept.canvases == held.host - kept.host


def test_on_disk_the_memory_grows_with_the_scenes_width_alone() -> None:
    low, high, wide = (
        memory_of(plan_of(shape, 512), budget=0).scene for shape in ((4000, 4000), (32000, 4000), (4000, 32000))
    )
    assert low == high < wide


def test_what_is_kept_are_canvases_features_and_two_states_of_the_finer_levels() -> None:
    plan = plan_of((1000, 900), 512, levels=2)
    coarse, fine = (level.canvas_shape[0] * level.canvas_shape[1] for level in plan.levels)
    # conv4_2 has 512 channels at an eighth of the resolution: 8 values a pixel.
    content = fine * 512 / 64
    for arrays in (3, 4):
        kept = kept_of(plan, arrays=arrays)
        assert kept.memory_bytes == (coarse + fine) * 16 + 4 * content + 2 * arrays * (coarse + fine) * 12
    assert kept_of(plan).memory_bytes - kept_of(plan, "bfloat16").memory_bytes == 2 * content


def test_on_disk_whole_chunks_are_kept_and_in_any_case_the_states() -> None:
    plan = plan_of((1000, 900), 512)
    kept = kept_of(plan)
    rows, columns = plan.levels[-1].canvas_shape
    assert kept.disk_bytes(on_disk=False) >= 6 * rows * columns * 12
    assert kept.disk_bytes(on_disk=True) >= kept.memory_bytes


def test_strips_of_rows_take_more_where_they_are_divided_or_compared_and_never_less_than_they_are_written_with() -> (
    None
):
    plan = plan_of((4000, 5000), 512)

    def scene(special: estimate.Special) -> float:
        return estimate.memory(plan, kept_of(plan), [(64, 64)], 4, 0, special).scene

    plain = scene(estimate.Special())
    assert scene(estimate.Special(classes=2)) == plain  # composing takes more
    assert plain < scene(estimate.Special(classes=20)) < scene(estimate.Special(classes=40))
    assert plain < scene(estimate.Special(maps=1)) < scene(estimate.Special(maps=4))


def test_classes_and_earlier_maps_take_time_by_the_pixel() -> None:
    assert estimate.Special().seconds(10**6) == 0
    assert 0 < estimate.Special(classes=1).seconds(10**6) == estimate.Special(classes=5).seconds(10**6)
    assert estimate.Special(maps=2).seconds(2 * 10**6) == 4 * estimate.Special(maps=1).seconds(10**6)


def test_feature_products_take_their_layers_operations() -> None:
    (level,) = plan_of((500, 500), 256).levels
    # conv1_1 has 64 channels at every pixel, conv2_1 128 at every fourth.
    assert estimate.product_flops(level, ["conv1_1", "conv2_1"], 2) == 2 * level.computed_pixels * (8192 + 8192)
