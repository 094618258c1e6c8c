import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from nst_rs.geo.grid import Grid

UTM = CRS.from_epsg(32621)


@pytest.mark.parametrize("begun", [(717345.0, -2776995.0), (300000.0, 5000040.0), (0.0, 0.0)])
def test_a_pixel_has_one_number_in_all_scenes_of_one_lattice(begun: tuple[float, float]) -> None:
    """Also where they begin at half a pixel, and in spite of rounding in files' headers."""
    whole = Grid(UTM, Affine(30, 0, begun[0], 0, -30, begun[1]), 1000, 1000)
    row, column = whole.first_pixel
    for rows in range(7):
        for noise in (-1e-6, 1e-6):
            part = Affine(30, 0, begun[0] + 30 * 3 * rows + noise, 0, -30, begun[1] - 30 * rows - noise)
            assert Grid(UTM, part, 50, 50).first_pixel == (row + rows, column + 3 * rows)


def test_a_turned_grid_counts_from_its_own_corner() -> None:
    assert Grid(UTM, Affine(30, 5, 1000, 5, -30, 2000), 10, 10).first_pixel == (0, 0)
