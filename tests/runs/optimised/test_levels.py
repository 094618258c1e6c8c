"""The whole run, on real files and the real network's first blocks."""

import hashlib
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

import nst_rs
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import OutputSection
from nst_rs.errors import ConfigError, NstError, ResourceError, SceneError
from nst_rs.files.storage import DiskStorage, MemoryStorage
from nst_rs.neural.device import Device
from nst_rs.output.figures.edges import measure
from nst_rs.output.figures.flat_areas import measure_flat_areas
from nst_rs.output.files import Outputs
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised.levels import compose_levels
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import Session, run
from nst_rs.style.color import luminance

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, olinda: Path) -> Path:
    """Two tiles cut from the sample, with a gap below the narrower one, and some nodata."""
    folder = tmp_path_factory.mktemp("scene")
    for number, (left, width, height) in enumerate([(0, 90, 130), (90, 60, 100)]):
        with rasterio.open(olinda / "olinda_r0_c0.tif") as source:
            window = Window(left, 0, width, height)
            profile = {**source.profile, "width": width, "height": height, "nodata": 0}
            values = source.read(window=window)
            values[:, 20:40, 10:25] = 0
            with rasterio.open(
                folder / f"{number}.tif", "w", **{**profile, "transform": source.window_transform(window)}
            ) as target:
                target.write(values)
                target.descriptions = source.descriptions
    return folder


@pytest.fixture(scope="module")
def result(scene: Path, harvest: Path, quick: Settings, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return nst_rs.stylize(scene, harvest, tmp_path_factory.mktemp("out") / "map.tif", settings=quick)


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        found: np.ndarray = source.read()
    return found


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


def test_a_record_is_strict_json_even_of_a_nan_nodata(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    made = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "scene.nodata": float("nan")})
    assert "NaN" not in made.record.read_text().replace('"NaN"', "")
    assert math.isnan(load_config(made.record).scene.nodata or 0)


def test_noise_is_reproducible_by_its_seed(scene: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = {**quick, "schedule.init": "noise", "schedule.seed": seed}
        made.append(pixels(nst_rs.stylize(scene, harvest, tmp_path / f"{name}.tif", settings=settings).output))
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()


STANDING = {"schedule.levels": 1, "schedule.iterations": 1, "schedule.step_size": 1e-6}
"""Settings under which the map is the picture that the descent starts from."""


@pytest.mark.parametrize("color", ["style", "scene"])
@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_the_descent_starts_from_an_earlier_map(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path, color: str, memory: str
) -> None:
    settings = {**quick, **STANDING, "schedule.init": result.output, "style.color": color, "compute.memory": memory}
    made = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    masked, before = made.read(), result.read()
    assert (masked.mask == before.mask).all()
    if color == "style":
        assert (masked == before).all()
    else:  # but for the colours, which are the scene's, and where they end the luminance is clipped
        difference = np.abs(luminance(masked.astype(np.float32)) - luminance(before.astype(np.float32)))
        assert np.median(difference.compressed()) < 1
    record = json.loads(made.record.read_text())
    assert record["configuration"]["schedule"]["init"] == str(result.output)
    (entry,) = [entry for entry in record["inputs"] if entry["path"] == str(result.output)]
    assert entry["sha256"] == hashlib.sha256(result.output.read_bytes()).hexdigest()
    assert load_config(made.record).schedule.init == result.output


def test_the_descent_starts_from_an_ordinary_picture_of_the_scenes_size(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    with Image.open(result.preview) as preview:
        preview.convert("RGB").save(tmp_path / "edited.png")
    settings = {**quick, **STANDING, "schedule.init": tmp_path / "edited.png"}
    made = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    assert (made.read() == result.read()).all()


def test_where_a_picture_has_no_data_the_descent_starts_from_the_scene(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    Image.new("RGBA", (150, 130)).save(tmp_path / "clear.png")
    half = Image.new("RGBA", (150, 130), (250, 10, 20, 255))
    half.paste((0, 0, 0, 0), (0, 0, 75, 130))
    half.save(tmp_path / "half.png")

    def made(name: str, settings: Settings) -> Result:
        return nst_rs.stylize(scene, harvest, tmp_path / f"{name}.tif", settings={**quick, **settings})

    clear = made("from-clear", {"schedule.init": tmp_path / "clear.png"})
    assert clear.losses == result.losses
    assert (pixels(clear.output) == pixels(result.output)).all()
    standing = made("from-half", {**STANDING, "schedule.init": tmp_path / "half.png"}).read()
    difference = np.abs(standing[:, :75].astype(int) - made("from-scene", STANDING).read()[:, :75])
    # A step of a millionth, up in one and down in the other, can turn x.5 over.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.05
    assert (standing[:, 75:] == (250, 10, 20)).all()


def test_a_killed_run_does_not_go_on_from_another_picture(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    start = tmp_path / "start.png"
    settings = {**quick, "schedule.init": start}
    for color in ("red", "blue"):
        Image.new("RGB", (150, 130), color).save(start)
        heard = _interrupted(scene, harvest, tmp_path / "map.tif", settings, 2)
        assert (heard[0].level, heard[0].step.before) == (1, 0)
    other = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    fresh = nst_rs.stylize(scene, harvest, tmp_path / "fresh.tif", settings=settings)
    assert other.losses == fresh.losses != result.losses
    assert other.output.read_bytes() == fresh.output.read_bytes()


def test_a_picture_that_changes_while_a_run_starts_from_it_is_refused(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    start = tmp_path / "start.png"
    Image.new("RGB", (150, 130), "red").save(start)
    named = load_config(None, [f"scene.paths=[{scene}]", f"style.images={harvest}", f"output.path={tmp_path}/map.tif"])
    session = Session(prepare(override(named, {**quick, "schedule.init": start})))
    session.compose()
    Image.new("RGB", (150, 130), "blue").save(start)
    with pytest.raises(SceneError, match=r"start\.png: expected a file that stays as it is while it is read"):
        session.compute(0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nosie", r"schedule\.init .*/nosie: expected content, noise, learned, or a picture's path, got no such file"),
        ("map.tif", r"output .*map\.tif: expected a new file, got an input of this run"),
    ],
)
def test_a_start_that_is_wrong_is_told_before_anything_is_computed(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "map.tif").write_bytes(result.output.read_bytes())
    settings = {**quick, "schedule.init": tmp_path / name}
    with pytest.raises(NstError, match=expected):
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_a_start_that_is_no_path_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"^schedule\.init: expected 'content', 'noise' or 'learned' or a path, got 5$"
    ):
        load_config(None, ["schedule.init=5"])


@pytest.mark.parametrize("tile", [64, 100])
def test_the_map_does_not_depend_on_the_tile(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path, tile: int
) -> None:
    cut = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "tiling.tile": tile})
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
    quick: Settings,
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
    settings = {**quick, "schedule.init": init, **tiling}
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


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
@pytest.mark.parametrize("statistics", [{"statistics": "exact"}, {"statistics": "predicted", "steps_per_round": 2}])
def test_a_run_killed_anywhere_goes_on_to_the_same_bytes(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, memory: str, statistics: Settings
) -> None:
    tiling = {f"tiling.{key}": value for key, value in statistics.items()}
    settings = {**quick, **tiling, "tiling.tile": 64, "schedule.iterations": (3, 3), "compute.memory": memory}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole" / "map.tif", settings=settings)
    starts = []
    for rounds in (0, 1, 2):
        heard = _interrupted(scene, harvest, tmp_path / "killed" / "map.tif", settings, rounds)
        starts.append((heard[0].level, heard[0].step.before))
    again = nst_rs.stylize(scene, harvest, tmp_path / "killed" / "map.tif", settings=settings)
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses
    assert starts == sorted(starts)
    assert starts[-1] > (1, 0)
    assert set((tmp_path / "killed").iterdir()) == set(Outputs(tmp_path / "killed" / "map.tif"))


def _interrupted(scene: Path, style: Path, output: Path, settings: Settings, rounds: int) -> list[Progress]:
    """What a run tells that is killed after some rounds."""
    heard: list[Progress] = []
    with pytest.raises(KeyboardInterrupt):
        nst_rs.stylize(
            scene, style, output, settings=settings, listener=lambda state: _interrupt_after(state, rounds, heard)
        )
    return heard


def _interrupt_after(state: Progress, rounds: int, heard: list[Progress]) -> None:
    """Stop in the second window after some rounds."""
    heard.append(state)
    ends = [each.ends_iteration for each in heard]
    if sum(ends) == rounds and not any(ends[-2:]) and len(heard) > 1:
        raise KeyboardInterrupt


def test_another_run_does_not_go_on_where_one_was_killed(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    _interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    other = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "objective.beta": 2.0})
    fresh = nst_rs.stylize(scene, harvest, tmp_path / "fresh.tif", settings={**quick, "objective.beta": 2.0})
    assert other.output.read_bytes() == fresh.output.read_bytes()
    assert other.losses == fresh.losses


def test_what_was_left_to_the_machine_stays_decided_as_when_the_run_began(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**quick, "compute.precision": "auto", "schedule.iterations": (8, 6)}
    for precision, rounds in (("float32", 2), ("bfloat16", 0)):
        monkeypatch.setattr(
            "nst_rs.runs.prepare.choose_precision", lambda wanted, _, p=precision: p if wanted == "auto" else wanted
        )
        heard = _interrupted(scene, harvest, tmp_path / "map.tif", settings, rounds)
    assert heard[0].step.before > 0


def test_a_run_that_the_device_holds_goes_on_to_the_same_bytes_and_to_the_hosts_picture(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**quick, "tiling.tile": 64, "schedule.iterations": (3, 3), "schedule.averaged": 0.5}
    host = nst_rs.stylize(scene, harvest, tmp_path / "host.tif", settings=settings)
    # A CPU's operations in place of a GPU's: the run is the same otherwise.
    monkeypatch.setattr("nst_rs.runs.optimised.job.OptimisedJob.is_resident", lambda _job, _index: True)
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole.tif", settings=settings)
    heard = _interrupted(scene, harvest, tmp_path / "killed.tif", settings, 4)
    again = nst_rs.stylize(scene, harvest, tmp_path / "killed.tif", settings=settings)
    assert heard[-1].level == 2
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses
    assert whole.losses == pytest.approx(host.losses, rel=1e-3)
    # Two whole numbers apart where rounding falls the other way, and has been enlarged by six steps.
    assert np.abs(pixels(whole.output).astype(int) - pixels(host.output)).max() <= 2


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_a_stage_that_failed_goes_on_when_it_is_tried_again(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, memory: str
) -> None:
    settings = {**quick, "schedule.iterations": (5, 3), "tiling.tile": 64, "compute.memory": memory}
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole.tif", settings=settings)
    heard: list[Progress] = []
    job = prepare(load_config(whole.record, [f"output.path={tmp_path}/again.tif"]))
    session = Session(job, lambda state: _interrupt_after(state, 2, heard))
    for index in (0, 1):
        for _ in range(2):
            heard.clear()
            with pytest.raises(KeyboardInterrupt):
                session.compute(index)
        session._work._tracker.listener = lambda _state: None
        session.compute(index)
        session._work._tracker.listener = lambda state: _interrupt_after(state, 1, heard)
    again = session.publish()
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses


def test_a_damaged_checkpoint_is_as_none(scene: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    _interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    checkpoint = tmp_path / ".map.tif.work" / "checkpoint.json"
    checkpoint.write_text(checkpoint.read_text()[:-9])
    states: list[Progress] = []
    nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick, listener=states.append)
    assert (states[0].level, states[0].step.before) == (1, 0)


def test_with_all_tiles_at_once_predicted_statistics_are_the_exact_ones(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    losses = [
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "tiling.tile": 64, **cut}).losses
        for cut in ({"tiling.statistics": "exact"}, {"tiling.statistics": "predicted", "tiling.tiles_at_once": 99})
    ]
    assert losses[0] == losses[1]


def test_too_little_disk_is_refused_before_anything_is_written(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=3_000_000)
    monkeypatch.setattr("nst_rs.runs.job.shutil.disk_usage", lambda _folder: free)
    complaint = rf"disk of {tmp_path} for this map: expected about .* GB free, got 0\.0 GB; free some space"
    with pytest.raises(ResourceError, match=complaint):
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


def in_colors(color: str, scene: Path, harvest: Path, folder: Path, settings: Settings) -> Result:
    return nst_rs.stylize(scene, harvest, folder / f"{color}.tif", settings={**settings, "style.color": color})


@pytest.mark.parametrize("init", ["content", "noise"])
def test_in_the_scenes_colors_the_map_has_its_chrominance_and_another_luminance(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, init: str
) -> None:
    made = in_colors("scene", scene, harvest, tmp_path, {**quick, "schedule.init": init})
    job = prepare(load_config(made.record))
    composed = compose_levels(job, MemoryStorage())
    valid = composed.canvases[-1].scene_weight[:, :] > 0
    found, own = (x[valid].astype(float) for x in (pixels(made.output).transpose(1, 2, 0), composed.scene.image[:, :]))
    inside = ((found > 0) & (found < 255)).all(axis=-1)
    assert inside.mean() > 0.5
    change = (found - own)[inside]
    # The same in all channels but for the rounding to bytes: half a value each.
    assert np.ptp(change, axis=-1).max() < 1.001
    assert np.abs(change).mean() > 5


@pytest.mark.parametrize("color", ["scene", "histogram"])
def test_colors_are_the_whole_scenes_whatever_the_tile_and_repeat_from_the_record(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, color: str
) -> None:
    whole = in_colors(color, scene, harvest, tmp_path, quick)
    before = pixels(whole.output)
    cut = run(prepare(load_config(whole.record, ["tiling.tile=64", f"output.path={tmp_path}/cut.tif"])))
    difference = np.abs(pixels(cut.output).astype(int) - before)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001
    run(prepare(load_config(whole.record)))
    assert (pixels(whole.output) == before).all()


def test_a_style_in_the_scenes_colors_asks_for_other_colors_than_its_own(
    result: Result, scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    job = prepare(load_config(result.record))
    composed = compose_levels(job, MemoryStorage())
    valid = composed.canvases[-1].scene_weight[:, :] > 0
    own = composed.scene.image[:, :][valid].mean(axis=0)
    matched = in_colors("histogram", scene, harvest, tmp_path, quick)
    means = [pixels(made.output).transpose(1, 2, 0)[valid].mean(axis=0) for made in (result, matched)]
    plain, kept = (np.linalg.norm(mean - own) for mean in means)
    assert kept < plain


def test_a_listener_hears_the_run_to_its_end(scene: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    heard: list[Progress] = []
    nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick, listener=heard.append)
    fractions = [state.fraction for state in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    assert [(s.level, s.step.iteration) for s in heard if s.ends_iteration] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert heard[-1].seconds_left == pytest.approx(0, abs=1e-6)


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


def test_too_little_memory_is_refused_before_anything_is_written(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs.runs.prepare.choose_device", lambda _wanted: Device("/CPU:0", 10**6))
    with pytest.raises(
        ResourceError, match=r"memory of the host for this plan: expected about .* GB free, got 0\.0 GB"
    ):
        nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick)
    assert list(tmp_path.iterdir()) == []


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
