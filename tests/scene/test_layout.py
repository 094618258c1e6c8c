"""The grid that products lie on together, and the part of it that is asked for."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine
from rasterio.windows import Window

from nst_rs.config.loading import load_config
from nst_rs.errors import ConfigError
from nst_rs.geo.area import degrees
from nst_rs.geo.grid import bounds
from nst_rs.geo.webgrid import CRS_OF_WEB, halvings, pixel_side, zoom_of
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene_of
from tests.rasters import NORTH_UP, random_values, write_raster, write_tiles


def scene_of(path: Path, area: str) -> Scene:
    return open_scene_of(load_config(None, [f"scene.paths=[{path}]", f"scene.area={area}"]).scene)


@pytest.mark.parametrize(
    "area",
    [
        "{rows: [2, 7], columns: [3, 11]}",
        f"{{left: {NORTH_UP.c + 90}, right: {NORTH_UP.c + 330}, bottom: {NORTH_UP.f - 210}, top: {NORTH_UP.f - 60}}}",
    ],
)
def test_a_scene_of_tiles_can_be_cut_by_its_pixels_and_by_its_units(tmp_path: Path, area: str) -> None:
    values = random_values((2, 12, 15))
    write_tiles(tmp_path, values, [5], [8])
    scene = scene_of(tmp_path, area)
    np.testing.assert_array_equal(scene.read([1, 2], Window(0, 0, 8, 5))[0], values[:, 2:7, 3:11])


@pytest.mark.parametrize(
    ("area", "advice"),
    [
        ("{rows: [100, 101], columns: [0, 1]}", "the scene has 12 rows and 15 columns"),
        ("{left: 0, bottom: 0, right: 1, top: 1}", "the scene is {left: 500000.000, bottom: 8999640.000, right:"),
        ("[0, 0, 1, 1]", "the scene is [-57.00000, "),
        ("[%(south)s, %(west)s, %(north)s, %(east)s]", "longitude comes before latitude: west, south, east, north"),
    ],
)
def test_an_area_beside_the_scene_is_refused_saying_where_the_scene_is(tmp_path: Path, area: str, advice: str) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 12, 15)))
    found = degrees(scene_of(path, "null").grid)
    assert found is not None
    edges: dict[str, Any] = dict(zip(("west", "south", "east", "north"), found, strict=True))
    with pytest.raises(ConfigError, match=re.escape(f"got one beside it; {advice}")):
        scene_of(path, area % edges)


@pytest.mark.parametrize(
    ("area", "complaint"),
    [
        ("[9, 45]", ": expected west, south, east and north in degrees"),
        ("9,45,10,46", ": expected bounds in brackets, got 9,45,10,46; write scene.area=[9, 45, 10, 46]"),
        ("{rows: [3, 2], columns: [1, 2]}", ".rows: expected two rising numbers, got [3, 2]"),
        ("{rows: [3, 4]}", ": expected rows and columns, got {'rows': [3, 4]}"),
        ("{west: 3}", ": expected left, bottom, right and top, got {'west': 3}"),
        ("{left: 5, right: 3, bottom: 1, top: 2}", ": expected left below right, and bottom below top"),
    ],
)
def test_an_area_that_is_none_is_refused_saying_how_to_write_it(tmp_path: Path, area: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"scene.area{complaint}")):
        scene_of(write_raster(tmp_path / "scene.tif", random_values((1, 12, 15))), area)


@pytest.mark.parametrize("resolution", ["finest", "60"])
@pytest.mark.parametrize("area", ["null", "{rows: [20, 500], columns: [3, 611]}"])
def test_a_scene_on_web_tiles_has_the_pixels_of_a_zoom_level(tmp_path: Path, resolution: str, area: str) -> None:
    place = Affine(30, 0, 500_000, 0, -30, 1_000_000)
    path = write_raster(tmp_path / "scene.tif", random_values((1, 700, 900)), transform=place)
    settings = [f"scene.paths=[{path}]", "scene.crs=web", f"scene.resolution={resolution}", f"scene.area={area}"]
    scene = open_scene_of(load_config(None, settings).scene)
    grid = scene.grid
    assert grid.crs == CRS_OF_WEB
    zoom = zoom_of(grid.transform.a)
    assert grid.pixel == pytest.approx((pixel_side(zoom), pixel_side(zoom)), rel=1e-12)
    wanted = 30 / math.cos(math.radians(8.95)) if resolution == "finest" else 60
    assert wanted * 2**-0.76 < grid.transform.a < wanted * 2**0.26
    step = 2 ** halvings(grid.shape)
    assert step > 1
    assert [number % step for number in (*grid.first_pixel, *grid.shape)] == [0] * 4
    values, valid = scene.read([1], Window(0, 0, grid.width, grid.height))
    assert valid.mean() > 0.5
    assert values[0][valid].min() > 0


ACROSS = {
    "degrees": ("EPSG:4326", Affine(0.01, 0, 179.9, 0, -0.01, -16)),
    "UTM zone 60": ("EPSG:32760", Affine(300, 0, 815000, 0, -300, 8120000)),
    "a Mercator whose middle is the Pacific": ("EPSG:3832", Affine(300, 0, 3336000, 0, -300, -1900000)),
}
"""Grids of 20 × 20 pixels that lie across the antimeridian."""


@pytest.mark.parametrize("crs", ["web", "EPSG:3395"])
@pytest.mark.parametrize("place", ACROSS)
def test_a_crs_that_would_tear_the_scene_at_the_antimeridian_is_refused(tmp_path: Path, place: str, crs: str) -> None:
    name, transform = ACROSS[place]
    path = write_raster(tmp_path / "scene.tif", random_values((3, 20, 20)), crs=name, transform=transform)
    with pytest.raises(ConfigError, match=f"scene.crs {crs}: expected a CRS that is whole where the scene lies, got "):
        open_scene_of(load_config(None, [f"scene.paths=[{path}]", f"scene.crs={crs}"]).scene)


@pytest.mark.parametrize("place", ["UTM zone 60", "a Mercator whose middle is the Pacific"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32701", "EPSG:3832", "EPSG:32760"])
def test_a_scene_across_the_antimeridian_keeps_its_pixels_size_where_the_crs_goes_on(
    tmp_path: Path, place: str, crs: str
) -> None:
    name, transform = ACROSS[place]
    path = write_raster(tmp_path / "scene.tif", random_values((3, 20, 20)), crs=name, transform=transform)
    scene = open_scene_of(load_config(None, [f"scene.paths=[{path}]", f"scene.crs={crs}"]).scene)
    assert max(scene.grid.shape) < 30
    _, valid = scene.read([1, 2, 3], Window(0, 0, scene.grid.width, scene.grid.height))
    assert valid.mean() > 0.7  # what is turned has corners without data


def test_a_scene_beyond_the_ends_of_web_maps_is_refused_on_their_grid_and_one_across_them_is_cut(
    tmp_path: Path,
) -> None:
    for top, refused in ((89.0, True), (85.2, False), (-85.1, True), (-84.9, False)):
        at = Affine(0.01, 0, 10, 0, -0.01, top)
        path = write_raster(tmp_path / "scene.tif", random_values((3, 40, 40)), crs="EPSG:4326", transform=at)
        config = load_config(None, [f"scene.paths=[{path}]", "scene.crs=web"]).scene
        if refused:
            with pytest.raises(ConfigError, match=r"scene.crs web: expected a scene within 85.05 degrees of the equ"):
                open_scene_of(config)
            continue
        grid = open_scene_of(config).grid
        assert max(abs(y) for y in (bounds(grid)[1], bounds(grid)[3])) <= 20037508.35
