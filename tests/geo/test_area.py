import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.warp import transform as project

from nst_rs.errors import ConfigError
from nst_rs.geo.area import describe_degrees, extent_of, read_area, rectangle
from nst_rs.geo.grid import Grid
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

DEGREES = Grid(rasterio.CRS.from_epsg(4326), Affine(0.1, 0, 10, 0, -0.1, 50), 30, 20)


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def test_bounds_cut_a_grid_of_degrees_where_they_lie() -> None:
    outline = read_area((10.2, 49.0, 11.0, 49.7)).on(DEGREES)
    assert outline.box(DEGREES) == (3, 2, 10, 10)
    assert not outline.outlined


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_bounds_hold_all_that_lies_in_them_on_any_grid(transform: Affine) -> None:
    grid = Grid(rasterio.CRS.from_string(UTM), transform, 200, 200)
    xs, ys = transform @ (np.array([50.0, 90.0, 50.0, 90.0]), np.array([60.0, 60.0, 100.0, 100.0]))
    longitudes, latitudes = project(UTM, "EPSG:4326", list(xs), list(ys))
    bounds = min(longitudes), min(latitudes), max(longitudes), max(latitudes)
    top, left, bottom, right = read_area(bounds).on(grid).box(grid)
    assert top <= 60
    assert left <= 50
    assert bottom >= 100
    assert right >= 90


@pytest.mark.parametrize(
    "wrap",
    [
        lambda p: p,
        lambda p: {"type": "Feature", "properties": {}, "geometry": p},
        lambda p: {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": p}]},
        lambda p: {"type": "MultiPolygon", "coordinates": [p["coordinates"]]},
    ],
)
def test_outside_of_a_geojsons_polygons_there_is_no_data(tmp_path: Path, wrap: Any) -> None:
    outline = read_area(written(tmp_path / "a.geojson", wrap(square(10.2, 49.0, 11.0, 49.7)))).on(DEGREES)
    expected = np.zeros((20, 30), np.bool_)
    expected[3:10, 2:10] = True
    np.testing.assert_array_equal(outline.inside(DEGREES), expected)
    assert outline.outlined


def test_an_area_beyond_the_antimeridian_is_found_on_the_grids_side() -> None:
    grid = Grid(rasterio.CRS.from_epsg(4326), Affine(0.1, 0, 179.0, 0, -0.1, 1.0), 20, 10)
    assert read_area((-179.9, 0.5, -179.5, 1.0)).on(grid).box(grid) == (0, 11, 5, 15)
    assert read_area((179.5, 0.5, -179.5, 1.0)).on(grid).box(grid) == (0, 5, 5, 15)


@given(
    transform=st.sampled_from([NORTH_UP, SOUTH_UP]),
    top=st.integers(0, 90),
    left=st.integers(0, 90),
    height=st.integers(1, 10),
    width=st.integers(1, 10),
)
def test_the_extent_that_is_told_of_a_part_of_a_grid_is_that_part(
    transform: Affine, top: int, left: int, height: int, width: int
) -> None:
    grid = Grid(rasterio.CRS.from_string(UTM), transform, 100, 100)
    box = (top, left, top + height, left + width)
    told = yaml.safe_load(extent_of(grid.cut(box)))
    assert rectangle(*told.values(), "units").on(grid).box(grid) == box


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_rows_and_columns_are_counted_from_a_grids_first_pixel(transform: Affine) -> None:
    grid = Grid(rasterio.CRS.from_string(UTM), transform, 100, 80)
    assert rectangle(20, 15, 30, 10, "pixels").on(grid).box(grid) == (10, 20, 15, 30)


def test_bounds_in_degrees_are_told_where_a_crs_leads_to_them() -> None:
    assert describe_degrees(DEGREES) == "[10.00000, 48.00000, 13.00000, 50.00000]"
    local = rasterio.CRS.from_wkt('LOCAL_CS["a plan",UNIT["metre",1]]')
    assert describe_degrees(Grid(local, NORTH_UP, 10, 10)) == ""


def test_bounds_without_brackets_are_told_from_the_name_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("write scene.area=[9.05, -45.1, 9.06, -45]")):
        read_area(tmp_path / "9.05, -45.1,9.06,-45")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a GeoJSON file, got Expecting value"),
        ("[]", "expected a GeoJSON file"),
        ('{"type": "Point", "coordinates": [0, 0]}', "expected a GeoJSON file, got a 'Point'"),
        ('{"type": "FeatureCollection", "features": []}', "expected a polygon, got none"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}', "expected closed rings in degrees"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 95], [0, 0]]]}', "expected closed rings in degrees"),
        ('{"type": "Polygon", "coordinates": "all"}', "expected rings of coordinates"),
        ('{"type": "Polygon", "coordinates": [[["a", 0]]]}', "expected rings of coordinates"),
        ('{"type": "Polygon"}', "expected a GeoJSON file, got no key 'coordinates'"),
        ('{"type": "Feature", "geometry": ' * 20 + "{}" + "}" * 20, "got collections within collections"),
        ("[" * 100_000, "expected a GeoJSON file, got maximum recursion depth"),
    ],
)
def test_a_file_that_is_no_area_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        read_area(tmp_path / "a.geojson")
