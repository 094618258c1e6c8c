import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from nst_rs.config.loading import load_config, override, with_absolute_paths
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.vgg16 import VGG16

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SECTIONS = "scene, composite, style, model, objective, schedule, tiling, compute, learn, output"
layer_sets = st.sets(st.sampled_from(sorted(VGG16)), min_size=1)


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data) if path.suffix == ".json" else yaml.safe_dump(data), encoding="utf-8")
    return path


def test_without_a_file_everything_has_its_default() -> None:
    assert load_config(None) == RunConfig()


def test_there_are_configurations_to_load() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_of_the_repository_loads_and_its_inputs_exist(path: Path) -> None:
    config = load_config(path)
    assert config.scene.paths
    assert config.style.images
    assert all(file.exists() for file in (*map(Path, config.scene.paths), *config.style.images))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"scenes": {}}, f"unknown key scenes: expected one of {SECTIONS}"),
        (
            {"style": {"imgae": "a.png"}},
            "unknown key style.imgae: expected one of images, size, stroke, strength, learned, color",
        ),
        (
            {"schedule": {"step": 1}},
            "unknown key schedule.step: expected one of levels, iterations, step_size, last_step, tolerance",
        ),
    ],
)
def test_an_unknown_key_is_refused_naming_those_there_are(tmp_path: Path, data: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_config(written(tmp_path / "run.yaml", data))


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("objective.alpha=-1", "objective.alpha: expected greater than or equal to 0 or a list, got -1"),
        ("objective.beta=.nan", "objective.beta: expected a finite number, got nan"),
        ("objective.beta=.inf", "objective.beta: expected a finite number, got inf"),
        ("objective.content_layers={conv4_2: -1}", "objective.content_layers.conv4_2: expected greater than or equal"),
        ("objective.content_normalization=max", "objective.content_normalization: expected 'mean' or 'sum', got 'max'"),
        ("composite.percentiles=[98, 2]", "composite.percentiles: expected two rising numbers from 0 to 100, got [98"),
        ("composite.percentiles=[50, 50]", "composite.percentiles: expected two rising numbers from 0 to 100, got [50"),
        ("composite.percentiles=[-1, 50]", "composite.percentiles: expected two rising numbers from 0 to 100, got [-1"),
        ("composite.percentiles=[2, 101]", "composite.percentiles: expected two rising numbers from 0 to 100, got [2"),
        ("composite.bands=[1, 2]", "composite.bands.2: expected a value, got nothing"),
        ("composite.bands=[1.5, 2, 3]", "composite.bands.0: expected a whole number or a name, got 1.5"),
        ("style.images=5", "style.images: expected a path, a list of paths, or paths with weights, got 5"),
        ("style.images=", "style.images: expected a path, a list of paths, or paths with weights, got None"),
        ("style.images=[a.jpg, 2]", "style.images: expected a path, a list of paths, or paths with weights, got ['a"),
        ("style.images={3: 1}", "style.images.3: expected a path, got 3"),
        ("scene.paths=[3]", "scene.paths.0: expected a name, got 3"),
        ("style.images={a.jpg: -1}", "style.images: expected greater than or equal to 0, got -1"),
        ("style.images={a.jpg: much}", "style.images: expected a number, got 'much'"),
        ("style.size=63", "style.size: expected greater than or equal to 64, got 63"),
        ("style.size=4097", "style.size: expected less than or equal to 4096, got 4097"),
        ("style.stroke=0", "style.stroke: expected greater than 0, got 0"),
        ("style.stroke=.inf", "style.stroke: expected a finite number, got inf"),
        ("style.color=grey", "style.color: expected 'style', 'scene' or 'histogram', got 'grey'"),
        ("model.pooling=min", "model.pooling: expected 'max' or 'average', got 'min'"),
        ("schedule.levels=0", "schedule.levels: expected greater than or equal to 1, got 0"),
        ("schedule.levels=13", "schedule.levels: expected less than or equal to 12, got 13"),
        ("schedule.iterations=0", "schedule.iterations: expected greater than or equal to 1 or a list, got 0"),
        ("schedule.iterations=[9, 9, 0]", "schedule.iterations.2: expected greater than or equal to 1, got 0"),
        ("schedule.step_size=0", "schedule.step_size: expected greater than 0, got 0"),
        ("schedule.step_size=256", "schedule.step_size: expected less than or equal to 255, got 256"),
        ("schedule.seed=-1", "schedule.seed: expected greater than or equal to 0, got -1"),
        ("tiling.tile=63", "tiling.tile: expected greater than or equal to 64 or 'auto', got 63"),
        ("tiling.statistics=some", "tiling.statistics: expected 'auto', 'exact' or 'predicted', got 'some'"),
        ("compute.device=gpu", "compute.device: expected auto, cpu or gpu:N, got 'gpu'"),
        ("compute.precision=float64", "compute.precision: expected 'auto', 'float32' or 'bfloat16', got 'float64'"),
        ("compute.memory=much", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got 'much'"),
        ("compute.memory=4 parsecs", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got '4 parsecs'"),
        ("compute.memory=0", "compute.memory: expected auto, or more than 0 bytes, got 0"),
        ("compute.memory=-1GB", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got '-1GB'"),
        ("output.bands=nir", "output.bands: expected 'all' or a list, got 'nir'"),
        ("output.bands=[]", "output.bands: expected 'all' or at least one of a list, got []"),
        ("scene.paths=a.tif", "scene.paths: expected a list, got 'a.tif'"),
        ("schedule.levels.coarse=1", "schedule.levels: expected a whole number, got {'coarse': 1}"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_key(assignment: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(complaint)):
        load_config(None, [assignment])


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
    path = written(tmp_path / "run.yaml", {"schedule": {"seed": 1, "step_size": 2.0}})
    config = load_config(path, ["schedule.seed=3", "schedule.seed=4"])
    assert (config.schedule.seed, config.schedule.step_size) == (4, 2.0)


def test_an_assignment_into_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run.yaml", {"schedule": 5})
    complaint = "setting schedule.seed: expected a key of a section, got schedule, which has no keys"
    with pytest.raises(ConfigError, match=complaint):
        load_config(path, ["schedule.seed=1"])


@given(st.integers(1, 12), st.lists(st.integers(1, 999), min_size=1, max_size=13))
def test_there_is_one_number_of_iterations_a_level(levels: int, iterations: list[int]) -> None:
    settings = {"schedule.levels": levels, "schedule.iterations": iterations}
    if len(iterations) == levels:
        assert override(RunConfig(), settings).schedule.level_iterations == tuple(iterations)
    else:
        complaint = f"one number, or one for each of {levels} levels, not {len(iterations)} numbers"
        with pytest.raises(ConfigError, match=f"schedule: expected iterations: {complaint}"):
            override(RunConfig(), settings)


def test_one_number_of_iterations_holds_for_every_level() -> None:
    config = override(RunConfig(), {"schedule.levels": 4, "schedule.iterations": 9})
    assert config.schedule.level_iterations == (9, 9, 9, 9)


@given(layer_sets, layer_sets)
def test_any_layers_of_the_network_may_be_chosen(content: set[str], style: set[str]) -> None:
    chosen = {"objective.content_layers": dict.fromkeys(content, 1), "objective.style_layers": dict.fromkeys(style, 2)}
    objective = override(RunConfig(), chosen).objective
    # In the network's order, whatever the file's, so that sums are taken in one order.
    assert list(objective.content_layers.items()) == [(name, 1.0) for name in VGG16 if name in content]
    assert list(objective.style_layers.items()) == [(name, 2.0) for name in VGG16 if name in style]


@pytest.mark.parametrize("key", ["content_layers", "style_layers"])
@pytest.mark.parametrize("name", ["conv6_1", "conv1_3", "block1_conv1", "relu1_1", ""])
def test_a_layer_the_network_has_not_is_refused_naming_those_it_has(key: str, name: str) -> None:
    known = ", ".join(VGG16)
    with pytest.raises(ConfigError, match=f"^objective.{key}: expected layers of {known}, not {name}, got "):
        override(RunConfig(), {f"objective.{key}": {"conv1_1": 1, name: 1}})


@given(st.lists(st.floats(0, 1e6).filter(lambda weight: weight == 0 or weight > 1e-6), min_size=1, max_size=5))
def test_the_styles_shares_add_up_to_one_in_the_ratio_of_their_weights(weights: list[float]) -> None:
    assume(any(weights))
    style = override(RunConfig(), {"style.images": {f"{i}.jpg": w for i, w in enumerate(weights)}}).style
    assert sum(style.shares.values()) == pytest.approx(1)
    assert [share * sum(weights) for share in style.shares.values()] == pytest.approx(weights)


def test_an_objective_without_any_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^objective: expected at least one content or style layer, got "):
        override(RunConfig(), {"objective.content_layers": {}, "objective.style_layers": {}})


@pytest.mark.parametrize(
    ("images", "weight"), [("../style.png", 1.0), (["../style.png"], 1.0), ({"../style.png": 3}, 3.0)]
)
def test_relative_paths_start_from_the_files_folder(tmp_path: Path, images: object, weight: float) -> None:
    (tmp_path / "configs").mkdir()
    data = {
        "scene": {"paths": ["tiles", "../a.tif", "/data/b.tif"]},
        "style": {"images": images},
        "output": {"path": "out/map.tif"},
        "model": {"weights": "vgg.h5"},
    }
    config = load_config(written(tmp_path / "configs" / "run.yaml", data))
    assert config.scene.paths == (str(tmp_path / "configs/tiles"), str(tmp_path / "a.tif"), "/data/b.tif")
    assert config.style.images == {tmp_path / "style.png": weight}
    assert config.output.path == tmp_path / "configs/out/map.tif"
    assert config.model.weights == str(tmp_path / "configs/vgg.h5")


def test_relative_paths_of_assignments_start_from_where_one_stands(tmp_path: Path) -> None:
    config = load_config(written(tmp_path / "run.yaml", {}), ["scene.paths=[a.tif]", "output.path=map.tif"])
    assert config.scene.paths == ("a.tif",)
    assert config.output.path == Path("map.tif")


@pytest.mark.parametrize("name", ["packaged", "imagenet"])
def test_weights_that_are_named_are_no_path(tmp_path: Path, name: str) -> None:
    config = load_config(written(tmp_path / "run.yaml", {"model": {"weights": name}}))
    assert with_absolute_paths(config).model.weights == config.model.weights == name


def test_absolute_paths_mean_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = override(
        RunConfig(),
        {
            "scene.paths": ["a.tif"],
            "style.images": {"s.png": 2, "x/../s.png": 1},
            "output.path": "map.tif",
            "model.weights": "w.h5",
        },
    )
    absolute = with_absolute_paths(config)
    assert absolute.scene.paths == (str(tmp_path / "a.tif"),)
    assert absolute.style.images == {tmp_path / "s.png": 3}
    assert absolute.output.path == tmp_path / "map.tif"
    assert absolute.model.weights == str(tmp_path / "w.h5")
    assert with_absolute_paths(absolute) == absolute


def test_the_record_of_a_run_is_its_configuration(tmp_path: Path) -> None:
    config = with_absolute_paths(
        override(
            RunConfig(),
            {"scene.paths": ["a.tif"], "style.images": {"b.png": 1, "a.png": 2}, "schedule.iterations": (3, 2, 1)},
        )
    )
    record = {"record": 1, "configuration": config.model_dump(mode="json"), "scene": {"tiles": []}}
    assert load_config(written(tmp_path / "map.run.json", record)) == config


def test_json_that_is_no_record_is_a_configuration_itself(tmp_path: Path) -> None:
    assert load_config(written(tmp_path / "run.json", {"schedule": {"seed": 5}})).schedule.seed == 5


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
        ConfigError, match=f"configuration {tmp_path}/image.yaml: expected a readable file, got 'utf-8'"
    ):
        load_config(tmp_path / "image.yaml")


@pytest.mark.parametrize(
    ("section", "key"), [(name, key) for name, section in RunConfig() for key in type(section).model_fields]
)
def test_a_configuration_cannot_be_changed(section: str, key: str) -> None:
    config = RunConfig()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(getattr(config, section), key, None)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, section, None)


def test_overriding_leaves_the_original_as_it_was() -> None:
    config = RunConfig()
    changed = override(config, {"schedule.seed": 7, "objective.style_layers": {"conv1_1": 1}})
    assert (changed.schedule.seed, changed.objective.style_layers) == (7, {"conv1_1": 1.0})
    assert config == RunConfig()


@pytest.mark.parametrize(("one", "other"), list(combinations(["tiling.tile", "style.size", "schedule.levels"], 2)))
def test_of_several_mistakes_one_is_named_with_its_own_value(one: str, other: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^(tiling.tile|style.size|schedule.levels): expected .*, got -[12]$"
    ) as caught:
        override(RunConfig(), {one: -1, other: -2})
    named = str(caught.value).partition(":")[0]
    assert str(caught.value).endswith({one: "-1", other: "-2"}[named])


@pytest.mark.parametrize(
    ("levels", "iterations"), [(1, (30,)), (2, (60, 30)), (3, (100, 60, 30)), (5, (100, 100, 100, 60, 30))]
)
def test_levels_bring_their_own_iterations(levels: int, iterations: tuple[int, ...]) -> None:
    assert load_config(None, [f"schedule.levels={levels}"]).schedule.level_iterations == iterations


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
    with pytest.raises(ConfigError, match=r"preset: expected one of legible, balanced, painterly, got nice"):
        load_config(None, preset="nice")


@pytest.mark.parametrize(
    ("assignments", "complaint"),
    [
        (["compute.address=tcp://host:8786"], "compute: expected address and workers with executor: dask only"),
        (["compute.workers=2"], "compute: expected address and workers with executor: dask only"),
        (
            ["compute.executor=dask", "tiling.statistics=predicted"],
            "compute: expected executor: dask with exact statistics only",
        ),
        (
            ["compute.executor=dask", "tiling.steps_per_round=2"],
            "compute: expected executor: dask with exact statistics only",
        ),
        (["compute.executor=dask", "compute.workers=0"], "compute.workers: expected greater than or equal to 1"),
    ],
)
def test_a_cluster_is_asked_for_by_its_executor_and_has_exact_statistics(
    assignments: list[str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(None, assignments)
