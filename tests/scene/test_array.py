"""Scenes in memory: what is one and what is not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray

import nst_rs
from nst_rs.errors import SceneError, StyleError
from tests.rasters import in_memory, random_values, write_raster

BANDS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return random_values((3, 64, 80))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> Path:
    return write_raster(tmp_path_factory.mktemp("scene") / "scene.tif", values, names=BANDS, nodata=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"crs": None}, "scene array: expected a CRS, got none"),
        ({"crs": "the moon"}, "scene array: expected a CRS such as EPSG:32725"),
        ({"transform": (30, 0)}, "scene array: expected an affine transform"),
        ({"transform": 30}, "scene array: expected an affine transform"),
        ({"bands": ("red",)}, "scene array: expected 3 names of bands, got 1"),
        ({"values": np.zeros((64, 80))}, r"scene array: expected the shape \(bands, height, width\), got \(64, 80\)"),
        ({"values": np.zeros((3, 0, 80))}, "scene array: expected the shape"),
        ({"values": np.full((3, 64, 80), "red")}, "scene array: expected what a GeoTIFF holds"),
        ({"values": np.zeros((3, 64, 80), object)}, "scene array: expected what a GeoTIFF holds"),
        ({"nodata": -1}, "scene array: expected what a GeoTIFF holds"),
        (
            {"values": np.ma.masked_all((3, 64, 80)), "nodata": None},
            "scene array: expected a value for nodata, as it is masked, got none",
        ),
    ],
)
def test_an_array_that_is_no_scene_is_refused(values: np.ndarray, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError, match=message):
        nst_rs.inspect(in_memory(values, **changed))


def test_a_data_array_without_a_grid_is_refused(scene: Path) -> None:
    array = rioxarray.open_rasterio(scene)
    with pytest.raises(SceneError, match="scene array: expected dimensions y and x"):
        nst_rs.inspect(array.rename(x="column", y="row"))
    with pytest.raises(SceneError, match="scene array: expected one dimension besides those of space"):
        nst_rs.inspect(array.expand_dims("time"))
    with pytest.raises(SceneError, match="scene array: expected a CRS, got none"):
        nst_rs.inspect(array.drop_vars("spatial_ref"))


def test_pixels_without_their_place_are_refused(scene: Path, values: np.ndarray) -> None:
    with pytest.raises(SceneError, match="expected a transform and a CRS, got pixels alone; put them into a"):
        nst_rs.inspect(values)  # type: ignore[arg-type]
    with pytest.raises(SceneError, match="expected one DataArray, got a Dataset; use its to_dataarray"):
        nst_rs.inspect(rioxarray.open_rasterio(scene).to_dataset("band"))
    with pytest.raises(StyleError, match=r"got an array; make one with PIL\.Image\.fromarray"):
        nst_rs.plan(scene, values)  # type: ignore[arg-type]


def test_a_data_arrays_bands_are_named_by_its_coordinate(scene: Path) -> None:
    array = rioxarray.open_rasterio(scene).assign_coords(band=["swir16", "nir", "red"])
    del array.attrs["long_name"]
    assert nst_rs.inspect(array).scene.band_names == ("swir16", "nir", "red")
    assert nst_rs.inspect(array.isel(band=0, drop=True)).scene.grid.shape == (64, 80)
