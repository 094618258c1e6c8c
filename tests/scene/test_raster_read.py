"""What is data, and what it is worth, whatever a file's type, tags, mask, alpha band and palette; warped too."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from nst_rs.config.sections import SceneSection
from nst_rs.errors import SceneError
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene_of
from tests.rasters import NORTH_UP, UTM, random_values, write_raster

HALF = {"resolution": 15.0, "resampling": "nearest"}
"""Of the rasters' 30 m: every pixel becomes four, by warping."""


def scene_of(path: Path, **options: Any) -> Scene:
    return open_scene_of(SceneSection(paths=(str(path),), **options))


def read(path: Path, bands: Any = None, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return values and validity of `bands`, by default all; of a scene warped to half the pixels every other one."""
    scene = scene_of(path, **options)
    window = Window(0, 0, scene.grid.width, scene.grid.height)
    values, valid = scene.read(bands or range(1, len(scene.labels) + 1), window)
    step = 2 if "resolution" in options else 1
    return values[:, ::step, ::step], valid[::step, ::step]


with_and_without_warping = pytest.mark.parametrize("how", [{}, HALF], ids=["as stored", "warped"])


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), bands=st.integers(2, 5), nodata=st.sampled_from([0, 1, 255]))
def test_a_value_of_8_bit_pictures_means_no_data_where_rasterios_dataset_mask_says_so(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bands: int, nodata: int
) -> None:
    values = np.random.default_rng(seed).choice([0, 1, 255], (bands, 9, 9)).astype("uint8")
    path = write_raster(tmp_path_factory.mktemp("rasters") / "scene.tif", values, nodata=nodata)
    with rasterio.open(path) as source:
        expected = source.dataset_mask() > 0
    np.testing.assert_array_equal(read(path)[1], expected)
    np.testing.assert_array_equal(read(path, [1])[1], expected)  # whatever bands the map takes
    untagged = write_raster(path.with_name("untagged.tif"), values)
    np.testing.assert_array_equal(read(untagged, nodata=nodata)[1], expected)


@with_and_without_warping
@pytest.mark.parametrize(
    ("dtype", "choice", "by_all"),
    [("uint8", "auto", True), ("uint16", "auto", False), ("uint8", "any", False), ("uint16", "all", True)],
)
def test_whether_any_band_or_all_must_hold_nodata_is_a_matter_of_the_type_or_of_the_setting(
    tmp_path: Path, how: dict[str, Any], dtype: str, choice: str, by_all: bool
) -> None:
    values = random_values((3, 12, 12), dtype)
    values[0, 2:4, 2:4] = 0
    values[:, 6:, 6:] = 0
    path = write_raster(tmp_path / "scene.tif", values, nodata=0)
    expected = (values > 0).any(axis=0) if by_all else (values > 0).all(axis=0)
    found, valid = read(path, nodata_in=choice, **how)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(found[:, valid], values[:, valid])


def test_the_fill_of_a_products_definition_counts_band_by_band(tmp_path: Path) -> None:
    values = random_values((4, 8, 8), "uint8")
    values[1, 3, 3] = 0
    path = write_raster(tmp_path / "20200518_130404_1014_3B_AnalyticMS.tif", values)
    assert np.argwhere(~read(path)[1]).tolist() == [[3, 3]]


@with_and_without_warping
@pytest.mark.parametrize("nodata", [None, 0, 7])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_where_alpha_is_0_there_is_no_data_whatever_the_type_and_the_nodata_value(
    tmp_path: Path, how: dict[str, Any], nodata: int | None, dtype: str
) -> None:
    values = random_values((4, 12, 12), dtype) % 100 + np.array(10, dtype)
    values[3] = 250
    values[3, :, :4] = 0
    values[:3, 8:, 8:] = 7
    path = write_raster(tmp_path / "scene.tif", values, alpha="yes", photometric="rgb", nodata=nodata)
    expected = np.ones((12, 12), np.bool_)
    expected[:, :4] = False
    if nodata == 7:
        expected[8:, 8:] = False
    found, valid = read(path, [1, 2, 3], **how)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(found[:, valid], values[:3, valid])


@with_and_without_warping
@pytest.mark.parametrize(("tag", "said", "expected"), [(9, "none", ()), (9, 5, (5,)), (9, None, (9,)), (None, 5, (5,))])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
def test_what_the_user_says_of_nodata_stands_in_place_of_the_files_tag(
    tmp_path: Path, how: dict[str, Any], tag: int | None, said: Any, expected: tuple[int, ...], dtype: str
) -> None:
    values = random_values((2, 12, 12), dtype)
    values = np.maximum(values, np.array(11, dtype))
    values[:, :4], values[:, 8:] = 9, 5
    path = write_raster(tmp_path / "scene.tif", values, nodata=tag)
    found, valid = read(path, nodata=said, **how)
    np.testing.assert_array_equal(valid, ~np.isin(values[0], expected))
    np.testing.assert_array_equal(found[:, valid], values[:, valid])


def test_none_takes_back_a_products_fill_too_but_no_mask(tmp_path: Path) -> None:
    values = random_values((4, 8, 8), "uint16")
    values[:, 3, 3] = 0
    mask = np.ones((8, 8), np.bool_)
    mask[5, 5] = False
    path = write_raster(tmp_path / "20200518_130404_1014_3B_AnalyticMS.tif", values)
    assert read(path, nodata="none")[1].all()
    masked = write_raster(tmp_path / "masked.tif", values, mask=mask)
    np.testing.assert_array_equal(read(masked, nodata="none")[1], mask)


@with_and_without_warping
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_a_mask_counts_beside_a_value(tmp_path: Path, how: dict[str, Any], dtype: str) -> None:
    values = random_values((3, 12, 12), dtype) // 2 + np.array(8, dtype)
    values[:, :6] = 7
    mask = np.ones((12, 12), np.bool_)
    mask[:, :4] = False
    path = write_raster(tmp_path / "scene.tif", values, mask=mask)
    np.testing.assert_array_equal(read(path, nodata=7, **how)[1], mask & (values[0] != 7))


@with_and_without_warping
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_files_mask_comes_before_its_nodata_tag_as_gdal_has_it(
    tmp_path: Path, how: dict[str, Any], dtype: str
) -> None:
    values = random_values((3, 12, 12), dtype) // 2 + np.array(8, dtype)
    values[:, :6] = 7
    mask = np.ones((12, 12), np.bool_)
    mask[:, :4] = False
    path = write_raster(tmp_path / "scene.tif", values, mask=mask, nodata=7)
    np.testing.assert_array_equal(read(path, **how)[1], mask)


def test_what_means_no_data_does_not_bleed_into_its_neighbours_when_pixels_are_interpolated(tmp_path: Path) -> None:
    values = np.full((2, 12, 12), 100, "float32")
    values[0, :, :6], values[1] = 9000, 255
    values[1, :, :6] = 0
    path = write_raster(tmp_path / "scene.tif", values, alpha="yes")
    scene = scene_of(path, resolution=15.0)
    found, valid = scene.read([1], Window(0, 0, 24, 24))
    assert valid[:, 12:].all()
    assert set(found[0][valid].tolist()) == {100.0}


@with_and_without_warping
@pytest.mark.parametrize(
    ("dtype", "read_as", "nodata"),
    [
        ("float64", "float32", None),
        ("float64", "float32", -9999.9),
        ("float64", "float32", -1.7976931348623157e308),
        ("float64", "float32", np.nan),
        ("int8", "int16", -128),
        ("int32", "float32", -(2**31)),
        ("uint32", "float32", 2**32 - 1),
        ("int64", "float32", -9999),
    ],
)
def test_other_types_are_read_as_the_nearest_of_ours(
    tmp_path: Path, how: dict[str, Any], dtype: str, read_as: str, nodata: float | None
) -> None:
    values = (random_values((2, 12, 12)) % 100).astype(dtype)
    if nodata is not None:
        values[:, :4, :4] = nodata
    path = write_raster(tmp_path / "scene.tif", values, nodata=nodata)
    found, valid = read(path, **how)
    assert found.dtype == read_as
    expected = np.ones((12, 12), np.bool_)
    expected[:4, :4] = nodata is None
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(found[:, valid], values[:, valid])


def test_whole_numbers_that_float32_would_round_are_refused(tmp_path: Path) -> None:
    values = random_values((1, 8, 8), "uint32")
    values[0, 2, 2] = 2**24 + 2
    path = write_raster(tmp_path / "scene.tif", values)
    with pytest.raises(SceneError, match=re.escape("expected numbers up to 16777216 in pixels of uint32, got larger")):
        read(path)
    assert read(path, nodata=2**24 + 2)[1].sum() == 63


COLORS = {0: (0, 0, 0, 255), 1: (250, 10, 20, 255), 2: (3, 200, 5, 255), 3: (6, 7, 220, 255), 4: (9, 9, 9, 255)}


def write_palette(path: Path, numbers: np.ndarray, colors: dict[int, tuple[int, ...]], **profile: Any) -> Path:
    """Write the numbers of colours, (1, H, W), and the colours."""
    size = {"count": 1, "height": numbers.shape[1], "width": numbers.shape[2], "dtype": "uint8"}
    with rasterio.open(path, "w", **size, crs=UTM, transform=NORTH_UP, **profile) as target:
        target.write(numbers)
        target.write_colormap(1, colors)
    return path


@with_and_without_warping
@pytest.mark.parametrize(("tag", "said", "absent"), [(None, None, []), (2, None, [2]), (2, "none", []), (2, 3, [3])])
def test_a_palette_is_read_as_its_colours(
    tmp_path: Path, how: dict[str, Any], tag: int | None, said: Any, absent: list[int]
) -> None:
    numbers = random_values((1, 12, 12)) % 5
    path = write_palette(tmp_path / "scene.tif", numbers, COLORS, driver="GTiff", nodata=tag)
    scene = scene_of(path, nodata=said)
    assert (scene.band_names, scene.dtype) == (("red", "green", "blue"), "uint8")
    found, valid = read(path, nodata=said, **how)
    np.testing.assert_array_equal(valid, ~np.isin(numbers[0], absent))
    expected = np.array([COLORS[number][:3] for number in range(5)], "uint8")[numbers[0]]
    np.testing.assert_array_equal(np.moveaxis(found, 0, -1)[valid], expected[valid])


@with_and_without_warping
def test_there_is_no_data_where_a_palettes_colour_is_transparent(tmp_path: Path, how: dict[str, Any]) -> None:
    numbers = random_values((1, 12, 12)) % 5
    colors = COLORS | {1: (250, 10, 20, 0), 4: (9, 9, 9, 0)}
    path = write_palette(tmp_path / "scene.png", numbers, colors, driver="PNG")
    np.testing.assert_array_equal(read(path, **how)[1], ~np.isin(numbers[0], [1, 4]))
