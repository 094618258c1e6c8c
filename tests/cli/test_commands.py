"""The command line as a person meets it: what is printed, the exit code, what is written."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

from nst_rs.cli import app
from nst_rs.config.sections import OutputSection, sections, setting_names
from nst_rs.output.files import Outputs
from tests.forked import ForkedCommand
from tests.learned_styles import small_style

Settings = dict[str, Any]
NST_RS = Path(sys.executable).with_name("nst-rs")


def run(*arguments: object) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        app([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def centre(olinda: Path) -> Path:
    """The middle of the sample scene: 128 × 128 pixels."""
    return olinda.with_name("olinda_centre.tif")


def assignments(settings: Settings) -> list[str]:
    """The settings as --set arguments."""
    return [
        part
        for key, value in settings.items()
        for part in ("--set", f"{key}={value}".replace("(", "[").replace(")", "]"))
    ]


def test_inspect_shows_grid_bands_and_composites(olinda: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", olinda) == 0
    printed = capfd.readouterr().out
    assert "4 files on one grid: 349 × 352 pixels of 28.5 × 28.5 m, EPSG:31985" in printed
    assert "west, south, east, north in degrees: [-34.9165" in printed
    assert "in m: {left: " in printed
    assert "6 bands of uint8, nodata none set" in printed
    assert "100.00%" in printed
    assert "color_infrared: composite.bands=[nir, red, green]" in printed


def test_inspect_knows_a_product_and_its_composites(olinda: Path, capfd: pytest.CaptureFixture[str]) -> None:
    product = olinda.parent / "landsat" / "LT05_L1TP_167055_20000309_20161214_01_T1"
    assert run("inspect", product, "--set", "scene.resolution=60") == 0
    printed = capfd.readouterr().out
    assert "7 files on one grid: 51 × 51 pixels of 60 × 60 m, EPSG:32637" in printed
    assert "sensor landsat-tm-l1: Landsat 4–5 TM, level 1" in printed
    assert "B4 nir" in printed
    assert "swir: composite.bands=[swir2, nir, green]" in printed


def test_settings_prints_a_line_for_every_setting_with_its_default_values_and_meaning(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run("settings") == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.split(" = ")[0] for line in printed] == setting_names()
    assert (
        "schedule.tolerance = 0 (a number of 0 or more, below 1): A level ends early when its loss falls by less than "
        "this share an iteration, over ten iterations; 0: never."
    ) in printed


def test_settings_of_one_section_are_printed_by_themselves(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("settings", "output") == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.split(" = ")[0] for line in printed] == [f"output.{key}" for key in OutputSection.model_fields]
    assert any("[nir, swir1]" in line for line in printed)


def test_settings_of_an_unknown_section_are_refused_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("settings", "nosuch") == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == f"error: unknown section nosuch: expected one of {', '.join(sections())}\n"


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
    quick: Settings,
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


def test_plan_shows_levels_memory_operations_and_time(
    olinda: Path, harvest: Path, quick: Settings, capfd: pytest.CaptureFixture[str]
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
    centre: Path, harvest: Path, quick: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1))
    assert run("plan", centre, "--style", harvest, "--output", "map.tif", *assignments(quick)) == 0
    assert "\nwarning: disk of " in capfd.readouterr().out


def test_plan_says_what_a_scene_beyond_the_memory_takes_on_disk(
    olinda: Path, harvest: Path, quick: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", olinda, "--style", harvest, *assignments({**quick, "compute.memory": "1MB"})) == 0
    assert "disk about 0.1 GB beside the map while it is made" in capfd.readouterr().out


def test_stylize_writes_the_map_and_tells_its_progress_in_plain_lines(
    centre: Path, harvest: Path, quick: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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


def test_several_styles_are_blended_evenly(centre: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    other, output = harvest.with_name("night_cafe.jpg"), "map.tif"
    styles = ("--style", harvest, "--style", other)
    assert run("stylize", centre, *styles, "--output", tmp_path / output, *assignments(quick)) == 0
    record = json.loads((tmp_path / "map.run.json").read_text())
    assert record["configuration"]["style"]["images"] == {str(harvest): 1.0, str(other): 1.0}
    assert [Path(entry["path"]) for entry in record["inputs"]] == [centre, harvest, other]


def test_a_sweep_runs_what_is_not_done_and_prints_the_table(
    centre: Path, harvest: Path, quick: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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


def test_a_repeated_run_warns_when_its_inputs_have_changed(
    centre: Path, harvest: Path, quick: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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


def test_importing_the_package_brings_neither_tensorflow_nor_rasterio() -> None:
    code = "import sys, nst_rs, nst_rs.cli; print([m for m in ('tensorflow', 'keras', 'prefect') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


LONG = {"schedule.iterations": "[2, 12]", "schedule.levels": 2, "tiling.tile": 64}
"""Long enough to be interrupted in the second level."""


@pytest.fixture(scope="module")
def long_run(centre: Path, harvest: Path, deep: Settings) -> list[str]:
    return ["stylize", str(centre), "--style", str(harvest), *assignments({**deep, **LONG})]


@pytest.fixture(scope="module")
def whole(long_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The map of a run that nothing interrupts."""
    output = tmp_path_factory.mktemp("whole") / "map.tif"
    assert run(*long_run, "--output", output) == 0
    return output.read_bytes()


INTERRUPTED = "interrupted: no map was written; the same command goes on from here\n"


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (signal.SIGINT, 130, INTERRUPTED),
        (signal.SIGTERM, 143, INTERRUPTED),
        (signal.SIGHUP, 129, INTERRUPTED),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"],
)
def test_a_stopped_command_leaves_no_temporary_files_and_goes_on_to_the_same_map(
    stop: signal.Signals,
    code: int,
    said: str,
    long_run: list[str],
    whole: bytes,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    output, temporary, messages = tmp_path / "made" / "map.tif", tmp_path / "temporary", tmp_path / "messages"
    output.parent.mkdir()
    temporary.mkdir()
    command = ForkedCommand([*long_run, "--output", str(output)], temporary, messages)
    checkpoint = output.parent / ".map.tif.work" / "checkpoint.json"
    while not (checkpoint.is_file() and json.loads(checkpoint.read_text())["level"] == 1):
        assert command.process.is_alive()
        time.sleep(0.02)
    assert command.stop(stop) == code
    assert messages.read_text().endswith(said)
    assert list(temporary.iterdir()) == []
    assert not output.exists()
    capfd.readouterr()
    assert run(*long_run, "--output", output) == 0
    assert "going on where an earlier run stopped: level 2" in capfd.readouterr().err
    assert output.read_bytes() == whole
    assert {path.name for path in output.parent.iterdir()} == {path.name for path in Outputs(output)}


def test_the_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capfd.readouterr().out == f"nst-rs {version('nst-rs')}\n"


@pytest.mark.parametrize(
    "command", ["", *(command.name or command.callback.__name__ for command in app.registered_commands)]
)
def test_help_says_in_ascii_and_in_sentences_what_is_to_be_given(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*filter(None, (command, "--help"))) == 0
    shown = capfd.readouterr().out
    assert shown.isascii()
    assert not re.search(r"<[a-z]", shown)  # Python's types
    # Options begin with two blanks; their help ends a line that no further one continues.
    helps = re.findall(r"^  -.*?(?=^  -|\Z)", shown.split("Commands:")[0], re.MULTILINE | re.DOTALL)
    assert helps
    for text in helps:
        assert re.search(r"\.(\s+\[[^]]*\])?\s*\Z", text.rstrip()) or "completion" in text, text


def test_the_shell_completes_commands() -> None:
    asked = {"_NST_RS_COMPLETE": "complete_bash", "COMP_WORDS": "nst-rs ins", "COMP_CWORD": "1"}
    ended = subprocess.run([NST_RS], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["inspect"]


def in_ascii(*arguments: str | bytes) -> "subprocess.CompletedProcess[bytes]":
    """Run the command where neither output can encode anything but ASCII."""
    return subprocess.run(
        [NST_RS, *arguments],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )


def test_an_output_that_cannot_encode_a_message_shows_it_all_the_same(olinda: Path, tmp_path: Path) -> None:
    shown = in_ascii("inspect", str(olinda))
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"349 \\xd7 352 pixels" in shown.stdout
    for name in ("münchen.tif".encode("latin-1"), "東京.tif".encode()):
        failed = in_ascii("inspect", os.fsencode(tmp_path) + b"/" + name)
        assert failed.returncode == 2
        assert re.fullmatch(rb"error: scene .*\\.*\.tif: expected a file or folder, got nothing .*\n", failed.stderr)


def test_a_series_of_maps_is_animated_and_named(
    centre: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "series.webp"
    assert run("animate", centre, centre, "--output", output, "--seconds", "0.5") == 0
    assert capfd.readouterr().out.strip() == str(output)
    assert output.read_bytes()[8:12] == b"WEBP"
    assert run("animate", centre, "--output", output) == 2
    assert "expected two maps or more" in capfd.readouterr().err


def test_a_map_is_printed_beside_it_and_the_page_named(
    centre: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tif = tmp_path / "map.tif"
    shutil.copy(centre, tif)
    assert run("print", tif, "--paper", "a3", "--title", "Fields") == 0
    assert capfd.readouterr().out.strip() == str(tmp_path / "map.pdf")
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")
    assert run("print", tif, "--paper", "a7") == 2
    assert "output.page.paper: expected 'a4'" in capfd.readouterr().err
