"""The commands that make maps: what is printed, the exit code, what is written."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.commands import assignments, run


def test_stylize_writes_the_map_and_tells_its_progress_in_plain_lines(
    centre: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.tif"
    assert run("stylize", centre, "--style", harvest, "--output", output, *assignments(quick)) == 0
    printed = capfd.readouterr().err.splitlines()
    assert printed[0].startswith("level 1/2, iteration 1/3, tile 1/1, loss ")
    legibility = next(line for line, text in enumerate(printed) if text.startswith("legibility "))
    assert printed[legibility - 1].startswith("level 2/2, iteration 2/2, tile 1/1, loss ")
    assert re.fullmatch(r"made in \d+ (s|min \d\d s):", printed[legibility + 1])
    written = printed[legibility + 2 :]
    assert written[-1] == str(output)
    assert sorted(written) == sorted(map(str, tmp_path.iterdir()))
    assert {Path(path).name for path in written} == {
        "map.html",
        "map.png",
        "map.run.json",
        "map.stac.json",
        "map.tif",
    }


def test_several_styles_are_blended_evenly(centre: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path) -> None:
    other, output = harvest.with_name("night_cafe.jpg"), "map.tif"
    styles = ("--style", harvest, "--style", other)
    assert run("stylize", centre, *styles, "--output", tmp_path / output, *assignments(quick)) == 0
    record = json.loads((tmp_path / "map.run.json").read_text())
    assert record["configuration"]["style"]["images"] == {str(harvest): 1.0, str(other): 1.0}
    assert [Path(entry["path"]) for entry in record["inputs"]] == [centre, harvest, other]


def test_a_repeated_run_warns_when_its_inputs_have_changed(
    centre: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    style = tmp_path / "style.jpg"
    style.write_bytes(harvest.read_bytes())
    output = tmp_path / "map.tif"
    assert run("stylize", centre, "--style", style, "--output", output, *assignments(quick)) == 0
    style.write_bytes((harvest.parent / "night_cafe.jpg").read_bytes())
    capfd.readouterr()
    assert run("stylize", "--config", output.with_suffix(".run.json")) == 0
    warning = capfd.readouterr().err.splitlines()[0]
    assert warning.startswith("warning: ")
    assert "is not the file that the recorded run read" in warning


def test_plan_shows_levels_memory_operations_and_time(
    olinda: Path, harvest: Path, quick: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", olinda, "--style", harvest, *assignments(quick)) == 0
    printed = capfd.readouterr().out
    assert "175 × 176" in printed
    assert "349 × 352" in printed
    assert "device /CPU:0, float32" in printed
    assert "GB for a window" in printed
    assert "GFLOP, about" in printed
    assert "disk about" not in printed
    assert "warning" not in printed


def test_plan_warns_where_a_run_would_be_refused(
    centre: Path,
    harvest: Path,
    quick: dict[str, Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1))
    assert run("plan", centre, "--style", harvest, "--output", "map.tif", *assignments(quick)) == 0
    assert "\nwarning: disk of " in capfd.readouterr().out


def test_plan_says_what_a_scene_beyond_the_memory_takes_on_disk(
    olinda: Path, harvest: Path, quick: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", olinda, "--style", harvest, *assignments({**quick, "compute.memory": "1MB"})) == 0
    assert "disk about 0.1 GB beside the map while it is made" in capfd.readouterr().out


def test_a_sweep_runs_what_is_not_done_and_prints_the_table(
    centre: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, folder = tmp_path / "small.yaml", tmp_path / "made"
    config.write_text(f"scene: {{paths: [{centre}]}}\nstyle: {{images: {harvest}}}\n")
    command = ["sweep", config, "--output", folder, "--vary", "objective.alpha=0.1,1", *assignments(quick)]
    assert run(*command) == 0
    first = capfd.readouterr()
    assert first.err.count("iteration 2/2") == 2
    assert run(*command) == 0
    again = capfd.readouterr()
    assert again.err == ""
    assert again.out == first.out
    assert "content" in again.out
    assert str(folder / "sheet.png") in again.out
