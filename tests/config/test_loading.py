import re
from pathlib import Path

import pytest

from nst_rs.config.loading import decided_as, load_config, override, with_absolute_paths
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from tests.configurations import write_configuration

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SECTIONS = "scene, composite, style, model, objective, schedule, tiling, compute, learn, output"


def test_without_a_file_everything_has_its_default() -> None:
    assert load_config(None) == RunConfig()


def test_there_are_configurations_to_load() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_of_the_repository_loads_and_its_inputs_exist(path: Path) -> None:
    config = load_config(path)
    assert config.scene.paths
    assert config.style.all_images
    assert all(file.exists() for file in (*map(Path, config.scene.paths), *config.style.files))


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        # YAML 1.1 takes a number without a dot for text.
        ("objective.alpha=8e-6", 8e-6),
        ("objective.alpha=1E3", 1000.0),
        ("objective.alpha=3", 3.0),
        ("objective.style_layers={conv2_1: 1e-9}", {"conv2_1": 1e-9}),
        ("schedule.iterations=7", 7),
        ("schedule.iterations=[3, 2, 1]", (3, 2, 1)),
        ("composite.bands=[nir, red, 2]", ("nir", "red", 2)),
        ("composite.bands=", None),
        ("output.bands=[nir, 6]", ("nir", 6)),
        ("output.bands=all", "all"),
        ("compute.device=gpu:1", "gpu:1"),
        ("compute.memory=4GB", 4 * 10**9),
        ("compute.memory=512 MiB", 512 * 2**20),
        ("compute.memory=1000", 1000),
        ("compute.memory=auto", "auto"),
        ("tiling.tile=64", 64),
        ("style.images=a.jpg", {Path("a.jpg"): 1.0}),
        ("style.images=[a.jpg, b.jpg]", {Path("a.jpg"): 1.0, Path("b.jpg"): 1.0}),
        ("style.images=[a.jpg, b.jpg, a.jpg]", {Path("a.jpg"): 2.0, Path("b.jpg"): 1.0}),
        ("style.images={a.jpg: 2, b.jpg: 0.5}", {Path("a.jpg"): 2.0, Path("b.jpg"): 0.5}),
        ("scene.nodata=-3.4e38", -3.4e38),
        ("model.weights=a=b.h5", "a=b.h5"),
    ],
)
def test_an_assignment_sets_its_key(assignment: str, value: object) -> None:
    section, key = assignment.partition("=")[0].split(".")
    assert getattr(getattr(load_config(None, [assignment]), section), key) == value


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("tiling.tile", "--set tiling.tile: expected SECTION.KEY=VALUE; write for example tiling.tile=512"),
        ("tile=512", "setting tile: expected SECTION.KEY; write for example tiling.tile"),
        ("nosuch.tile=512", f"unknown key nosuch: expected one of {SECTIONS}"),
        ("tiling.tiles=512", "unknown key tiling.tiles: expected one of tile, statistics"),
        ("a.b.c=1", f"unknown key a: expected one of {SECTIONS}"),
        ("tiling.tile=[", "--set tiling.tile=[: expected a YAML value, got ["),
        ("output.path=2001-99-99", "--set output.path=2001-99-99: expected a YAML value, got 2001-99-99"),
    ],
)
def test_an_assignment_that_cannot_be_understood_is_refused(assignment: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(complaint)):
        load_config(None, [assignment])


def test_assignments_go_before_the_file_and_later_ones_before_earlier(tmp_path: Path) -> None:
    path = write_configuration(tmp_path / "run.yaml", {"schedule": {"seed": 1, "step_size": 2.0}})
    config = load_config(path, ["schedule.seed=3", "schedule.seed=4"])
    assert (config.schedule.seed, config.schedule.step_size) == (4, 2.0)


def test_an_assignment_into_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    path = write_configuration(tmp_path / "run.yaml", {"schedule": 5})
    complaint = "setting schedule.seed: expected a key of a section, got schedule, which has no keys"
    with pytest.raises(ConfigError, match=complaint):
        load_config(path, ["schedule.seed=1"])


def test_the_record_of_a_run_is_its_configuration(tmp_path: Path) -> None:
    config = with_absolute_paths(
        override(
            RunConfig(),
            {"scene.paths": ["a.tif"], "style.images": {"b.png": 1, "a.png": 2}, "schedule.iterations": (3, 2, 1)},
        )
    )
    record = {"record": 1, "configuration": config.model_dump(mode="json"), "scene": {"tiles": []}}
    assert load_config(write_configuration(tmp_path / "map.run.json", record)) == config


def test_json_that_is_no_record_is_a_configuration_itself(tmp_path: Path) -> None:
    assert load_config(write_configuration(tmp_path / "run.json", {"schedule": {"seed": 5}})).schedule.seed == 5


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("run.yaml", "", "expected sections with keys, got NoneType"),
        ("run.yaml", "- scene", "expected sections with keys, got list"),
        ("run.yaml", "scene: [", "expected YAML, or a run's JSON, got while parsing a flow node expected"),
        ("run.yaml", "scene: 2001-99-99", "expected YAML, or a run's JSON, got month must be in 1..12"),
        ("run.json", "{", "expected YAML, or a run's JSON, got Expecting property name"),
        ("run.json", "[" * 100_000, "expected YAML, or a run's JSON, got maximum recursion depth exceeded"),
        ("run.json", '{"configuration": "none"}', "expected sections with keys, got str"),
        ("run.json", '{"configuration": null}', "expected sections with keys, got NoneType"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=f"^configuration {tmp_path}/{name}: {complaint}"):
        load_config(tmp_path / name)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"configuration {tmp_path}/no.yaml: expected a readable file, got .*No such"):
        load_config(tmp_path / "no.yaml")
    (tmp_path / "image.yaml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        ConfigError,
        match=f"configuration {tmp_path}/image.yaml: expected a readable file, got bytes that are no UTF-8 text",
    ):
        load_config(tmp_path / "image.yaml")


def test_overriding_leaves_the_original_as_it_was() -> None:
    config = RunConfig()
    changed = override(config, {"schedule.seed": 7, "objective.style_layers": {"conv1_1": 1}})
    assert (changed.schedule.seed, changed.objective.style_layers) == (7, {"conv1_1": 1.0})
    assert config == RunConfig()


def test_a_preset_decides_what_neither_file_nor_assignment_does(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("objective: {beta: 2.0}")
    assert load_config(file, preset="painterly").objective.alpha < load_config(file).objective.alpha
    assert load_config(file, preset="legible").objective.alpha > load_config(file).objective.alpha
    assert load_config(file, preset="balanced") == load_config(file)
    assert load_config(file, ["objective.alpha=0.3"], preset="legible").objective.alpha == 0.3
    file.write_text("objective: {alpha: 0.4}")
    assert load_config(file, preset="legible").objective.alpha == 0.4


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"preset: expected one of legible, balanced, painterly, quick, got nice"):
        load_config(None, preset="nice")


def test_what_the_machine_decides_is_taken_from_another_run_only_where_it_is_left_open() -> None:
    choices = {"tiling.tile": 64, "tiling.statistics": "predicted", "tiling.tiles_at_once": 3}
    made = override(RunConfig(), {**choices, "compute.precision": "bfloat16", "compute.memory": 1000, "style.size": 99})
    decided = decided_as(RunConfig(), made)
    assert decided == override(RunConfig(), {**choices, "compute.precision": "bfloat16"})
    chosen = override(RunConfig(), {"tiling.tile": 128, "tiling.statistics": "exact", "compute.precision": "float32"})
    assert decided_as(chosen, made) == override(chosen, {"tiling.tiles_at_once": 3})
