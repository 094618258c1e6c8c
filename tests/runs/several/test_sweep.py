"""Several runs as one job, and the trends that the project's source reports, on a small crop with few iterations."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from nst_rs.config.loading import load_config, override
from nst_rs.errors import ConfigError
from nst_rs.runs import session
from nst_rs.runs.several.comparison import Run, rows, sources
from nst_rs.runs.several.sweep import Comparison, Variant, compare, is_done, variants, waiting

EXPERIMENTS = sorted((Path(__file__).parents[3] / "configs" / "experiments").glob("*.yaml"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, olinda: Path, harvest: Path, quick: dict[str, Any]) -> Path:
    """A configuration of the source's kind: sums over positions, from noise, on a small style and a shallow network."""
    path = tmp_path_factory.mktemp("config") / "base.yaml"
    data: dict[str, Any] = {
        "scene": {"paths": [str(olinda.with_name("olinda_centre.tif"))]},
        "style": {"images": str(harvest)},
    }
    settings = {
        **quick,
        "composite.bands": ["red", "green", "blue"],
        "objective.content_normalization": "sum",
        "objective.content_layers": {"conv2_1": 1.0},
        "objective.style_layers": {"conv1_1": 0.5, "conv2_1": 0.5},
        "objective.alpha": 1e-6,
        "objective.beta": 2e-5,
        "schedule.levels": 1,
        "schedule.iterations": 12,
        "schedule.init": "noise",
    }
    for key, value in settings.items():
        section, name = key.split(".")
        data.setdefault(section, {})[name] = value
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep") / "made" / "here"


@pytest.fixture(scope="module")
def chosen(base: Path, folder: Path) -> list[Variant]:
    grid = variants([base], folder, ["objective.alpha=0.000001,0.00001", "objective.beta=0.00002,0.0002"], [])
    longer = variants([base], folder, ["schedule.iterations=24"], [])
    return [*grid, *longer]


@pytest.fixture(scope="module")
def made(chosen: list[Variant], folder: Path) -> Comparison:
    return run_all(chosen, folder)


def run_all(chosen: list[Variant], folder: Path) -> Comparison:
    for _, job in waiting(chosen, folder):
        session.run(job)
    return compare(chosen, folder)


def found(made: Comparison, name: str) -> Run:
    return next(run for run in made.runs if run.name == name)


def test_a_grid_is_every_combination_named_after_its_values(chosen: list[Variant]) -> None:
    assert [variant.name for variant in chosen] == [
        "base_alpha=0.000001_beta=0.00002",
        "base_alpha=0.000001_beta=0.0002",
        "base_alpha=0.00001_beta=0.00002",
        "base_alpha=0.00001_beta=0.0002",
        "base_iterations=24",
    ]
    assert [variant.config.objective.alpha for variant in chosen] == [1e-6, 1e-6, 1e-5, 1e-5, 1e-6]


def test_values_may_be_lists(base: Path, tmp_path: Path) -> None:
    grid = variants([base], tmp_path, ["composite.bands=[1,2,3],[3,2,1]"], [])
    assert [variant.config.composite.bands for variant in grid] == [(1, 2, 3), (3, 2, 1)]
    assert len({variant.name for variant in grid}) == 2


def test_values_may_be_blends_of_styles_named_after_their_images(base: Path, tmp_path: Path) -> None:
    grid = variants([base], tmp_path, ["style.images=/x/a.jpg,{/x/a.jpg: 1, /x/b.jpg: 2},[/x/a.jpg, /y/b.jpg]"], [])
    assert [variant.name for variant in grid] == ["base_images=a", "base_images=a-1-b-2", "base_images=a-b"]
    assert list(grid[1].config.style.images.values()) == [1, 2]


@pytest.mark.parametrize("vary", ["objective.alpha", "objective.alpha=", "objective.alpha=1,,2"])
def test_a_grid_without_values_is_refused(base: Path, tmp_path: Path, vary: str) -> None:
    with pytest.raises(ConfigError, match=r"--vary .*expected SECTION\.KEY=VALUE"):
        variants([base], tmp_path, [vary], [])


def test_two_runs_of_one_name_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs of different names, got base twice"):
        variants([base, base], tmp_path, [], [])


def test_more_weight_on_the_content_brings_the_picture_nearer_to_it(made: Comparison) -> None:
    for beta in ("0.00002", "0.0002"):
        little, much = (found(made, f"base_alpha={alpha}_beta={beta}") for alpha in ("0.000001", "0.00001"))
        assert much.distance("content") < little.distance("content")


def test_more_weight_on_the_style_brings_the_picture_nearer_to_it(made: Comparison) -> None:
    for alpha in ("0.000001", "0.00001"):
        little, much = (found(made, f"base_alpha={alpha}_beta={beta}") for beta in ("0.00002", "0.0002"))
        assert much.distance("style") < little.distance("style")


def test_more_epochs_lower_the_total(made: Comparison) -> None:
    short, long = found(made, "base_alpha=0.000001_beta=0.00002"), found(made, "base_iterations=24")
    assert (short.epochs, long.epochs) == (12, 24)
    assert long.total < short.total


def test_the_distances_add_up_to_the_total(made: Comparison) -> None:
    for run in made.runs:
        objective = run.config.objective
        terms = objective.alpha * run.distance("content") + objective.beta * run.distance("style")
        assert terms == pytest.approx(run.total, rel=1e-9)


def test_the_table_has_a_row_a_run_and_says_how_distances_change(made: Comparison) -> None:
    with made.table.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert table == rows(made.runs)
    assert [row["epochs"] for row in table] == ["12", "12", "12", "12", "24"]
    assert table[0]["content change"] == ""
    before, after = (run.distance("content") for run in made.runs[:2])
    assert table[1]["content change"] == f"{after / before - 1:+.1%}"


def test_distances_by_other_measures_are_not_compared(made: Comparison, base: Path, tmp_path: Path) -> None:
    other = run_all(variants([base], tmp_path, [], ["style.size=64", "schedule.iterations=1"]), tmp_path)
    assert rows([made.runs[0], *other.runs])[1]["style change"] == ""


def test_the_sheet_shows_every_style_and_blends_compare_by_their_shares(
    made: Comparison, base: Path, harvest: Path, tmp_path: Path
) -> None:
    other = harvest.with_name("night_cafe.jpg")
    blends = [{harvest: 1, other: 2}, {harvest: 2, other: 2}, {harvest: 2, other: 4}]
    grid = [
        Variant(f"{i}", override(load_config(base), {"style.images": images, "output.path": tmp_path / f"{i}.tif"}))
        for i, images in enumerate(blends)
    ]
    short = [Variant(v.name, override(v.config, {"schedule.iterations": 1})) for v in grid]
    first, second, again = run_all(short, tmp_path).runs
    assert [label for label, _ in sources([first], tmp_path)] == ["content", "style: harvest", "style: night_cafe"]
    assert [Path(entry["path"]) for entry in first.record["inputs"]][1:] == [harvest, other]
    assert first.yardstick == again.yardstick != second.yardstick
    assert first.total == again.total != second.total


def test_the_sheet_and_the_curves_are_pictures(made: Comparison) -> None:
    for path in (made.sheet, made.losses):
        with Image.open(path) as picture:
            assert min(picture.size) > 400
            assert picture.convert("L").getextrema()[0] < 100


def test_what_is_done_is_not_done_again(made: Comparison, chosen: list[Variant], folder: Path) -> None:
    made.runs[1].outputs.tif.unlink()
    missing = chosen[1]
    assert [variant for variant in chosen if not is_done(variant)] == [missing]
    assert [variant for variant, _ in waiting(chosen, folder)] == [missing]


def test_another_setting_or_another_input_is_another_run(made: Comparison, chosen: list[Variant]) -> None:
    done = chosen[0]
    assert is_done(done)
    same = override(done.config, {"composite.bands": [1, 2, 3]})
    assert is_done(Variant(done.name, same))
    for key, value in {"schedule.step_size": 4, "composite.bands": [3, 2, 1], "tiling.tile": 64}.items():
        assert not is_done(Variant(done.name, override(done.config, {key: value})))


def test_a_run_whose_stroke_and_precision_were_decided_is_known_as_done(base: Path, tmp_path: Path) -> None:
    settings = ["style.stroke=120", "schedule.levels=3", "schedule.iterations=1", "compute.precision=auto"]
    grid = variants([base], tmp_path, [], settings)
    run_all(grid, tmp_path)
    assert is_done(grid[0])
    assert not is_done(variants([base], tmp_path, [], [*settings, "style.stroke=160"])[0])


def test_a_sweep_checks_all_runs_before_the_first(base: Path, tmp_path: Path) -> None:
    grid = variants([base], tmp_path / "made", ["composite.bands=[1,2,3],[1,2,9]"], [])
    with pytest.raises(ConfigError, match=r"composite\.bands"):
        waiting(grid, tmp_path / "made")
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_experiments_are_complete_configurations(path: Path) -> None:
    config = load_config(path)
    assert config.objective.content_normalization == "sum"
    assert config.schedule.init == "noise"
    assert config.style.images
    assert all(file.is_file() for file in (*map(Path, config.scene.paths), *config.style.images))


def test_the_sources_experiments_are_the_reports() -> None:
    reported = {(8e-6, 3e-5, 200), (1e-5, 2e-5, 100), (1e-6, 5e-5, 300), (1e-6, 5e-5, 1000), (1e-6, 5e-5, 2000)}
    configs = [load_config(path) for path in EXPERIMENTS if path.stem.startswith("run")]
    assert {(c.objective.alpha, c.objective.beta, *c.schedule.level_iterations) for c in configs} == reported


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"configuration": {"tiling": {"tile": "none such"}}}'])
def test_a_run_whose_record_is_damaged_or_another_versions_is_not_done(base: Path, tmp_path: Path, text: str) -> None:
    variant = variants([base], tmp_path, [], [])[0]
    for path in variant.run.outputs:
        path.write_text(text)
    assert not is_done(variant)
