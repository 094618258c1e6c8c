import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs import estimate
from nst_rs.architecture import Trunk
from nst_rs.tiling import Plan, make_plan

TRUNK = Trunk.reaching(["conv5_1"])


def plan_of(shape: tuple[int, int], tile: int, levels: int = 1) -> Plan:
    return make_plan(shape, levels=levels, tile=tile, trunk=TRUNK)


def window_need(plan: Plan) -> float:
    return estimate.memory(plan, [(64, 64)], ["conv4_2"], 4, 1e12).windows


@given(st.tuples(st.integers(100, 6000), st.integers(100, 6000)), st.floats(0.3e9, 16e9))
def test_the_tile_chosen_fits_a_gpus_memory(shape: tuple[int, int], budget: float) -> None:
    assert window_need(plan_of(shape, estimate.best_tile(shape, TRUNK, 4, budget))) <= budget


def test_more_memory_never_means_more_work() -> None:
    work = [
        plan_of((4000, 5000), estimate.best_tile((4000, 5000), TRUNK, 4, gigabytes * 1e9)).levels[0].computed_pixels
        for gigabytes in (0.5, 1, 2, 4, 8)
    ]
    assert work == sorted(work, reverse=True)
    assert work[0] > work[-1]


def test_without_any_memory_the_smallest_tile_is_returned() -> None:
    assert estimate.best_tile((4000, 5000), TRUNK, 4, 0) == estimate.TILE_STEP


def test_half_as_wide_values_take_half_the_memory_of_the_windows() -> None:
    plan = plan_of((1000, 1000), 512)
    assert estimate.memory(plan, [(64, 64)], ["conv4_2"], 2, 1e12).windows == window_need(plan) / 2


def test_a_landsat_scene_is_computed_at_most_1_35_times() -> None:
    shape = (1860, 2041)
    plan = plan_of(shape, estimate.best_tile(shape, TRUNK, 4, 8e9))
    assert plan.levels[-1].computed_pixels <= 1.35 * shape[0] * shape[1]


def test_a_levels_operations_are_those_of_its_windows() -> None:
    (level,) = plan_of((500, 500), 256).levels
    forward = level.computed_pixels * TRUNK.flops_per_pixel
    # One iteration is two forward passes' worth, three where nothing is kept; the content's features are one more.
    assert estimate.flops(level, 10, TRUNK, kept=len(level.tiles)) == pytest.approx(21 * forward)
    assert estimate.flops(level, 10, TRUNK, kept=0) == pytest.approx(31 * forward)


def test_a_large_style_takes_its_own_room() -> None:
    plan = plan_of((200, 200), 1024)
    small, large = (estimate.memory(plan, [(side, side)], ["conv4_2"], 4, 1e12).windows for side in (64, 1000))
    assert large > 4 * small


def test_canvases_that_do_not_fit_the_budget_are_kept_on_disk_and_leave_the_memory_to_a_band_of_rows() -> None:
    plan = plan_of((4000, 5000), 512, levels=3)
    fitting = estimate.memory(plan, [(64, 64)], ["conv4_2"], 4, 1e12)
    held = estimate.memory(plan, [(64, 64)], ["conv4_2"], 4, fitting.canvases)
    kept = estimate.memory(plan, [(64, 64)], ["conv4_2"], 4, fitting.canvases - 1)
    assert (held.on_disk, kept.on_disk) == (False, True)
    assert held.canvases == kept.canvases == held.host - kept.host
    # Of the finest level alone: colours, weights and the picture, in whole chunks.
    assert estimate.stored_bytes(plan) > 4000 * 5000 * 28


def test_on_disk_the_memory_grows_with_the_scenes_width_alone() -> None:
    low, high, wide = (
        estimate.memory(plan_of(shape, 512), [(64, 64)], [], 4, 0).scene
        for shape in ((4000, 4000), (32000, 4000), (4000, 32000))
    )
    assert low == high < wide
