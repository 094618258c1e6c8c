"""Nothing that changes a map may stay unseen by a run that goes on where another was killed."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.warp import transform_bounds

import nst_rs
from nst_rs.config.loading import load_config
from nst_rs.files.storage import MemoryStorage
from nst_rs.runs.compose import compose_scene
from nst_rs.runs.identity import differences, identity
from nst_rs.runs.prepare import prepare
from tests.forked import use_pixels_for_features
from tests.interrupted import interrupted
from tests.learned_styles import small_style
from tests.rasters import NORTH_UP, UTM, random_values, write_raster

Settings = dict[str, Any]
SHAPE = 64, 72
HOLE = np.ones(SHAPE, np.bool_)
HOLE[10:20, 10:20] = False
VRT = """<VRTDataset rasterXSize="72" rasterYSize="64"><SRS>EPSG:32621</SRS>
<GeoTransform>500000, 30, 0, 9000000, 0, -30</GeoTransform>{bands}</VRTDataset>"""
BAND = """<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">under.tif
</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"""


def identity_of(folder: Path, scene: str, *assignments: str) -> dict[str, Any]:
    job = prepare(
        load_config(
            None,
            (
                f"scene.paths=[{folder / scene}]",
                f"style.images={folder / 'style.tif'}",
                f"output.path={folder / 'map.tif'}",
                "style.size=64",
                "schedule.levels=1",
                "compute.precision=float32",
                *assignments,
            ),
        )
    )
    storage, shape = MemoryStorage(), job.inputs.scene.grid.shape
    arrays = storage.create("image", (*shape, 3), np.float32), storage.create("weight", shape, np.float32)
    return identity(job, compose_scene(job, storage, lambda: arrays))


def write_area(path: Path, far: float) -> None:
    """Write a rectangle in degrees that reaches `far` metres from the scene's corner."""
    left, top = NORTH_UP.c, NORTH_UP.f
    west, south, east, north = transform_bounds(UTM, "EPSG:4326", left, top - far, left + far, top)
    ring = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))


def vrt() -> str:
    """Return a VRT of three bands of ``under.tif``."""
    return VRT.format(bands="".join(BAND.format(band=band).replace("\n", "") for band in (1, 2, 3)))


def change_the_mask(folder: Path) -> tuple[str, ...]:
    write_raster(folder / "scene.tif", random_values((3, *SHAPE)), photometric="rgb", mask=HOLE, internal_mask=False)
    return ()


def change_the_pixels_under_a_vrt(folder: Path) -> tuple[str, ...]:
    write_raster(folder / "under.tif", random_values((3, *SHAPE), seed=9))
    return ()


def change_the_styles_mask(folder: Path) -> tuple[str, ...]:
    write_raster(folder / "style.tif", random_values((3, *SHAPE)), photometric="rgb", mask=HOLE, internal_mask=False)
    return ()


def change_the_area(folder: Path) -> tuple[str, ...]:
    write_area(folder / "area.geojson", 30 * 50)
    return ()


def change_the_weights(folder: Path) -> tuple[str, ...]:
    (folder / "vgg.h5").write_bytes(b"others")
    return ()


def change_a_setting(_folder: Path) -> tuple[str, ...]:
    return ("objective.beta=2",)


CASES: dict[Callable[[Path], tuple[str, ...]], tuple[str, tuple[str, ...], str]] = {
    change_the_mask: ("scene.tif", (), "the scene's pixels"),
    change_the_pixels_under_a_vrt: ("scene.vrt", (), "the scene's pixels"),
    change_the_styles_mask: ("scene.tif", (), "the style's pixels"),
    change_the_area: ("scene.tif", ("scene.area=area.geojson",), "the scene's pixels"),
    change_the_weights: ("scene.tif", ("model.weights=vgg.h5",), "the file of model.weights"),
    change_a_setting: ("scene.tif", (), "objective.beta"),
}
"""Change → the scene, the settings that name what is changed, and what is said of it."""


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_whatever_changes_a_map_makes_it_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], tuple[str, ...]]
) -> None:
    monkeypatch.chdir(tmp_path)
    scene, settings, said = CASES[change]
    for name in ("scene.tif", "under.tif", "style.tif"):
        write_raster(tmp_path / name, random_values((3, *SHAPE)), photometric="rgb")
    (tmp_path / "scene.vrt").write_text(vrt())
    write_area(tmp_path / "area.geojson", 30 * 60)
    (tmp_path / "vgg.h5").write_bytes(b"weights")
    before = identity_of(tmp_path, scene, *settings)
    assert identity_of(tmp_path, scene, *settings) == before
    settings = *settings, *change(tmp_path)
    after = identity_of(tmp_path, scene, *settings)
    assert differences(before, after) == [said]
    assert differences(json.loads(json.dumps(after)), after) == []  # it is kept as JSON


def test_what_two_killed_runs_have_left_at_one_output_is_never_mixed(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pixels_for_features(monkeypatch.setattr)
    one = {**quick, "schedule.levels": 3, "schedule.iterations": (2, 3, 2), "compute.memory": "1MB"}
    other = {**one, "schedule.levels": 2, "schedule.iterations": (3, 2)}  # whose coarsest level is the one's second
    interrupted(scene, harvest, tmp_path / "map.tif", one, 3)
    interrupted(scene, harvest, tmp_path / "map.tif", other, 0)
    again = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=one)
    fresh = nst_rs.stylize(scene, harvest, tmp_path / "fresh.tif", settings=one)
    assert again.output.read_bytes() == fresh.output.read_bytes()


def test_work_that_is_not_gone_on_with_is_told_of_and_why(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    interrupted(scene, harvest, tmp_path / "map.tif", {**quick, "objective.beta": 2.0}, 0)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"output {tmp_path / 'map.tif'}: what an earlier run has left is not gone on with: it differs in objective.beta"
    ]


@pytest.mark.parametrize("style", ["plain", "normalised"])
def test_tiles_of_two_killed_runs_of_a_learned_style_are_never_mixed(tmp_path: Path, style: str) -> None:
    write_raster(tmp_path / "scene.tif", random_values((3, 40, 530)), names=("red", "green", "blue"))
    small_style(normalised=style == "normalised").save(tmp_path / "a.style")
    settings = {"compute.precision": "float32"}
    orders = tmp_path / "scene.tif", tmp_path / "a.style"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nst_rs.stylize(*orders, tmp_path / "map.tif", settings=settings, listener=stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nst_rs.runs.painted.painting.TilePainter", stop)  # killed before a tile is noted
        with pytest.raises(KeyboardInterrupt):
            nst_rs.stylize(*orders, tmp_path / "map.tif", settings={**settings, "style.strength": 0.5})
    again = nst_rs.stylize(*orders, tmp_path / "map.tif", settings=settings)
    fresh = nst_rs.stylize(*orders, tmp_path / "fresh.tif", settings=settings)
    assert again.output.read_bytes() == fresh.output.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "lost", "notes"])
def test_tiles_of_a_learned_style_that_were_damaged_are_painted_again(tmp_path: Path, damage: str) -> None:
    write_raster(tmp_path / "scene.tif", random_values((3, 40, 530)), names=("red", "green", "blue"))
    small_style().save(tmp_path / "a.style")
    orders, settings = (tmp_path / "scene.tif", tmp_path / "a.style"), {"compute.precision": "float32"}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nst_rs.stylize(*orders, tmp_path / "map.tif", settings=settings, listener=stop)
    work = tmp_path / ".map.tif.work"
    chunks = [path for path in (work / "arrays" / "result" / "c").rglob("*") if path.is_file()]
    assert chunks
    if damage == "notes":
        notes = json.loads((work / "checkpoint.json").read_text())
        notes["pictures"] = [{"painted": 3}]
        (work / "checkpoint.json").write_text(json.dumps(notes))
    for path in chunks:
        if damage == "cut":
            os.truncate(path, 9)
        if damage == "lost":
            path.unlink()
    again = nst_rs.stylize(*orders, tmp_path / "map.tif", settings=settings)
    fresh = nst_rs.stylize(*orders, tmp_path / "fresh.tif", settings=settings)
    assert again.output.read_bytes() == fresh.output.read_bytes()
