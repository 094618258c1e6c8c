import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from rasterio.windows import Window

from nst_rs.errors import SceneError
from nst_rs.geo.grid import Grid, crs_name
from nst_rs.scene.inspect import _windows, report
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene
from nst_rs.scene.raster_file import DTYPES
from tests.rasters import NORTH_UP, ROTATED, TRANSFORMS, UTM, random_values, write_raster, write_tiles

# Files take their time on a busy disk.
with_files = settings(max_examples=30, deadline=None)


def cuts(size: int) -> st.SearchStrategy[list[int]]:
    """Where an axis of `size` pixels is cut: sorted, each inside the axis, none twice."""
    if size == 1:
        return st.just([])
    return st.lists(st.integers(1, size - 1), max_size=3, unique=True).map(sorted)


def read_all(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    window = Window(0, 0, scene.grid.width, scene.grid.height)
    return scene.read(range(1, len(scene.band_names) + 1), window)


def valid_of(path: Path, nodata: float | None = None) -> list[list[int]]:
    return read_all(open_scene([path], nodata))[1].astype(int).tolist()


def test_a_file_is_a_scene_with_its_own_grid_and_pixels(tmp_path: Path) -> None:
    values = random_values((4, 5, 7), "uint16")
    scene = open_scene([write_raster(tmp_path / "scene.tif", values)])
    assert (scene.grid.crs, scene.grid.transform, scene.grid.shape) == (rasterio.CRS.from_string(UTM), NORTH_UP, (5, 7))
    found, valid = read_all(scene)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.uint16
    assert valid.all()


@with_files
@given(data=st.data(), height=st.integers(1, 20), width=st.integers(1, 20), transform=st.sampled_from(TRANSFORMS))
def test_tiles_of_one_scene_become_one_grid(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, height: int, width: int, transform: Affine
) -> None:
    values = random_values((2, height, width), data.draw(st.sampled_from(DTYPES)))
    rows, columns = data.draw(cuts(height)), data.draw(cuts(width))
    paths = write_tiles(tmp_path_factory.mktemp("tiles"), values, rows, columns, transform)
    scene = open_scene(data.draw(st.permutations(paths)))
    found, valid = read_all(scene)
    np.testing.assert_array_equal(found, values)
    assert valid.all()
    # Going from one tile's corner to the scene's rounds: coordinates of 1e7 m in float64 are good to nanometres.
    assert scene.grid.transform.almost_equals(transform, precision=1e-6)


@with_files
@given(data=st.data())
def test_a_window_is_that_part_of_the_scene_wherever_the_tiles_end(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    values = random_values((3, 12, 15))
    paths = write_tiles(tmp_path_factory.mktemp("tiles"), values, data.draw(cuts(12)), data.draw(cuts(15)))
    top, left = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 14))
    height, width = data.draw(st.integers(1, 12 - top)), data.draw(st.integers(1, 15 - left))
    found, _ = open_scene(paths).read([3, 1], Window(left, top, width, height))
    np.testing.assert_array_equal(found, values[[2, 0], top : top + height, left : left + width])


@with_files
@given(kept=st.sets(st.integers(0, 8), min_size=1), transform=st.sampled_from(TRANSFORMS))
def test_where_no_tile_lies_there_is_no_data(
    tmp_path_factory: pytest.TempPathFactory, kept: set[int], transform: Affine
) -> None:
    values = random_values((1, 9, 12))
    paths = write_tiles(tmp_path_factory.mktemp("tiles"), values, [2, 5], [3, 4], transform)
    # Which tile a pixel belongs to.
    tile_of = np.repeat([0, 3, 6], [2, 3, 4])[:, np.newaxis] + np.repeat([0, 1, 2], [3, 1, 8])
    covered = np.isin(tile_of, list(kept))
    found, valid = read_all(open_scene([paths[tile] for tile in kept]))
    rows, columns = covered.any(axis=1).nonzero()[0], covered.any(axis=0).nonzero()[0]
    spanned = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(valid, covered[spanned])
    np.testing.assert_array_equal(found[0][valid], values[0][spanned][valid])


def test_blocks_cover_every_row_once(tmp_path: Path) -> None:
    scene = open_scene([write_raster(tmp_path / "scene.tif", random_values((1, 23, 4)))])
    blocks = [(block.row_off, block.height, block.col_off, block.width) for block in scene.blocks(rows=5)]
    assert blocks == [(0, 5, 0, 4), (5, 5, 0, 4), (10, 5, 0, 4), (15, 5, 0, 4), (20, 3, 0, 4)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_tiles_overlap_the_first_valid_one_given_stands(tmp_path: Path, order: tuple[int, int]) -> None:
    first, second = np.full((1, 1, 4), 10, "uint8"), np.full((1, 1, 4), 20, "uint8")
    first[..., 3] = second[..., 1] = 0
    paths = [
        write_raster(tmp_path / "first.tif", first, nodata=0),
        write_raster(tmp_path / "second.tif", second, nodata=0, transform=NORTH_UP @ Affine.translation(2, 0)),
    ]
    # First:   10 10 10  –
    # Second:        20  –  20 20
    found, valid = read_all(open_scene([paths[i] for i in order]))
    np.testing.assert_array_equal(valid, [[1, 1, 1, 0, 1, 1]])
    np.testing.assert_array_equal(found[0][valid], [10, 10, (10, 20)[order[0]], 20, 20])


def test_a_folder_is_its_rasters_and_nothing_else(tmp_path: Path) -> None:
    values = random_values((1, 6, 6))
    write_tiles(tmp_path, values, [2], [3])[0].rename(tmp_path / "UPPER.TIF")
    (tmp_path / "README.md").write_text("no raster")
    (tmp_path / "r0_c3.tif.aux.xml").write_text("<PAMDataset/>")
    scene = open_scene([tmp_path])
    np.testing.assert_array_equal(read_all(scene)[0], values)
    assert len(scene.tiles) == 4


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=f"scene folder {tmp_path}: expected GeoTIFF files, got none$"):
        open_scene([tmp_path])


def test_a_folder_of_scenes_is_refused_saying_that_one_of_them_is_to_be_given(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    write_tiles(scene, random_values((1, 6, 6)), [2], [3])
    with pytest.raises(SceneError, match=r"got none; give one of the folders in it$"):
        open_scene([tmp_path])


VALUES = np.array([[[1, 2, 3, 4]], [[5, 6, 7, 9]]])


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "uint8"])
@pytest.mark.parametrize("value", [2, 9])
def test_the_nodata_tag_masks_a_pixel_that_holds_it_in_any_band(tmp_path: Path, dtype: str, value: int) -> None:
    path = write_raster(tmp_path / "scene.tif", VALUES.astype(dtype), nodata=value)
    assert valid_of(path) == [[1, int(value != 2), 1, int(value != 9)]]
    assert open_scene([path]).nodata == value


def test_only_the_bands_that_are_read_are_asked_for_data(tmp_path: Path) -> None:
    scene = open_scene([write_raster(tmp_path / "scene.tif", VALUES.astype("uint16"), nodata=9)])
    assert scene.read([1], Window(0, 0, 4, 1))[1].all()


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "uint8"])
def test_nodata_can_be_named_where_the_file_does_not(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "scene.tif", VALUES.astype(dtype))
    assert valid_of(path) == [[1, 1, 1, 1]]
    assert valid_of(path, nodata=3) == [[1, 1, 0, 1]]


def test_a_nodata_value_that_the_type_cannot_hold_masks_nothing(tmp_path: Path) -> None:
    assert valid_of(write_raster(tmp_path / "scene.tif", VALUES.astype("uint8")), nodata=-9999) == [[1, 1, 1, 1]]


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_is_respected_inside_the_file_and_beside_it(tmp_path: Path, internal: bool) -> None:
    mask = np.array([[True, False, True, False]])
    path = write_raster(tmp_path / "scene.tif", VALUES.astype("uint8"), mask=mask, internal_mask=internal)
    assert (tmp_path / "scene.tif.msk").exists() is not internal
    assert valid_of(path) == [[1, 0, 1, 0]]


def test_only_where_the_alpha_band_is_zero_there_is_no_data(tmp_path: Path) -> None:
    values = np.concatenate([random_values((3, 1, 4)), np.array([[[255, 0, 1, 0]]], "uint8")])
    path = write_raster(tmp_path / "scene.tif", values, photometric="rgb", alpha="yes")
    valid = open_scene([path]).read([1, 2, 3], Window(0, 0, 4, 1))[1]
    np.testing.assert_array_equal(valid, [[1, 0, 1, 0]])


@pytest.mark.parametrize("tag", [None, np.nan, -1.0])
def test_nan_and_infinity_are_no_data_whatever_the_tag(tmp_path: Path, tag: float | None) -> None:
    values = np.array([[[np.nan, 0.5, np.inf, 0.25]]], "float32")
    assert valid_of(write_raster(tmp_path / "scene.tif", values, nodata=tag)) == [[0, 1, 0, 1]]


def test_tiles_that_all_have_nan_for_nodata_belong_together(tmp_path: Path) -> None:
    paths = write_tiles(tmp_path, random_values((1, 4, 4), "float32"), [2], [], nodata=np.nan)
    assert open_scene(paths).grid.shape == (4, 4)


def test_complex_pixels_are_refused_saying_how_to_convert_them(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 2, 2), "complex64"))
    said = r"expected bands of one type of uint8, .*float64.*, got complex64; convert it, for example with gdal_"
    with pytest.raises(SceneError, match=said):
        open_scene([path])


@pytest.mark.parametrize(
    ("differing", "complaint"),
    [
        ({"crs": "EPSG:32722"}, "CRS: expected EPSG:32621, got EPSG:32722"),
        (
            {"transform": NORTH_UP @ Affine.scale(0.5)},
            "resolution: expected (30.0, 0.0, 0.0, -30.0), got (15.0, 0.0, 0.0, -15.0)",
        ),
        ({"transform": NORTH_UP @ Affine.scale(1, -1)}, "resolution: expected (30.0, 0.0, 0.0, -30.0), got (30.0"),
        ({"transform": ROTATED}, "resolution: expected (30.0, 0.0, 0.0, -30.0), got (27.18"),
        (
            {"transform": NORTH_UP @ Affine.translation(4.5, 0)},
            "alignment: expected whole pixels apart, got 4.500 columns, 0.000 rows apart",
        ),
        (
            {"transform": NORTH_UP @ Affine.translation(4, -0.25)},
            "alignment: expected whole pixels apart, got 4.000 columns, -0.250 rows apart",
        ),
        ({"values": random_values((3, 4, 4))}, "band count: expected 2, got 3"),
        ({"values": random_values((2, 4, 4), "int16")}, "data type: expected uint8, got int16"),
        ({"nodata": 255}, "nodata: expected 0.0, got 255.0"),
        ({"nodata": None}, "nodata: expected 0.0, got None"),
    ],
)
def test_a_tile_of_another_scene_is_refused_by_name(tmp_path: Path, differing: dict[str, Any], complaint: str) -> None:
    alike = {"values": random_values((2, 4, 4)), "nodata": 0}
    first, other = write_raster(tmp_path / "first.tif", **alike), write_raster(tmp_path / "o.tif", **alike | differing)
    with pytest.raises(SceneError, match=re.escape(f"tile {other} does not belong with {first}: {complaint}")):
        open_scene([first, other])


@pytest.mark.parametrize(
    ("differing", "advised", "not_advised"),
    [
        ({"crs": "EPSG:32722"}, "set scene.crs", "scene.resolution"),
        ({"transform": NORTH_UP @ Affine.scale(0.5)}, "set scene.resolution", "scene.crs"),
        ({"transform": NORTH_UP @ Affine.translation(0.5, 0)}, "set scene.resolution", "scene.crs"),
    ],
)
@pytest.mark.parametrize("bands", [1, 2])
def test_the_advice_mends_what_differs_and_makes_no_tiles_of_bands(
    tmp_path: Path, bands: int, differing: dict[str, Any], advised: str, not_advised: str
) -> None:
    values = random_values((bands, 4, 4))
    paths = [write_raster(tmp_path / "a.tif", values), write_raster(tmp_path / "b.tif", values, **differing)]
    with pytest.raises(SceneError, match=advised) as refused:
        open_scene(paths)
    assert not_advised not in str(refused.value)
    assert ("name each file by its band" in str(refused.value)) is (bands == 1 and not_advised == "scene.crs")


def test_rounding_in_a_tiles_header_is_forgiven(tmp_path: Path) -> None:
    values = random_values((1, 4, 8))
    first = write_raster(tmp_path / "first.tif", values[..., :4])
    rounded = NORTH_UP @ Affine.translation(4.0001, -0.0001)
    second = write_raster(tmp_path / "second.tif", values[..., 4:], transform=rounded)
    np.testing.assert_array_equal(read_all(open_scene([first, second]))[0], values)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing.tif"
    with pytest.raises(SceneError, match=f"scene {path}: expected a file or folder, got nothing of that name"):
        open_scene([path])


def test_a_file_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.tif"
    path.write_text("not a raster")
    with pytest.raises(SceneError, match=f"scene {path}: expected a raster that GDAL can read, got .*text.tif"):
        open_scene([path])


def test_a_file_without_a_crs_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 2, 2)), crs=None)
    with pytest.raises(SceneError, match=f"scene {path}: expected a CRS, got none; assign one"):
        open_scene([path])


def test_a_file_without_a_geotransform_is_refused_in_one_line_not_with_a_warning_too(tmp_path: Path) -> None:
    with pytest.warns(NotGeoreferencedWarning):
        path = write_raster(tmp_path / "scene.tif", random_values((1, 2, 2)), transform=None)
    with pytest.raises(SceneError, match=f"scene {path}: expected a geotransform, got none; georeference it"):
        open_scene([path])


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-300]), Path.unlink])
def test_a_file_that_breaks_after_it_was_opened_is_named(tmp_path: Path, damage: Any) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 40, 40)))
    scene = open_scene([path])
    damage(path)
    with pytest.raises(SceneError, match=f"scene {path}: expected readable pixels, got .+"):
        read_all(scene)


@pytest.mark.parametrize(
    ("bands", "options", "names"),
    [
        (2, {}, ("", "")),
        (2, {"names": ["nir", "Red"]}, ("nir", "Red")),
        (3, {"photometric": "rgb"}, ("red", "green", "blue")),
        (4, {"photometric": "rgb", "alpha": "yes"}, ("red", "green", "blue", "alpha")),
        (3, {"photometric": "rgb", "names": ["B4", "B3"]}, ("B4", "B3", "blue")),
    ],
)
def test_bands_are_named_by_description_else_by_colour(
    tmp_path: Path, bands: int, options: dict[str, Any], names: tuple[str, ...]
) -> None:
    scene = open_scene([write_raster(tmp_path / "scene.tif", random_values((bands, 2, 2)), **options)])
    assert scene.band_names == names


def test_a_report_tells_each_bands_share_of_valid_pixels(tmp_path: Path) -> None:
    values = random_values((2, 4, 4), "uint16")
    values[0, 0, :] = values[1, 0, 0] = 0
    # The second tile lies apart: of a grid of 4 × 12 pixels a third is in no tile.
    paths = [
        write_raster(tmp_path / "near.tif", values, nodata=0),
        write_raster(tmp_path / "far.tif", values, nodata=0, transform=NORTH_UP @ Affine.translation(8, 0)),
    ]
    scene = open_scene(paths)
    assert report(scene).valid_shares == (24 / 48, 30 / 48)
    assert report(scene).scene is scene


@pytest.mark.parametrize("bands", [1, 5])
@pytest.mark.parametrize(
    "layout",
    [{"blockysize": 3}, {"tiled": True, "blockxsize": 16, "blockysize": 32}, {"blockysize": 50}],
    ids=["strips", "tiles", "whole"],
)
def test_a_report_reads_every_block_of_a_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: dict[str, Any], bands: int
) -> None:
    values = random_values((bands, 50, 70), "int16")
    values[bands - 1, :, :7] = -1
    path = write_raster(tmp_path / "scene.tif", values, nodata=-1, interleave="pixel", **layout)
    monkeypatch.setattr("nst_rs.scene.inspect._MOST_VALUES", 16 * 32 * bands)  # else it would be one window
    scene = open_scene([path])
    seen = np.zeros((50, 70), int)
    with rasterio.open(path) as source:
        blocks = {window.toranges() for _, window in source.block_windows(1)}
    for window in _windows(scene):
        (top, bottom), (left, right) = window.toranges()
        seen[top:bottom, left:right] += 1
        for (block_top, block_bottom), (block_left, block_right) in blocks:
            rows = max(0, min(bottom, block_bottom) - max(top, block_top))
            columns = max(0, min(right, block_right) - max(left, block_left))
            assert rows * columns in (0, (block_bottom - block_top) * (block_right - block_left))
    assert (seen == 1).all()
    assert report(scene).valid_shares == (*[1.0] * (bands - 1), 0.9)


@pytest.mark.parametrize(
    ("crs", "name"),
    [
        ("EPSG:32621", "EPSG:32621"),
        ("ESRI:102033", "South_America_Albers_Equal_Area_Conic"),
        ("+proj=laea +lat_0=-23 +lon_0=-45 +datum=WGS84", "unknown"),
        ("+proj=tmerc +lon_0=13.3 +ellps=bessel +towgs84=598,73,418,0,0,0,0", "unknown"),
    ],
)
def test_every_crs_has_a_name(crs: str, name: str) -> None:
    assert crs_name(rasterio.CRS.from_user_input(crs)) == name


def test_a_grid_describes_itself_in_one_line(tmp_path: Path) -> None:
    scene = open_scene([write_raster(tmp_path / "scene.tif", random_values((1, 4, 6)))])
    assert scene.grid.describe() == "6 × 4 pixels of 30 × 30 m, EPSG:32621"


def test_a_tile_whose_bands_come_in_another_order_is_refused_by_name(tmp_path: Path) -> None:
    values = random_values((3, 4, 4))
    first = write_raster(tmp_path / "a.tif", values, names=("red", "green", "blue"))
    moved = NORTH_UP @ Affine.translation(4, 0)
    other = write_raster(tmp_path / "b.tif", values, names=("blue", "green", "red"), transform=moved)
    complaint = r"b\.tif does not belong with .*a\.tif: band names: expected red, green, blue, got blue, green, red"
    with pytest.raises(SceneError, match=complaint):
        open_scene([first, other])


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        (UTM, NORTH_UP, 30.0),
        (UTM, ROTATED, 30.0),
        (UTM, Affine(10, 0, 500_000, 0, -40, 9_000_000), 20.0),
        ("EPSG:2263", Affine(100, 0, 980_000, 0, -100, 200_000), 100 * 1200 / 3937),  # US survey feet
        ("EPSG:4326", Affine(0.001, 0, -1, 0, -0.001, 1), 111.32),  # a degree of the equator is 111 319.5 m
        ("EPSG:4326", Affine(0.001, 0, -1, 0, -0.001, 61), 111.32 * math.sqrt(0.5)),
        ("EPSG:4807", Affine(0.001, 0, -1, 0, -0.001, 200 / 3 + 1), 100.188 * math.sqrt(0.5)),  # grads, 60° north
    ],
)
def test_a_pixels_side_in_metres_on_the_ground(crs: str, transform: Affine, expected: float) -> None:
    grid = Grid(rasterio.CRS.from_string(crs), transform, 2000, 2000)  # its middle is 1 (degree, grad) below its top
    assert grid.metres_per_pixel == pytest.approx(expected, rel=1e-6)


def test_a_degrees_metres_are_those_of_a_projection() -> None:
    from rasterio.warp import transform_bounds

    grid = Grid(rasterio.CRS.from_epsg(4326), Affine(0.0003, 0, -35.0, 0, -0.0003, -8.0), 200, 100)
    west, south, east, north = transform_bounds(grid.crs, "EPSG:31985", -35.0, -8.03, -34.94, -8.0, densify_pts=0)
    side = math.sqrt((east - west) / 200 * (north - south) / 100)
    # The ellipsoid is flattened by 0.3 %, and the meridian turned by 0.3° in the projection.
    assert grid.metres_per_pixel == pytest.approx(side, rel=0.01)
