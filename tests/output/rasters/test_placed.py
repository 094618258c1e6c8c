"""Parts of a map as files of the whole map's size, against the whole map's file; read by GDAL."""

from pathlib import Path

import numpy as np
import rasterio

from nst_rs.geo.grid import Grid
from nst_rs.output.rasters.cog import write_cog
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.placed import on_blocks, write_placed
from tests.places import ORDINARY
from tests.rasters import random_values

PLACE = ORDINARY["UTM"]
GRID = Grid(PLACE.crs, PLACE.transform, 1300, 1100)


def test_a_part_has_the_whole_maps_pixels_where_the_whole_map_has_them(tmp_path: Path) -> None:
    picture = np.moveaxis(random_values((3, *GRID.shape)), 0, -1)
    weight = np.ones(GRID.shape)
    weight[600:700, 100:300] = 0
    write_cog(tmp_path / "whole.tif", StyledMap(picture, weight, GRID))
    top, left, bottom, right = box = on_blocks((530, 10, 1090, 600), GRID)
    place = slice(top, bottom), slice(left, right)
    write_placed(tmp_path / "part.vrt", StyledMap(picture[place], weight[place], GRID.cut(box)), box, GRID)
    with rasterio.open(tmp_path / "whole.tif") as whole, rasterio.open(tmp_path / "part.vrt") as part:
        assert (part.shape, part.transform, part.crs) == (whole.shape, whole.transform, whole.crs)
        assert part.overviews(1) == whole.overviews(1)
        assert part.colorinterp == whole.colorinterp
        inside = (slice(None), *place)
        np.testing.assert_array_equal(part.read()[inside], whole.read()[inside])
        np.testing.assert_array_equal(part.dataset_mask()[place], whole.dataset_mask()[place])
        elsewhere = part.dataset_mask()
        elsewhere[place] = 0
        assert not elsewhere.any()


def test_a_box_grows_to_whole_blocks_inside_of_the_map() -> None:
    assert on_blocks((530, 10, 1090, 600), GRID) == (512, 0, 1100, 1024)
    assert on_blocks((0, 0, 512, 512), GRID) == (0, 0, 512, 512)
    assert on_blocks((1099, 1299, 1100, 1300), GRID) == (1024, 1024, 1100, 1300)
