from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from nst_rs.errors import StyleError
from nst_rs.geo.validity import validity
from tests.rasters import random_values, write_raster

VALID = np.arange(48).reshape(6, 8) % 5 > 0


def hidden(value: int) -> Any:
    return np.where(VALID, random_values((3, 6, 8)), np.uint8(value))


@pytest.mark.parametrize(
    ("value", "marked"),
    [
        (0, {"nodata": 0}),
        (255, {"nodata": 255}),
        (7, {"mask": VALID}),
        (7, {"mask": VALID, "internal_mask": False}),
        (0, {"mask": VALID, "nodata": 0}),
    ],
)
def test_nodata_and_masks_say_where_there_is_data(tmp_path: Path, value: int, marked: dict[str, Any]) -> None:
    found = validity(write_raster(tmp_path / "map.tif", hidden(value), photometric="RGB", **marked))
    np.testing.assert_array_equal(found, np.where(VALID, 255, 0))


def test_an_alpha_band_is_returned_as_it_is(tmp_path: Path) -> None:
    alpha = random_values((1, 6, 8))
    bands = np.concatenate([hidden(0), alpha])
    path = write_raster(tmp_path / "map.tif", bands, photometric="RGB", alpha="yes")
    with rasterio.open(path) as source:
        assert source.colorinterp[3].name == "alpha"
    np.testing.assert_array_equal(validity(path), alpha[0])


def test_a_picture_that_marks_nothing_and_lies_nowhere_has_no_validity(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "plain.tif")
    assert validity(tmp_path / "plain.tif") is None


def test_what_gdal_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.tif").write_bytes(b"II*\0")
    with pytest.raises(StyleError, match=f"style {tmp_path}/no.tif: expected a TIFF that GDAL can read, got .+"):
        validity(tmp_path / "no.tif")
