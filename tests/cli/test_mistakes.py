"""A user's mistake: one line, exit code 2, nothing written."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from tests.commands import NST_RS, run


def write_raster(path: Path, **changes: Any) -> Path:
    profile = {
        "driver": "GTiff",
        "width": 80,
        "height": 80,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32621",
        "transform": rasterio.transform.from_origin(500000, 4000000, 30, 30),
        **changes,
    }
    with rasterio.open(path, "w", **profile) as target:
        shape = (profile["count"], profile["height"], profile["width"])
        target.write(np.random.default_rng(0).integers(1, 255, shape).astype(profile["dtype"]))
    return path


# What is wrong → (scene, style, output, further arguments, what the one line must say). Names starting with @ are made.
MISTAKES = {
    "missing file": ("nowhere.tif", "@style", "o.tif", [], "nowhere.tif: expected a file or folder"),
    "not a raster": ("@text", "@style", "o.tif", [], "text.tif: expected a raster that GDAL can read"),
    "no CRS": ("@no_crs", "@style", "o.tif", [], "no_crs.tif: expected a CRS, got none"),
    "band out of range": (
        "@scene",
        "@style",
        "o.tif",
        ["--set", "composite.bands=[3,2,7]"],
        "expected bands of 1 (red), 2 (green), 3 (blue), got 7",
    ),
    "all nodata": ("@empty", "@style", "o.tif", [], "expected some valid pixels in every chosen band"),
    "style unreadable": ("@scene", "@text", "o.tif", [], "text.tif: expected an image that Pillow can read"),
    "style missing": ("@scene", "no.jpg", "o.tif", [], "no.jpg: expected an image, got no such file"),
    "unknown key": (
        "@scene",
        "@style",
        "o.tif",
        ["--set", "tiling.size=512"],
        "unknown key tiling.size: expected one of",
    ),
    "value out of range": ("@scene", "@style", "o.tif", ["--set", "objective.alpha=-1"], "objective.alpha: expected"),
    "no folder": ("@scene", "@style", "nowhere/o.tif", [], "nowhere: expected an existing folder"),
    "output is an input": ("@scene", "@style", "scene.tif", [], "expected a new file, got an input of this run"),
    "not a GeoTIFF's name": ("@scene", "@style", "o.jpg", [], "expected a name ending in .tif, got .jpg"),
    "no such GPU": (
        "@scene",
        "@style",
        "o.tif",
        ["--set", "compute.device=gpu:99"],
        "compute.device gpu:99: expected a GPU",
    ),
    "no weights": ("@scene", "@style", "o.tif", ["--set", "model.weights=no.h5"], "no.h5: expected a weights file"),
    "no configuration": (
        "@scene",
        "@style",
        "o.tif",
        ["--config", "no.yaml"],
        "configuration no.yaml: expected a readable",
    ),
    "tiles apart": ("@pair", "@style", "o.tif", [], "b.tif does not belong with"),
}


@pytest.fixture
def bench(tmp_path: Path, harvest: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad inputs, made the working folder."""
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "scene.tif")
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "style.jpg").write_bytes(harvest.read_bytes())
    write_raster(tmp_path / "no_crs.tif", crs=None)
    with rasterio.open(write_raster(tmp_path / "empty.tif", nodata=0), "r+") as target:
        target.write(np.zeros((3, 80, 80), np.uint8))
    (tmp_path / "pair").mkdir()
    write_raster(tmp_path / "pair" / "a.tif")
    write_raster(tmp_path / "pair" / "b.tif", crs="EPSG:32622")
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_users_mistake_gets_one_line_and_exit_code_2_and_writes_nothing(
    mistake: str, bench: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scene, style, output, further, line = MISTAKES[mistake]
    made = {"@style": "style.jpg", "@pair": "pair"}
    scene, style = (made.get(name, f"{name[1:]}.tif" if name.startswith("@") else name) for name in (scene, style))
    before = {path: path.stat().st_mtime_ns for path in bench.rglob("*")}
    assert run("stylize", scene, "--style", style, "--output", output, *further) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: ")
    assert line in printed.err
    assert {path: path.stat().st_mtime_ns for path in bench.rglob("*")} == before


def test_the_installed_command_runs_and_a_mistake_prints_nothing_but_its_line(bench: Path) -> None:
    named = ("stylize", "scene.tif", "--style", "style.jpg", "--output", "o.tif")
    wrong = ("--set", "compute.device=gpu:99")
    ended = subprocess.run([NST_RS, *named, *wrong], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(
        "error: compute.device gpu:99: expected a GPU that TensorFlow can use, got 0 of them"
    )
    assert ended.stderr.count("\n") == 1
