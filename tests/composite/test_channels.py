import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.windows import Window

from nst_rs.composite.channels import Channels, resolve_channels, spyndex_bands
from nst_rs.errors import ConfigError
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene
from nst_rs.scene.sensors import load_sensors
from tests.rasters import random_values, write_raster

WHOLE = Window(0, 0, 6, 5)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    values = random_values((4, 5, 6), "uint16")
    values[:, 0, 0] = 0
    return open_scene([write_raster(tmp_path / "scene.tif", values, names=("blue", "green", "red", "nir"))])


def test_indices_are_channels_beside_bands(scene: Scene) -> None:
    chosen = resolve_channels(scene, ("ndvi", "NDWI", "red"))
    assert chosen == ("NDVI", "NDWI", 3)
    channels = Channels(scene, chosen)
    values, valid = scene.read(channels.bands, WHOLE)
    found, defined = channels.compute(values)
    _, green, red, nir = scene.read([1, 2, 3, 4], WHOLE)[0].astype("float32")
    with np.errstate(invalid="ignore"):
        expected = np.stack([(nir - red) / (nir + red), (green - nir) / (green + nir), red])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (channels.dtype, found.dtype) == ("float32", np.float32)
    assert valid.all()
    np.testing.assert_array_equal(defined, np.isfinite(expected).all(axis=0))
    assert not defined[0, 0]  # nothing over nothing


def test_an_index_takes_its_constants_as_spyndex_has_them(scene: Scene) -> None:
    channels = Channels(scene, ("SAVI", 1, 1))
    found, _ = channels.compute(scene.read(channels.bands, WHOLE)[0])
    _, _, red, nir = scene.read([1, 2, 3, 4], WHOLE)[0].astype("float32")
    np.testing.assert_allclose(found[0], 2 * (nir - red) / (nir + red + 1), rtol=1e-5)


def test_bands_alone_stay_as_stored(scene: Scene) -> None:
    channels = Channels(scene, (3, 1, 3))
    assert (channels.bands, channels.dtype) == ((3, 1), "uint16")
    values, _ = scene.read(channels.bands, WHOLE)
    np.testing.assert_array_equal(channels.compute(values)[0], values[[0, 1, 0]])


def test_a_bands_name_comes_before_an_index_of_that_name(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((3, 5, 6)), names=("ndvi", "red", "nir"))
    assert resolve_channels(open_scene([path]), ("ndvi", "red", "nir")) == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("ndmi", "composite.bands: NDMI: expected bands nir, swir1, got a scene without swir1"),
        ("kNDVI", "got a scene without"),
        ("nosuch", "composite.bands: expected bands of 1 (blue), 2 (green), 3 (red), 4 (nir), got 'nosuch'"),
    ],
)
def test_an_index_that_the_bands_are_not_enough_for_is_refused(scene: Scene, name: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        resolve_channels(scene, (name, "red", "green"))


def test_every_sensors_bands_are_known_to_spyndex_but_those_that_no_index_is_made_of() -> None:
    import spyndex

    names = spyndex_bands()
    in_formulas = {band for index in spyndex.indices.values() for band in index.bands}
    assert set(spyndex.bands) <= set(names.values()) <= set(spyndex.bands) | in_formulas
    assert {short: name for name, short in names.items()}["N"] == "nir"
    bands = {band.common for sensor in load_sensors().sensors for band in sensor.bands}
    assert bands - set(names) == {"cirrus", "pan"}


def test_a_band_has_one_name_and_it_is_the_sensor_tables_own() -> None:
    names = spyndex_bands()
    assert len(set(names.values())) == len(names)
    ours = {
        "coastal": "A",
        "green1": "G1",
        "nir08": "N2",
        "nir09": "WV",
        "swir1": "S1",
        "swir2": "S2",
        "rededge1": "RE1",
    }
    assert names.items() >= ours.items()
    assert "swir16" not in names


@pytest.mark.parametrize("names", [("VV", "VH"), ("Sigma0_VV", "Sigma0_VH"), ("gamma0_vv", "gamma0_vh")])
def test_a_radars_bands_make_its_indices(tmp_path: Path, names: tuple[str, str]) -> None:
    values = random_values((2, 6, 6), "float32")
    scene = open_scene([write_raster(tmp_path / "scene.tif", values, names=names)])
    chosen = resolve_channels(scene, ["VV", "VH", "VHVVR"])
    assert chosen == (1, 2, "VHVVR")
    channels = Channels(scene, chosen)
    found, valid = channels.compute(scene.read(channels.bands, Window(0, 0, 6, 6))[0])
    np.testing.assert_allclose(found[2], values[1] / values[0], rtol=1e-6)
    assert valid.all()


def test_a_radars_bands_in_files_of_their_own_are_one_scene(tmp_path: Path) -> None:
    for name in ("s1a_vv_20200101", "s1a_vh_20200101"):
        write_raster(tmp_path / f"{name}.tif", random_values((1, 6, 6), "float32"))
    assert [label.common for label in open_scene([tmp_path]).labels] == ["vh", "vv"]


@pytest.mark.parametrize(("bands", "options", "warned"), [
    (2, {"names": ("VV", "VH")}, ["VV, VH"]),
    (2, {}, ["unnamed, unnamed"]),
    (2, {"alpha": "yes"}, []),
    (1, {}, []),
    (3, {}, []),
])  # fmt: skip
def test_a_scene_of_two_bands_does_not_become_one_band_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bands: int, options: dict[str, Any], warned: list[str]
) -> None:
    scene = open_scene([write_raster(tmp_path / "scene.tif", random_values((bands, 6, 6)), **options)])
    resolve_channels(scene, None)
    assert [message.partition("(")[2].partition(")")[0] for message in caplog.messages] == warned


@pytest.mark.parametrize(("count", "example"), [(1, "[1, 1, 1]"), (2, "[1, 2, 2]"), (4, "[1, 2, 3]")])
def test_a_name_among_bands_without_names_is_answered_with_numbers_to_set(
    tmp_path: Path, count: int, example: str
) -> None:
    """A learned style asks for the bands that it was learned on by their names."""
    scene = open_scene([str(write_raster(tmp_path / "scene.tif", random_values((count, 4, 5))))])
    said = f"got 'red'; these bands have no names: set composite.bands to numbers, such as {example}"
    with pytest.raises(ConfigError, match=re.escape(said)):
        resolve_channels(scene, ["red", "green", "blue"])
