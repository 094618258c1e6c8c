import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nst_rs
from nst_rs.config.loading import load_config, override, with_absolute_paths
from nst_rs.config.paths import may_hold_paths
from nst_rs.config.sections import RunConfig, sections
from tests.configurations import write_configuration

FORMS: dict[str, Any] = {
    "scene.paths": ["PATH"],
    "scene.sensors": "PATH",
    "scene.area": "PATH",
    "composite.limits": "PATH",
    "style.images": {"PATH": 2},
    "style.statistics": "PATH",
    "style.agree": ["PATH"],
    "style.learned": "PATH",
    "style.regions": [{"name": "water", "where": "ndwi > 0", "images": "PATH"}, {"name": "rest"}],
    "model.weights": "PATH",
    "schedule.init": "PATH",
    "learn.start": "PATH",
    "learn.held_out": ["PATH"],
    "output.path": "PATH",
}
"""Every setting that may be a path, as a configuration writes it."""


def with_path(form: Any, path: str) -> Any:
    """Return a setting's form with `path` in it."""
    return json.loads(json.dumps(form).replace("PATH", path))


def the_path(config: RunConfig, name: str) -> str:
    """Return the one path that a setting holds."""
    section, key = name.split(".")
    value = getattr(getattr(config, section), key)
    if key == "regions":
        value = config.style.all_images
    (path,) = [value] if isinstance(value, str | Path) else value
    return str(path)


def in_sections(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        section, key = name.split(".")
        data.setdefault(section, {})[key] = value
    return data


def mentions_a_path(schema: Any) -> bool:
    """Whether pydantic takes a part of a value for a path."""
    if isinstance(schema, Mapping):
        return schema.get("format") == "path" or any(map(mentions_a_path, schema.values()))
    return isinstance(schema, list) and any(map(mentions_a_path, schema))


def path_settings() -> Iterable[str]:
    for name, section in sections().items():
        for key, field in section.model_fields.items():
            if may_hold_paths(field):
                yield f"{name}.{key}"


def test_these_tests_have_every_setting_that_is_marked_as_a_path() -> None:
    assert set(path_settings()) == set(FORMS)


def test_a_setting_that_may_be_a_path_is_marked_as_one() -> None:
    for name, section in sections().items():
        for key, schema in section.model_json_schema()["properties"].items():
            assert not mentions_a_path(schema) or f"{name}.{key}" in set(path_settings())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("written", "meant"), [("a.x", "configs/a.x"), ("b/../a.x", "configs/a.x"), ("../a.x", "a.x"), ("/c/a.x", "/c/a.x")]
)
def test_a_relative_path_in_a_file_starts_from_its_folder(name: str, written: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    file = write_configuration(tmp_path / "configs/run.yaml", in_sections({name: with_path(FORMS[name], written)}))
    assert the_path(load_config(file), name) == str(tmp_path / meant)


@pytest.mark.parametrize("name", FORMS)
def test_a_relative_path_of_an_assignment_starts_from_where_one_stands(name: str, tmp_path: Path) -> None:
    written = with_path(FORMS[name], "of_the_file.x")
    file = write_configuration(tmp_path / "run.yaml", in_sections({name: written}))
    assert the_path(load_config(file, [f"{name}={with_path(FORMS[name], 'a.x')}"]), name) == "a.x"


@pytest.mark.parametrize("name", FORMS)
def test_absolute_paths_mean_the_same_from_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(override(RunConfig(), {name: with_path(FORMS[name], "b/../a.x")}))
    assert the_path(config, name) == str(tmp_path / "a.x")
    monkeypatch.chdir("/")
    assert with_absolute_paths(config) == config


@pytest.mark.parametrize("name", FORMS)
def test_a_tilde_is_the_users_home_in_a_file_an_assignment_and_from_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/of/the/user")
    written = with_path(FORMS[name], "~/a.x")
    file = write_configuration(tmp_path / "run.yaml", in_sections({name: written}))
    by_file, by_assignment = load_config(file), load_config(None, [f"{name}={written}"])
    for config in (by_file, by_assignment, override(RunConfig(), {name: written})):
        assert the_path(config, name) == "/home/of/the/user/a.x"


def test_from_python_a_scene_and_a_configuration_may_be_named_from_the_users_home(
    olinda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scene").symlink_to(olinda)
    write_configuration(tmp_path / "run.yaml", {"scene": {"crs": "EPSG:4326"}})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert nst_rs.inspect("~/scene", config="~/run.yaml").scene.grid.crs.to_epsg() == 4326
    assert nst_rs.inspect(Path("~/scene")).scene.locations == nst_rs.inspect(tmp_path / "scene").scene.locations


@pytest.mark.parametrize("name", ["scene.paths", "learn.held_out"])
@pytest.mark.parametrize("location", ["s3://bucket/a.tif", "/vsicurl/https://host/a.tif", "https://host/../a.json"])
def test_no_folder_changes_what_lies_elsewhere(name: str, location: str, tmp_path: Path) -> None:
    file = write_configuration(tmp_path / "run.yaml", in_sections({name: [location]}))
    assert the_path(with_absolute_paths(load_config(file)), name) == location


@pytest.mark.parametrize("name", ["packaged", "imagenet"])
def test_weights_that_are_named_are_no_path(name: str, tmp_path: Path) -> None:
    config = load_config(write_configuration(tmp_path / "run.yaml", {"model": {"weights": name}}))
    assert with_absolute_paths(config).model.weights == config.model.weights == name


@pytest.mark.parametrize("name", ["content", "noise", "learned"])
def test_a_start_that_is_named_is_no_path_and_a_file_of_that_name_is_written_with_its_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for written, meant in ((name, name), (f"./{name}", tmp_path / name)):
        data = {"schedule": {"init": written}, "style": {"learned": "a.style"}}
        for file in (Path("run.yaml"), tmp_path / "run.yaml"):
            config = load_config(write_configuration(file, data))
            again = RunConfig.model_validate_json(with_absolute_paths(config).model_dump_json())
            assert with_absolute_paths(config).schedule.init == again.schedule.init == meant
        assigned = load_config(None, [f"schedule.init={written}", "style.learned=a.style"])
        assert with_absolute_paths(assigned).schedule.init == meant


def test_text_that_is_no_path_is_not_changed(tmp_path: Path) -> None:
    data = in_sections({"scene.sensor": "none", "scene.assets": ["red"], "learn.licence": "~ CC BY", "scene.crs": "a"})
    config = load_config(write_configuration(tmp_path / "run.yaml", data))
    assert with_absolute_paths(config) == config == override(RunConfig(), flat(data))


def flat(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, settings in data.items() for key, value in settings.items()}


def test_an_assignment_mends_a_file_whose_other_paths_still_start_from_its_folder(tmp_path: Path) -> None:
    file = write_configuration(tmp_path / "run.yaml", {"scene": {"paths": 5, "sensors": "s.yaml", "saturated": "?"}})
    config = load_config(file, ["scene.paths=[a.tif]", "scene.saturated=keep"])
    assert (config.scene.paths, config.scene.sensors) == (("a.tif",), tmp_path / "s.yaml")


@pytest.mark.parametrize(("images", "weight"), [("s.png", 1), (["s.png"], 1), ({"s.png": 3}, 3), ({"s.png": "3e0"}, 3)])
def test_images_may_be_one_path_a_list_or_a_mapping(images: object, weight: float, tmp_path: Path) -> None:
    file = write_configuration(tmp_path / "run.yaml", {"style": {"images": images}})
    assert load_config(file).style.images == {tmp_path / "s.png": weight}


names = st.sampled_from(["s.png", "./s.png", "x/../s.png", "t.png", "x//t.png", "x/t.png"])


@given(st.dictionaries(names, st.integers(0, 9)))
def test_the_weights_of_an_image_under_several_names_add_up(images: dict[str, int]) -> None:
    expected: dict[Path, float] = {}
    for name, weight in images.items():
        path = Path(os.path.abspath(name))
        expected[path] = expected.get(path, 0) + weight
    assert with_absolute_paths(override(RunConfig(), {"style.images": images})).style.images == expected
