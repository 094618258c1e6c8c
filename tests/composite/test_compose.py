import re
from dataclasses import dataclass
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.composite import compose as module
from nst_rs.composite.channels import resolve_channels
from nst_rs.composite.compose import Composite, Sheets
from nst_rs.composite.stretch import Limits, Stretch
from nst_rs.errors import ConfigError, SceneError
from nst_rs.files.storage import DiskStorage, MemoryStorage, Storage, strips
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene
from nst_rs.scene.raster_file import DTYPES
from tests.rasters import TRANSFORMS, random_values, write_raster, write_tiles

# Files take their time on a busy disk.
with_files = settings(max_examples=30, deadline=None)
RGB = (1, 2, 3)


def scene_of(path: Path, values: np.ndarray, **options: Any) -> Scene:
    return open_scene([write_raster(path, values, **options)])


@dataclass(frozen=True)
class Composed(Composite):
    image: np.ndarray  # (H, W, 3)
    valid: np.ndarray  # (H, W)


def compose(
    scene: Scene, chosen: tuple[int, int, int], percentiles: tuple[float, float], storage: Storage | None = None
) -> Composed:
    storage = storage or MemoryStorage()
    image = storage.create("image", (*scene.grid.shape, 3), np.float32)
    weight = storage.create("weight", scene.grid.shape, np.float32)
    found = module.compose(scene, chosen, Stretch(percentiles), Sheets(image, weight))
    whole = weight[:, :]
    assert set(np.unique(whole)) <= {0, 1}
    return Composed(**vars(found), image=image[:, :], valid=whole > 0)


def named(tmp_path: Path, *names: str) -> Scene:
    return scene_of(tmp_path / "scene.tif", random_values((len(names), 2, 2)), names=names)


@pytest.mark.parametrize(
    ("wanted", "bands"),
    [
        ((4, 1, 2), (4, 1, 2)),
        ((2, 2, 2), (2, 2, 2)),
        (("nir", "red", "green"), (4, 3, 2)),
        (("NIR", "Red", "gREEN"), (4, 3, 2)),
        ((4, "red", 1), (4, 3, 1)),
    ],
)
def test_bands_are_chosen_by_index_or_name(
    tmp_path: Path, wanted: tuple[int | str, ...], bands: tuple[int, int, int]
) -> None:
    assert resolve_channels(named(tmp_path, "Blue", "Green", "Red", "Nir"), wanted) == bands


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (("blue", "GREEN", "Red", "nir"), (3, 2, 1)),
        (("blue", "green", "nir", "swir1"), (1, 2, 3)),
        (("", "", "", ""), (1, 2, 3)),
        (("vv", "vh"), (1, 1, 1)),
        (("",), (1, 1, 1)),
    ],
)
def test_the_default_is_red_green_blue_else_the_first_three_else_the_first(
    tmp_path: Path, names: tuple[str, ...], bands: tuple[int, int, int]
) -> None:
    assert resolve_channels(named(tmp_path, *names), None) == bands


@pytest.mark.parametrize("band", [0, 4, -1, "nir", "", "2"])
def test_a_band_the_scene_has_not_is_refused_naming_those_it_has(tmp_path: Path, band: int | str) -> None:
    complaint = f"composite.bands: expected bands of 1 (red), 2, 3 (blue), got {band!r}"
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        resolve_channels(named(tmp_path, "red", "", "blue"), (1, band, 1))


def test_only_composites_whose_bands_are_all_named_are_offered(tmp_path: Path) -> None:
    assert named(tmp_path, "Blue", "green", "red", "NIR").composites == {
        "true_color": ("red", "green", "blue"),
        "color_infrared": ("nir", "red", "green"),
    }


def test_the_chosen_bands_become_red_green_and_blue(tmp_path: Path) -> None:
    values = random_values((4, 6, 5))
    composite = compose(scene_of(tmp_path / "scene.tif", values), (4, 1, 3), (0, 100))
    assert composite.bands == (4, 1, 3)
    for channel, band in enumerate((3, 0, 2)):
        low, high = int(values[band].min()), int(values[band].max())
        assert composite.limits[channel] == Limits(low, high)
        # float32 rounding of numbers up to 255.
        np.testing.assert_allclose(
            composite.image[..., channel], (values[band] - low) / (high - low) * 255, rtol=0, atol=1e-4
        )


def test_a_few_extreme_pixels_are_clipped(tmp_path: Path) -> None:
    # 101 rising values: percentile p is value p. Over 512 rows, so that the scene is read in more than one block.
    values = np.repeat(np.arange(101, dtype="uint16") * 7, 6).reshape(1, 606, 1)
    composite = compose(scene_of(tmp_path / "scene.tif", values), (1, 1, 1), (2.0, 98.0))
    low, high = composite.limits[0].low, composite.limits[0].high
    assert (low, high) == pytest.approx((14, 686))
    clipped = np.interp(values[0], [low, high], [0, 255])
    # float32 rounding of numbers up to 255.
    np.testing.assert_allclose(composite.image, clipped[..., np.newaxis].repeat(3, axis=-1), rtol=0, atol=1e-4)


@with_files
@given(
    rows=st.lists(st.integers(1, 11), max_size=3, unique=True).map(sorted),
    columns=st.lists(st.integers(1, 15), max_size=3, unique=True).map(sorted),
    dtype=st.sampled_from(DTYPES),
    transform=st.sampled_from(TRANSFORMS),
)
def test_the_picture_does_not_depend_on_how_the_scene_is_tiled(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], columns: list[int], dtype: str, transform: Any
) -> None:
    values, folder = random_values((3, 12, 16), dtype), tmp_path_factory.mktemp("scene")
    values[:, 2:7, 4:9] = 0
    whole = compose(scene_of(folder / "whole.tif", values, nodata=0, transform=transform), RGB, (2, 98))
    tiles = open_scene(write_tiles(folder, values, rows, columns, transform, nodata=0))
    tiled = compose(tiles, RGB, (2, 98))
    np.testing.assert_array_equal(tiled.image, whole.image)
    np.testing.assert_array_equal(tiled.valid, whole.valid)
    assert tiled.limits == whole.limits


@with_files
@given(seed=st.integers(0, 2**32 - 1), valid_share=st.floats(0.1, 0.9), dtype=st.sampled_from(DTYPES))
def test_what_nodata_pixels_hold_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int, valid_share: float, dtype: str
) -> None:
    folder, rng = tmp_path_factory.mktemp("scene"), np.random.default_rng(seed)
    mask = rng.random((9, 8)) < valid_share
    mask[0, 0] = True
    values = random_values((3, 9, 8), dtype, seed)
    other = np.where(mask, values, rng.integers(0, 256, values.shape)).astype(dtype)
    one, two = (
        compose(scene_of(folder / f"{name}.tif", v, mask=mask), RGB, (2, 98))
        for name, v in (("one", values), ("two", other))
    )
    np.testing.assert_array_equal(one.valid, mask)
    np.testing.assert_array_equal(one.image, two.image)
    assert one.limits == two.limits


@with_files
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    valid_share=st.floats(0, 1),
    scale=st.sampled_from([1e-4, 1.0, 1e4]),
)
def test_every_pixel_is_finite_and_from_0_to_255(
    tmp_path_factory: pytest.TempPathFactory, seed: int, height: int, width: int, valid_share: float, scale: float
) -> None:
    values = random_values((3, height, width), "float32", seed) * np.float32(scale)
    values[:, np.random.default_rng(seed).random((height, width)) > valid_share] = np.nan
    values[:, 0, 0] = scale
    image = compose(scene_of(tmp_path_factory.mktemp("scene") / "scene.tif", values), RGB, (2, 98)).image
    assert (image.shape, image.dtype) == ((height, width, 3), np.float32)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 255


def test_valid_pixels_are_not_changed_by_the_fill(tmp_path: Path) -> None:
    values = random_values((3, 30, 30))
    mask = np.random.default_rng(0).random((30, 30)) < 0.7
    # The extremes are valid, so that masking the rest leaves the stretch as it is.
    mask[0, :2], values[:, 0, 0], values[:, 0, 1] = True, 0, 255
    full = compose(scene_of(tmp_path / "full.tif", values), RGB, (0, 100))
    holed = compose(scene_of(tmp_path / "holed.tif", values, mask=mask), RGB, (0, 100))
    np.testing.assert_array_equal(holed.image[mask], full.image[mask])
    assert (holed.image[~mask] != full.image[~mask]).any()


def test_nodata_continues_what_lies_beside_it_and_is_the_mean_far_away(tmp_path: Path) -> None:
    values = np.zeros((1, 4, 400), "uint8")
    values[..., :20], values[..., 20:60] = 10, 210
    composite = compose(scene_of(tmp_path / "scene.tif", values, nodata=0), (1, 1, 1), (0, 100))
    line = composite.image[2, :, 0]
    # Interpolation between equals, in float32.
    np.testing.assert_allclose(line[60:70], 255, atol=1e-3)
    # A third of the valid pixels are 0, two thirds are 255.
    np.testing.assert_allclose(line[300:], 170, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_band_is_black_not_undefined(tmp_path: Path, dtype: str) -> None:
    values = random_values((3, 5, 5), dtype)
    values[1] = 77
    composite = compose(scene_of(tmp_path / "scene.tif", values), RGB, (2, 98))
    assert (composite.image[..., 1] == 0).all()
    assert np.isfinite(composite.image).all()


def test_a_scene_of_nodata_only_is_refused(tmp_path: Path) -> None:
    scene = scene_of(tmp_path / "scene.tif", np.zeros((3, 4, 4), "uint8"), nodata=0)
    complaint = (
        f"scene {tmp_path}/scene.tif: expected some valid pixels in every chosen band, got none in bands 3, 2, 1;"
    )
    with pytest.raises(SceneError, match=re.escape(complaint)):
        compose(scene, (3, 2, 1), (2, 98))


def test_a_pixel_is_valid_where_all_three_bands_are(tmp_path: Path) -> None:
    values = random_values((4, 1, 5), "uint16")
    values[range(4), 0, range(4)] = 0
    scene = scene_of(tmp_path / "scene.tif", values, nodata=0)
    np.testing.assert_array_equal(compose(scene, (1, 2, 4), (0, 100)).valid, [[0, 0, 1, 0, 1]])


def test_a_nodata_value_that_nobody_declared_is_asked_for_not_stretched(tmp_path: Path) -> None:
    values = random_values((3, 20, 20), "float32")
    values[:, :10] = np.finfo("float32").min
    with pytest.raises(SceneError, match=r"expected stored values below 1e\+30, got .*; set scene.nodata"):
        compose(scene_of(tmp_path / "scene.tif", values), RGB, (2, 98))
    declared = open_scene([tmp_path / "scene.tif"], nodata=float(np.finfo("float32").min))
    assert compose(declared, RGB, (2, 98)).valid.mean() == 0.5


def holed(values: np.ndarray, holes: list[tuple[int, int]]) -> np.ndarray:
    """Zero rows [start, stop) of the left part, and a corner, of (bands, H, W) values."""
    for start, stop in holes:
        values[:, start:stop, : values.shape[2] * 3 // 4] = 0
    values[:, -30:, -20:] = 0
    return values


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_on_disk_the_picture_is_the_same(tmp_path: Path, dtype: str) -> None:
    values = holed(random_values((3, 700, 40), dtype), [(100, 480), (500, 530)])
    scene = scene_of(tmp_path / "scene.tif", values, nodata=0)
    memory, disk = (compose(scene, RGB, (2, 98), s) for s in (MemoryStorage(), DiskStorage(tmp_path / "arrays")))
    np.testing.assert_array_equal(memory.image, disk.image)
    np.testing.assert_array_equal(memory.valid, disk.valid)
    assert (memory.limits, memory.valid_share) == (disk.limits, disk.valid_share)


@pytest.mark.parametrize("rows", [30, 64, 100, 512])
def test_the_picture_does_not_depend_on_the_height_of_the_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    # Holes deeper than twice the reach of the fill, and narrower than it, across the bands' edges.
    values = holed(random_values((3, 600, 30)), [(90, 400), (420, 560)])
    values[:, :, :3] = 0
    scene = scene_of(tmp_path / "scene.tif", values, nodata=0)
    blocks = Scene.blocks

    def composed_by(height: int) -> Composed:
        monkeypatch.setattr(module, "strips", partial(strips, rows=height))
        monkeypatch.setattr(Scene, "blocks", partialmethod(blocks, rows=height))
        return compose(scene, RGB, (2, 98))

    whole, cut = composed_by(600), composed_by(rows)
    np.testing.assert_array_equal(cut.image, whole.image)
    assert cut.limits == whole.limits


def test_the_limits_are_numpys_percentiles_of_all_valid_pixels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 1, (3, 600, 20)).astype("float32")
    mask = np.random.default_rng(1).random((600, 20)) < 0.4
    found = compose(scene_of(tmp_path / "scene.tif", values, mask=mask), RGB, (2, 98))
    expected = [Limits(*np.percentile(band[mask], [2, 98])) for band in values]
    assert list(found.limits) == expected
    assert found.valid_share == mask.mean()
