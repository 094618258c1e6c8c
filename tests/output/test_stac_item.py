"""The STAC item against the official schemas, without a network.

pystac ships those of STAC itself; schemas/ holds those of the extensions, as their repositories published them.
"""

import copy
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from pystac.validation import validate_dict
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.crs import CRS
from rasterio.transform import Affine

from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import override
from nst_rs.config.sections import OutputSection, RunConfig
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.scene_bands import COMPANION as BANDS
from nst_rs.output.rasters.scene_bands import SceneBands
from nst_rs.output.stac_item import COMPANION as ITEM
from tests.finished_runs import record_of
from tests.places import EVERYWHERE
from tests.published import publish_alone
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

SCHEMAS = Path(__file__).with_name("schemas")
SITE = 'LOCAL_CS["Site",UNIT["metre",1]]'


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> JsonSchemaSTACValidator:
    def refuse(*_: Any) -> None:
        raise AssertionError("a schema was looked for on the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = JsonSchemaSTACValidator()
    for path in SCHEMAS.glob("*.json"):
        name, version = path.stem.split("-")
        found.schema_cache[f"https://stac-extensions.github.io/{name}/{version}/schema.json"] = json.loads(
            path.read_text()
        )
    return found


def item_of(
    folder: Path, transform: Affine = NORTH_UP, crs: str = UTM, shape: tuple[int, int] = (30, 40), record: Any = None
) -> dict[str, Any]:
    rgb, valid = np.random.default_rng(0).integers(1, 256, (*shape, 3)).astype(np.float32), np.ones(shape, bool)
    valid[:6] = False
    grid = Grid(CRS.from_user_input(crs), transform, shape[1], shape[0])
    outputs, styled = Outputs(folder / "map.tif"), StyledMap(rgb, valid, grid)
    publish_alone(outputs, styled, lambda: record or record_of(), ITEM)
    found: dict[str, Any] = json.loads((folder / "map.stac.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def item(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return item_of(tmp_path_factory.mktemp("item"))


@pytest.mark.parametrize(
    ("transform", "crs"),
    [(NORTH_UP, UTM), (SOUTH_UP, UTM), (ROTATED, UTM), (NORTH_UP, "ESRI:102033"), (NORTH_UP, SITE)],
    ids=["north up", "south up", "rotated", "no EPSG code", "not on Earth"],
)
def test_the_item_is_valid_by_the_official_schemas(
    tmp_path: Path, validator: JsonSchemaSTACValidator, transform: Affine, crs: str
) -> None:
    found = item_of(tmp_path, transform, crs)
    assert len(validate_dict(found, validator=validator)) == 1 + len(found["stac_extensions"]) == 4
    assert (found["geometry"] is None) == ("bbox" not in found or found["bbox"] is None) == (crs == SITE)


@pytest.mark.parametrize("grid", EVERYWHERE.values(), ids=EVERYWHERE)
def test_the_item_stays_on_the_globe_wherever_the_map_lies(
    tmp_path: Path, validator: JsonSchemaSTACValidator, grid: Grid
) -> None:
    found = item_of(tmp_path, grid.transform, grid.crs.to_string(), grid.shape)
    assert len(validate_dict(found, validator=validator)) == 4
    assert found["properties"]["proj:code"] == f"EPSG:{grid.crs.to_epsg()}"
    west, south, east, north = found["bbox"]
    assert all(-180 <= longitude <= 180 for longitude in (west, east))
    assert -90 <= south < north <= 90
    assert (west > east) == (found["geometry"]["type"] == "MultiPolygon")


@pytest.mark.parametrize(("crs", "code"), [("ESRI:102033", "ESRI:102033"), (SITE, None)])
def test_a_crs_without_a_code_is_told_as_wkt(tmp_path: Path, crs: str, code: str | None) -> None:
    properties = item_of(tmp_path, crs=crs)["properties"]
    assert properties["proj:code"] == code
    assert CRS.from_user_input(code or properties["proj:wkt2"]) == CRS.from_user_input(crs)


def test_the_scenes_bands_are_an_asset_with_its_bands(
    tmp_path: Path, validator: JsonSchemaSTACValidator, olinda: Path
) -> None:
    settings = {"scene.paths": (str(olinda),), "output.bands": ("nir", "swir2")}
    bands = SceneBands(open_rendering(override(RunConfig(), settings)), "deflate", {})
    grid = bands.scene.grid
    picture, weight = np.zeros((*grid.shape, 3), np.float32), np.ones(grid.shape, bool)
    outputs = Outputs(tmp_path / "map.tif", OutputSection(bands="all"))
    publish_alone(outputs, StyledMap(picture, weight, grid), record_of, BANDS, ITEM, rendering=bands.rendering)
    found = json.loads(outputs.item.read_text(encoding="utf-8"))
    assert len(validate_dict(found, validator=validator)) == 4
    asset = found["assets"]["bands"]
    assert (asset["href"], asset["roles"]) == ("map.bands.tif", ["data"])
    assert [band["name"] for band in asset["bands"]] == ["nir", "swir2"]
    with rasterio.open(tmp_path / "map.bands.tif") as source:
        assert [band["statistics"]["maximum"] for band in asset["raster:bands"]] == [b.max() for b in source.read()]


def test_the_schemas_would_find_a_flaw(item: dict[str, Any], validator: JsonSchemaSTACValidator) -> None:
    for key, value in (
        ("proj:code", 32621),
        ("proj:epsg", 32621),
        ("processing:software", "nst-rs"),
        ("datetime", None),
    ):
        flawed = copy.deepcopy(item)
        flawed["properties"][key] = value
        with pytest.raises(pystac.STACValidationError):
            validate_dict(flawed, validator=validator)
    flawed = copy.deepcopy(item)
    flawed["assets"]["map"]["raster:bands"][0]["sampling"] = "somewhere"
    with pytest.raises(pystac.STACValidationError):
        validate_dict(flawed, validator=validator)


def test_the_item_says_where_the_map_lies_and_what_its_pixels_are(item: dict[str, Any]) -> None:
    properties = item["properties"]
    assert properties["proj:code"] == "EPSG:32621"
    assert properties["proj:shape"] == [30, 40]
    assert properties["proj:transform"][:6] == list(NORTH_UP)[:6]
    assert properties["proj:bbox"] == [500_000, 8_999_100, 501_200, 9_000_000]
    assert properties["gsd"] == 30
    bands = item["assets"]["map"]["raster:bands"]
    assert [band["data_type"] for band in bands] == ["uint8"] * 3
    assert bands[0]["statistics"]["valid_percent"] == pytest.approx(80)


def test_a_rotated_grids_footprint_is_its_own_and_not_that_of_its_bounds(tmp_path: Path) -> None:
    ring = item_of(tmp_path, ROTATED)["properties"]["proj:geometry"]["coordinates"][0]
    expected = [ROTATED @ corner for corner in [(0, 0), (40, 0), (40, 30), (0, 30)]]
    np.testing.assert_allclose(sorted(ring[:-1]), sorted(expected), rtol=0, atol=1e-6)


def test_the_item_says_where_the_map_comes_from(item: dict[str, Any]) -> None:
    found = item["properties"]
    assert found["datetime"] == "2026-03-01T12:30:00Z"
    assert found["processing:software"] == {"nst-rs": "0.1.0"}
    assert found["nst_rs:style"] == ["the painting.jpg"]
    assert found["nst_rs:inputs"][0] == {"name": "scene.tif", "sha256": "ab" * 32}
    assert found["nst_rs:settings_sha256"] == record_of()["settings_sha256"]


@pytest.mark.parametrize(
    ("acquired", "expected"),
    [
        (None, {"datetime": "2026-03-01T12:30:00Z"}),
        (["2013-07-07T10:17:42.166196+00:00"] * 2, {"datetime": "2013-07-07T10:17:42.166196Z"}),
        (
            ["2013-07-07T00:00:00+00:00", "2013-07-07T23:59:59+00:00"],
            {"datetime": None, "start_datetime": "2013-07-07T00:00:00Z", "end_datetime": "2013-07-07T23:59:59Z"},
        ),
    ],
)
def test_the_items_time_is_when_the_scene_was_taken_where_that_is_known(
    tmp_path: Path, validator: JsonSchemaSTACValidator, acquired: Any, expected: dict[str, Any]
) -> None:
    record = record_of()
    record["scene"]["acquired"] = acquired
    found = item_of(tmp_path, record=record)
    properties = found["properties"]
    assert {name: properties[name] for name in properties if name.endswith("datetime")} == expected
    assert properties["created"] == "2026-03-01T12:30:00+00:00"
    assert len(validate_dict(found, validator=validator)) == 4


def test_the_assets_are_the_files_beside_the_item(tmp_path: Path) -> None:
    item_of(tmp_path)
    item = pystac.Item.from_file(str(tmp_path / "map.stac.json"))
    assert {name: asset.roles for name, asset in item.assets.items()} == {
        "map": ["data", "visual"],
        "thumbnail": ["thumbnail"],
        "report": ["overview"],
        "record": ["metadata"],
    }
    for asset in item.assets.values():
        assert "/" not in asset.href
        assert Path(asset.get_absolute_href() or "").is_file()
    with rasterio.open(item.assets["map"].get_absolute_href()) as source:
        assert source.shape == (30, 40)
