from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_rs.arrays import Mask, Pixels
from nst_rs.config.sections import Color
from nst_rs.style.color import (
    Colors,
    count_colors,
    grey,
    join,
    luminance,
    match_colors,
    match_luminance,
    to_imitate,
    to_optimise,
    to_show,
)
from nst_rs.style.picture import Style

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
seeds = st.integers(0, 2**32 - 1)


def picture(seed: int, low: float = 90, high: float = 165) -> Pixels:
    """An image of correlated colours. By default mapping it to another's statistics leaves the colours in range."""
    rng = np.random.default_rng(seed)
    mixed = rng.uniform(0, 1, (40, 50, 3)) @ rng.dirichlet([1, 1, 1], 3).T
    return (low + (high - low) * mixed).astype(np.float32)


def everywhere(image: Pixels) -> Mask:
    return np.ones(image.shape[:2], bool)


def colors_of(image: Pixels) -> Colors:
    return Colors.of(image, everywhere(image))


@given(seeds, st.lists(st.integers(0, 40), max_size=5))
def test_the_colors_of_bands_add_up_to_those_of_the_whole(seed: int, cuts: list[int]) -> None:
    # Small whole numbers: sums are exact in float64, whatever their order.
    image = np.rint(picture(seed))
    valid = np.random.default_rng(seed).random(image.shape[:2]) < 0.5
    edges = [0, *sorted(cuts), len(image)]
    first, *others = (Colors.of(image[a:b], valid[a:b]) for a, b in pairwise(edges))
    whole = Colors.of(image, valid)
    for other in others:
        first = first + other
    for found in (first, count_colors(image, valid.astype(np.float32))):
        assert found.count == whole.count == valid.sum()
        assert (found.sums == whole.sums).all()
        assert (found.products == whole.products).all()


def test_mean_and_covariance_are_those_of_the_valid_pixels() -> None:
    image, valid = picture(0), np.random.default_rng(0).random((40, 50)) < 0.3
    found = Colors.of(np.where(valid[..., np.newaxis], image, np.float32(np.nan)), valid)
    np.testing.assert_allclose(found.mean, image[valid].mean(axis=0, dtype=float), rtol=1e-12)
    # The difference of two numbers near 16 000, each exact to 1e-16 of its size.
    np.testing.assert_allclose(found.covariance, np.cov(image[valid].T, bias=True), atol=1e-8)


@given(seeds, seeds)
def test_a_matched_style_has_the_scenes_mean_and_covariance(one: int, other: int) -> None:
    style, scene = picture(one), colors_of(picture(other))
    assume(np.linalg.eigvalsh(colors_of(style).covariance)[0] > 0.1)  # what does not vary is not stretched: see below
    matched = match_colors(colors_of(style), scene)(style)
    assume(matched.min() > 0 and matched.max() < 255)  # nothing is clipped
    # The matched pixels are rounded to float32, 1e-5 at 165.
    np.testing.assert_allclose(colors_of(matched).mean, scene.mean, atol=1e-3)
    np.testing.assert_allclose(colors_of(matched).covariance, scene.covariance, atol=1e-2)


def test_the_map_is_the_product_of_symmetric_roots() -> None:
    """A Σ_S^{1/2} = Σ_C^{1/2}, and only one symmetric matrix with no negative eigenvalue has the square Σ."""
    style, scene = colors_of(picture(1)), colors_of(picture(2))
    vectors = np.linalg.eigh(style.covariance)
    root = match_colors(style, scene).matrix @ (vectors[1] * np.sqrt(vectors[0])) @ vectors[1].T
    np.testing.assert_allclose(root, root.T, atol=1e-9)
    np.testing.assert_allclose(root @ root, scene.covariance, atol=1e-8)
    assert np.linalg.eigvalsh(root).min() > 0


def test_a_style_in_the_scenes_colors_stays_as_it_is() -> None:
    image = picture(3)
    for match, expected in ((match_colors, image), (match_luminance, grey(image))):
        np.testing.assert_allclose(match(colors_of(image), colors_of(image))(image), expected, atol=1e-3)


@given(seeds, seeds)
def test_a_matched_styles_luminance_has_the_scenes_mean_and_deviation(one: int, other: int) -> None:
    style, scene = picture(one), picture(other)
    matched = match_luminance(colors_of(style), colors_of(scene))(style)
    assert (matched == matched[..., :1]).all()
    assume(matched.min() > 0 and matched.max() < 255)  # nothing is clipped
    wanted = luminance(scene).astype(float)
    assert matched.mean(dtype=float) == pytest.approx(wanted.mean(), abs=1e-3)
    assert matched.std(dtype=float) == pytest.approx(wanted.std(), abs=1e-3)


@pytest.mark.parametrize("match", [match_luminance, match_colors])
@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_scene_of_one_color_gives_a_style_of_that_color(match: object, color: tuple[int, int, int]) -> None:
    scene = np.full((30, 30, 3), color, np.float32)
    color: Color = "histogram" if match is match_colors else "scene"
    matched = to_imitate(color, Style.opaque(picture(4)), colors_of(scene)).image
    expected = scene[0, 0] if match is match_colors else grey(scene)[0, 0]
    # The covariance's rounding, 1e-11, has a root of 1e-5 to 1e-6; stretched by at most √12.
    np.testing.assert_allclose(matched, np.broadcast_to(expected, matched.shape), atol=1e-3)


@pytest.mark.parametrize("color", ["scene", "histogram"])
def test_a_style_of_one_color_is_not_stretched(color: Color) -> None:
    scene = picture(5)
    matched = to_imitate(color, Style.opaque(np.full((20, 20, 3), 77, np.float32)), colors_of(scene)).image
    expected = to_optimise(color, scene).mean(axis=(0, 1), dtype=float)
    np.testing.assert_allclose(matched, np.broadcast_to(expected, matched.shape), atol=1e-3)


def test_a_grey_scene_gives_a_grey_style() -> None:
    matched = match_colors(colors_of(picture(6)), colors_of(grey(picture(7))))(picture(6))
    np.testing.assert_allclose(matched, grey(matched), atol=1e-3)
    assert matched.std() == pytest.approx(grey(picture(7)).std(), rel=1e-3)


def test_a_grey_style_is_stretched_along_its_greys_only() -> None:
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (40, 50, 3))
    style = (grey(picture(8)) + noise).astype(np.float32)
    matrix = match_colors(colors_of(style), colors_of(picture(9))).matrix
    assert np.linalg.matrix_rank(matrix, tol=1e-6) == 1
    assert np.linalg.norm(matrix) < 10


@given(seeds, seeds)
def test_joining_takes_the_results_luminance_and_the_scenes_chrominance(one: int, other: int) -> None:
    result, scene = picture(one), picture(other)
    joined = join(result, scene)
    inside = ((joined > 0) & (joined < 255)).all(axis=-1)
    assert inside.any()
    y, i, q = np.moveaxis((joined @ YIQ.T)[inside], -1, 0)
    _, scene_i, scene_q = np.moveaxis((scene @ YIQ.T)[inside], -1, 0)
    # float32 at 255: 1.5e-5 an operation.
    np.testing.assert_allclose(y, luminance(result)[inside], atol=1e-4)
    np.testing.assert_allclose(i, scene_i, atol=1e-4)
    np.testing.assert_allclose(q, scene_q, atol=1e-4)


@given(seeds, seeds)
def test_joining_stays_within_0_and_255_and_goes_pixel_by_pixel(one: int, other: int) -> None:
    result, scene = picture(one, 0, 255), picture(other, 0, 255)
    joined = join(result, scene)
    assert joined.dtype == np.float32
    assert joined.min() >= 0
    assert joined.max() <= 255
    window = np.s_[7:20, 30:41]
    np.testing.assert_array_equal(join(result[window], scene[window]), joined[window])


def test_the_scene_joined_with_itself_is_the_scene() -> None:
    scene = picture(10, 0, 255)
    np.testing.assert_array_equal(join(scene, scene), scene)


@pytest.mark.parametrize("color", ["scene", "histogram"])
def test_the_colors_of_a_style_are_those_of_the_pixels_that_weigh_something(color: Color) -> None:
    image, scene = picture(13), colors_of(picture(14))
    weight = np.ones(image.shape[:2], np.float32)
    weight[:9], image[:9] = 0, 255
    cut = to_imitate(color, Style.opaque(image[9:]), scene)
    whole = to_imitate(color, Style(image, weight), scene)
    np.testing.assert_array_equal(whole.image[9:], cut.image)


def test_with_the_styles_own_colors_nothing_changes() -> None:
    scene, other = picture(11), picture(12)
    assert to_optimise("style", scene) is scene
    style = Style.opaque(other)
    assert to_imitate("style", style, colors_of(scene)) is style
    assert to_show("style", other, scene) is other


def test_only_the_scenes_own_colors_change_the_scene_and_the_end() -> None:
    scene, result = picture(13), picture(14)
    assert to_optimise("histogram", scene) is scene
    assert to_show("histogram", result, scene) is result
    np.testing.assert_array_equal(to_optimise("scene", scene), grey(scene))
    np.testing.assert_array_equal(to_show("scene", result, scene), join(result, scene))
