import math

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from nst_rs.geo.footprint import (
    bounding_box,
    corners,
    degrees,
    footprint,
    lattice,
    north,
    outline,
    turned,
    unit_vectors,
)
from nst_rs.geo.grid import Grid
from tests.places import (
    ACROSS,
    AROUND,
    BEYOND,
    EVERYWHERE,
    NORTH_POLE,
    ORDINARY,
    POLE_ON_THE_EDGE,
    SOUTH_POLE,
)
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

METRES_PER_DEGREE = 111_320
EARTH = 6_371_000
"""Metres from its middle."""
SOMEWHERE_NORTH = ORDINARY | ACROSS | AROUND | BEYOND | POLE_ON_THE_EDGE
SOMEWHERE = Affine(30, 0, 200_000, 0, -30, 7_600_000)
SITE = CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')


def grid_of(transform: Affine, crs: str | CRS = UTM, width: int = 40, height: int = 30) -> Grid:
    return Grid(CRS.from_user_input(crs), transform, width, height)


def between(nodes: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Interpolate between nodes, as the report's page does; `u` and `v` from 0 to 1."""
    last = len(nodes) - 1
    i, j = (np.minimum(np.floor(part * last).astype(int), last - 1) for part in (u, v))
    s, t = u * last - i, v * last - j
    upper = (1 - s) * nodes[j, i] + s * nodes[j, i + 1]
    lower = (1 - s) * nodes[j + 1, i] + s * nodes[j + 1, i + 1]
    return np.asarray((1 - t) * upper + t * lower)


def metres_off(grid: Grid) -> float:
    """How far points between the nodes of the report's lattice are from where they lie, at most."""
    nodes = lattice(grid, 33)
    assert nodes is not None
    u, v = np.random.default_rng(0).uniform(0, 1, (2, 500))
    expected = degrees(grid, u * grid.width, v * grid.height)
    assert expected is not None
    found = np.array([between(part, u, v) for part in nodes])
    if grid.crs.is_geographic:
        found = np.array(unit_vectors(*found))
    return float(EARTH * np.linalg.norm(found / np.linalg.norm(found, axis=0) - unit_vectors(*expected), axis=0).max())


def test_places_between_the_nodes_of_a_whole_landsat_scene_are_right_to_two_metres() -> None:
    assert metres_off(grid_of(SOMEWHERE, "EPSG:32725", 7800, 7700)) < 2


@pytest.mark.parametrize("grid", EVERYWHERE.values(), ids=EVERYWHERE)
def test_places_between_the_nodes_of_the_lattice_are_right_to_a_pixel(grid: Grid) -> None:
    pixel = max(grid.pixel) * (METRES_PER_DEGREE if grid.crs.is_geographic else 1)
    # In the corners of the largest, near the other pole, a pixel is drawn out to several times its length.
    assert metres_off(grid) < pixel * (3 if grid.crs.to_epsg() == 6931 else 1)


@pytest.mark.parametrize("grid", EVERYWHERE.values(), ids=EVERYWHERE)
def test_the_footprint_is_a_valid_shape_on_the_globe_that_holds_the_grids_pixels_and_no_others(grid: Grid) -> None:
    geometry = footprint(grid)
    assert geometry is not None
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    west, south, east, north_ = shape.bounds
    assert -180 <= west < east <= 180
    assert -90 <= south < north_ <= 90
    columns, rows = np.random.default_rng(0).uniform(0.02, 0.98, (2, 500)) * [[grid.width], [grid.height]]
    assert shapely.contains_xy(shape, *on_the_globe(grid, columns, rows)).all()
    if grid in AROUND.values():
        return  # beside the grid is the grid
    beside = np.array([-0.02, 1.02])
    middle = np.array([0.3, 0.6])
    for x, y in ((beside, middle), (middle, beside)):
        assert not shapely.contains_xy(shape, *on_the_globe(grid, x * grid.width, y * grid.height)).any()


def on_the_globe(grid: Grid, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = degrees(grid, columns, rows)
    assert place is not None
    return (place[0] + 180) % 360 - 180, place[1]


@pytest.mark.parametrize("grid", ACROSS.values(), ids=ACROSS)
def test_a_footprint_over_the_antimeridian_is_cut_there_and_its_box_goes_round(grid: Grid) -> None:
    geometry = footprint(grid)
    assert geometry is not None
    assert geometry["type"] == "MultiPolygon"
    west, south, east, north_ = bounding_box(geometry)
    columns, rows = np.meshgrid(np.linspace(0, grid.width, 50), np.linspace(0, grid.height, 50))
    longitude, latitude = on_the_globe(grid, columns, rows)
    # The outline's points are a sixteenth of a side apart, and its sides bend by less than this.
    assert west == pytest.approx(longitude[longitude > 0].min(), abs=1e-3)
    assert east == pytest.approx(longitude[longitude < 0].max(), abs=1e-3)
    assert (south, north_) == (pytest.approx(latitude.min(), abs=1e-3), pytest.approx(latitude.max(), abs=1e-3))


@pytest.mark.parametrize("grid", AROUND.values(), ids=AROUND)
def test_a_grid_all_the_way_round_is_a_belt_of_the_globe(grid: Grid) -> None:
    geometry = footprint(grid)
    assert geometry is not None
    west, south, east, north_ = bounding_box(geometry)
    assert (west, east) == (-180, 180)
    assert south == -north_
    assert 79 < north_ <= 90


@pytest.mark.parametrize("grid", (NORTH_POLE | SOUTH_POLE).values(), ids=NORTH_POLE | SOUTH_POLE)
def test_the_footprint_of_a_grid_around_a_pole_is_closed_over_it(grid: Grid) -> None:
    geometry = footprint(grid)
    assert geometry is not None
    west, south, east, north_ = bounding_box(geometry)
    assert (west, east) == (-180, 180)
    assert north_ == 90 if grid in NORTH_POLE.values() else south == -90
    assert (south, north_) != (-90, 90)


def test_a_grid_whose_edge_runs_through_the_pole_is_on_its_own_side_of_it() -> None:
    boxes = []
    for grid in POLE_ON_THE_EDGE.values():
        geometry = footprint(grid)
        assert geometry is not None
        boxes.append(bounding_box(geometry))
    # Within what a ten-thousandth of a pixel comes to where the meridians meet.
    assert boxes[0][::2] == pytest.approx([-45, 45], abs=1e-3)
    assert boxes[1][::2] == pytest.approx([-135, 45], abs=1e-3)
    assert boxes[2][::2] == pytest.approx([90, -90], abs=1e-3)
    assert [abs(box[i]) for box, i in zip(boxes, (3, 3, 1), strict=True)] == pytest.approx([90] * 3, abs=1e-3)


@pytest.mark.parametrize("grid", SOMEWHERE_NORTH.values(), ids=SOMEWHERE_NORTH)
def test_whoever_walks_north_from_the_middle_keeps_to_the_meridian(grid: Grid) -> None:
    direction = north(grid)
    assert direction is not None
    step = np.array([0, 0.01])
    columns = grid.width / 2 + step * math.sin(math.radians(direction))
    rows = grid.height / 2 - step * math.cos(math.radians(direction))
    longitude, latitude = on_the_globe(grid, columns, rows)
    assert latitude[1] > latitude[0]
    # A hundredth of a pixel of a degree and a half at most: what the meridian bends by there is far less.
    east = (longitude[1] - longitude[0] + 180) % 360 - 180
    assert abs(east * math.cos(math.radians(latitude[0]))) < 1e-3 * (latitude[1] - latitude[0])


@pytest.mark.parametrize("grid", (NORTH_POLE | SOUTH_POLE).values(), ids=NORTH_POLE | SOUTH_POLE)
def test_north_of_a_grid_around_a_pole_is_left_out(grid: Grid) -> None:
    assert north(grid) is None


@pytest.mark.parametrize("grid", EVERYWHERE.values(), ids=EVERYWHERE)
def test_a_pixel_is_found_by_its_place_in_the_grid_or_in_a_copy_of_it_a_turn_away(grid: Grid) -> None:
    columns, rows = np.random.default_rng(0).uniform(0.02, 0.98, (2, 500)) * [[grid.width], [grid.height]]
    x, y = transform("EPSG:4326", grid.crs, *(list(part) for part in on_the_globe(grid, columns, rows)))
    nearest = np.full(500, np.inf)
    for copy in turned(grid):
        column, row = ~copy @ (np.array(x), np.array(y))
        nearest = np.minimum(nearest, np.hypot(column - columns, row - rows))
    assert nearest.max() < 0.51  # half a pixel where the grid ends half a pixel beyond the globe
    if grid not in (ACROSS | AROUND | BEYOND).values():
        assert turned(grid) == [grid.transform]


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


@pytest.mark.parametrize("crs", [SITE, "EPSG:4978"], ids=["of a building site", "from the Earth's middle"])
def test_a_place_that_is_not_on_earth_has_no_degrees(crs: str | CRS) -> None:
    grid = grid_of(NORTH_UP, crs)
    assert (lattice(grid, 5), north(grid), footprint(grid), turned(grid)) == (None, None, None, [grid.transform])


def test_a_grid_that_its_projection_does_not_reach_has_no_degrees() -> None:
    corners_beyond_the_globe = grid_of(Affine(100_000, 0, -17e6, 0, -100_000, 8.6e6), "ESRI:54030", 340, 172)
    assert footprint(corners_beyond_the_globe) is None
    assert north(corners_beyond_the_globe) is None
