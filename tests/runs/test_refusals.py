"""What a plan says before a run, and what a run is refused for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import nst_rs
from nst_rs.config.loading import load_config
from nst_rs.errors import ConfigError, NstError, ResourceError
from nst_rs.neural.device import Device
from nst_rs.runs.prepare import prepare

Settings = dict[str, Any]


def test_too_little_disk_is_refused_before_anything_is_written(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=3_000_000)
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: free)
    complaint = rf"disk of {tmp_path} for this map: expected about \S+ [GM]B free, got 3\.0 MB; free some space"
    with pytest.raises(ResourceError, match=complaint):
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_refused_before_anything_is_written(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.prepare.choose_device", lambda _wanted: Device("/CPU:0", 10**6))
    with pytest.raises(
        ResourceError, match=r"memory of the host for this plan: expected about \S+ [GM]B free, got 1\.0 MB"
    ):
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_a_run_would_be_refused_for(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: SimpleNamespace(free=3_000_000))
    monkeypatch.setattr("nst_rs.runs.prepare.choose_device", lambda _wanted: Device("/CPU:0", 10**6))
    memory, disk = nst_rs.plan(scene, harvest, settings=quick).shortages
    assert memory.startswith("memory of the host for this plan: expected about")
    assert disk.startswith(f"disk of {tmp_path} for this map: expected about")


def test_a_plan_says_what_would_run_and_writes_nothing(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forecast = nst_rs.plan(scene, harvest, settings=quick)
    assert [level.shape for level in forecast.job.plan.levels] == [(65, 75), (130, 150)]
    assert forecast.flops > 1e9
    assert forecast.seconds > 0
    assert forecast.shortages == ()
    assert list(tmp_path.iterdir()) == []


def test_a_plan_counts_the_levels_of_the_stroke(scene: Path, harvest: Path, quick: Settings) -> None:
    # Pixels of 28.5 m: 600 m are 21 of them, 10.5 after one halving.
    open_settings = {key: value for key, value in quick.items() if not key.startswith("schedule")}
    by_stroke = nst_rs.plan(scene, harvest, settings={**open_settings, "style.stroke": 600})
    by_hand = nst_rs.plan(scene, harvest, settings={**open_settings, "style.size": 337, "schedule.levels": 2})
    assert by_stroke.flops == by_hand.flops
    assert by_stroke.job.plan == by_hand.job.plan


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("scene", "scene.paths: expected at least one GeoTIFF or folder, got none"),
        ("style", "style.images: expected an image of a weight above 0, got none"),
        ("output", "output.path: expected the map to write, got none"),
    ],
)
def test_a_run_must_name_its_files(scene: Path, harvest: Path, tmp_path: Path, missing: str, message: str) -> None:
    named = {
        "scene": f"scene.paths=[{scene}]",
        "style": f"style.images={harvest}",
        "output": f"output.path={tmp_path}/o.tif",
    }
    with pytest.raises(ConfigError, match=message):
        prepare(load_config(None, [text for key, text in named.items() if key != missing]))


def test_images_that_weigh_nothing_are_no_style(scene: Path, harvest: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^style.images: expected an image of a weight above 0, got none"):
        nst_rs.stylize(scene, {harvest: 0}, tmp_path / "map.tif")


def test_an_error_anywhere_leaves_an_earlier_map_as_it_was(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "map.tif"
    output.write_bytes(b"an earlier map")

    def full_disk(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nst_rs.output.rasters.cog.write_geotiff", full_disk)
    with pytest.raises(NstError, match=r"expected room and leave to write, got .*No space left"):
        nst_rs.stylize(scene, harvest, output, settings=quick)
    assert output.read_bytes() == b"an earlier map"
    # What has been computed waits for the next run.
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", ".map.tif.work"}
