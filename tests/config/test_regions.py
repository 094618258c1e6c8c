from pathlib import Path
from typing import Any

import pytest
import yaml

from nst_rs.config.loading import load_config, with_absolute_paths
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.output.provenance import paintings_of, settings_digest
from tests.configurations import write_configuration

WATER = {"name": "water", "where": "ndwi > 0", "images": "wave.jpg"}
WOOD = {"name": "wood", "where": {"raster": "cover.tif", "values": ["trees", 95]}, "images": {"a.jpg": 3, "b.jpg": 1}}
LAKES = {"name": "lakes", "where": {"polygons": "lakes.geojson", "attribute": "kind", "values": "lake"}}
SNOW = {"name": "snow", "where": {"product": "snow"}, "images": ["wave.jpg"], "legibility": 2}
REST = {"name": "rest"}


def loaded(folder: Path, *regions: Any, **style: Any) -> RunConfig:
    data = {"style": {"regions": list(regions), **style}}
    return load_config(write_configuration(folder / "run.yaml", data))


def refused(*regions: Any, **settings: Any) -> str:
    assignments = [f"style.regions={yaml.safe_dump(list(regions), default_flow_style=True, width=10_000)}"]
    with pytest.raises(ConfigError) as error:
        load_config(None, [*assignments, *(f"{name.replace('__', '.')}={value}" for name, value in settings.items())])
    return str(error.value)


def test_classes_are_read_with_paths_that_start_from_the_files_folder(tmp_path: Path) -> None:
    water, wood, lakes, snow, rest = loaded(tmp_path, WATER, WOOD, LAKES, SNOW, REST).style.regions
    assert water.images == {tmp_path / "wave.jpg": 1.0}
    assert wood.shares == {tmp_path / "a.jpg": 0.75, tmp_path / "b.jpg": 0.25}
    assert (wood.files, lakes.files) == ((tmp_path / "cover.tif",), (tmp_path / "lakes.geojson",))
    assert [region.is_styled for region in (water, wood, lakes, snow, rest)] == [True, True, False, True, False]
    assert [region.said for region in (water, wood, lakes, snow, rest)] == [
        "ndwi > 0",
        "cover.tif holds trees or 95",
        "lakes.geojson: kind is lake",
        "the product says snow",
        "the rest",
    ]


def test_a_record_holds_the_classes_as_they_were(tmp_path: Path) -> None:
    config = with_absolute_paths(loaded(tmp_path, WATER, WOOD, LAKES, SNOW, REST))
    record = {"configuration": yaml.safe_load(config.model_dump_json())}
    path = write_configuration(tmp_path / "map.run.json", {"record": 1, **record})
    assert load_config(path).style == config.style
    assert paintings_of(record) == [str(tmp_path / name) for name in ("wave.jpg", "a.jpg", "b.jpg")]


def test_the_settings_digest_tells_of_classes_and_not_of_places(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, elsewhere = (loaded(folder, WATER, WOOD, REST) for folder in (tmp_path, tmp_path / "other"))
    changed = loaded(tmp_path, {**WATER, "where": "ndwi > 0.1"}, WOOD, REST)
    assert settings_digest(first) == settings_digest(elsewhere) != settings_digest(changed)


def test_the_files_of_a_style_are_named_once_the_images_last(tmp_path: Path) -> None:
    files = loaded(tmp_path, WATER, WOOD, LAKES, SNOW, REST).style.files
    assert [path.name for path in files] == ["cover.tif", "lakes.geojson", "wave.jpg", "a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ([WATER], "style.regions: expected two classes or more"),
        ([WATER, {**REST, "name": "water"}], "style.regions: expected classes of different names"),
        ([WATER, REST, REST | {"name": "others"}], "expected where for the class rest: only the last class"),
        ([WATER, SNOW], "expected no where for the last class, snow"),
        ([LAKES, REST], "style.regions: expected images for one class at least"),
        ([{**WATER, "where": "ndwi"}, REST], "style.regions.0.where: expected a threshold such as 'ndwi > 0'"),
        ([{**WATER, "where": "ndwi = 0"}, REST], "style.regions.0.where: expected a threshold such as 'ndwi > 0'"),
        ([WATER, {**WOOD, "where": {"lake": 1}}, REST], "style.regions.1.where: expected a threshold such as"),
        ([{**WATER, "where": {"product": "sea"}}, REST], "style.regions.0.where.product.0: expected 'water', 'snow'"),
        (
            [{**WATER, "where": {"raster": "a.tif"}}, REST],
            "style.regions.0.where.values: expected a value, got nothing",
        ),
        (
            [WATER, {**WOOD, "where": {**WOOD["where"], "band": 2}}, REST],
            "key style.regions.1.where.band: expected one of raster, values",
        ),
        ([{**LAKES, "where": {"polygons": "a", "values": 1}}, WATER, REST], "expected attribute and values together"),
        ([WATER, {**WOOD, "where": {"raster": "a.tif", "value": 2}}, REST], "unknown key style.regions.1.where.value"),
        (
            [{**WATER, "colour": "blue"}, REST],
            "unknown key style.regions.0.colour: expected one of name, where, images, legibility",
        ),
        (
            [{**WATER, "legibility": -1}, REST],
            "style.regions.0.legibility: expected greater than or equal to 0, got -1",
        ),
        ([{**WATER, "images": {"a.jpg": 0}}, REST], "expected an image of a weight above 0, or no images"),
        ([{"where": "ndwi > 0"}, REST], "style.regions.0.name: expected a value, got nothing"),
        ([7, REST], "style.regions.0: expected keys of their own, got 7"),
    ],
)
def test_wrong_classes_are_refused_in_one_line(regions: list[Any], said: str) -> None:
    message = refused(*regions)
    assert said in message
    assert "\n" not in message


def test_classes_have_images_of_their_own_and_no_others_beside_them() -> None:
    message = refused(WATER, REST, style__images="a.jpg")
    assert "expected no style.images, and no --style, beside classes" in message
    assert message.endswith(", got water, rest")


@pytest.mark.parametrize("setting", [{"tiling__statistics": "predicted"}, {"tiling__steps_per_round": 2}])
def test_classes_need_exact_statistics(setting: dict[str, Any]) -> None:
    assert "tiling: expected exact statistics, and steps_per_round: 1, with style.regions" in refused(
        WATER, REST, **setting
    )


CLASSES = "style.regions=[{name: sea, where: ndwi > 0, images: a.jpg}, {name: land}]"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["style.agree=a.tif", CLASSES], "no style.agree beside classes"),
        (["output.zooms=styled", "style.agree=a.tif"], "zooms: averaged beside style.agree"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(None, settings)
