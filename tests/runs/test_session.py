"""What holds for every run alike, whether its picture is optimised or painted by a learned style."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nst_rs
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import LockedError, ResourceError, SceneError
from nst_rs.learned.painter import TilePainter
from nst_rs.output.files import Outputs
from nst_rs.runs import compose as composing
from nst_rs.runs.prepare import forecast, prepare
from nst_rs.runs.progress import PaintingProgress, Progress
from nst_rs.runs.session import run
from nst_rs.runs.several.sweep import compare, variants, waiting
from tests.learned_styles import small_style
from tests.rasters import random_values, write_raster

KINDS = ["optimised", "learned"]
WIDTH = {"optimised": 300, "learned": 1200}
"""Three tiles of the optimiser's, and three blocks of a learned style."""
CUT = {"optimised": {"tiling.tile": 160}, "learned": {}}

Configured = Callable[..., RunConfig]


class KilledError(Exception):
    """Stands for a process that is killed."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def scene(kind: str, tmp_path: Path) -> Path:
    return write_raster(tmp_path / "scene.tif", random_values((3, 90, WIDTH[kind])), names=("red", "green", "blue"))


@pytest.fixture
def style(kind: str, tmp_path: Path, harvest: Path) -> Path:
    if kind == "optimised":
        return harvest
    small_style().save(tmp_path / "small.style")
    return tmp_path / "small.style"


@pytest.fixture
def config(kind: str, scene: Path, style: Path, quick: dict[str, Any], tmp_path: Path) -> RunConfig:
    (tmp_path / "out").mkdir()
    settings = quick if kind == "optimised" else {"compute.precision": "float32", "compute.device": "cpu"}
    named = name_files(load_config(None), [scene], style, tmp_path / "out" / "map.tif")
    return override(named, {**settings, **CUT[kind]})


def test_plan_says_tiles_memory_operations_and_time(kind: str, config: RunConfig, tmp_path: Path) -> None:
    planned = forecast(config)
    assert planned.job.tiles == 3
    (*_, last) = planned.job.outline
    assert (last["pixels"], last["tiles"]) == (f"{WIDTH[kind]} × 90", "3")
    assert 1e8 < planned.job.memory.host < 3e9
    assert planned.flops > 1e8
    assert planned.seconds > 0
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_beyond_the_memory_is_refused_before_anything_is_computed(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = SimpleNamespace(name="/CPU:0", free_bytes=10**6, is_gpu=False)
    monkeypatch.setattr("nst_rs.runs.prepare.choose_device", lambda _: device)
    with pytest.raises(
        ResourceError, match=r"memory of the host for this plan: expected about \S+ [GM]B free, got 1\.0 MB"
    ):
        prepare(config)


def test_a_run_beyond_the_disk_is_refused_before_anything_is_computed(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1))
    with pytest.raises(ResourceError, match=r"disk of .*out for this map: expected about \S+ [GM]B free"):
        prepare(config)


def test_the_memory_that_is_set_is_what_a_run_may_take(config: RunConfig) -> None:
    job = prepare(override(config, {"compute.memory": "3GB"}))
    assert job.memory.host <= job.budget == 3 * 10**9


def test_less_memory_than_a_run_needs_is_made_up_for_on_disk_or_refused(kind: str, config: RunConfig) -> None:
    if kind == "optimised":
        assert prepare(override(config, {"compute.memory": "1MB"})).memory.on_disk
        return
    little = override(config, {"compute.memory": "500MB"})
    need = r"compute\.memory for this plan: expected at least 1\.\d GB, got 0\.5 GB; set a larger compute\.memory$"
    with pytest.raises(ResourceError, match=need):
        prepare(little)
    assert re.search(need, forecast(little).shortages[0])


def test_a_second_run_to_the_same_map_is_refused(config: RunConfig) -> None:
    job = prepare(config)
    with job.alone(), pytest.raises(LockedError):
        run(job)


def test_a_scene_that_changes_while_it_is_read_is_refused_and_nothing_is_left(
    config: RunConfig, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = composing.compose

    def compose_and_touch(*arguments: Any) -> Any:
        made = compose(*arguments)
        scene.touch()
        return made

    monkeypatch.setattr(composing, "compose", compose_and_touch)
    with pytest.raises(SceneError, match=r"scene\.tif: expected a file that stays as it is while it is read"):
        run(prepare(config))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_repeated_from_its_record_is_the_same_byte_for_byte(config: RunConfig) -> None:
    made = run(prepare(config))
    before = made.output.read_bytes()
    made.output.unlink()
    run(prepare(load_config(made.record)))
    assert made.output.read_bytes() == before


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    kind: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.painted.painting._SECONDS_BETWEEN_NOTES", 0.0)
    heard: list[Any] = []

    def hear(state: Progress | PaintingProgress, die_after: int | None = None) -> None:
        heard.append(state)
        if state.ends_iteration and sum(each.ends_iteration for each in heard) == die_after:
            raise KilledError

    run(prepare(config), hear)
    whole, everything = (tmp_path / "out" / "map.tif").read_bytes(), len(heard)
    killed = override(config, {"output.path": tmp_path / "out" / "killed.tif"})
    for _ in range(2):
        heard.clear()
        with pytest.raises(KilledError):
            run(prepare(killed), functools.partial(hear, die_after=1))
    heard.clear()
    run(prepare(killed), hear)
    assert (tmp_path / "out" / "killed.tif").read_bytes() == whole
    assert 0 < len(heard) < everything
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for name in ("map.tif", "killed.tif") for path in Outputs(Path(name))
    }


def test_a_killed_run_of_other_settings_is_not_gone_on_with(
    kind: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.painted.painting._SECONDS_BETWEEN_NOTES", 0.0)
    other = {"optimised": {"objective.alpha": 0.7}, "learned": {"style.strength": 0.5}}[kind]

    def die(state: Progress | PaintingProgress) -> None:
        if state.ends_iteration:
            raise KilledError

    expected = run(prepare(override(config, other))).output.read_bytes()
    killed = override(config, {"output.path": tmp_path / "out" / "killed.tif"})
    with pytest.raises(KilledError):
        run(prepare(killed), die)
    run(prepare(override(killed, other)))
    assert (tmp_path / "out" / "killed.tif").read_bytes() == expected


@pytest.mark.parametrize("kind", ["learned"], indirect=True)  # optimised: test_levels.py
def test_tiles_that_are_painted_are_not_painted_again(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_rs.runs.painted.painting._SECONDS_BETWEEN_NOTES", 0.0)
    painted: list[int] = []
    paint = TilePainter.paint

    def count(painter: TilePainter, tile: Any, *others: Any) -> None:
        painted.append(tile.columns.start)
        if len(painted) == 3:
            raise KilledError
        paint(painter, tile, *others)

    monkeypatch.setattr(TilePainter, "paint", count)
    with pytest.raises(KilledError):
        run(prepare(config))
    run(prepare(config))
    assert painted == [0, 512, 1024, 1024]


def test_a_sweep_takes_it_skips_what_is_done_and_compares(
    kind: str, config: RunConfig, style: Path, scene: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / f"{kind}.yaml"
    settings = quick if kind == "optimised" else {"compute.precision": "float32"}
    assignments = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    file.write_text(f"scene: {{paths: [{scene}]}}\nstyle: {{images: {style}}}\n")
    vary = {"optimised": "objective.alpha=0.1,0.2", "learned": "style.strength=0.5,1"}[kind]
    chosen = variants([file], tmp_path / "sweep", [vary], assignments)
    for _, job in waiting(chosen, tmp_path / "sweep"):
        run(job)
    assert waiting(chosen, tmp_path / "sweep") == []
    comparison = compare(chosen, tmp_path / "sweep")
    assert len(comparison.table.read_text().splitlines()) == 3
    assert comparison.sheet.is_file()
    assert comparison.losses.is_file()


def test_a_map_whose_figures_fail_is_handed_over_and_it_is_told(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise np.linalg.LinAlgError("Singular matrix")

    expected = run(prepare(config)).output.read_bytes()
    monkeypatch.setattr("nst_rs.runs.finish.measure", fail)
    made = run(prepare(config))
    assert made.output.read_bytes() == expected
    assert made.figures == json.loads(made.record.read_text())["figures"] == {}
    assert "<html" in made.report.read_text()
    assert "the map stands without its figures, which failed: LinAlgError: Singular matrix" in caplog.messages


def test_every_way_to_run_makes_the_same_map(
    kind: str, config: RunConfig, scene: Path, style: Path, tmp_path: Path
) -> None:
    expected = run(prepare(config)).output.read_bytes()
    record = tmp_path / "out" / "map.run.json"
    made = nst_rs.stylize(scene, style, tmp_path / "out" / "api.tif", config=record)
    assert made.output.read_bytes() == expected
