"""What the bands of a STAC item are called, and what their values mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from nst_rs.composite.channels import resolve_channels
from nst_rs.config.sections import SceneSection
from nst_rs.errors import ConfigError
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene_of
from nst_rs.scene.stac_items.assets import Asset
from tests import stac_items as given_items
from tests.stac_items import Assets, eo, raster, sentinel2_file, write_item


def scene_of(folder: Path, assets: Assets, *wanted: str) -> Scene:
    return open_scene_of(SceneSection(paths=(str(write_item(folder, assets)),), assets=wanted))


def band_names(scene: Scene) -> list[str]:
    return [str(label) for label in scene.labels]


EXPECTED_NAMES: dict[Callable[[], Assets], list[str]] = {
    given_items.planetary_computer_sentinel2: [
        "B02 blue", "B03 green", "B04 red", "B05 rededge1", "B06 rededge2", "B8A nir08", "B09 nir09", "B12 swir2",
    ],
    given_items.earth_search_sentinel2: [
        "B04 red", "B03 green", "B02 blue", "B05 rededge1", "B06 rededge2", "B07 rededge3",
    ],
    given_items.stactools_sentinel2: [
        "B02 blue", "B03 green", "B04 red", "B05 rededge1", "B06 rededge2", "B07 rededge3",
    ],
    given_items.stac11_sentinel2: ["B01 coastal", "B02 blue", "B03 green", "B04 red", "B05", "B06"],
    given_items.data_space_sentinel2: ["B02 blue", "B03 green", "B04 red", "B05 rededge1", "B8A nir08"],
    given_items.landsat: [
        "OLI_B2 blue", "OLI_B3 green", "OLI_B4 red", "OLI_B5 nir", "OLI_B6 swir1", "OLI_B7 swir2", "TIRS_B10 thermal1",
    ],
    given_items.landsat_mss: ["B4 green", "B5 red", "B6 nir", "B7 nir09"],
    given_items.modis: [
        "sur_refl_b01 red", "sur_refl_b02 nir", "sur_refl_b03 blue", "sur_refl_b04 green", "sur_refl_b06 swir1",
    ],
    given_items.aster: [
        "VNIR_1 green", "VNIR_2 red", "VNIR_3N nir", "SWIR_4 swir1", "SWIR_5 swir2", "SWIR_6 swir2", "TIR_10 thermal1",
        "TIR_11",
    ],
    given_items.naip: ["Red", "Green", "Blue", "NIR"],
    given_items.maxar: ["BAND_B blue", "BAND_G green", "BAND_R red", "BAND_N nir", "BAND_P pan"],
    given_items.planet: ["band-1 red", "band-2 green", "band-3 blue", "band-4 nir"],
    given_items.radar: ["VH", "VV"],
    given_items.polarizations: ["vv", "vh"],
    given_items.hls: ["B01", "B02", "B03"],
    given_items.numbered: ["B02", "B03", "B04"],
    given_items.keyed: ["red", "green", "blue"],
    given_items.rendering: ["red", "green", "blue"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("assets", "names"), [pytest.param(made(), names, id=made.__name__) for made, names in EXPECTED_NAMES.items()]
)
def test_a_providers_bands_have_the_names_of_their_item_and_the_common_ones_of_this_program(
    tmp_path: Path, assets: Assets, names: list[str]
) -> None:
    assert band_names(scene_of(tmp_path, assets)) == names


COMMON_NAMES = {
    "pan": "pan", "coastal": "coastal", "blue": "blue", "green": "green", "green05": "green1", "yellow": "yellow",
    "red": "red", "rededge": "rededge", "rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3",
    "nir": "nir", "nir09": "nir09", "cirrus": "cirrus", "swir16": "swir1", "swir22": "swir2", "lwir": "thermal1",
    "lwir11": "thermal1", "lwir12": "thermal2",
}  # fmt: skip
"""The names of STAC's eo extension, versions 1.1 and 2.0; nir08 has tests of its own."""


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
@pytest.mark.parametrize("field", ["eo:bands", "bands", "asset"])
def test_every_common_name_of_stac_is_known_wherever_it_stands(
    tmp_path: Path, field: str, spelled: Callable[[str], str]
) -> None:
    def described(stac: str) -> dict[str, Any]:
        fields: dict[str, dict[str, Any]] = {
            "eo:bands": {"eo:bands": [{"common_name": spelled(stac)}]},
            "bands": {"bands": [{"eo:common_name": spelled(stac)}]},
            "asset": {"eo:common_name": spelled(stac)},
        }
        return fields[field]

    assets = {f"asset{n}": raster(f"{n}.tif", 60, **described(stac)) for n, stac in enumerate(COMMON_NAMES)}
    labels = scene_of(tmp_path, assets).labels
    assert [label.common for label in labels] == list(COMMON_NAMES.values())
    assert all(label.answers_to(stac) for label, stac in zip(labels, COMMON_NAMES, strict=True))


def test_the_narrow_near_infrared_is_the_near_infrared_where_there_is_no_wide_one(tmp_path: Path) -> None:
    narrow = {"a": raster("a.tif", **{"eo:bands": eo("B5 nir08")}), "b": raster("b.tif", **{"eo:bands": eo("B4 red")})}
    scene = scene_of(tmp_path, narrow)
    assert resolve_channels(scene, ("nir", "nir08", "NDVI")) == (1, 1, "NDVI")
    both = scene_of(tmp_path, {**narrow, "c": raster("c.tif", **{"eo:bands": eo("B8 nir")})})
    assert resolve_channels(both, ("nir", "nir08", "NDVI")) == (3, 1, "NDVI")


def test_bands_that_are_numbers_are_those_of_the_items_own_list(tmp_path: Path) -> None:
    listed = eo("SR_B2 blue", "SR_B3 green", "SR_B4 red", "SR_B5 nir08")
    properties = {"datetime": "2020-01-01T00:00:00Z", "eo:bands": listed}
    assets = given_items.landsat_by_number()
    path = write_item(tmp_path, assets, stac_version="1.0.0-beta.2", properties=properties)
    scene = open_scene_of(SceneSection(paths=(str(path),)))
    assert band_names(scene) == ["SR_B2 blue", "SR_B3 green", "SR_B4 red", "SR_B5 nir"]
    quality = scene.tiles[0].product.quality
    assert quality is not None
    assert quality.kind == "qa_pixel"


@pytest.mark.parametrize("name", ["color_infrared", "swir", "agriculture", "natural", "urban"])
def test_a_landsat_item_makes_the_composites_of_its_sensor(tmp_path: Path, name: str) -> None:
    scene = scene_of(tmp_path, given_items.landsat())
    bands = {"color_infrared": (4, 3, 2), "swir": (6, 4, 3), "agriculture": (5, 4, 1), "natural": (5, 4, 3)}
    assert resolve_channels(scene, name) == {**bands, "urban": (6, 5, 3)}[name]


@pytest.mark.parametrize("made", [given_items.earth_search_sentinel2, given_items.stactools_sentinel2])
def test_several_red_edges_are_told_apart(tmp_path: Path, made: Callable[[], Assets]) -> None:
    scene = scene_of(tmp_path, made())
    wanted = ("rededge1", "rededge2", "rededge3")
    assert resolve_channels(scene, wanted) == (4, 5, 6)
    assert resolve_channels(scene, ("rededge071", "B06", "B07")) == (4, 5, 6)


def test_red_edges_that_only_their_keys_tell_apart_all_stay(tmp_path: Path) -> None:
    assets = {f"rededge{n}": raster(f"{n}.tif", **{"eo:bands": [{"common_name": "rededge"}]}) for n in (1, 2, 3)}
    assert [label.common for label in scene_of(tmp_path, assets).labels] == ["rededge1", "rededge2", "rededge3"]


@pytest.mark.parametrize("said", [eo("VNIR_1 green", "VNIR_2 red", "VNIR_3N nir08"), eo("first", "second", "third")])
@pytest.mark.parametrize("field", ["eo:bands", "bands"])
def test_a_files_colour_tags_never_stand_beside_the_items_names(tmp_path: Path, said: Any, field: str) -> None:
    tagged = raster("VNIR.tif", 10, 3, "uint8", profile={"photometric": "RGB"}, **{field: said})
    scene = scene_of(tmp_path, {"VNIR": tagged})
    assert not any(label.answers_to("blue") for label in scene.labels)
    assert "true_color" not in scene.composites
    known = [label.name for label in scene.labels if label.answers_to("red")]
    assert known == [band["name"] for band in said if band.get("common_name") == "red"]


def test_a_files_colour_tags_name_the_bands_of_which_the_item_says_nothing(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, given_items.rendering())
    assert resolve_channels(scene, "true_color") == (1, 2, 3)


def test_an_assets_key_is_no_name_of_its_band_where_it_is_another_bands_own(tmp_path: Path) -> None:
    swapped = {
        "green": raster("a.tif", **{"eo:bands": eo("B3 red")}),
        "red": raster("b.tif", **{"eo:bands": eo("B4 green")}),
    }
    assert resolve_channels(scene_of(tmp_path, swapped), ("red", "green", "B3")) == (1, 2, 1)


UNNAMED = [
    given_items.hls, given_items.modis_vegetation, given_items.numbered, given_items.radar, given_items.polarizations,
    given_items.landsat_mss, given_items.aster,
]  # fmt: skip


@pytest.mark.parametrize("made", UNNAMED)
def test_no_three_assets_are_taken_at_random(tmp_path: Path, made: Callable[[], Assets]) -> None:
    scene = scene_of(tmp_path, made())
    with pytest.raises(ConfigError) as refused:
        resolve_channels(scene, None)
    assert f"expected three bands of {', '.join(band_names(scene))}, got none" in str(refused.value)
    assert "scene.assets" in str(refused.value)
    first = scene.labels[0].name
    assert resolve_channels(scene, (first, first, 2)) == (1, 1, 2)


def test_chosen_assets_are_the_colours_in_their_order(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, given_items.hls(), "B03", "B02", "B01")
    assert band_names(scene) == ["B03", "B02", "B01"]
    assert resolve_channels(scene, None) == (1, 2, 3)


def test_the_bands_of_one_file_without_names_are_in_their_order(tmp_path: Path) -> None:
    assert resolve_channels(scene_of(tmp_path, {"analytic": raster("a.tif", 10, 4)}), None) == (1, 2, 3)


def test_a_sensor_is_known_by_its_files_names_whatever_token_follows_them(tmp_path: Path) -> None:
    href = f"https://a.org/{sentinel2_file('B04', 10)}?st=2024&sig=a%2Fb"
    assert Asset("B04", href, "", frozenset(), {}, (), {}).file_name == sentinel2_file("B04", 10)


VALUES = {"nodata": 0, "raster:scale": 0.5, "raster:offset": -3}
OLD_VALUES = {"nodata": 0, "scale": 0.5, "offset": -3}
OTHER = {"nodata": 9, "raster:scale": 9, "raster:offset": 9}


@pytest.mark.parametrize(
    ("asset", "properties"),
    [
        (VALUES, {}),
        ({"bands": [VALUES]}, {}),
        ({"raster:bands": [OLD_VALUES]}, {}),
        ({"raster:bands": [OLD_VALUES], "eo:bands": eo("B04 red")}, {}),
        ({"raster:bands": [OLD_VALUES], "bands": [{"name": "B04", "eo:common_name": "red"}]}, {}),
        ({**OTHER, "bands": [VALUES]}, {}),
        ({**OTHER, "raster:bands": [OLD_VALUES]}, {}),
        ({**VALUES, "bands": [dict.fromkeys(VALUES)]}, {}),
        ({}, VALUES),
        (VALUES, OTHER),
    ],
)
def test_what_an_item_says_of_values_is_known_wherever_it_stands(tmp_path: Path, asset: Any, properties: Any) -> None:
    """The nearest to the band goes before: the band, the asset, the item."""
    properties = {"datetime": "2024-05-18T10:50:31Z", **properties}
    path = write_item(tmp_path, {"red": raster("red.tif", **asset)}, stac_version="1.1.0", properties=properties)
    (source,) = open_scene_of(SceneSection(paths=(str(path),))).tiles[0].product.sources
    assert (source.fill, source.calibration.scale, source.calibration.offset) == (0, 0.5, -3)


def test_each_band_of_a_file_has_its_own_scale_and_what_stands_at_the_asset(tmp_path: Path) -> None:
    sources = scene_of(tmp_path, given_items.planet()).tiles[0].product.sources
    assert [source.calibration.scale for source in sources] == [0.01, 0.02, 0.03, 0.04]
    assert {source.fill for source in sources} == {0}


def test_a_common_name_at_an_asset_of_several_bands_is_none_of_theirs(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, {"stack": raster("a.tif", 10, 3, nodata=4, **{"eo:common_name": "red"})})
    assert band_names(scene) == ["", "", ""]
    assert scene.nodata == 4


def test_a_band_that_the_item_names_is_no_alpha_though_its_file_tags_it_so(tmp_path: Path) -> None:
    tagged = {"profile": {"photometric": "rgb", "alpha": "yes"}}
    named = {"image": {**given_items.naip()["image"], **tagged}}
    scene = scene_of(tmp_path, named)
    assert band_names(scene)[3] == "NIR"
    assert {source.header.alpha for source in scene.tiles[0].product.sources} == {None}
    silent = scene_of(tmp_path, {"image": raster("image.tif", 10, 4, "uint8", **tagged)})
    assert {source.header.alpha for source in silent.tiles[0].product.sources} == {4}


def test_a_palette_is_read_as_its_colours_whatever_the_item_says_of_their_numbers(tmp_path: Path) -> None:
    said = {"bands": [{"name": "b1", "nodata": 0}], "classification:classes": [{"value": 10}]}
    path = write_item(tmp_path, {"map": raster("map.tif", 10, dtype="uint8", **said)})
    with rasterio.open(tmp_path / "map.tif", "r+") as file:
        file.write_colormap(1, {number: (number, 0, 255 - number, 255) for number in range(256)})
    scene = open_scene_of(SceneSection(paths=(str(path),)))
    assert band_names(scene) == ["red", "green", "blue"]
    with rasterio.open(tmp_path / "map.tif") as file:
        stored = file.read(1)
    values, valid = scene.read([1, 2, 3], Window(0, 0, 12, 12))
    assert valid.all()
    np.testing.assert_array_equal(values, np.stack([stored, 0 * stored, 255 - stored]))
