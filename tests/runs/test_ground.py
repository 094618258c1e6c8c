"""A run whose ground is divided into classes: real files, and a stand-in for the network."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import nst_rs
from nst_rs.cli.terminal import console, show_forecast
from nst_rs.config.loading import load_config
from nst_rs.errors import ConfigError
from nst_rs.output.files import Outputs
from nst_rs.runs.finish import Result
from nst_rs.runs.prepare import forecast, prepare
from nst_rs.runs.session import run
from nst_rs.style.color import Colors
from nst_rs.style.images import read_styles
from tests.forked import ForkedRun, Orders, use_pixels_for_features
from tests.rasters import random_values, write_raster

SHAPE = 96, 150
WATER, LAND = slice(0, 60), slice(60, 150)
"""Columns."""
SHALLOW = ("objective.content_layers={conv1_1: 1}", "objective.style_layers={conv1_1: 1}")
CPU = ("compute.precision=float32", "compute.device=cpu")
Array = np.ndarray


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Water on the left, land on the right, a pond of six pixels in it."""
    values = random_values((4, *SHAPE)) // 8
    values[3, :, LAND] += 150
    values[1, :, WATER] += 100
    values[3, 20:22, 100:103], values[1, 20:22, 100:103] = 1, 200
    folder = tmp_path_factory.mktemp("ground")
    return write_raster(folder / "scene.tif", values, names=("red", "green", "blue", "nir"))


def assignments(scene: Path, regions: list[dict[str, Any]], output: Path, *further: str) -> tuple[str, ...]:
    files = (f"scene.paths=[{scene}]", f"style.regions={json.dumps(regions)}", f"output.path={output}")
    schedule = ("schedule.levels=2", "schedule.iterations=[3, 2]", "tiling.tile=64", "style.size=64")
    return (*files, *schedule, *SHALLOW, *CPU, *further)


def classes(water: Path | None, land: Path | None, **of_water: Any) -> list[dict[str, Any]]:
    images = [{"images": str(path)} if path else {} for path in (water, land)]
    return [{"name": "water", "where": "ndwi > 0", **images[0], **of_water}, {"name": "land", **images[1]}]


@pytest.fixture
def pixels_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    use_pixels_for_features(monkeypatch.setattr)


def made(scene: Path, regions: list[dict[str, Any]], folder: Path, *further: str) -> Result:
    return run(prepare(load_config(None, assignments(scene, regions, folder / "map.tif", *further))))


def pixels(path: Path) -> Array:
    with rasterio.open(path) as source:
        return np.moveaxis(source.read(), 0, -1)


def test_a_class_without_images_shows_the_scene(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    still = "schedule.iterations=1", "schedule.step_size=1e-9"
    styled, composite = (
        pixels(made(scene, classes(None, harvest), tmp_path, *further).output) for further in ((), still)
    )
    assert (styled[:, : WATER.stop - 4] == composite[:, : WATER.stop - 4]).all()
    land = np.abs(styled.astype(int) - composite)[:, LAND.start + 4 :]
    assert (land > 2).mean() > 0.5


def test_a_descent_starts_from_every_class_in_the_colours_of_its_paintings(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    paintings = harvest, harvest.with_name("night_cafe.jpg")
    still = "schedule.levels=1", "schedule.iterations=1", "schedule.step_size=1e-9"
    start = pixels(made(scene, classes(*paintings), tmp_path, *still).output)
    for painting, columns in zip(paintings, (WATER, LAND), strict=True):
        colors = Colors.of_blend(read_styles({painting: 1.0}, 64))
        inner = start[:, columns.start + 4 : columns.stop - 4].reshape(-1, 3)
        # Values beyond 0 and 255 are cut off.
        np.testing.assert_allclose(inner.mean(axis=0), colors.mean, atol=6)
        np.testing.assert_allclose(inner.std(axis=0), np.sqrt(np.diag(colors.covariance)), rtol=0.2)


def test_the_record_and_the_report_have_the_classes_legend(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    result = made(scene, classes(harvest, None, legibility=2), tmp_path)
    record = json.loads(result.record.read_text())
    water, land = record["regions"]
    assert (water["name"], water["where"], water["paintings"]) == ("water", "ndwi > 0", ["harvest.jpg"])
    assert (land["name"], land["where"], land["paintings"], land["color"]) == ("land", "the rest", [], None)
    assert water["legibility"] == 2
    assert water["share"] == pytest.approx((60 * 96 + 6) / (150 * 96))
    assert water["share"] + land["share"] == pytest.approx(1)
    assert list(record["levels"][0]["losses"]["style"]) == ["conv1_1 water"]
    page = result.report.read_text()
    assert f'<li style="--key: {water["color"]}">water<b>40.0 %</b>' in page
    assert "the scene, unstyled" in page
    with rasterio.open(result.output) as source:
        assert source.tags()["NST_RS_STYLE"] == "harvest.jpg"


def test_the_borders_between_two_paintings_are_measured(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    other = harvest.with_name("night_cafe.jpg")
    result = made(scene, classes(harvest, other), tmp_path)
    assert set(result.figures["borders"]) == {"pixels", "near", "inside", "classes"}
    assert list(result.figures["borders"]["classes"]) == ["water", "land"]
    assert result.figures["borders"]["pixels"] > 16 * 90
    assert "Borders</h3>" in result.report.read_text()


def test_a_class_too_small_for_statistics_joins_the_next_one_and_is_told(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None, caplog: pytest.LogCaptureFixture
) -> None:
    pond = {"name": "pond", "where": "green > 195", "images": str(harvest)}
    snow = {"name": "snow", "where": "nir > 250", "images": str(harvest)}
    result = made(scene, [pond, snow, *classes(None, harvest)], tmp_path)
    assert "the class pond has 6 pixels, too few for a style of its own, which takes 16: it joins water" in caplog.text
    assert "nothing of the class snow is in the scene" in caplog.text
    told = json.loads(result.record.read_text())["regions"]
    assert [each["joined"] for each in told] == ["water", "water", None, None]
    assert "joined water" in result.report.read_text()


def test_a_scene_with_too_little_of_every_styled_class_is_refused(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    pond = {"name": "pond", "where": "green > 195", "images": str(harvest)}
    with pytest.raises(ConfigError, match="expected a class with images that there is enough of in the scene, got all"):
        made(scene, [pond, *classes(None, None)], tmp_path)
    assert list(tmp_path.glob("*.tif")) == []


def test_a_plan_lists_the_classes(
    scene: Path, harvest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = forecast(load_config(None, assignments(scene, classes(None, harvest), tmp_path / "map.tif")))
    water, land = planned.job.ground
    assert (water["class"], water["where"], water["after"], water["ground"]) == (
        "water",
        "ndwi > 0",
        "(unstyled)",
        "about 40%",
    )
    assert (land["after"], land["ground"]) == ("harvest.jpg", "about 60%")
    show_forecast(console(), planned)
    assert "about 40%" in capsys.readouterr().out


def test_a_plan_counts_every_classs_gram_matrices(
    scene: Path, harvest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = (f"style.images={harvest}", "style.regions=[]")
    undivided, one, two = (
        prepare(load_config(None, assignments(scene, regions, tmp_path / "map.tif", *further)))
        for regions, further in (([], plain), (classes(None, harvest), ()), (classes(harvest, harvest), ()))
    )
    each = one.flops - undivided.flops
    assert two.flops - undivided.flops == pytest.approx(2 * each)
    # conv1_1's 64 channels: 2 · 64² operations for a class's products, 2 · 27 · 64 for the convolution.
    assert each / undivided.flops == pytest.approx(8192 / 3456, rel=0.2)  # the scene's own features take none
    (said,) = two.notes
    assert said == f"Gram matrices for each of 2 styled classes: {2 * each / two.flops:.0%} of the operations"
    show_forecast(console(), forecast(two.config))
    assert said in capsys.readouterr().out


def test_a_plan_says_where_nothing_of_a_class_was_seen(scene: Path, harvest: Path, tmp_path: Path) -> None:
    snow = {"name": "snow", "where": "nir > 250", "images": str(harvest)}
    job = prepare(load_config(None, assignments(scene, [snow, *classes(None, harvest)], tmp_path / "map.tif")))
    assert [row["ground"] for row in job.ground] == ["none seen", "about 40%", "about 60%"]


def test_a_rule_that_the_scene_cannot_follow_is_refused_before_anything_is_computed(
    scene: Path, harvest: Path, tmp_path: Path
) -> None:
    snow = [{"name": "snow", "where": "ndsi > 0.4", "images": str(harvest)}, {"name": "rest"}]
    with pytest.raises(ConfigError, match=r"style\.regions snow: NDSI: expected bands"):
        prepare(load_config(None, assignments(scene, snow, tmp_path / "map.tif")))


def test_classes_keep_the_scenes_colours_where_they_are_asked_for(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    for color in ("scene", "histogram"):
        result = made(scene, classes(harvest, None), tmp_path, f"style.color={color}")
        assert result.output.exists()


def test_python_names_classes_without_a_style_beside_them(
    scene: Path, harvest: Path, tmp_path: Path, pixels_for_features: None
) -> None:
    settings = dict(pair.split("=", 1) for pair in ("schedule.levels=1", "schedule.iterations=1", "compute.device=cpu"))
    shallow = {"objective.content_layers": {"conv1_1": 1}, "objective.style_layers": {"conv1_1": 1}}
    regions = {"style.regions": classes(harvest, None), "style.size": 64}
    result = nst_rs.stylize(scene, None, tmp_path / "map.tif", settings={**settings, **shallow, **regions})
    assert result.output.exists()


@pytest.mark.parametrize(("memory", "share"), [("2GB", 0.4), ("1MB", 0.8)])
def test_a_run_with_classes_killed_on_its_way_goes_on_to_the_same_bytes(
    scene: Path, harvest: Path, tmp_path: Path, memory: str, share: float
) -> None:
    regions = classes(harvest, harvest.with_name("night_cafe.jpg"))
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = (
        Orders(assignments(scene, regions, tmp_path / name / "map.tif", f"compute.memory={memory}"))
        for name in ("whole", "killed")
    )
    first = ForkedRun(whole)
    tally = first.said()
    assert first.end() == 0
    cut_short = ForkedRun(Orders(killed.assignments, kill_at=int(share * tally.changes)))
    assert cut_short.end() == -signal.SIGKILL
    assert ForkedRun(killed).end() == 0
    assert (tmp_path / "killed" / "map.tif").read_bytes() == (tmp_path / "whole" / "map.tif").read_bytes()
    assert set((tmp_path / "killed").iterdir()) == set(Outputs(tmp_path / "killed" / "map.tif"))


@pytest.mark.parametrize("what", ["the classes' raster", "a class's legibility", "a class's painting"])
def test_a_run_with_classes_that_was_killed_starts_anew_once_something_of_a_class_is_another(
    scene: Path, harvest: Path, tmp_path: Path, what: str
) -> None:
    raster = tmp_path / "classes.tif"
    numbers = np.repeat(np.arange(SHAPE[1])[np.newaxis] < 60, SHAPE[0], axis=0).astype(np.uint8)
    night = harvest.with_name("night_cafe.jpg")

    def orders(name: str, legibility: float = 1, painting: Path = night) -> Orders:
        (tmp_path / name).mkdir(exist_ok=True)
        west = {"name": "west", "where": {"raster": str(raster), "values": [1]}, "images": str(painting)}
        regions = [west | {"legibility": legibility}, {"name": "east", "images": str(harvest)}]
        return Orders(assignments(scene, regions, tmp_path / name / "map.tif"))

    write_raster(raster, numbers[np.newaxis])
    first = ForkedRun(orders("first"))
    tally = first.said()
    assert ForkedRun(replace(orders("made"), kill_at=int(0.6 * tally.changes))).end() == -signal.SIGKILL
    other: dict[str, Any] = {}
    if what == "the classes' raster":
        write_raster(raster, np.roll(numbers, 30)[np.newaxis])
    elif what == "a class's legibility":
        other = {"legibility": 5}
    else:
        other = {"painting": harvest.with_name("auvers_sky.jpg")}
    assert (ForkedRun(orders("made", **other)).end(), ForkedRun(orders("fresh", **other)).end()) == (0, 0)
    before, made, fresh = ((tmp_path / name / "map.tif").read_bytes() for name in ("first", "made", "fresh"))
    assert made == fresh != before
