from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.files.storage import DiskStorage, MemoryStorage
from nst_rs.pyramid.canvas import Canvas, Init, first_picture, next_picture, scaled_picture
from nst_rs.pyramid.resample import enlarge, halve, mirror
from nst_rs.pyramid.tiling import make_plan
from tests.pixel_kernel import TRUNK, canvas_of, level_of


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
    a, b, other = (np.zeros_like(canvas.image) for _ in range(3))
    for picture, seed in ((a, 3), (b, 3), (other, 4)):
        first_picture(canvas, "noise", seed, picture)
    assert (a == b).all()
    assert not (a == other).all()
    assert 0 <= a.min() < 1
    assert 254 < a.max() < 255.001


def test_starting_from_the_content_is_starting_from_the_scene() -> None:
    canvas = canvas_of((100, 100), 4096)
    start = np.zeros_like(canvas.image)
    first_picture(canvas, "content", 0, start)
    assert (start == canvas.image).all()


@pytest.mark.parametrize("shape", [(101, 130), (64, 95)])
def test_a_finer_level_starts_where_the_coarser_one_ended(shape: tuple[int, int]) -> None:
    coarse, fine = make_plan(shape, levels=2, tile=512, trunk=TRUNK).levels
    # A picture that says where each of its pixels lies on the full scene: cubic enlargement keeps straight lines.
    places = np.stack(np.meshgrid(*(np.arange(n) for n in coarse.canvas_shape), indexing="ij"), axis=-1)
    x = (places - coarse.rows.border + 0.5) * 2 / 4 + 64
    enlarged = np.zeros((*fine.canvas_shape, 3), np.float32)
    next_picture((np.concatenate([x, x[..., :1]], axis=-1).astype(np.float32), coarse), (enlarged, fine))
    rows, columns = np.meshgrid(*(np.arange(n) for n in fine.shape), indexing="ij")
    expected = np.stack([rows, columns], axis=-1) / 4 + 0.5 / 4 + 64
    found = enlarged[fine.scene_slices][..., :2]
    inside = slice(6, -6), slice(6, -6)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)
    # At the edge the straight line meets its mirror image.
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_what_the_coarser_pictures_border_holds_does_not_matter() -> None:
    coarse, fine = make_plan((101, 130), levels=2, tile=512, trunk=TRUNK).levels
    picture = np.random.default_rng(0).uniform(0, 255, (*coarse.canvas_shape, 3)).astype(np.float32)
    other = np.full_like(picture, 7)
    other[coarse.scene_slices] = picture[coarse.scene_slices]
    first, second = (np.zeros((*fine.canvas_shape, 3), np.float32) for _ in range(2))
    next_picture((picture, coarse), (first, fine))
    next_picture((other, coarse), (second, fine))
    assert (first[fine.scene_slices] == second[fine.scene_slices]).all()


@given(st.tuples(st.integers(16, 90), st.integers(16, 90)), st.integers(1, 60))
@settings(deadline=None, max_examples=40)
def test_the_border_is_the_mirrored_scene_also_where_the_scene_is_narrower(shape: tuple[int, int], seed: int) -> None:
    level, image = level_of(shape, 512), np.random.default_rng(seed).uniform(0, 255, (*shape, 3)).astype(np.float32)
    pad = [(axis.border, axis.canvas - axis.border - axis.scene) for axis in (level.rows, level.columns)]
    canvas = Canvas.around(level, image, np.ones(shape, np.float32))
    assert (canvas.image == np.pad(image, [*pad, (0, 0)], mode="symmetric")).all()
    assert (canvas.weight == np.pad(np.ones(shape), pad)).all()


@pytest.mark.parametrize("shape", [(1050, 30), (1051, 37)])
@pytest.mark.parametrize("init", ["content", "noise"])
def test_pictures_are_the_same_on_disk_and_as_a_whole(tmp_path: Path, shape: tuple[int, int], init: Init) -> None:
    coarse, fine = make_plan(shape, levels=2, tile=512, trunk=TRUNK).levels
    image = np.random.default_rng(0).uniform(0, 255, (*coarse.shape, 3)).astype(np.float32)
    canvas = Canvas.around(coarse, image, np.ones(coarse.shape, np.float32))
    storages = MemoryStorage(), DiskStorage(tmp_path)
    start, disk = (s.create("coarse", canvas.image.shape, np.float32) for s in storages)
    first_picture(canvas, init, 5, start)
    first_picture(canvas, init, 5, disk)
    noise = np.random.default_rng(5).random(canvas.image.shape, np.float32) * np.float32(255)
    assert (start[:, :] == (canvas.image if init == "content" else noise)).all()
    assert (start == disk[:, :]).all()
    mirror(start, coarse)  # as it is before it is enlarged
    twice = enlarge(start[:, :])
    rows, columns = (
        np.minimum(np.arange(size) + 32, end - 1) for size, end in zip(fine.canvas_shape, twice.shape, strict=False)
    )
    for storage, picture in zip(storages, (start, disk), strict=True):
        enlarged = storage.create("fine", (*fine.canvas_shape, 3), np.float32)
        next_picture((picture, coarse), (enlarged, fine))
        assert (enlarged[:, :] == twice[rows][:, columns]).all()


@given(st.tuples(st.integers(64, 90), st.integers(64, 90)), st.integers(1, 3))
@settings(max_examples=20)
def test_the_scene_itself_scaled_down_is_the_canvas_of_every_level(shape: tuple[int, int], levels: int) -> None:
    generator = np.random.default_rng(shape[0])
    image = generator.uniform(0, 255, (*shape, 3)).astype(np.float32)
    weight = (generator.random(shape) > 0.3).astype(np.float32)
    halved = image, weight
    for level in reversed(make_plan(shape, levels=levels, tile=512, trunk=TRUNK).levels):
        picture = np.zeros((*level.canvas_shape, 3), np.float32)
        scaled_picture(lambda rows: image[rows], weight, level, picture)
        assert (picture == Canvas.around(level, *halved).image).all()
        halved = halve(*halved)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_picture_is_scaled_down_by_strips_as_a_whole_and_onto_a_disk(tmp_path: Path, levels: int) -> None:
    shape = (1051, 37)
    image = np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype(np.float32)
    weight = np.ones(shape, np.float32)
    level = make_plan(shape, levels=levels, tile=512, trunk=TRUNK).levels[0]
    read: list[int] = []

    def rows_of(rows: slice) -> np.ndarray:
        read.append(rows.stop - rows.start)
        return image[rows]

    disk = DiskStorage(tmp_path).create("picture", (*level.canvas_shape, 3), np.float32)
    scaled_picture(rows_of, weight, level, disk)
    assert max(read) == 512
    halved = image, weight
    for _ in range(levels - 1):
        halved = halve(*halved)
    assert (disk[:, :] == Canvas.around(level, *halved).image).all()


def test_windows_of_a_canvas_on_disk_are_those_of_one_in_memory(tmp_path: Path) -> None:
    canvas = canvas_of((300, 200), 128, nodata=True)
    disk = Canvas.empty(canvas.level, DiskStorage(tmp_path))
    disk.image[:, :], disk.weight[:, :] = canvas.image, canvas.weight
    assert disk.tiles == canvas.tiles
    for tile in canvas.tiles:
        assert (disk.tile_weight(tile) == canvas.tile_weight(tile)).all()
        assert (disk.image[tile.window_slices] == canvas.image[tile.window_slices]).all()
