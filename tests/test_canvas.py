import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.architecture import Trunk
from nst_rs.canvas import Canvas, first_picture, next_picture
from nst_rs.tiling import Level, make_plan

TRUNK = Trunk.reaching(["conv3_1"])


def level_of(shape: tuple[int, int], tile: int) -> Level:
    return make_plan(shape, levels=1, tile=tile, trunk=TRUNK).levels[0]


def canvas_of(shape: tuple[int, int], tile: int, seed: int = 0, nodata: bool = False) -> Canvas:
    rng = np.random.default_rng(seed)
    weight = np.ones(shape, np.float32)
    if nodata:
        weight[: shape[0] // 2] = 0
    return Canvas.around(level_of(shape, tile), rng.uniform(0, 255, (*shape, 3)).astype(np.float32), weight)


def test_a_canvas_mirrors_the_scene_around_it_at_no_weight() -> None:
    canvas = canvas_of((100, 90), 512)
    rows, columns = canvas.level.scene_slices
    border = rows.start
    assert canvas.weight.sum() == 100 * 90
    assert (canvas.weight[rows, columns] == 1).all()
    assert (canvas.image[border - 1, columns] == canvas.image[border, columns]).all()
    assert (canvas.image[0, columns] == canvas.image[2 * border - 1, columns]).all()


@given(st.integers(20, 300), st.integers(20, 300), st.integers(64, 400), st.booleans())
@settings(deadline=None, max_examples=25)
def test_tiles_weights_partition_the_canvas_weights(height: int, width: int, tile: int, nodata: bool) -> None:
    canvas = canvas_of((height, width), tile, nodata=nodata)
    added = np.zeros_like(canvas.weight)
    for each in canvas.tiles:
        added[each.window_slices] += canvas.tile_weight(each)
    assert (added == canvas.weight).all()


def test_noise_is_seeded_and_fills_the_range() -> None:
    canvas = canvas_of((100, 100), 4096)
    a, b, other = (first_picture(canvas, "noise", seed) for seed in (3, 3, 4))
    assert (a == b).all()
    assert not (a == other).all()
    assert 0 <= a.min() < 1
    assert 254 < a.max() < 255.001


def test_starting_from_the_content_is_starting_from_the_scene() -> None:
    canvas = canvas_of((100, 100), 4096)
    start = first_picture(canvas, "content", 0)
    assert (start == canvas.image).all()
    assert start is not canvas.image


@pytest.mark.parametrize("shape", [(101, 130), (64, 95)])
def test_a_finer_level_starts_where_the_coarser_one_ended(shape: tuple[int, int]) -> None:
    coarse, fine = make_plan(shape, levels=2, tile=512, trunk=TRUNK).levels
    # A picture that says where each of its pixels lies on the full scene: cubic enlargement keeps straight lines.
    places = np.stack(np.meshgrid(*(np.arange(n) for n in coarse.canvas_shape), indexing="ij"), axis=-1)
    x = (places - coarse.rows.border + 0.5) * 2 / 4 + 64
    enlarged = next_picture(np.concatenate([x, x[..., :1]], axis=-1).astype(np.float32), coarse, fine)
    assert enlarged.shape == (*fine.canvas_shape, 3)
    rows, columns = np.meshgrid(*(np.arange(n) for n in fine.shape), indexing="ij")
    expected = np.stack([rows, columns], axis=-1) / 4 + 0.5 / 4 + 64
    np.testing.assert_allclose(enlarged[fine.scene_slices][..., :2], expected, atol=1e-3)
