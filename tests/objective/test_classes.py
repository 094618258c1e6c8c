"""The objective over a ground that is divided into classes, with pixels for features."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.objective.losses import ClassObjective, Objective
from nst_rs.objective.moments import Moments
from nst_rs.objective.problem import scene_moments
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.variation import Variation
from nst_rs.pyramid.canvas import Canvas
from tests.pixel_kernel import (
    DIVIDED,
    OBJECTIVE,
    PixelKernel,
    canvas_of,
    check_the_gradient_is_the_losss_derivative,
    divided_canvas,
    problem_of,
    scene_gradient,
)

SHAPE = 150, 210
VARIATION = Variation(0.01)
Array = np.ndarray


def random_picture(canvas: Canvas) -> Array:
    return np.random.default_rng(1).uniform(0, 255, canvas.image.shape).astype(np.float32)


@pytest.mark.parametrize("tile", [64, 100, 200])
def test_with_classes_too_the_shares_add_up_to_the_untiled_gradient(tile: int) -> None:
    whole, cut = (problem_of(divided_canvas(SHAPE, n), DIVIDED) for n in (4096, tile))
    picture = random_picture(whole.canvas)
    (expected, expected_loss), (found, loss) = scene_gradient(whole, picture), scene_gradient(cut, picture)
    assert len(cut.canvas.tiles) > len(whole.canvas.tiles) == 1
    # Shares of a pixel are float32, and so are their sums.
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_with_classes_too_the_gradient_is_the_losss_derivative() -> None:
    problem = problem_of(divided_canvas(SHAPE, 4096), DIVIDED)
    check_the_gradient_is_the_losss_derivative(problem)


def test_one_class_of_all_ground_is_a_scene_that_is_not_divided() -> None:
    canvas = canvas_of(SHAPE, 100)
    plain = Objective((*OBJECTIVE.terms, VARIATION))
    whole = Objective((VARIATION,), (ClassObjective("all", 0, 1.0, OBJECTIVE.terms, {}),))
    ones = np.ones((*canvas.level.canvas_shape, 1), np.float32)
    picture = random_picture(canvas)
    expected, expected_loss = scene_gradient(problem_of(canvas, plain), picture)
    found, loss = scene_gradient(problem_of(replace(canvas, classes=ones), whole), picture)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


@given(st.integers(1, 4), st.integers(0, 99))
def test_a_classs_sums_are_those_of_the_scene_with_its_weight(classes: int, seed: int) -> None:
    canvas = divided_canvas(SHAPE, 100, classes, seed)
    found = scene_moments(PixelKernel(), canvas, canvas.image)
    for number in range(classes):
        weight = canvas.weight[:, :] * canvas.classes[:, :][..., number]
        expected = scene_moments(PixelKernel(), Canvas(canvas.level, canvas.image, weight), canvas.image)
        own = found.of_class(number)
        assert own.counts == pytest.approx(expected.counts, rel=1e-6)
        np.testing.assert_allclose(own.products["conv1_1"], expected.products["conv1_1"], rtol=1e-6)


def test_a_class_pulls_its_positions_as_hard_as_a_scene_that_is_not_divided_pulls_them() -> None:
    """A style's pull on a position hangs on what is left of its Gram matrix, not on how large the class is."""
    shape = 64, 64
    for share in (0.1, 0.5):
        split = round(share * shape[1])
        canvas = canvas_of(shape, 4096)
        shares = np.zeros((*canvas.level.canvas_shape, 2), np.float32)
        scene = shares[canvas.level.scene_slices]
        scene[:, :split, 0], scene[:, split:, 1] = 1, 1
        parts = tuple(
            ClassObjective(name, number, each, OBJECTIVE.terms, {})
            for number, (name, each) in enumerate((("small", split / 64), ("large", 1 - split / 64)))
        )
        picture = np.full(canvas.image.shape, 100, np.float32)
        plain, _ = scene_gradient(problem_of(canvas), picture)
        found, _ = scene_gradient(problem_of(replace(canvas, classes=shares), Objective((), parts)), picture)
        np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-9)


def test_the_losses_name_every_class_and_add_up() -> None:
    canvas = divided_canvas(SHAPE, 100)
    problem = problem_of(canvas, DIVIDED)
    views = [problem.view(tile, canvas.image[tile.window_slices] / 2) for tile in canvas.tiles]
    losses = DIVIDED.losses(sum_of([problem.measure(view) for view in views]))
    assert list(losses.terms) == ["content", "style", "variation"]
    assert list(losses.terms["style"].value) == ["conv1_1 water", "conv1_1 land"]
    assert losses.total == pytest.approx(sum(term.share for term in losses.terms.values()))
    assert all(term.share > 0 for term in losses.terms.values())


def sum_of(moments: list[Moments]) -> Moments:
    first, *others = moments
    for other in others:
        first = first + other
    return first


def test_a_classs_factor_is_of_its_own_content_alone() -> None:
    water, land = DIVIDED.weighted(Content.name, 0.5).classes
    assert (water.terms[0].weight, land.terms[0].weight) == (0.5, 1.5)
    assert (water.terms[1].weight, land.terms[1].weight) == (1.0, 1.0)


def test_tiles_where_no_class_has_a_style_are_not_computed() -> None:
    canvas = canvas_of((600, 100), 128)
    shares = np.zeros((*canvas.level.canvas_shape, 1), np.float32)
    shares[: canvas.level.rows.cores[0].stop] = 1
    assert 0 < len(replace(canvas, classes=shares).tiles) < len(canvas.tiles)
