"""The whole run, on real files and the real network's first two blocks."""

import json
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rio_cogeo.cogeo import cog_validate

import nst_rs
from nst_rs.config.loading import load_config
from nst_rs.config.sections import OutputSection
from nst_rs.errors import SceneError
from nst_rs.files.storage import DiskStorage, MemoryStorage
from nst_rs.output.figures.edges import measure
from nst_rs.output.figures.flat_areas import measure_flat_areas
from nst_rs.output.files import Outputs
from nst_rs.runs import progress
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised import levels
from nst_rs.runs.optimised.levels import compose_levels
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import run
from tests.rasters import pixels

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def result(scene: Path, harvest: Path, deep: Settings, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return nst_rs.stylize(scene, harvest, tmp_path_factory.mktemp("out") / "map.tif", settings=deep)


def test_the_map_lies_exactly_on_the_scenes_grid(result: Result, scene: Path) -> None:
    with rasterio.open(result.output) as made, rasterio.open(scene / "0.tif") as first:
        assert made.crs == first.crs
        assert made.transform == first.transform
        assert (made.width, made.height) == (150, 130)
        assert made.dtypes == ("uint8",) * 3


def test_nodata_and_gaps_are_masked_and_nothing_else(result: Result, scene: Path) -> None:
    expected = np.zeros((130, 150), bool)
    for name, columns in (("0.tif", slice(0, 90)), ("1.tif", slice(90, 150))):
        with rasterio.open(scene / name) as source:
            mask = (source.read([3, 2, 1]) != 0).all(axis=0)
        expected[: mask.shape[0], columns] = mask
    with rasterio.open(result.output) as made:
        assert ((made.dataset_mask() > 0) == expected).all()


def test_the_map_is_a_valid_cloud_optimised_geotiff(result: Result) -> None:
    assert cog_validate(result.output, strict=True, quiet=True) == (True, [], [])


def test_the_picture_is_the_scene_restyled(result: Result) -> None:
    made = pixels(result.output).astype(float)
    assert made.std() > 20
    first, _, third, fourth, fifth = result.losses
    assert third < 0.8 * first
    assert fifth < fourth


def test_the_preview_is_a_picture_of_the_map(result: Result) -> None:
    with Image.open(result.preview) as preview:
        assert preview.size == (150, 130)
        assert preview.getpixel((140, 120))[3] == 0
        assert preview.getpixel((50, 50))[:3] == tuple(pixels(result.output)[:, 50, 50])


def test_the_report_and_the_item_show_the_run(result: Result) -> None:
    page, item = result.report.read_text(), json.loads(result.output.with_suffix(".stac.json").read_text())
    record = json.loads(result.record.read_text())
    assert page.count("data:image/webp;base64,") == 3  # scene, map, style
    assert page.count('<polyline class="total"') == len(record["levels"])
    assert item["properties"]["nst_rs:figures"] == record["figures"]
    with rasterio.open(result.output) as made:
        assert made.tags()["NST_RS_SETTINGS_SHA256"] == record["settings_sha256"]
        assert item["properties"]["proj:transform"][:6] == list(made.transform)[:6]


def test_the_record_says_what_was_done(result: Result, scene: Path) -> None:
    record = json.loads(result.record.read_text())
    assert record["configuration"]["scene"]["paths"] == [str(scene)]
    assert record["configuration"]["composite"]["bands"] == [3, 2, 1]
    assert [len(level["losses"]["total"]) for level in record["levels"]] == [3, 2]
    assert set(record["levels"][0]["losses"]["style"]) == {"conv1_1", "conv2_1"}
    assert [Path(file["path"]).name for file in record["inputs"]] == ["0.tif", "1.tif", "harvest.jpg"]
    assert set(record["seconds"]) == {"compose", "network", "level 1", "level 2", "figures", "publish"}
    assert record["peak_memory_bytes"] > 2e8
    effort = record["effort"]
    assert 0 < effort["share_in_network"] < 1
    rows, columns = record["levels"][1]["window"]
    assert effort["computed_over_scene"] == rows * columns / (130 * 150)
    assert record["cost"]["counted"] == "this process"
    assert record["cost"]["core_seconds"] > 0
    assert record["cost"]["gpu_seconds"] == 0 or "GPU" in record["device"]
    assert record["versions"]["tensorflow"]


def test_the_records_figures_are_those_of_the_published_map(result: Result, scene: Path, harvest: Path) -> None:
    job = prepare(load_config(result.record))
    composed, level = compose_levels(job, MemoryStorage()), job.plan.levels[-1]
    map_rgb = np.moveaxis(pixels(result.output), 0, -1)
    seams = level.rows.seams, level.columns.seams
    weight = composed.canvases[-1].scene_weight
    expected = measure(composed.scene.image, map_rgb, weight, seams) | {
        **measure_flat_areas(composed.scene.image, map_rgb, weight, [style.image for style in job.inputs.styles])
    }
    assert json.loads(result.record.read_text())["figures"] == expected == result.figures
    assert 0.1 < expected["legibility"]["1"] < 0.99


def test_a_run_repeated_from_its_record_is_the_same_byte_for_byte(result: Result) -> None:
    before = result.output.read_bytes(), result.preview.read_bytes()
    run(prepare(load_config(result.record)))
    assert (result.output.read_bytes(), result.preview.read_bytes()) == before


def test_bands_are_handed_over_with_their_own_values(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    settings = {**quick, "output.bands": ("nir", 6), "schedule.iterations": 1}
    made = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    assert set(tmp_path.iterdir()) == set(Outputs(made.output, OutputSection(bands="all")))
    expected = np.zeros((2, 130, 150), np.uint8)
    for name, columns in (("0.tif", slice(0, 90)), ("1.tif", slice(90, 150))):
        values = pixels(scene / name)[[3, 5]]
        expected[:, : values.shape[1], columns] = values
    np.testing.assert_array_equal(pixels(tmp_path / "map.bands.tif"), expected)
    with rasterio.open(made.output) as map_, rasterio.open(tmp_path / "map.bands.tif") as bands:
        assert (bands.crs, bands.transform, bands.shape) == (map_.crs, map_.transform, map_.shape)
        assert bands.tags()["NST_RS_SETTINGS_SHA256"] == map_.tags()["NST_RS_SETTINGS_SHA256"]
    assert load_config(made.record).output.bands == ("nir", 6)


def test_bands_of_a_scene_that_has_changed_since_are_not_handed_over(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    (folder := tmp_path / "scene").mkdir()
    for tile in scene.iterdir():
        (folder / tile.name).write_bytes(tile.read_bytes())
    settings = {**quick, "output.bands": "all", "schedule.iterations": 1}
    changed = lambda _: (folder / "1.tif").write_bytes((scene / "1.tif").read_bytes())  # noqa: E731
    with pytest.raises(SceneError, match=r"1\.tif: expected a file that stays as it is while it is read"):
        nst_rs.stylize(folder, harvest, tmp_path / "map.tif", settings=settings, listener=changed)
    assert {path.name for path in tmp_path.iterdir()} == {"scene", ".map.tif.work"}


def test_no_stage_counts_the_time_of_another_as_its_own(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their sum is how long a run took: in the terminal, in the inbox's table, and in the network's share."""
    now, build = [0.0], levels.build_kernel

    def build_in_a_minute(*arguments: Any) -> Any:
        now[0] += 60
        return build(*arguments)

    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0], monotonic=time.monotonic))
    monkeypatch.setattr(levels, "build_kernel", build_in_a_minute)
    result = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick)
    assert sum(result.seconds.values()) == result.seconds["network"] == 60


def test_a_record_is_strict_json_even_of_a_nan_nodata(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    made = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "scene.nodata": float("nan")})
    assert "NaN" not in made.record.read_text().replace('"NaN"', "")
    assert math.isnan(load_config(made.record).scene.nodata or 0)


@pytest.mark.parametrize("tile", [64, 100])
def test_the_map_does_not_depend_on_the_tile(
    result: Result, scene: Path, harvest: Path, deep: Settings, tmp_path: Path, tile: int
) -> None:
    cut = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**deep, "tiling.tile": tile})
    record = json.loads(cut.record.read_text())
    assert record["levels"][-1]["tiles"] > 1
    assert record["figures"]["seams"]["lines"] > 0
    difference = np.abs(pixels(cut.output).astype(int) - pixels(result.output))
    # Rounding to whole values: a difference in the last float32 digit can turn x.5 over.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize(("init", "statistics"), [("content", "predicted"), ("noise", "exact")])
def test_the_map_is_the_same_byte_for_byte_from_memory_and_from_disk(
    scene: Path,
    harvest: Path,
    deep: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    init: str,
    statistics: str,
) -> None:
    created: list[str] = []
    create = DiskStorage.create
    monkeypatch.setattr(
        DiskStorage, "create", lambda self, name, *rest: (created.append(name), create(self, name, *rest))[1]
    )
    tiling = {"tiling.tile": 64, "tiling.statistics": statistics, "tiling.tiles_at_once": 2}
    settings = {**deep, "schedule.init": init, **tiling}
    made, on_disk = {}, {}
    for memory in ("2GB", "1MB"):
        created.clear()
        folder = tmp_path / memory
        folder.mkdir()
        result = nst_rs.stylize(scene, harvest, folder / "map.tif", settings={**settings, "compute.memory": memory})
        assert set(folder.iterdir()) == set(Outputs(folder / "map.tif"))
        made[memory] = result.output.read_bytes(), result.preview.read_bytes(), result.losses
        on_disk[memory] = set(created)
    assert made["2GB"] == made["1MB"]
    # Canvases, and the states of which a run in memory only keeps copies.
    assert {"image-1", "weight-2", "content_conv2_1"} <= on_disk["1MB"] - on_disk["2GB"]


def test_with_all_tiles_at_once_predicted_statistics_are_the_exact_ones(
    scene: Path, harvest: Path, deep: Settings, tmp_path: Path
) -> None:
    losses = [
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**deep, "tiling.tile": 64, **cut}).losses
        for cut in ({"tiling.statistics": "exact"}, {"tiling.statistics": "predicted", "tiling.tiles_at_once": 99})
    ]
    assert losses[0] == losses[1]


def test_a_listener_hears_the_run_to_its_end(scene: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    heard: list[Progress] = []
    nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick, listener=heard.append)
    fractions = [state.fraction for state in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert [(s.level, s.step.iteration) for s in heard if s.ends_iteration] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert heard[-1].seconds_left == pytest.approx(0, abs=1e-6)
