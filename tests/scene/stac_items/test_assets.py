"""Which of a STAC item's assets are the bands of its scene."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.config.sections import SceneSection
from nst_rs.errors import PixelTypeError, SceneError
from nst_rs.scene.opening import open_scene_of
from nst_rs.scene.products import Product
from nst_rs.scene.stac_items.assets import choose, compare_sizes, describe
from tests import stac_items as given_items
from tests.stac_items import Assets, eo, item, raster, sentinel2_file, write_item


def product_of(folder: Path, assets: Assets, *wanted: str) -> Product:
    scene = open_scene_of(SceneSection(paths=(str(write_item(folder, assets)),), assets=wanted))
    return scene.tiles[0].product


def files_of(product: Product) -> list[str]:
    return [Path(source.header.location).name for source in product.sources]


EXPECTED_FILES: dict[Callable[[], Assets], list[str]] = {
    given_items.planetary_computer_sentinel2: [
        sentinel2_file(band, size)
        for band, size in zip(
            ("B02", "B03", "B04", "B05", "B06", "B8A", "B09", "B12"), (10, 10, 10, 20, 20, 20, 60, 20), strict=True
        )
    ],
    given_items.earth_search_sentinel2: ["B04.tif", "B03.tif", "B02.tif", "B05.tif", "B06.tif", "B07.tif"],
    given_items.stactools_sentinel2: [
        sentinel2_file(band, size)
        for band, size in (("B02", 10), ("B03", 10), ("B04", 10), ("B05", 20), ("B06", 20), ("B07", 20))
    ],
    given_items.stac11_sentinel2: ["B01.tif", "B02.tif", "B03.tif", "B04.tif", "B05.tif", "B06.tif"],
    given_items.data_space_sentinel2: [
        sentinel2_file(band, size) for band, size in (("B02", 10), ("B03", 10), ("B04", 10), ("B05", 20), ("B8A", 20))
    ],
    given_items.modis: ["b01.tif", "b02.tif", "b03.tif", "b04.tif", "b06.tif"],
    given_items.modis_vegetation: ["EVI.tif", "NDVI.tif", "red_reflectance.tif", "blue_reflectance.tif"],
    given_items.aster: ["VNIR.tif"] * 3 + ["SWIR.tif"] * 3 + ["TIR.tif"] * 2,
    given_items.maxar: ["10300100-ms.tif"] * 4 + ["10300100-pan.tif"],
    given_items.planet: ["analytic.tif"] * 4,
    given_items.radar: ["vh.tiff", "vv.tiff"],
    given_items.polarizations: ["iw-vv.tiff", "iw-vh.tiff"],
    given_items.keyed: ["red.tif", "green.tif", "blue.tif"],
    given_items.rendering: ["visual.tif"] * 3,
    given_items.classes: ["map.tif"],
}


@pytest.mark.parametrize(
    ("assets", "files"), [pytest.param(made(), files, id=made.__name__) for made, files in EXPECTED_FILES.items()]
)
def test_a_providers_bands_are_taken_each_from_its_finest_file(
    tmp_path: Path, assets: Assets, files: list[str]
) -> None:
    assert files_of(product_of(tmp_path, assets)) == files


def test_landsats_flags_and_by_products_are_no_bands(tmp_path: Path) -> None:
    files = files_of(product_of(tmp_path, given_items.landsat()))
    assert [file.removesuffix(".TIF").rpartition("_")[2] for file in files] == [
        "B2",
        "B3",
        "B4",
        "B5",
        "B6",
        "B7",
        "B10",
    ]


def red(size: int, file: str, **said: Any) -> dict[str, Any]:
    return raster(file, size, **{"eo:bands": eo("B04 red")}, **said)


@pytest.mark.parametrize(
    ("coarse", "fine"),
    [
        ({}, {}),
        ({"gsd": 20}, {"gsd": 10}),
        ({"proj:transform": [20, 0, 0, 0, -20, 0]}, {"proj:transform": [10, 0, 0, 0, -10, 0, 0, 0, 1]}),
        ({"raster:bands": [{"spatial_resolution": 20}]}, {"raster:bands": [{"spatial_resolution": 10}]}),
        ({"raster:spatial_resolution": 20}, {"raster:spatial_resolution": 10}),
        ({"gsd": 20}, {"proj:transform": [10, 0, 0, 0, -10, 0]}),
        ({"proj:transform": ["20", None]}, {"proj:transform": []}),
    ],
    ids=str,
)
@pytest.mark.parametrize("first", ["coarse", "fine"])
def test_the_finest_of_a_band_is_taken_however_its_size_is_known(
    tmp_path: Path, coarse: dict[str, Any], fine: dict[str, Any], first: str
) -> None:
    assets = {"red_20m": red(20, "coarse.tif", **coarse), "red": red(10, "fine.tif", **fine)}
    ordered = assets if first == "coarse" else dict(reversed(assets.items()))
    assert files_of(product_of(tmp_path, ordered)) == ["fine.tif"]


def test_only_the_bands_that_no_finer_file_holds_are_taken_of_a_file_of_several(tmp_path: Path) -> None:
    assets = {
        "stack": raster("stack.tif", 20, 3, **{"eo:bands": eo("B04 red", "B03 green", "B8A nir08")}),
        "red": red(10, "red.tif"),
    }
    product = product_of(tmp_path, assets)
    assert [(source.index, Path(source.header.location).name) for source in product.sources] == [
        (1, "red.tif"),
        (2, "stack.tif"),
        (3, "stack.tif"),
    ]


def test_every_band_of_one_file_stays_whether_it_is_named_or_not(tmp_path: Path) -> None:
    assert len(product_of(tmp_path, {"analytic": raster("a.tif", 10, 4)}).sources) == 4
    half = {"analytic": raster("a.tif", 10, 4, **{"eo:bands": eo("b1 blue", "b2 green")})}
    assert [str(label) for label in product_of(tmp_path, half).labels] == ["b1 blue", "b2 green", "", ""]


@pytest.mark.parametrize("key", ["SCL", "scl", "Scl", "SCL_20m", "scl-jp2"])
def test_the_scene_classification_is_the_mask_in_any_case(tmp_path: Path, key: str) -> None:
    product = product_of(tmp_path, {"red": red(10, "red.tif"), key: raster("c.tif", 20, dtype="uint8")})
    assert product.quality is not None
    assert (product.quality.kind, Path(product.quality.header.location).name) == ("scl", "c.tif")
    assert files_of(product) == ["red.tif"]


@pytest.mark.parametrize(("name", "kind"), [("SCL", "scl"), ("QA_PIXEL", "qa_pixel"), ("bqa", "bqa")])
@pytest.mark.parametrize("field", ["eo:bands", "bands", "raster:bands"])
def test_the_mask_is_known_by_its_bands_name(tmp_path: Path, name: str, kind: str, field: str) -> None:
    mask = raster("c.tif", 20, dtype="uint8", **{field: [{"name": name}]})
    product = product_of(tmp_path, {"classification": mask, "red": red(10, "red.tif")})
    assert product.quality is not None
    assert product.quality.kind == kind
    assert files_of(product) == ["red.tif"]


def test_of_several_masks_the_finest_is_taken(tmp_path: Path) -> None:
    product = product_of(tmp_path, given_items.stactools_sentinel2())
    assert product.quality is not None
    assert Path(product.quality.header.location).name == sentinel2_file("SCL", 20)


@pytest.mark.parametrize("key", ["udm", "ortho_udm2", "Fmask", "sur_refl_qc_500m", "VI_Quality", "cloud-mask", "QA"])
def test_what_says_how_far_others_can_be_used_is_no_band(tmp_path: Path, key: str) -> None:
    flags = {key: raster("flags.tif", dtype="uint8")}
    assert files_of(product_of(tmp_path, {**flags, "analytic": raster("a.tif", 10, 4)})) == ["a.tif"] * 4
    assert files_of(product_of(tmp_path, {**flags, **given_items.rendering()})) == ["visual.tif"] * 3
    assert files_of(product_of(tmp_path, flags)) == ["flags.tif"]


@pytest.mark.parametrize(
    "fields", [{"roles": ["visual"]}, {"roles": ["overview"]}, {"roles": ["data"]}, {"roles": None}]
)
def test_an_item_of_a_rendering_alone_is_a_scene_of_the_finest(tmp_path: Path, fields: dict[str, Any]) -> None:
    assets = {
        "visual_20m": raster("coarse.tif", 20, 3, "uint8", **fields),
        "visual": raster("fine.tif", 10, 3, "uint8", **fields),
    }
    assert files_of(product_of(tmp_path, assets)) == ["fine.tif"] * 3


@pytest.mark.parametrize("key", ["visual", "scl", "hidden"])
def test_any_raster_is_chosen_by_its_key(tmp_path: Path, key: str) -> None:
    assets = {
        "red": red(10, "red.tif"),
        "visual": raster("visual.tif", roles=["visual"]),
        "scl": raster("scl.tif"),
        "hidden": raster("hidden.tif", roles=["thumbnail"]),
    }
    assert files_of(product_of(tmp_path, assets, key)) == [f"{key}.tif"]


def test_an_unwanted_asset_of_an_unread_type_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        assert "angle.tif" not in files_of(product_of(tmp_path, given_items.modis_vegetation()))
    assert "asset 500m_16_days_view_angle is left out" in caplog.text
    mask = {"red": red(10, "red.tif"), "scl": raster("scl.tif", dtype="complex64")}
    assert product_of(tmp_path, mask).quality is None


def test_a_wanted_asset_of_an_unread_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixelTypeError, match="expected bands of one type"):
        product_of(tmp_path, given_items.modis_vegetation(), "500m_16_days_view_angle")
    with pytest.raises(PixelTypeError, match="expected bands of one type"):
        product_of(tmp_path, {"slc": raster("slc.tif", dtype="complex64")})


def test_a_key_that_is_no_raster_is_refused_saying_what_it_is(tmp_path: Path) -> None:
    expected = r"expected assets of b01, got hdf \(application/x-hdf\), b99; see scene.assets"
    assets = {"hdf": given_items.modis()["hdf"], "b01": raster("b01.tif")}
    with pytest.raises(SceneError, match=expected):
        product_of(tmp_path, assets, "hdf", "b99")


@pytest.mark.parametrize(
    ("assets", "said"),
    [
        ({}, "expected an asset that is a GeoTIFF or JPEG 2000, got no assets; give another item"),
        (
            {"hdf": {"href": "a.hdf", "type": "application/x-hdf"}, "b": {"href": "b"}},
            r"got hdf \(application/x-hdf\), b \(of no type\)",
        ),
        (
            {"small": {"href": "a.tif", "roles": ["thumbnail"]}},
            "expected an asset that holds data, got small .*; choose by key, with scene.assets",
        ),
    ],
)
def test_an_item_without_bands_says_what_it_has(tmp_path: Path, assets: Assets, said: str) -> None:
    with pytest.raises(SceneError, match=said):
        product_of(tmp_path, assets)


KEYS = ("red", "red_20m", "B04", "visual", "SCL", "rededge1", "data")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("gsd", "proj:transform", "nodata", "eo:common_name", "eo:center_wavelength", "raster:spatial_resolution")
BANDS = st.lists(st.dictionaries(st.sampled_from((*FIELDS, "name", "common_name")), ANYTHING, max_size=3), max_size=3)
ANY_ASSET = st.builds(
    lambda fields, bands, roles: {"href": "a.tif", "roles": roles, **fields, **bands},
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING),
    st.dictionaries(st.sampled_from(("bands", "eo:bands", "raster:bands")), BANDS),
    st.lists(st.sampled_from(("data", "visual", "thumbnail", "cloud")), max_size=2),
)


@given(st.dictionaries(st.sampled_from(KEYS), ANY_ASSET, min_size=1))
@settings(max_examples=50)  # items of many fields, which take long to draw
def test_whatever_an_item_says_a_choice_is_of_its_assets_and_each_once(assets: dict[str, Any]) -> None:
    described = describe(pystac.Item.from_dict(item(assets)), {})
    chosen = [choice.asset.key for choice in choose(described, lambda one, other: compare_sizes(one, other) or False)]
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(assets)
    data = [asset for asset in described if not asset.is_aside]
    assert bool(chosen) == bool(data)
