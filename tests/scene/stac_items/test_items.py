"""STAC items: which assets are bands, where an item may point, and what it says of values."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.windows import Window

from nst_rs.composite.rendering import Rendering, open_rendering
from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import NstError, SceneError
from nst_rs.scene.stac_items.items import resolve
from tests import stac_items
from tests.rasters import NORTH_UP, random_values, write_raster
from tests.stac_items import GEOTIFF, item, written

NAMES = {"blue": "B02", "green": "B03", "red": "B04"}


def asset(key: str, **fields: Any) -> dict[str, Any]:
    band = {"name": NAMES.get(key, key), "common_name": key}
    return {"href": f"./{key}.tif", "type": GEOTIFF, "roles": ["data"], "eo:bands": [band], **fields}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three bands, a classification with a cloud, and an item of them, as Sentinel-2's are served."""
    inside = tmp_path / "item"
    inside.mkdir()
    for key in NAMES:
        write_raster(inside / f"{key}.tif", band(key), nodata=0)
    classes = np.full((1, 6, 8), 4, "uint8")
    classes[0, :2, :3] = 9
    write_raster(inside / "scl.tif", classes)
    write_raster(inside / "thumbnail.tif", random_values((3, 2, 2)))
    values = [{"scale": 0.0001, "offset": -0.1, "nodata": 0}]
    assets = {
        "thumbnail": {"href": "./thumbnail.tif", "type": GEOTIFF, "roles": ["thumbnail"]},
        **{key: asset(key, **{"raster:bands": values}) for key in NAMES},
        "red-jp2": asset("red", href="./red.jp2", type="image/jp2"),
        "scl": {"href": "./scl.tif", "type": GEOTIFF, "roles": ["data"]},
    }
    written(inside / "item.json", item(assets))
    return inside


def band(key: str) -> np.ndarray:
    return random_values((1, 6, 8), "uint16", seed=len(key)) + np.uint16(1000)


def rendering_of(location: Path | str, **settings: Any) -> Rendering:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return open_rendering(override(RunConfig(), {"scene.paths": (str(location),), **named}))


def read_all(rendering: Rendering) -> tuple[np.ndarray, np.ndarray]:
    grid = rendering.scene.grid
    return rendering.scene.read(rendering.channels, Window(0, 0, grid.width, grid.height))


def test_the_bands_of_an_item_are_a_scene_of_reflectances(folder: Path) -> None:
    rendering = rendering_of(folder / "item.json")
    assert [str(label) for label in rendering.scene.labels] == ["B02 blue", "B03 green", "B04 red"]
    values, valid = read_all(rendering)
    assert valid.all()
    np.testing.assert_allclose(values[0], band("red")[0] * 1e-4 - 0.1, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"datetime": "2024-05-18T10:50:31.5Z"}, "2024-05-18T10:50:31.500000+00:00"),
        (
            {"datetime": None, "start_datetime": "2024-05-18T10:00:00Z", "end_datetime": "2024-05-19T10:00:00Z"},
            "2024-05-18T10:00:00+00:00 to 2024-05-19T10:00:00+00:00",
        ),
    ],
)
def test_the_bands_of_an_item_were_taken_when_it_says(folder: Path, properties: Any, expected: str) -> None:
    data = json.loads((folder / "item.json").read_text())
    written(folder / "item.json", {**data, "properties": properties})
    assert str(rendering_of(folder / "item.json").scene.acquired) == expected


def test_an_items_nodata_stands_where_the_file_has_none(folder: Path) -> None:
    values = random_values((1, 6, 8), "uint16")
    values[0, :2] = 251
    write_raster(folder / "plain.tif", values)
    written(folder / "item.json", item({"plain": asset("plain", **{"raster:bands": [{"nodata": 251}]})}))
    np.testing.assert_array_equal(read_all(rendering_of(folder / "item.json"))[1], values[0] != 251)
    assert read_all(rendering_of(folder / "item.json", scene__nodata=7))[1][:2].all()


def test_an_items_offset_is_overridden_where_it_is_wrong(folder: Path) -> None:
    values, _ = read_all(rendering_of(folder / "item.json", scene__offset=0.0))
    np.testing.assert_allclose(values[0], band("red")[0] * 1e-4, rtol=1e-5, atol=1e-7)


def test_assets_are_selected_by_key(folder: Path) -> None:
    rendering = rendering_of(folder / "item.json", scene__assets=["red"])
    assert [label.name for label in rendering.scene.labels] == ["B04"]
    with pytest.raises(
        SceneError, match=r"expected assets of thumbnail, blue, green, red, red-jp2, scl, got nir; see scene.assets"
    ):
        rendering_of(folder / "item.json", scene__assets=["nir"])


def test_an_items_classification_masks_its_clouds(folder: Path) -> None:
    _, valid = read_all(rendering_of(folder / "item.json", composite__mask="clouds"))
    expected = np.ones((6, 8), np.bool_)
    expected[:2, :3] = False
    np.testing.assert_array_equal(valid, expected)


def test_the_items_of_a_collection_are_one_mosaic(tmp_path: Path) -> None:
    items = []
    for number in range(2):
        write_raster(
            tmp_path / f"red{number}.tif",
            random_values((1, 6, 6), seed=number),
            transform=NORTH_UP @ type(NORTH_UP).translation(4 * number, 0),
        )
        items.append(item({"red": asset("red", href=f"red{number}.tif")}, name=f"item{number}"))
    collection = {"type": "FeatureCollection", "features": items}
    rendering = rendering_of(written(tmp_path / "items.json", collection), composite__bands=["red", "red", "red"])
    assert rendering.scene.grid.shape == (6, 10)
    np.testing.assert_array_equal(read_all(rendering)[0][0][:, :6], random_values((1, 6, 6), seed=0)[0])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        """Say nothing."""


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The item's folder, served on loopback."""
    handler = functools.partial(_Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_item_is_read_by_its_address(address: str, folder: Path) -> None:
    values, valid = read_all(rendering_of(f"{address}/item/item.json"))
    assert valid.all()
    np.testing.assert_allclose(values[0], band("red")[0] * 1e-4 - 0.1, rtol=1e-5, atol=1e-7)


def test_rasters_are_read_over_the_network(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rendering = rendering_of(f"/vsicurl/{address}/item/red.tif", composite__bands=[1, 1, 1])
    np.testing.assert_array_equal(read_all(rendering)[0][0], band("red")[0])
    endpoint = {"AWS_S3_ENDPOINT": address.removeprefix("http://"), "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    for name, value in {**endpoint, "AWS_NO_SIGN_REQUEST": "YES"}.items():
        monkeypatch.setenv(name, value)
    rendering = rendering_of("s3://item/red.tif", composite__bands=[1, 1, 1])
    np.testing.assert_array_equal(read_all(rendering)[0][0], band("red")[0])


def test_an_address_without_an_item_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(SceneError, match=r"STAC http://.*: expected readable JSON, got HTTP Error 404"):
        rendering_of(f"{address}/nowhere.json")


OUTSIDE = [
    "../secret.tif",
    "../../../../etc/passwd",
    "/etc/passwd",
    "./inside/../../secret.tif",
    "link/secret.tif",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://a.org/a.tif",
    "/vsicurl/http://a.org/a.tif",
    "/vsizip/../secret.zip/a.tif",
    "zip+file:///etc/a.zip!a.tif",
    "mosaic.vrt",
    "a\0.tif",
    "a\n.tif",
]


@pytest.mark.parametrize("href", OUTSIDE)
def test_an_item_points_nowhere_but_below_its_folder_or_to_the_network(tmp_path: Path, href: str) -> None:
    inside = tmp_path / "item"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    write_raster(tmp_path / "secret.tif", random_values((3, 6, 6)))
    path = written(inside / "item.json", item({"red": asset("red", href=href)}))
    with pytest.raises(SceneError, match=r"STAC asset .*: expected a place below .*, or on the network, got another"):
        rendering_of(path)


@pytest.mark.parametrize("href", ["../other/a.tif", "/a.tif", "file:///etc/passwd", "%2e%2e/a.tif", "x/../../a.tif"])
def test_an_item_of_the_network_points_not_above_its_own_place(href: str) -> None:
    with pytest.raises(SceneError, match="expected a place below"):
        resolve(href, "https://a.org/items/one/")


@pytest.mark.parametrize("href", ["https://b.org/a.tif", "s3://bucket/a.tif", "deeper/a.tif", "./a.tif"])
def test_an_item_may_point_to_the_network_and_below_itself(href: str) -> None:
    assert resolve(href, "https://a.org/items/one/").endswith("a.tif")


@pytest.mark.parametrize(
    "data",
    [
        [],
        "item",
        {"type": "Collection"},
        {"type": "Feature"},
        {"type": "FeatureCollection", "features": []},
        {"type": "FeatureCollection", "features": [3]},
        item({"red": {"href": 3, "type": GEOTIFF}}),
        item({"red": asset("red", **{"eo:bands": "red"})}),
        item({"red": asset("red", **{"eo:bands": [3]})}),
        item({"red": "red.tif"}),
        item({}),
        {**item({}), "properties": {"datetime": "yesterday"}},
        {**item({}), "assets": [1]},
    ],
)
def test_what_is_no_item_is_refused_in_one_line(tmp_path: Path, data: Any) -> None:
    with pytest.raises(NstError, match="STAC") as refused:
        rendering_of(written(tmp_path / "item.json", data))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("values", [{"scale": "two"}, {"scale": 0}, {"offset": []}, {"nodata": "many"}])
def test_values_that_are_no_numbers_are_refused(folder: Path, values: dict[str, Any]) -> None:
    path = written(folder / "item.json", item({"red": asset("red", **{"raster:bands": [values]})}))
    with pytest.raises(SceneError, match="expected numbers for scale, offset and nodata"):
        rendering_of(path)


def undescribed(folder: Path, href: str) -> Path:
    """An item whose assets are described in its collection alone."""
    assets = {key: stac_items.raster(f"{key}.tif") for key in ("b1", "b2", "b3")}
    return stac_items.write_item(folder, assets, links=[{"rel": "collection", "href": href}], collection="c")


NAMED = {
    "type": "Collection",
    "item_assets": {
        "b1": {"roles": ["data"], "nodata": 5, "bands": [{"name": "B02", "eo:common_name": "blue"}]},
        "b2": {"roles": ["data"], "nodata": 5, "eo:bands": [{"name": "B04", "common_name": "red"}]},
        "b3": {"roles": ["data"], "nodata": 5, "eo:common_name": "green"},
        "b4": {"roles": ["data"], "eo:common_name": "nir"},
    },
}


@pytest.mark.parametrize("href", ["./collection.json", "../collection.json", "collection.json"])
def test_what_an_item_does_not_say_of_its_assets_its_collection_says(tmp_path: Path, href: str) -> None:
    folder = tmp_path / "item"
    folder.mkdir()
    written(folder / href, NAMED)
    scene = rendering_of(undescribed(folder, href)).scene
    assert [str(label) for label in scene.labels] == ["B02 blue", "B04 red", "b3 green"]
    assert scene.nodata == 5


def test_what_an_item_says_itself_goes_before_its_collection(tmp_path: Path) -> None:
    written(tmp_path / "collection.json", NAMED)
    path = undescribed(tmp_path, "collection.json")
    data = json.loads(path.read_text())
    for asset in data["assets"].values():
        asset["nodata"] = 7
    assert rendering_of(written(path, data)).scene.nodata == 7
    data["assets"]["b1"]["eo:common_name"] = "pan"
    scene = rendering_of(written(path, data), composite__bands=["b1", "b1", "b1"]).scene
    assert [str(label) for label in scene.labels] == ["b1 pan"]


def test_a_collection_is_read_by_its_address(address: str, folder: Path, tmp_path: Path) -> None:
    written(folder / "collection.json", NAMED)
    undescribed(folder, "./collection.json")
    assert rendering_of(f"{address}/item/item.json").scene.labels[1].common == "red"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    scene = rendering_of(undescribed(elsewhere, f"{address}/item/collection.json")).scene
    assert scene.labels[1].common == "red"


@pytest.mark.parametrize(
    "href",
    [
        "../other.json",
        "../../collection.json",
        "deeper/collection.json",
        "file:///etc/collection.json",
        "/vsicurl/http://a.org/collection.json",
        "ftp://a.org/collection.json",
        "link.json",
        "a\0/../collection.json",
        3,
        None,
    ],
)
def test_no_other_file_is_read_for_a_collection(tmp_path: Path, href: Any) -> None:
    folder = tmp_path / "deep" / "item"
    (folder / "deeper").mkdir(parents=True)
    for place in (tmp_path, folder / "deeper", folder / ".."):
        written(place / "collection.json", NAMED)
        written(place / "other.json", NAMED)
    (folder / "link.json").symlink_to(tmp_path / "other.json")
    path = undescribed(folder, href)
    with pytest.raises(NstError) as refused:
        rendering_of(path)
    assert "B04" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"item_assets": 3}', '{"item_assets": {"b1": [], "b2": 3}}'])
def test_a_collection_that_says_nothing_leaves_the_item_as_it_is(tmp_path: Path, text: str) -> None:
    path = undescribed(tmp_path, "collection.json")
    (tmp_path / "collection.json").write_text(text)
    scene = rendering_of(path, composite__bands=["b2", "b3", "b1"]).scene
    assert [label.name for label in scene.labels] == ["b1", "b2", "b3"]


def test_an_item_whose_collection_is_away_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = undescribed(tmp_path, "collection.json")
    rendering_of(path, composite__bands=["b2", "b3", "b1"])
    assert "an item's collection is not read" in caplog.text
    assert "collection.json" in caplog.text


def test_a_collection_is_left_alone_where_the_item_describes_its_assets(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = json.loads((folder / "item.json").read_text())
    link = {"rel": "collection", "href": "collection.json"}
    rendering_of(written(folder / "item.json", {**data, "links": [link], "collection": "c"}))
    assert not caplog.records


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"type": "Collection", "links": [{"rel": "self", "href": "x"}, {"rel": "item", "href": "./one/one.json"}]},
            "got a Collection, which holds none; give one of its items; it links to ./one/one.json",
        ),
        (
            {"type": "Collection", "links": [{"rel": "items", "href": "https://a.org/collections/c/items"}]},
            "got a Collection, which holds none; give one of its items; it links to https://a.org/collections/c/items",
        ),
        ({"type": "Catalog"}, "got a Catalog, which holds none; give one of its items"),
        ({"type": "Catalog", "links": [3, {"rel": []}]}, "got a Catalog, which holds none; give one of its items"),
        ({"type": "Polygon"}, "got 'Polygon'; give the address of an item"),
        ({}, "got None; give the address of an item"),
        ([], "got list; give the address of an item"),
    ],
)
def test_what_is_no_item_is_refused_saying_what_to_give(tmp_path: Path, data: Any, said: str) -> None:
    with pytest.raises(SceneError) as refused:
        rendering_of(written(tmp_path / "item.json", data))
    assert f"expected an item, or a FeatureCollection of items, {said}" in str(refused.value)


@pytest.mark.parametrize("key", ["red", "extra"])
def test_a_place_outside_is_refused_only_where_it_would_be_read(tmp_path: Path, key: str) -> None:
    assets = {
        "red": stac_items.raster("red.tif", **{"eo:bands": stac_items.eo("B04 red")}),
        "extra": {"href": "../secret.tif", "type": GEOTIFF, "roles": ["data"]},
    }
    path = stac_items.write_item(tmp_path, assets)
    if key == "red":
        assert rendering_of(path, scene__assets=[key]).scene.labels[0].name == "B04"
    else:
        with pytest.raises(SceneError, match="expected a place below"):
            rendering_of(path, scene__assets=[key])


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_values_that_are_no_numbers_are_refused_at_the_asset_too(tmp_path: Path, version: str) -> None:
    assets = {"red": stac_items.raster("red.tif", **{"raster:scale": "two"})}
    with pytest.raises(SceneError, match="expected numbers for scale, offset and nodata"):
        rendering_of(stac_items.write_item(tmp_path, assets, stac_version=version))
