"""The commands that show what is there: a scene, the settings, a map on paper, a series."""

import shutil
from pathlib import Path

import pytest

from nst_rs.config.sections import OutputSection, sections, setting_names
from tests.commands import run


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
