from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import Affine

from nst_rs.errors import OutputError
from nst_rs.geo.grid import Grid
from nst_rs.output.rasters.geotiff import BLOCK, StyledMap, cache_bytes, check_crs, to_bytes, write_geotiff
from nst_rs.scene.opening import open_scene
from nst_rs.scene.raster_file import GDAL_CACHE_BYTES
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

# Files take their time on a busy disk.
with_files = settings(max_examples=30, deadline=None)


def picture(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An RGB picture without black pixels, and a mask."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, (height, width, 3), dtype=np.uint8), rng.random((height, width)) < 0.7


def written(path: Path, transform: Affine = NORTH_UP, crs: str = UTM, shape: tuple[int, int] = (20, 30)) -> Path:
    rgb, valid = picture(*shape)
    write_geotiff(path, StyledMap(rgb, valid, Grid(CRS.from_user_input(crs), transform, shape[1], shape[0])))
    return path


def test_values_are_rounded_to_the_nearest_byte() -> None:
    pixels = np.array([[[0.0, 0.49, 0.51], [254.49, 254.51, 255.0]]], np.float32)
    np.testing.assert_array_equal(to_bytes(pixels, np.ones((1, 2), bool)), [[[0, 0, 1], [254, 255, 255]]])


def test_nodata_is_black_whatever_the_picture_holds_there() -> None:
    pixels = np.array([[[9.0, 9.0, 9.0], [np.nan, 7.0, np.inf]]], np.float32)
    np.testing.assert_array_equal(to_bytes(pixels, np.array([[True, False]])), [[[9, 9, 9], [0, 0, 0]]])


@with_files
@given(
    corner=st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7)),
    resolution=st.tuples(st.floats(0.1, 1000), st.floats(0.1, 1000)),
    signs=st.sampled_from([(1, -1), (1, 1), (-1, -1)]),
    angle=st.sampled_from([0.0, 12.5, 90.0, 200.0]),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_the_map_lies_exactly_on_the_grid(
    tmp_path_factory: pytest.TempPathFactory,
    corner: tuple[float, float],
    resolution: tuple[float, float],
    signs: tuple[int, int],
    angle: float,
    shape: tuple[int, int],
) -> None:
    scale = Affine.scale(resolution[0] * signs[0], resolution[1] * signs[1])
    transform = Affine.translation(*corner) @ Affine.rotation(angle) @ scale
    with rasterio.open(written(tmp_path_factory.mktemp("map") / "map.tif", transform, shape=shape)) as found:
        assert found.transform == transform
        assert found.crs == CRS.from_string(UTM)
        assert found.shape == shape


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:4326",
        "EPSG:3857",
        "EPSG:3031",
        "ESRI:102033",
        "+proj=sinu +R=6371007.181",
        "+proj=laea +lat_0=-23 +lon_0=-45 +datum=WGS84",
        "+proj=tmerc +lon_0=13.3 +ellps=bessel +towgs84=598,73,418,0,0,0,0",
    ],
)
def test_the_map_has_exactly_the_grids_crs(tmp_path: Path, crs: str) -> None:
    with rasterio.open(written(tmp_path / "map.tif", crs=crs)) as found:
        assert found.crs == CRS.from_user_input(crs)


@with_files
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_pixels_and_mask_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("map") / "map.tif"
    rgb, valid = picture(height, width, seed)
    write_geotiff(path, StyledMap(rgb, valid, Grid(CRS.from_string(UTM), NORTH_UP, width, height)))
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(np.moveaxis(found.read(), 0, -1), np.where(valid[..., None], rgb, 0))
        np.testing.assert_array_equal(found.dataset_mask(), np.where(valid, 255, 0))


def test_the_mask_is_inside_the_file_and_no_value_means_nodata(tmp_path: Path) -> None:
    path = written(tmp_path / "map.tif")
    assert list(tmp_path.iterdir()) == [path]
    with rasterio.open(path) as found:
        assert found.mask_flag_enums == ([MaskFlags.per_dataset],) * 3
        assert found.nodata is None


def test_the_bands_are_red_green_and_blue_bytes(tmp_path: Path) -> None:
    with rasterio.open(written(tmp_path / "map.tif")) as found:
        assert found.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert found.dtypes == ("uint8",) * 3


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_a_map_is_itself_a_scene_on_the_same_grid(tmp_path: Path, transform: Affine) -> None:
    scene = open_scene([written(tmp_path / "map.tif", transform)])
    assert scene.grid == Grid(CRS.from_string(UTM), transform, 30, 20)
    np.testing.assert_array_equal(scene.read([1], next(scene.blocks()))[1], picture(20, 30)[1])


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "+proj=sinu +R=6371007.181", "+proj=geos +h=35785831 +sweep=y"])
def test_a_crs_that_a_geotiff_holds_is_accepted(crs: str) -> None:
    check_crs(Grid(CRS.from_user_input(crs), NORTH_UP, 10, 10))


def test_a_crs_that_a_geotiff_would_lose_is_refused() -> None:
    rotated_pole = CRS.from_string("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=30 +lon_0=0")
    with pytest.raises(OutputError, match=r"expected a scene whose CRS a GeoTIFF can hold, got .*; reproject"):
        check_crs(Grid(rotated_pole, NORTH_UP, 10, 10))


@pytest.mark.parametrize("width", [300, 4096, 20_000, 100_000])
def test_what_gdal_may_keep_does_not_grow_with_rows(width: int) -> None:
    few, many = (cache_bytes(Grid(CRS.from_string(UTM), NORTH_UP, width, height)) for height in (BLOCK, 100 * BLOCK))
    assert few == many <= GDAL_CACHE_BYTES
    assert many >= min(
        GDAL_CACHE_BYTES, 2 * BLOCK * width * 4
    )  # else blocks would be read, or written, again and again


def test_blocks_without_data_take_no_room(tmp_path: Path) -> None:
    rgb, _ = picture(4 * BLOCK, BLOCK)
    valid = np.zeros(rgb.shape[:2], bool)
    valid[:BLOCK] = True
    write_geotiff(tmp_path / "map.tif", StyledMap(rgb, valid, Grid(CRS.from_string(UTM), NORTH_UP, BLOCK, 4 * BLOCK)))
    block = 3 * BLOCK**2
    assert block < (tmp_path / "map.tif").stat().st_size < 1.1 * block
