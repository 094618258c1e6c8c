"""Maps whose overviews are pictures of their own, as cloud-optimised GeoTIFFs."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from nst_rs.config.sections import Profile
from nst_rs.geo.grid import Grid
from nst_rs.output.rasters.cog import write_cog
from tests.published import map_with_zooms
from tests.rasters import NORTH_UP, UTM

SHAPE = 701, 1203
GRID = Grid(CRS.from_string(UTM), NORTH_UP, SHAPE[1], SHAPE[0])


@pytest.mark.parametrize("zooms", [1, 3, 6])
def test_every_overview_is_its_picture_to_the_bit(tmp_path: Path, zooms: int) -> None:
    styled = map_with_zooms(GRID, zooms, tags={"NST_RS_STYLE": "painting.jpg"})
    write_cog(tmp_path / "map.tif", styled)
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]
    assert cog_validate(tmp_path / "map.tif", strict=True, quiet=True) == (True, [], [])
    for number, wanted in enumerate((styled, *styled.zooms)):
        with rasterio.open(tmp_path / "map.tif", **({"overview_level": number - 1} if number else {})) as found:
            valid = wanted.weight > 0
            assert found.shape == wanted.grid.shape
            np.testing.assert_array_equal(found.dataset_mask() > 0, valid)
            np.testing.assert_array_equal(np.moveaxis(found.read(), 0, -1), wanted.picture * valid[..., np.newaxis])
            assert found.crs == GRID.crs
    with rasterio.open(tmp_path / "map.tif") as found:
        assert len(found.overviews(1)) == zooms
        assert (found.transform, found.tags()["NST_RS_STYLE"]) == (NORTH_UP, "painting.jpg")


@pytest.mark.parametrize("profile", ["jpeg", "webp"])
def test_a_lossy_profile_keeps_them_nearly(tmp_path: Path, profile: Profile) -> None:
    styled = map_with_zooms(GRID, 2, profile)
    write_cog(tmp_path / "map.tif", styled)
    for number, wanted in enumerate(styled.zooms):
        with rasterio.open(tmp_path / "map.tif", overview_level=number) as found:
            np.testing.assert_array_equal(found.dataset_mask() > 0, wanted.weight > 0)
            # Sharp edges between squares of any colours: of a picture it is far less.
            assert np.abs(np.moveaxis(found.read(), 0, -1) - wanted.picture).mean() < 15
