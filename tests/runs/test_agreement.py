"""Maps that agree with earlier ones, made by whole runs on small real scenes."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

import nst_rs
from nst_rs.composite.beyond import COLORS, STROKES
from nst_rs.composite.change import EDGE
from nst_rs.config.loading import load_config, override
from nst_rs.errors import ConfigError, NstError
from nst_rs.files.storage import MemoryStorage
from nst_rs.output.files import Outputs
from nst_rs.pyramid.resample import halve
from nst_rs.runs.agreement import compose_held
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.runs.optimised.levels import compose_levels
from nst_rs.runs.prepare import forecast, prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import run
from tests.forked import ForkedRun, Orders, use_pixels_for_features
from tests.rasters import random_values, write_raster

Settings = dict[str, Any]
HEIGHT, WIDTH = 96, 108
HALF = WIDTH // 2
FIELD = slice(30, 60), slice(60, 95)
"""Rows and columns of a field that changes."""
STANDING = {"schedule.levels": 1, "schedule.iterations": 1, "schedule.step_size": 1e-6}
"""Settings under which the map is the picture that the descent starts from."""


def cut(olinda: Path, path: Path, columns: slice, changed: bool = False) -> Path:
    """Cut some columns out of the sample scene; `changed` gives one field another colour, and all of it some noise."""
    with rasterio.open(olinda / "olinda_r0_c0.tif") as source:
        window = Window(columns.start, 40, columns.stop - columns.start, HEIGHT)
        values = source.read([3, 2, 1], window=window).astype(np.int16)
        if changed:
            values[(slice(None), *FIELD)] = np.array([20, 60, 160])[:, np.newaxis, np.newaxis]
            values += np.random.default_rng(0).integers(-2, 3, values.shape)
        place = {"crs": source.crs, "transform": source.window_transform(window)}
    return write_raster(path, np.clip(values, 1, 255).astype(np.uint8), names=("red", "green", "blue"), **place)


@pytest.fixture(scope="module")
def april(olinda: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(olinda, tmp_path_factory.mktemp("april") / "april.tif", slice(0, WIDTH))


@pytest.fixture(scope="module")
def may(olinda: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ground later, with a new reservoir."""
    return cut(olinda, tmp_path_factory.mktemp("may") / "may.tif", slice(0, WIDTH), changed=True)


@pytest.fixture(scope="module")
def neighbour(olinda: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ground to the east, of which the west half is april's."""
    return cut(olinda, tmp_path_factory.mktemp("east") / "east.tif", slice(HALF, HALF + WIDTH))


@pytest.fixture(scope="module")
def earlier(april: Path, harvest: Path, quick: Settings, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return nst_rs.stylize(april, harvest, tmp_path_factory.mktemp("earlier") / "april_map.tif", settings=quick)


@pytest.fixture
def stylize(harvest: Path, quick: Settings, tmp_path: Path) -> Callable[..., Result]:
    def made(scene: Path, settings: Settings, name: str = "map", listener: Any = None) -> Result:
        heard = {} if listener is None else {"listener": listener}
        return nst_rs.stylize(scene, harvest, tmp_path / f"{name}.tif", settings={**quick, **settings}, **heard)

    return made


Stylize = Callable[..., Result]


def levels_of(scene: Path, style: Path, settings: Settings, folder: Path) -> tuple[OptimisedJob, Any]:
    """A prepared run, and what it is held to."""
    named = load_config(None, [f"scene.paths=[{scene}]", f"style.images={style}", f"output.path={folder / 'map.tif'}"])
    job = prepare(override(named, settings))
    assert isinstance(job, OptimisedJob)
    storage = MemoryStorage()
    composed = compose_levels(job, storage)
    return job, compose_held(job, composed.scene, composed.canvases, storage)


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_where_nothing_has_changed_the_picture_starts_from_the_earlier_map_byte_for_byte(
    stylize: Stylize, april: Path, earlier: Result, memory: str
) -> None:
    made = stylize(april, {**STANDING, "style.agree": [earlier.output], "compute.memory": memory})
    assert (made.read() == earlier.read()).all()
    record = json.loads(made.record.read_text())
    assert record["agreement"]["unchanged"] == 1
    assert record["agreement"]["scene_change"] < 0.5  # the earlier composite is kept in whole values
    assert record["figures"]["agreement"]["map_change"] == 0
    (entry,) = [entry for entry in record["inputs"] if entry["path"] == str(earlier.output)]
    assert entry["sha256"]


def test_up_to_an_earlier_maps_end_the_picture_is_the_map_and_soon_beyond_it_starts_from_the_scene(
    stylize: Stylize, neighbour: Path, earlier: Result
) -> None:
    settings = {**STANDING, "composite.limits": load_config(earlier.record).composite.limits or earlier.record}
    plain = stylize(neighbour, settings, "plain").read().astype(int)
    made = stylize(neighbour, {**settings, "style.agree": earlier.output}).read().astype(int)
    assert (made[:, :HALF] == earlier.read()[:, HALF:]).all()
    # A step of a millionth, up in one and down in the other, can turn x.5 over.
    assert np.abs(made - plain)[:, HALF + STROKES :].max() <= 1
    assert np.abs(made - plain)[:, HALF].mean() > 1


def test_of_several_maps_the_first_counts_and_the_next_goes_on_where_it_ends(
    stylize: Stylize, neighbour: Path, earlier: Result
) -> None:
    other = stylize(neighbour, {"composite.limits": earlier.record}, "other")
    made = stylize(neighbour, {**STANDING, "style.agree": [earlier.output, other.output]})
    ours, first, second = (each.read().astype(int) for each in (made, earlier, other))
    assert (ours[:, : HALF - EDGE] == first[:, HALF:-EDGE]).all()
    assert (ours[:, HALF:] == second[:, HALF:]).all()
    # Over the last pixels of the first map one gives way to the other.
    low, high = np.minimum(first[:, HALF:], second[:, :HALF]), np.maximum(first[:, HALF:], second[:, :HALF])
    assert ((ours[:, :HALF] >= low - 1) & (ours[:, :HALF] <= high + 1)).all()
    told = json.loads(made.record.read_text())["agreement"]
    assert [each["covers"] for each in told["maps"]] == [0.5, 1]
    assert told["unchanged"] == 1


def test_an_earlier_map_in_another_crs_holds_the_ground_that_it_shows(
    stylize: Stylize, april: Path, neighbour: Path, earlier: Result
) -> None:
    degrees = stylize(april, {"composite.limits": earlier.record, "scene.crs": "EPSG:4326"}, "degrees")
    with rasterio.open(degrees.output) as map_in_degrees, rasterio.open(neighbour) as scene:
        assert map_in_degrees.crs != scene.crs
        warped = np.zeros((3, *scene.shape), np.uint8)
        place = {"dst_transform": scene.transform, "dst_crs": scene.crs, "resampling": Resampling.bilinear}
        reproject(rasterio.band(map_in_degrees, (1, 2, 3)), warped, **place)
    settings = {**STANDING, "style.agree": degrees.output, "scene.resampling": "bilinear"}
    made = stylize(neighbour, settings)
    (told,) = json.loads(made.record.read_text())["agreement"]["maps"]
    assert told["covers"] == pytest.approx(0.5, abs=0.03)
    assert told["compared"] == "composites"
    inner = np.s_[4:-4, 4 : HALF - 4]
    difference = np.abs(made.read().data.astype(int) - np.moveaxis(warped, 0, -1))[inner]
    # Where warping the composite twice has changed it, the ground is not quite held.
    assert np.median(difference) <= 1
    assert (difference <= 8).mean() > 0.9


def test_the_workers_of_a_cluster_make_the_map_that_one_process_makes_bit_for_bit(
    stylize: Stylize, neighbour: Path, earlier: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pixels_for_features(monkeypatch.setattr)
    shallow = {"objective.content_layers": {"conv1_1": 1}, "objective.style_layers": {"conv1_1": 1}}
    settings = {**shallow, "style.agree": earlier.output, "tiling.tile": 64, "compute.memory": "1GB"}
    alone = stylize(neighbour, {**settings, "tiling.statistics": "exact"}, "alone")
    made = stylize(neighbour, {**settings, "compute.executor": "dask", "compute.workers": 2})
    assert (made.read() == alone.read()).all()
    assert made.figures["agreement"] == alone.figures["agreement"]


def test_every_level_is_held_to_the_earlier_map_reduced_as_the_run_reduces_pictures(
    may: Path, harvest: Path, quick: Settings, earlier: Result, tmp_path: Path
) -> None:
    _, held = levels_of(may, harvest, {**quick, "schedule.levels": 3, "schedule.iterations": 1}, tmp_path)
    assert held is not None
    coarse, middle, fine = held.levels
    for below, above in ((coarse, middle), (middle, fine)):
        reduced = halve(*(each[:, :] for each in above.in_scene))
        for found, expected in zip(below.in_scene, reduced, strict=True):
            assert (found[:, :] == expected).all()
    assert (fine.in_scene[0][:, :][fine.in_scene[1][:, :] == 1] % 1 == 0).all()


def test_below_the_finest_level_the_colours_of_an_earlier_map_hold_beyond_its_end(
    neighbour: Path, harvest: Path, quick: Settings, earlier: Result, tmp_path: Path
) -> None:
    settings = {**quick, "style.agree": earlier.output, "schedule.levels": 3, "schedule.iterations": 1}
    _, held = levels_of(neighbour, harvest, settings, tmp_path)
    *coarser, fine = (tuple(each[:, :] for each in level.in_scene) for level in held.levels)
    assert not fine[1][:, HALF + STROKES :].any()
    beside = []
    for level, (colors, hold) in zip(held.levels, coarser, strict=False):
        end = -(-HALF // level.level.factor)  # the first column that shows nothing of the map
        beside.append(float(hold[:, end].mean()))
        falling = hold[:, end:].mean(axis=0)
        assert (np.diff(falling) <= 0).all()
        assert not falling[COLORS:].any()
        far = np.abs(colors[:, end].mean(axis=0) - colors[:, : end - 1].mean(axis=(0, 1)))
        assert far.mean() < 25  # the map's colours, on other ground; with none they are 0, and over 60 away
    assert beside[0] > 1.5 * beside[1] > 0


def test_colours_are_not_carried_into_ground_that_has_changed(
    may: Path, harvest: Path, quick: Settings, earlier: Result, tmp_path: Path
) -> None:
    settings = {**quick, "style.agree": earlier.output, "schedule.levels": 2, "schedule.iterations": 1}
    _, held = levels_of(may, harvest, settings, tmp_path)
    _, hold = held.levels[0].in_scene
    rows, columns = (slice(-(-each.start // 2), each.stop // 2) for each in FIELD)
    assert not hold[rows, columns].any()


def test_a_strong_hold_keeps_unchanged_ground_and_lets_a_new_field_be_painted(
    stylize: Stylize, may: Path, earlier: Result
) -> None:
    settings = {"composite.limits": earlier.record, "schedule.iterations": (8, 8)}
    alone = stylize(may, settings, "alone").read().astype(int)
    made = stylize(may, {**settings, "style.agree": earlier.output, "objective.agreement": 10.0}).read().astype(int)
    before = earlier.read().astype(int)
    same = np.ones((HEIGHT, WIDTH), bool)
    rows, columns = FIELD
    same[rows.start - 8 : rows.stop + 8, columns.start - 8 : columns.stop + 8] = False

    def change(picture: np.ndarray, where: Any) -> float:
        return float(np.sqrt(((picture - before)[where] ** 2).mean()))

    assert change(made, same) < 0.1 * change(alone, same)
    assert change(made, FIELD) > 0.7 * change(alone, FIELD)


def test_a_date_in_another_light_is_held_where_nothing_else_has_changed(
    may: Path, earlier: Result, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    hazy = tmp_path / "hazy.tif"
    with rasterio.open(may) as source:
        values = np.clip(0.8 * source.read() + 30, 1, 255).astype(np.uint8)
        write_raster(hazy, values, names=("red", "green", "blue"), crs=source.crs, transform=source.transform)
    _, held = levels_of(hazy, harvest, {**quick, "style.agree": earlier.output}, tmp_path)
    _, hold = held.levels[-1].in_scene
    assert not hold[FIELD[0]][:, FIELD[1]][6:-6, 6:-6].any()
    assert held.facts["unchanged"] > 0.5  # the field and the 12 pixels around it are a third of the scene
    np.testing.assert_allclose(held.facts["maps"][0]["light"]["gain"], 0.8, atol=0.03)


def test_where_all_of_the_ground_has_changed_that_is_told(
    april: Path, earlier: Result, harvest: Path, quick: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other.tif"
    with rasterio.open(april) as source:
        fields = np.random.default_rng(3).integers(1, 255, (3, HEIGHT // 12, WIDTH // 12), np.uint8)
        values = fields.repeat(12, axis=1).repeat(12, axis=2)
        write_raster(other, values, names=("red", "green", "blue"), crs=source.crs, transform=source.transform)
    _, held = levels_of(other, harvest, {**quick, "style.agree": earlier.output}, tmp_path)
    assert held.facts["unchanged"] == 0
    assert "style.agree: none of the ground is as it was" in caplog.text


def test_the_stretch_is_the_earlier_maps_unless_another_is_set(
    may: Path, harvest: Path, quick: Settings, earlier: Result
) -> None:
    named = load_config(None, [f"scene.paths=[{may}]", f"style.images={harvest}", f"style.agree={earlier.output}"])
    recorded = json.loads(earlier.record.read_text())["scene"]["limits"]
    limits = prepare(override(named, quick), to_write=False).config.composite.limits
    assert [list(each) for each in limits] == recorded
    own = ((0.0, 200.0),) * 3
    assert prepare(override(named, {**quick, "composite.limits": own}), to_write=False).config.composite.limits == own


def test_the_record_the_report_and_the_plan_tell_of_the_earlier_map(
    stylize: Stylize, neighbour: Path, earlier: Result, harvest: Path, quick: Settings
) -> None:
    made = stylize(neighbour, {"style.agree": earlier.output})
    record = json.loads(made.record.read_text())
    (told,) = record["agreement"]["maps"]
    light = told.pop("light")
    assert told == {"path": str(earlier.output), "covers": 0.5, "compared": "composites"}
    np.testing.assert_allclose(light["gain"], 1, atol=0.01)  # the earlier composite is kept in whole values
    np.testing.assert_allclose(light["offset"], 0, atol=1)
    assert record["levels"][-1]["terms"][-1]["name"] == "agreement"
    assert record["figures"]["agreement"]["map_change"] >= 0
    (seams,) = record["figures"]["agreement"]["seams"]
    assert seams["map"] == "april_map.tif"
    assert seams["this_above"]["ratio"] > 0
    assert seams["earlier_above"]["ratio"] > 0
    page = made.report.read_text()
    assert "<h3>Agreement</h3>" in page
    assert page.count("<h3>Seam</h3>") == 2
    assert "seam with april_map.tif" in repr(made)
    named = load_config(None, [f"scene.paths=[{neighbour}]", f"style.images={harvest}"])
    told_before = forecast(override(named, {**quick, "style.agree": earlier.output})).job.notes
    assert told_before == (f"agrees with {earlier.output}",)
    before = made.output.read_bytes()
    run(prepare(load_config(made.record)))
    assert made.output.read_bytes() == before


@pytest.mark.parametrize("gone", ["record", "scene"])
def test_what_has_changed_is_taken_from_the_map_where_there_is_nothing_else_and_that_is_told(
    stylize: Stylize,
    april: Path,
    earlier: Result,
    harvest: Path,
    quick: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    gone: str,
) -> None:
    scene = shutil.copy(april, tmp_path / "scene.tif")
    before = stylize(scene, {}, "before")
    if gone == "record":
        before.record.unlink()
    else:
        scene.unlink()
    made = stylize(april, {**STANDING, "style.agree": before.output})
    record = json.loads(made.record.read_text())
    (told,) = record["agreement"]["maps"]
    assert told["compared"] == "the map alone"
    assert ("run.json" if gone == "record" else "scene.tif") in told["reason"]
    assert "what has changed since is taken from the map alone" in caplog.text
    assert record["agreement"]["scene_change"] is None
    assert record["agreement"]["unchanged"] > 0.5


@pytest.mark.parametrize(("tile", "color"), [(64, "style"), (100, "scene")])
def test_a_map_that_agrees_does_not_depend_on_the_tile(
    stylize: Stylize, deep: Settings, neighbour: Path, earlier: Result, tile: int, color: str
) -> None:
    settings = {**deep, "style.agree": earlier.output, "style.color": color}
    whole = stylize(neighbour, settings, "whole")
    made = stylize(neighbour, {**settings, "tiling.tile": tile})
    assert json.loads(made.record.read_text())["levels"][-1]["tiles"] > 1
    difference = np.abs(made.read().astype(int) - whole.read())
    # Rounding to whole values: a difference in the last float32 digit can turn x.5 over.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_a_run_that_agrees_killed_anywhere_goes_on_to_the_same_bytes(
    earlier: Result, neighbour: Path, harvest: Path, tmp_path: Path, memory: str
) -> None:
    files = (f"scene.paths=[{neighbour}]", f"style.images={harvest}", "style.size=64", f"style.agree={earlier.output}")
    schedule = ("schedule.levels=2", "schedule.iterations=[3, 2]", "tiling.tile=64", "tiling.statistics=exact")
    layers = ("objective.content_layers={conv1_1: 1}", "objective.style_layers={conv1_1: 1}")
    compute = ("compute.precision=float32", "compute.device=cpu", f"compute.memory={memory}")
    output = tmp_path / "made" / "map.tif"
    output.parent.mkdir()
    orders = Orders((*files, *schedule, *layers, *compute, f"output.path={output}"))
    undisturbed = ForkedRun(orders)
    tally = undisturbed.said()
    assert undisturbed.end() == 0
    whole = output.read_bytes()
    shutil.rmtree(output.parent)
    output.parent.mkdir()
    for share in (0.1, 0.4, 0.7):
        assert ForkedRun(replace(orders, kill_at=1 + int(share * tally.changes))).end() == -signal.SIGKILL
    assert ForkedRun(orders).end() == 0
    assert output.read_bytes() == whole
    assert set(output.parent.iterdir()) == set(Outputs(output))


def test_a_run_that_was_killed_starts_anew_once_the_earlier_map_is_another(
    earlier: Result, neighbour: Path, april: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    """A map of the same place and name, made once more in another way."""
    agreed = tmp_path / "april_map.tif"
    for path in Outputs(earlier.output):
        if path.exists():
            shutil.copy(path, tmp_path / path.name)
    files = (f"scene.paths=[{neighbour}]", f"style.images={harvest}", f"style.agree={agreed}")
    settings = (*files, *(f"{name}={json.dumps(value)}" for name, value in quick.items()))
    whole, made, fresh = (Orders((*settings, f"output.path={tmp_path / name}.tif")) for name in ("a", "made", "fresh"))
    first = ForkedRun(whole)
    tally = first.said()
    assert ForkedRun(replace(made, kill_at=int(0.7 * tally.changes))).end() == -signal.SIGKILL
    nst_rs.stylize(april, harvest, agreed, settings={**quick, "schedule.iterations": 1})
    assert (ForkedRun(made).end(), ForkedRun(fresh).end()) == (0, 0)
    assert (tmp_path / "made.tif").read_bytes() == (tmp_path / "fresh.tif").read_bytes()
    assert (tmp_path / "made.tif").read_bytes() != (tmp_path / "a.tif").read_bytes()


def foreign(folder: Path, earlier: Result, name: str) -> Path:
    """Files that no run can agree with."""
    if name == "not ours.tif":
        return write_raster(folder / name, random_values((3, 40, 40)), photometric="RGB")
    if name == "words.tif":
        (folder / name).write_text("no map")
        return folder / name
    if name == "elsewhere.tif":
        shutil.copy(earlier.output, folder / name)
        with rasterio.open(folder / name, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as target:
            target.transform = target.transform @ rasterio.Affine.translation(500, 0)
        return folder / name
    return folder if name == "a folder" else folder / name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere.tif", r"style\.agree .*nowhere\.tif: expected a map made by this program, got no such file"),
        ("a folder", r"style\.agree .*: expected a map made by this program, got a folder"),
        ("not ours.tif", r"style\.agree .*not ours\.tif: expected a map made by this program, got a file without"),
        ("words.tif", r"style\.agree .*words\.tif: expected a map made by this program, got a file without"),
        ("elsewhere.tif", r"style\.agree .*elsewhere\.tif: expected a picture of the scene's place"),
    ],
)
def test_a_map_that_is_wrong_is_told_in_one_line_before_anything_is_computed(
    may: Path, harvest: Path, quick: Settings, earlier: Result, tmp_path: Path, name: str, expected: str
) -> None:
    path = foreign(tmp_path, earlier, name)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match=expected) as caught:
        nst_rs.stylize(may, harvest, tmp_path / "out" / "map.tif", settings={**quick, "style.agree": path})
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_map_of_other_bands_is_refused(may: Path, harvest: Path, quick: Settings, earlier: Result) -> None:
    named = load_config(None, [f"scene.paths=[{may}]", f"style.images={harvest}", f"style.agree={earlier.output}"])
    with pytest.raises(ConfigError, match="expected a map of the bands blue, green, red, got one of red, green, blue"):
        prepare(override(named, {**quick, "composite.bands": ("blue", "green", "red")}), to_write=False)


def test_a_map_is_not_written_over_one_that_it_agrees_with(
    may: Path, harvest: Path, quick: Settings, earlier: Result
) -> None:
    before = earlier.output.read_bytes()
    with pytest.raises(NstError, match="expected a new file, got an input of this run"):
        nst_rs.stylize(may, harvest, earlier.output, settings={**quick, "style.agree": earlier.output})
    assert earlier.output.read_bytes() == before


def test_a_map_without_data_where_the_scene_has_some_is_refused_and_leaves_nothing(
    april: Path, harvest: Path, quick: Settings, earlier: Result, tmp_path: Path
) -> None:
    with rasterio.open(april) as source:
        values, place = source.read(), {"crs": source.crs, "transform": source.transform}
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, HALF:] = True
    names = ("red", "green", "blue")
    west = write_raster(tmp_path / "west.tif", values, mask=~mask, names=names, **place)
    east = write_raster(tmp_path / "east.tif", values, mask=mask, names=names, **place)
    before = nst_rs.stylize(west, harvest, tmp_path / "west_map.tif", settings={**quick, "schedule.iterations": 1})
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="expected a map with data where the scene has some, got none"):
        nst_rs.stylize(east, harvest, tmp_path / "out" / "map.tif", settings={**quick, "style.agree": before.output})
    assert [path for path in (tmp_path / "out").iterdir() if "work" in path.name] == []


def test_a_killed_run_does_not_go_on_once_the_earlier_scene_is_gone(
    stylize: Stylize, may: Path, april: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What it is held to is then another thing."""
    scene = shutil.copy(april, tmp_path / "scene.tif")
    settings = {"style.agree": stylize(scene, {}, "before").output}

    def interrupt(state: Progress) -> None:
        if state.level == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(may, settings, listener=interrupt)
    scene.unlink()
    stylize(may, settings)
    assert "going on where an earlier run stopped" not in caplog.text
