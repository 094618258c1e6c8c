"""The first commands that a person gives: help, init, demo."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rasterio

from nst_rs.files.project import project_files
from tests.commands import assignments, run

HEAVY = {
    *("tensorflow", "keras", "numpy", "rasterio", "zarr", "pystac", "matplotlib", "morecantile", "pyproj", "shapely"),
    *("PIL", "jinja2", "safetensors", "spyndex", "xarray", "pandas", "fsspec", "dask", "distributed", "prefect"),
    *("titiler", "rio_tiler", "fastapi", "uvicorn", "httpx", "requests"),
}
"""What takes its time to import."""


def test_importing_the_package_brings_neither_tensorflow_nor_rasterio() -> None:
    code = "import sys, nst_rs, nst_rs.cli; print([m for m in ('tensorflow', 'keras', 'prefect') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("said", [["--help"], ["--version"], ["stylize", "--help"], ["settings", "schedule"]])
def test_help_and_settings_are_shown_without_the_packages_that_take_long_to_import(said: list[str]) -> None:
    code = f"""
import sys
from nst_rs.cli import app
try:
    app({said})
except SystemExit:
    print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout
    assert ended.stderr == "[]\n"


@pytest.mark.parametrize("command", ["stylize", "plan", "learn", "try"])
@pytest.mark.parametrize(
    ("scene", "style", "said"),
    [("nowhere", "@style", "scene nowhere: expected"), ("@scene", "none.jpg", "style none.jpg")],
)
def test_a_scene_or_style_that_is_not_there_is_told_of_before_tensorflow_is_loaded(
    command: str,
    scene: str,
    style: str,
    said: str,
    olinda: Path,
    harvest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for module in ("nst_rs.runs.prepare", "nst_rs.runs.several.trial", "nst_rs.learning.job"):
        monkeypatch.setitem(sys.modules, module, None)
    there = {"@scene": olinda, "@style": harvest}
    assert run(command, there.get(scene, scene), "--style", there.get(style, style)) == 2
    assert said in capfd.readouterr().err


def test_init_writes_a_project_and_says_what_to_do_next(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my maps"
    assert run("init", folder) == 0
    assert all((folder / name).is_file() for _, name in project_files())
    printed = capfd.readouterr()
    assert printed.out == f"{folder}\n"
    assert f"cd '{folder}' && nst-rs stylize --config configs/olinda.yaml\n" in printed.err


def test_demo_makes_the_sample_map_and_its_last_line_says_where(
    tmp_path: Path, quick: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 1}
    assert run("demo", folder, *assignments(settings)) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1] == str(folder / "demo_output" / "olinda.tif")
    assert f"This is the command: nst-rs stylize --config {folder}/configs/olinda.yaml" in lines
    with rasterio.open(lines[-1]) as made:
        assert (made.width, made.height, made.count) == (349, 352, 3)


def test_a_command_that_lacks_a_package_says_in_one_line_what_installs_it(
    tmp_path: Path, olinda: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nst_rs.output.pages.print_page", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "nst_rs.output.pages.print_page")
    assert run("print", olinda.with_name("olinda_centre.tif"), "--output", tmp_path / "page.pdf") == 2
    assert capfd.readouterr().err == (
        "error: a page needs matplotlib, which is not installed; pip install 'nst-rs[print]'\n"
    )
    assert list(tmp_path.iterdir()) == []
