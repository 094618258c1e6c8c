"""A real run over a product with a cloud: left as it is, or left out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import nst_rs
from tests.products import stored, write_landsat_level2

CLOUD, FILL = np.s_[:6, :5], np.s_[:, -2:]


@pytest.mark.parametrize("memory", ["4GB", "1MB"])
def test_clouds_are_shown_as_they_are_and_nothing_learns_from_them(
    tmp_path: Path, harvest: Path, quick: dict[str, Any], memory: str
) -> None:
    product = tmp_path / "product"
    product.mkdir()
    write_landsat_level2(product)
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 2, "compute.memory": memory}
    clouds = {"composite.mask": "clouds", "composite.bands": "true_color"}
    result = nst_rs.stylize(product, harvest, tmp_path / "map.tif", settings={**settings, **clouds})
    with rasterio.open(result.output) as made:
        picture, valid = made.read(), made.dataset_mask() > 0
    expected = np.ones((20, 24), np.bool_)
    expected[FILL] = False
    np.testing.assert_array_equal(valid, expected)
    record = json.loads(result.record.read_text())
    assert record["scene"]["sensor"] == "landsat-oli-l2"
    assert record["scene"]["bands"] == ["B4", "B3", "B2"]
    assert record["scene"]["valid_share"] == pytest.approx((20 * 22 - 30) / 480)
    for channel, (band, (low, high)) in enumerate(zip(("B4", "B3", "B2"), record["scene"]["limits"], strict=True)):
        reflectance = (stored(band, (20, 24))[0] + 8000.0) * 2.75e-5 - 0.2
        shown = np.clip((reflectance - low) / (high - low) * 255, 0, 255)
        # float32 rounding of reflectances may tip a value at a half.
        assert np.abs(picture[channel][CLOUD] - shown[CLOUD]).max() <= 0.51
    without = nst_rs.stylize(
        product, harvest, tmp_path / "holes.tif", settings={**settings, **clouds, "composite.masked": "nodata"}
    )
    with rasterio.open(without.output) as made:
        expected[CLOUD] = False
        np.testing.assert_array_equal(made.dataset_mask() > 0, expected)
        np.testing.assert_array_equal(made.read()[:, expected], picture[:, expected])
