import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.objective.losses import Objective
from nst_rs.objective.problem import Kernel, Problem, scene_moments
from nst_rs.objective.terms.agreement import Agreement
from nst_rs.objective.terms.variation import Variation
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.resample import mirror
from tests.pixel_kernel import (
    OBJECTIVE,
    PixelKernel,
    canvas_of,
    check_the_gradient_is_the_losss_derivative,
    problem_of,
    scene_gradient,
)
from tests.protocols import departures

PRICED = Objective((*OBJECTIVE.terms, Variation(0.01)))


def agreeing(canvas: Canvas) -> Problem:
    """The problem with all kinds of terms, one of them held to a picture of the scene's size."""
    rng = np.random.default_rng(7)
    shape = canvas.level.shape
    earlier, hold = np.zeros(canvas.image.shape, np.float32), np.zeros(canvas.weight.shape, np.float32)
    earlier[canvas.level.scene_slices] = rng.uniform(0, 255, (*shape, 3))
    hold[canvas.level.scene_slices] = rng.uniform(0, 1, shape)
    return problem_of(canvas, Objective((*PRICED.terms, Agreement(0.1, earlier, hold))))


@given(st.integers(20, 300), st.integers(64, 400))
@settings(deadline=None, max_examples=25)
def test_the_scenes_moments_do_not_depend_on_the_tiles(side: int, tile: int) -> None:
    whole, cut = (scene_moments(PixelKernel(), c, c.image) for c in (canvas_of((side, 70), n) for n in (4096, tile)))
    assert cut.counts == whole.counts
    # float64 sums in another order.
    np.testing.assert_allclose(cut.products["conv1_1"], whole.products["conv1_1"], rtol=1e-12)


@pytest.mark.parametrize("tile", [64, 100, 200])
def test_the_shares_add_up_to_the_untiled_gradient(tile: int) -> None:
    whole, cut = (agreeing(canvas_of((150, 210), n)) for n in (4096, tile))
    picture = np.random.default_rng(1).uniform(0, 255, whole.canvas.image.shape).astype(np.float32)
    (expected, expected_loss), (found, loss) = scene_gradient(whole, picture), scene_gradient(cut, picture)
    assert len(cut.canvas.tiles) > 1
    assert loss == pytest.approx(expected_loss, rel=1e-9)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())  # float32


@pytest.mark.parametrize("tile", [64, 100])
def test_the_gradient_of_a_whole_window_is_the_scenes_inside_it(tile: int) -> None:
    problem = agreeing(canvas_of((150, 210), tile))
    picture = np.random.default_rng(1).uniform(0, 255, problem.canvas.image.shape).astype(np.float32)
    expected, _ = scene_gradient(problem, picture)
    moments = scene_moments(problem.kernel, problem.canvas, picture)
    for each in problem.canvas.tiles:
        view = problem.view(each, picture[each.window_slices])
        found = problem.nearby_gradient(view, problem.forward(view).activations, problem.objective.pull(moments))
        # A pixel is asked for nothing by positions beyond the window here: the features are the pixels.
        core = found[each.core_in_window], expected[each.core_slices]
        np.testing.assert_allclose(*core, atol=1e-5 * np.abs(expected).max())


def test_the_gradient_is_the_losss_derivative() -> None:
    problem = agreeing(canvas_of((40, 30), 4096))
    check_the_gradient_is_the_losss_derivative(problem)


def test_the_views_of_a_picture_come_in_the_tiles_order() -> None:
    problem = problem_of(canvas_of((300, 210), 100))
    picture = np.random.default_rng(1).uniform(0, 255, problem.canvas.image.shape).astype(np.float32)
    mirror(picture, problem.canvas.level)
    views = list(problem.views(picture))
    assert [view.tile for view in views] == problem.canvas.tiles
    for view in views:
        assert (view.window == picture[view.tile.window_slices]).all()


def test_tiles_without_valid_pixels_are_not_computed() -> None:
    canvas, kernel = canvas_of((600, 100), 128, nodata=True), PixelKernel()
    scene_moments(kernel, canvas, canvas.image)
    assert kernel.measured == len(canvas.tiles) < len(canvas.level.tiles)


def test_the_stand_in_for_the_network_is_called_as_the_network_is() -> None:
    assert departures(PixelKernel, Kernel) == []
    assert departures(object, Kernel) == ["measure", "content", "forward", "backward"]
