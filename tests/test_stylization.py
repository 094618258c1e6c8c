"""The loop, with pixels for features: fast, and exact to reason about. The real network's turn is in test_engine.py."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.architecture import Trunk
from nst_rs.moments import Moments
from nst_rs.objective import Objective, Pull
from nst_rs.pyramid import enlarge
from nst_rs.storage import DiskStorage, MemoryStorage
from nst_rs.stylization import (
    Canvas,
    Descent,
    Forward,
    Init,
    Problem,
    Step,
    first_picture,
    next_picture,
    scene_moments,
    stylize_level,
)
from nst_rs.tiling import Level, make_plan

TRUNK = Trunk.reaching(["conv3_1"])
Array = np.ndarray


@dataclass
class PixelKernel:
    """Takes the pixels themselves for the features of the one layer there is."""

    seen: int = 0

    def measure(self, window: Array, weight: Array) -> Moments:
        self.seen += 1
        flat = window.reshape(-1, 3).astype(np.float64)
        sums = (flat * weight.reshape(-1, 1)).T @ flat
        return Moments({"conv1_1": float(weight.sum())}, {"conv1_1": sums})

    def content(self, window: Array) -> Array:
        return window

    def forward(self, window: Array, weight: Array) -> Forward:
        return Forward(self.measure(window, weight), {"pixels": window.copy()})

    def backward(self, activations: Any, weight: Array, content: Array, pull: Pull) -> tuple[Array, dict[str, float]]:
        window = activations["pixels"]
        difference = window - content
        weight = weight[..., np.newaxis]
        share = weight * (2 * window @ pull.style["conv1_1"] + pull.content["conv1_1"] * difference)
        return share.astype(np.float32), {"conv1_1": float(np.sum(weight * difference**2) / 2)}


OBJECTIVE = Objective(1e-3, 1.0, {"conv1_1": 1.0}, {"conv1_1": 1.0}, "sum", {"conv1_1": np.diag([9e3, 4e3, 1e3])})


def level_of(shape: tuple[int, int], tile: int) -> Level:
    return make_plan(shape, levels=1, tile=tile, trunk=TRUNK).levels[0]


def canvas_of(shape: tuple[int, int], tile: int, seed: int = 0, nodata: bool = False) -> Canvas:
    rng = np.random.default_rng(seed)
    weight = np.ones(shape, np.float32)
    if nodata:
        weight[: shape[0] // 2] = 0
    return Canvas.around(level_of(shape, tile), rng.uniform(0, 255, (*shape, 3)).astype(np.float32), weight)


def ignore(_step: Step) -> None:
    pass


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


@given(st.integers(20, 300), st.integers(64, 400))
@settings(deadline=None, max_examples=25)
def test_the_scenes_moments_do_not_depend_on_the_tiles(side: int, tile: int) -> None:
    whole, cut = (scene_moments(PixelKernel(), c, c.image) for c in (canvas_of((side, 70), n) for n in (4096, tile)))
    assert cut.counts == whole.counts
    # float64 sums in another order.
    np.testing.assert_allclose(cut.sums["conv1_1"], whole.sums["conv1_1"], rtol=1e-12)


@pytest.mark.parametrize("tile", [64, 100, 200])
def test_the_result_does_not_depend_on_the_tiles(tile: int) -> None:
    results = [
        stylize_level(Problem(PixelKernel(), canvas, OBJECTIVE), canvas.image, Descent(5, 4.0), ignore)
        for canvas in (canvas_of((150, 210), 4096), canvas_of((150, 210), tile))
    ]
    # Adam divides by the gradient's size: float32 rounding of the shares comes back as a fraction of a step.
    np.testing.assert_allclose(*results, atol=1e-2)


def test_going_downhill_lowers_the_loss_and_leaves_the_start_alone() -> None:
    canvas, losses = canvas_of((80, 80), 4096), []
    start = canvas.image.copy()
    stylize_level(
        Problem(PixelKernel(), canvas, OBJECTIVE),
        start,
        Descent(20, 4.0),
        lambda s: losses.append(s.losses) if s.losses else None,
    )
    assert (start == canvas.image).all()
    assert len(losses) == 20
    assert losses[-1].total < 0.2 * losses[0].total
    assert losses[0].content["conv1_1"] == 0


def test_tiles_without_valid_pixels_are_not_computed() -> None:
    canvas, kernel = canvas_of((600, 100), 128, nodata=True), PixelKernel()
    scene_moments(kernel, canvas, canvas.image)
    assert kernel.seen == len(canvas.tiles) < len(canvas.level.tiles)


def test_values_under_nodata_change_nothing() -> None:
    canvas = canvas_of((120, 100), 64, nodata=True)
    other = replace(canvas, image=np.where(canvas.weight[..., np.newaxis] > 0, canvas.image, np.float32(7)))
    results = [
        stylize_level(Problem(PixelKernel(), c, OBJECTIVE), c.image, Descent(3, 4.0), ignore) for c in (canvas, other)
    ]
    assert (results[0][canvas.weight > 0] == results[1][canvas.weight > 0]).all()


def test_a_listener_hears_every_window_and_the_losses_after_every_iteration() -> None:
    canvas, steps = canvas_of((150, 210), 100), []
    stylize_level(Problem(PixelKernel(), canvas, OBJECTIVE), canvas.image, Descent(2, 4.0), steps.append)
    windows = 2 * len(canvas.tiles)
    assert [s.windows_done for s in steps] == [*range(1, windows + 1), windows] * 2
    assert [s.iteration for s in steps if s.losses] == [1, 2]
    assert {s.windows for s in steps} == {windows}


def test_noise_is_seeded_and_fills_the_range() -> None:
    canvas = canvas_of((100, 100), 4096)
    a, b, other = (first_picture(canvas, "noise", seed, MemoryStorage()) for seed in (3, 3, 4))
    assert (a == b).all()
    assert not (a == other).all()
    assert 0 <= a.min() < 1
    assert 254 < a.max() < 255.001


def test_starting_from_the_content_is_starting_from_the_scene() -> None:
    canvas = canvas_of((100, 100), 4096)
    start = first_picture(canvas, "content", 0, MemoryStorage())
    assert (start == canvas.image).all()
    assert start is not canvas.image


@pytest.mark.parametrize("shape", [(101, 130), (64, 95)])
def test_a_finer_level_starts_where_the_coarser_one_ended(shape: tuple[int, int]) -> None:
    coarse, fine = make_plan(shape, levels=2, tile=512, trunk=TRUNK).levels
    # A picture that says where each of its pixels lies on the full scene: cubic enlargement keeps straight lines.
    places = np.stack(np.meshgrid(*(np.arange(n) for n in coarse.canvas_shape), indexing="ij"), axis=-1)
    x = (places - coarse.rows.border + 0.5) * 2 / 4 + 64
    picture = np.concatenate([x, x[..., :1]], axis=-1).astype(np.float32)
    enlarged = next_picture(picture, coarse, fine, MemoryStorage())
    assert enlarged.shape == (*fine.canvas_shape, 3)
    rows, columns = np.meshgrid(*(np.arange(n) for n in fine.shape), indexing="ij")
    expected = np.stack([rows, columns], axis=-1) / 4 + 0.5 / 4 + 64
    np.testing.assert_allclose(enlarged[fine.scene_slices][..., :2], expected, atol=1e-3)


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
    start, disk = (first_picture(canvas, init, 5, s) for s in (MemoryStorage(), DiskStorage(tmp_path)))
    noise = np.random.default_rng(5).random(canvas.image.shape, np.float32) * np.float32(255)
    assert (start == (canvas.image if init == "content" else noise)).all()
    assert (start == disk[:, :]).all()
    twice = enlarge(start)
    rows, columns = (
        np.minimum(np.arange(size) + 32, end - 1) for size, end in zip(fine.canvas_shape, twice.shape, strict=False)
    )
    for picture in (
        next_picture(start, coarse, fine, MemoryStorage()),
        next_picture(disk, coarse, fine, DiskStorage(tmp_path)),
    ):
        assert (picture[:, :] == twice[rows][:, columns]).all()


def test_windows_of_a_canvas_on_disk_are_those_of_one_in_memory(tmp_path: Path) -> None:
    canvas = canvas_of((300, 200), 128, nodata=True)
    disk = Canvas.empty(canvas.level, DiskStorage(tmp_path))
    disk.image[:, :], disk.weight[:, :] = canvas.image, canvas.weight
    assert disk.tiles == canvas.tiles
    for tile in canvas.tiles:
        assert (disk.tile_weight(tile) == canvas.tile_weight(tile)).all()
        assert (disk.image[tile.window_slices] == canvas.image[tile.window_slices]).all()
