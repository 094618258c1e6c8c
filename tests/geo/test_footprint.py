import math

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from nst_rs.geo.footprint import bounding_box, corners, footprint, lattice, north, outline
from nst_rs.geo.grid import Grid
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

METRES_PER_DEGREE = 111_320
SOMEWHERE = Affine(30, 0, 200_000, 0, -30, 7_600_000)
SITE = CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')


def grid_of(transform: Affine, crs: str | CRS = UTM, width: int = 40, height: int = 30) -> Grid:
    return Grid(CRS.from_user_input(crs), transform, width, height)


def test_degrees_between_the_nodes_of_a_whole_landsat_scene_are_right_to_two_metres() -> None:
    grid = grid_of(SOMEWHERE, "EPSG:32725", 7800, 7700)
    found = lattice(grid, 33)
    assert found is not None
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, grid.width, 500), rng.uniform(0, grid.height, 500)
    expected = transform(grid.crs, "EPSG:4326", *(list(part) for part in grid.transform @ (x, y)))
    u, v = x / grid.width * 32, y / grid.height * 32
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    for part, degrees in zip(found, expected, strict=True):
        upper = (1 - u + i) * part[j, i] + (u - i) * part[j, i + 1]
        lower = (1 - u + i) * part[j + 1, i] + (u - i) * part[j + 1, i + 1]
        assert np.abs((1 - v + j) * upper + (v - j) * lower - degrees).max() * METRES_PER_DEGREE < 2


def test_longitudes_run_on_across_the_antimeridian() -> None:
    found = lattice(grid_of(Affine(100, 0, 700_000, 0, -100, 8_000_000), "EPSG:32760", 2000, 1000), 9)
    assert found is not None
    assert (np.diff(found[0], axis=1) > 0).all()
    assert found[0].min() < 180 < found[0].max()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [(NORTH_UP, 0), (SOUTH_UP, 180), (NORTH_UP @ Affine.rotation(25), -25), (NORTH_UP @ Affine.rotation(-90), 90)],
)
def test_north_is_where_the_grid_turns_it(transform: Affine, expected: float) -> None:
    # The grids begin on the zone's central meridian, where the projection's north is north.
    found = north(grid_of(transform))
    assert found is not None
    assert (found - expected + 180) % 360 - 180 == pytest.approx(0, abs=0.2)


def test_north_leans_away_from_the_central_meridian_as_the_convergence_says() -> None:
    latitude, east_of_meridian = -21.7, 2.9
    found = north(grid_of(Affine(30, 0, 800_000, 0, -30, 7_600_000), "EPSG:32725", 10, 10))
    convergence = math.degrees(math.atan(math.tan(math.radians(east_of_meridian)) * math.sin(math.radians(latitude))))
    assert found == pytest.approx(-convergence, abs=0.05)


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_the_outline_is_a_closed_ring_counter_clockwise_through_the_corners(transform: Affine) -> None:
    ring = outline(grid_of(transform))
    assert ring[0] == ring[-1]
    x, y = np.array(ring).T
    area = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2
    assert area == pytest.approx(40 * 30 * 30 * 30)
    found = corners(grid_of(transform))
    assert {(round(a), round(b)) for a, b in found} == {
        tuple(round(value) for value in transform @ corner) for corner in [(0, 0), (40, 0), (40, 30), (0, 30)]
    }


def test_the_footprint_is_where_the_corners_are_on_earth() -> None:
    grid = grid_of(SOMEWHERE, "EPSG:32725")
    found = footprint(grid)
    assert found is not None
    west, south, east, north_ = bounding_box(found)
    x, y = zip(*corners(grid), strict=True)
    longitudes, latitudes = transform(grid.crs, "EPSG:4326", list(x), list(y))
    assert [west, east] == pytest.approx([min(longitudes), max(longitudes)], abs=1e-6)
    assert [south, north_] == pytest.approx([min(latitudes), max(latitudes)], abs=1e-6)


def test_a_footprint_over_the_antimeridian_is_cut_there_and_its_box_goes_round() -> None:
    found = footprint(grid_of(Affine(100, 0, 700_000, 0, -100, 8_000_000), "EPSG:32760", 2000, 1000))
    assert found is not None
    assert found["type"] == "MultiPolygon"
    west, south, east, north_ = bounding_box(found)
    assert 178 < west < 180
    assert -180 < east < -178
    assert south < north_ < -17


def test_a_place_that_is_not_on_earth_has_no_degrees() -> None:
    grid = grid_of(NORTH_UP, SITE)
    assert (lattice(grid, 5), north(grid), footprint(grid)) == (None, None, None)
