"""The commands about styles, and styles taken by their names."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.commands import assignments, run
from tests.learned_styles import small_style


def own_style(folder: Path, name: str) -> Path:
    """A style of the user's own."""
    small_style().save(folder / f"{name}.style")
    return folder / f"{name}.style"


def test_styles_lists_shipped_and_own_styles_and_writes_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NST_RS_STYLES", str(tmp_path))
    own = own_style(tmp_path, "mine")
    (tmp_path / "broken.style").write_bytes(b"not a style")
    assert run("styles", "--output", tmp_path / "pictures") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith(f"broken (own): style {tmp_path}/broken.style: expected a learned style")
    assert any(line.startswith("harvest (shipped): learned from harvest.jpg") for line in lines)
    assert f"  {tmp_path}/pictures/harvest.png" in lines
    first = lines.index("mine (own): learned from painting.jpg; not compared with stylize; CC0-1.0")
    assert lines[first + 1 : first + 3] == [f"  {own}", f"  {tmp_path}/pictures/mine.png"]
    assert lines[-1] == f"your own styles are looked for in {tmp_path} (NST_RS_STYLES names another folder)"
    for name in ("harvest", "mine"):
        with Image.open(tmp_path / "pictures" / f"{name}.png") as picture:
            picture.load()


def test_try_writes_a_sheet_and_tells_what_it_makes(
    centre: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NST_RS_STYLES", str(tmp_path))
    own_style(tmp_path, "mine")
    assert run("try", centre, "--output", tmp_path / "sheet.png", "--set", "compute.precision=float32") == 0
    printed = capfd.readouterr()
    assert printed.out == f"{tmp_path}/sheet.png\n"
    assert {"harvest", "mine"} <= set(printed.err.splitlines())
    with Image.open(tmp_path / "sheet.png") as sheet:
        sheet.load()


def test_a_learned_style_is_taken_by_its_name_and_said(
    centre: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NST_RS_STYLES", str(tmp_path))
    own = own_style(tmp_path, "mine")
    assert run("stylize", centre, "--style", "mine", "--output", tmp_path / "map.tif") == 0
    assert f"style mine: the own style, {own}\n" in capfd.readouterr().err
    record = json.loads((tmp_path / "map.run.json").read_text())
    assert record["configuration"]["style"]["images"] == {str(own): 1}
    assert run("inspect", "mine") == 0
    assert capfd.readouterr().out.startswith(f"{own}: a learned style")


def test_a_file_wins_over_a_style_of_its_name_and_it_is_said(
    centre: Path,
    harvest: Path,
    quick: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("harvest").write_bytes(harvest.read_bytes())
    assert run("plan", centre, "--style", "harvest", *assignments(quick)) == 0
    printed = capfd.readouterr()
    assert printed.err == "style harvest: the file of that name here, not the shipped style\n"
    assert "iterations" in printed.out  # it is an image
