"""Maps that have a picture of their own at every zoom: real runs, most with a stand-in for the network."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import nst_rs
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.files.storage import DiskStorage, Inset, MemoryStorage
from nst_rs.learned.normalising import adapted
from nst_rs.learned.windows import seen
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.output.files import Outputs
from nst_rs.pyramid.resample import halve
from nst_rs.pyramid.tiling import Span
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised.levels import Levels
from nst_rs.runs.painted.painting import Painting
from nst_rs.runs.painted.scene_statistics import moments_of
from nst_rs.runs.prepare import forecast, prepare
from nst_rs.runs.session import Session, run
from nst_rs.runs.zooms import Zoom, with_clouds
from tests.forked import ForkedRun, Orders, Tally, use_pixels_for_features
from tests.learned_styles import small_style
from tests.operated import free_address, operated
from tests.rasters import random_values, write_raster

SHAPE = 61, 1030
"""Three zooms: 515, 258 and 129 pixels wide; the last of 8 rows, which is less than the network's stride."""
FACTORS = [2, 4, 8]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = np.kron(random_values((3, 13, 206)), np.ones((1, 5, 5), np.uint8))[:, : SHAPE[0], : SHAPE[1]]
    values[:, 20:50, 300:367] = 0
    folder = tmp_path_factory.mktemp("zooms")
    return write_raster(folder / "scene.tif", values, names=("red", "green", "blue"), nodata=0)


def assignments(scene: Path, style: Path, output: Path, **settings: Any) -> tuple[str, ...]:
    files = (f"scene.paths=[{scene}]", f"style.images={style}", f"output.path={output}", "style.size=64")
    schedule = ("schedule.levels=2", "schedule.iterations=[3, 2]", "tiling.tile=256", "tiling.statistics=exact")
    layers = ("objective.content_layers={conv1_1: 1}", "objective.style_layers={conv1_1: 1}")
    compute = ("compute.precision=float32", "compute.device=cpu", "output.zooms=styled")
    return (
        *(*files, *schedule, *layers, *compute),
        *(f"{name.replace('__', '.')}={value}" for name, value in settings.items()),
    )


def overviews(tif: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels, (h, w, 3), and mask of the map and of every overview."""
    with rasterio.open(tif) as found:
        count = len(found.overviews(1))
    read = []
    for number in range(count + 1):
        with rasterio.open(tif, **({"overview_level": number - 1} if number else {})) as found:
            read.append((np.moveaxis(found.read(), 0, -1), found.dataset_mask() > 0))
    return read


class Watched:
    """A run whose levels' pictures are seen as they end."""

    def __init__(self, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures: dict[int, np.ndarray] = {}
        compute = Levels.compute

        def watched(levels: Levels, index: int) -> None:
            compute(levels, index)
            level = levels._job.plan.levels[index]
            self.pictures[level.factor] = Inset(levels._pictures[index], level.scene_slices)[:, :].copy()

        monkeypatch.setattr(Levels, "compute", watched)
        self.result = run(prepare(config))


@pytest.fixture
def pixels_for_features(monkeypatch: pytest.MonkeyPatch) -> None:
    use_pixels_for_features(monkeypatch.setattr)


@pytest.mark.usefixtures("pixels_for_features")
@pytest.mark.parametrize("levels", [1, 2, 5])
def test_every_overview_is_the_picture_of_its_level(
    scene: Path, harvest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    """Also where there are fewer levels than zooms, and more."""
    schedule = {"schedule__levels": levels, "schedule__iterations": 2}
    config = load_config(None, assignments(scene, harvest, tmp_path / "map.tif", **schedule))
    made = Watched(config, monkeypatch)
    (_, valid), *zooms = overviews(made.result.output)
    assert len(zooms) == len(FACTORS)
    weight = valid.astype(np.float32)
    for factor, (shown, mask) in zip(FACTORS, zooms, strict=True):
        _, weight = halve(np.zeros((*weight.shape, 3), np.float32), weight)
        np.testing.assert_array_equal(mask, weight > 0)
        np.testing.assert_array_equal(shown[mask], np.rint(made.pictures[factor])[mask])
    record = json.loads(made.result.record.read_text())
    assert [entry["factor"] for entry in record["zooms"]] == FACTORS
    assert record["zooms"][2]["shape"] == [8, 129]
    assert [level["factor"] for level in record["levels"]][::-1] == [2**k for k in range(max(levels, 4))]
    assert "From afar" in made.result.report.read_text()
    assert set(tmp_path.iterdir()) == set(Outputs(tmp_path / "map.tif"))


def by_class(scene: Path, **images: Path) -> dict[str, Any]:
    """Settings by which the western 400 columns are one class, `west`, and the others another, `rest`."""
    numbers = np.repeat(np.arange(SHAPE[1])[np.newaxis] < 400, SHAPE[0], axis=0).astype(np.uint8)
    raster = write_raster(scene.with_name("classes.tif"), numbers[np.newaxis])
    regions = [{"name": "west", "where": {"raster": str(raster), "values": [1]}}, {"name": "rest"}]
    styled = [each | ({"images": str(images[each["name"]])} if each["name"] in images else {}) for each in regions]
    return {"style__images": "{}", "style__regions": json.dumps(styled)}


def made_by_class(scene: Path, harvest: Path, output: Path, **settings: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Overviews of a map whose west is the scene as it is."""
    named = {**by_class(scene, rest=harvest), **settings}
    return overviews(run(prepare(load_config(None, assignments(scene, harvest, output, **named)))).output)


@pytest.mark.usefixtures("pixels_for_features")
def test_every_zoom_has_the_classes_of_the_ground_where_they_are(scene: Path, harvest: Path, tmp_path: Path) -> None:
    still = {"schedule__iterations": 1, "schedule__step_size": 1e-9, "schedule__init": "noise"}
    made = made_by_class(scene, harvest, tmp_path / "map.tif")
    started = made_by_class(scene, harvest, tmp_path / "still.tif", **still)
    for zoom, ((shown, mask), (composite, _)) in enumerate(zip(made, started, strict=True)):
        border = 400 / 2**zoom
        west, rest = slice(0, int(border) - 4), slice(int(border) + 5, None)
        np.testing.assert_array_equal(shown[:, west], composite[:, west])  # noise is nowhere there: it is the scene
        assert (np.abs(shown.astype(int) - composite)[:, rest][mask[:, rest]] > 2).mean() > 0.5
    averaged = made_by_class(scene, harvest, tmp_path / "averaged.tif", output__zooms="averaged")
    np.testing.assert_array_equal(averaged[0][0], made[0][0])
    assert (averaged[2][0] != made[2][0]).any()


def test_a_run_with_classes_killed_on_its_way_goes_on_to_the_same_zooms(
    scene: Path, harvest: Path, tmp_path: Path
) -> None:
    named = by_class(scene, west=harvest, rest=harvest.with_name("night_cafe.jpg"))
    whole, killed = (
        Orders(assignments(scene, harvest, tmp_path / f"{name}.tif", **named)) for name in ("whole", "killed")
    )
    undisturbed = ForkedRun(whole)
    tally = undisturbed.said()
    assert undisturbed.end() == 0
    assert ForkedRun(replace(killed, kill_at=int(0.6 * tally.changes))).end() == -signal.SIGKILL
    assert ForkedRun(killed).end() == 0
    assert (tmp_path / "killed.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


@pytest.mark.usefixtures("pixels_for_features")
@pytest.mark.parametrize("init", ["content", "noise"])
def test_the_map_itself_is_the_same_as_without_them(scene: Path, harvest: Path, tmp_path: Path, init: str) -> None:
    made = {
        zooms: overviews(
            run(
                prepare(
                    load_config(
                        None,
                        assignments(
                            scene, harvest, tmp_path / f"{zooms}.tif", output__zooms=zooms, schedule__init=init
                        ),
                    )
                )
            ).output
        )
        for zooms in ("averaged", "styled")
    }
    np.testing.assert_array_equal(made["averaged"][0][0], made["styled"][0][0])
    np.testing.assert_array_equal(made["averaged"][0][1], made["styled"][0][1])
    assert (made["averaged"][1][0] != made["styled"][1][0]).any()
    assert "zooms" not in json.loads((tmp_path / "averaged.run.json").read_text())


@pytest.mark.usefixtures("pixels_for_features")
def test_in_the_scenes_colours_every_zoom_has_its_own_scenes_chrominance(
    scene: Path, harvest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(None, assignments(scene, harvest, tmp_path / "map.tif", style__color="scene"))
    job = prepare(config)
    composed: list[Any] = []
    compose = Levels.compose
    monkeypatch.setattr(Levels, "compose", lambda levels: (compose(levels), composed.append(levels._composed))[0])
    result = run(job)
    image, weight = (np.asarray(array[:, :]) for array in (composed[0].scene.image, composed[0].scene.weight))
    for shown, mask in overviews(result.output)[1:]:
        image, weight = halve(image, weight)
        change = shown[mask].astype(float) - image[mask]
        inside = ((shown[mask] > 0) & (shown[mask] < 255)).all(axis=-1)
        assert np.ptp(change[inside], axis=-1).max() <= 1.01  # red, green and blue change alike, but for rounding


@pytest.mark.usefixtures("pixels_for_features")
def test_memory_disk_and_small_tiles_make_the_same_zooms(scene: Path, harvest: Path, tmp_path: Path) -> None:
    made = []
    for name, settings in (("a", {}), ("b", {"compute__memory": "1MB"}), ("c", {"tiling__tile": 128})):
        config = load_config(None, assignments(scene, harvest, tmp_path / f"{name}.tif", **settings))
        made.append(overviews(run(prepare(config)).output))
    for (first, _), (on_disk, _), (in_tiles, _) in zip(*made, strict=True):
        np.testing.assert_array_equal(first, on_disk)
        # Rounding to whole values: a difference in the last float32 digit can turn x.5 over.
        assert np.abs(first.astype(int) - in_tiles).max() <= 1


def test_the_real_network_paints_zooms_too_small_for_it(
    scene: Path, harvest: Path, tmp_path: Path, deep: dict[str, Any]
) -> None:
    settings = {**deep, "output.zooms": "styled", "schedule.iterations": 2}
    result = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=settings)
    levels = json.loads(result.record.read_text())["levels"]
    assert [level["shape"][1] for level in levels] == [129, 258, 515, 1030]
    assert all(level["losses"]["total"][-1] < level["losses"]["total"][0] for level in levels)


@pytest.fixture(scope="module")
def whole(scene: Path, harvest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Orders, Tally]:
    """The bytes of a run that nothing happens to, its orders, and what it did."""
    output = tmp_path_factory.mktemp("whole") / "map.tif"
    orders = Orders(assignments(scene, harvest, output))
    undisturbed = ForkedRun(orders)
    tally = undisturbed.said()
    assert undisturbed.end() == 0
    return output.read_bytes(), orders, tally


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_killed_run_goes_on_to_the_same_map_and_zooms(
    whole: tuple[bytes, Orders, Tally], tmp_path: Path, share: float
) -> None:
    wanted, orders, tally = whole
    output = tmp_path / "map.tif"
    orders = replace(orders, assignments=(*orders.assignments, f"output.path={output}"))
    killed = ForkedRun(replace(orders, kill_at=1 + int(share * tally.changes)))
    assert killed.end() == -signal.SIGKILL
    assert not output.exists() or output.read_bytes() == wanted
    assert ForkedRun(orders).end() == 0
    assert output.read_bytes() == wanted
    assert set(tmp_path.iterdir()) == set(Outputs(output))


@pytest.fixture(scope="module")
def on_a_cluster() -> Iterator[tuple[str, ...]]:
    """Settings by which two workers of a cluster compute."""
    address = free_address()
    with operated(address):
        yield "compute.executor=dask", f"compute.address={address}", "compute.workers=2"


@pytest.mark.parametrize("divided", [False, True], ids=["one style", "classes"])
def test_a_cluster_makes_the_same_map_and_zooms(
    scene: Path, harvest: Path, tmp_path: Path, on_a_cluster: tuple[str, ...], divided: bool
) -> None:
    named = by_class(scene, west=harvest, rest=harvest.with_name("night_cafe.jpg")) if divided else {}
    here, there = (tmp_path / f"{name}.tif" for name in ("here", "there"))
    for output, further in ((here, ()), (there, on_a_cluster)):
        assert ForkedRun(Orders((*assignments(scene, harvest, output, **named), *further))).end() == 0
    for (made, mask), (wanted, valid) in zip(overviews(there), overviews(here), strict=True):
        np.testing.assert_array_equal(made, wanted)
        np.testing.assert_array_equal(mask, valid)


@pytest.mark.usefixtures("pixels_for_features")
def test_a_run_does_not_take_the_zooms_of_another_for_its_own(scene: Path, harvest: Path, tmp_path: Path) -> None:
    """Killed when some levels were done; then another run at the place, killed when it has one."""
    ours, other = (
        load_config(None, assignments(scene, harvest, tmp_path / "map.tif", objective__beta=beta)) for beta in (1, 9)
    )
    with Session(prepare(ours)) as session:
        for index in (0, 1, 2):
            session.compute(index)
    with Session(prepare(other)) as session:
        session.compute(0)
    fresh = run(prepare(override(ours, {"output.path": tmp_path / "fresh.tif"}))).output
    again = run(prepare(ours)).output
    for (made, _), (wanted, _) in zip(overviews(again), overviews(fresh), strict=True):
        np.testing.assert_array_equal(made, wanted)


@pytest.mark.usefixtures("pixels_for_features")
def test_a_zoom_that_is_gone_is_made_anew(scene: Path, harvest: Path, tmp_path: Path) -> None:
    config = load_config(None, assignments(scene, harvest, tmp_path / "map.tif"))
    with Session(prepare(config)) as session:
        for index in (0, 1, 2):
            session.compute(index)
    DiskStorage(tmp_path / ".map.tif.work" / "arrays").delete("zoom-8")
    again = run(prepare(config)).output
    fresh = run(prepare(override(config, {"output.path": tmp_path / "fresh.tif"}))).output
    for (made, _), (wanted, _) in zip(overviews(again), overviews(fresh), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_strokes_that_shrink_with_the_level_are_refused(scene: Path, harvest: Path, tmp_path: Path) -> None:
    config = load_config(None, assignments(scene, harvest, tmp_path / "map.tif", style__scaling="level"))
    with pytest.raises(
        ConfigError, match=r"^output.zooms styled: expected style.scaling: fixed.*, got style.scaling: le"
    ):
        prepare(config)


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("output.zooms=painted", r"^output.zooms: expected 'averaged' or 'styled', got 'painted'"),
        ("output.tile_size=300", r"^output.tile_size: expected 256 or 512, got 300"),
    ],
)
def test_what_there_is_not_is_told_in_one_line(setting: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(None, [setting])


def test_a_plan_lists_the_levels_below(scene: Path, harvest: Path, tmp_path: Path) -> None:
    config = load_config(None, assignments(scene, harvest, tmp_path / "map.tif"))
    styled, averaged = (prepare(override(config, {"output.zooms": zooms})) for zooms in ("styled", "averaged"))
    assert [row["pixels"] for row in styled.outline] == ["129 × 8", "258 × 16", "515 × 31", "1030 × 61"]
    assert styled.outline[2:] == tuple(
        {**row, "level": number} for row, number in zip(averaged.outline, "34", strict=True)
    )
    assert styled.stages == ("level 1", "level 2", "level 3", "level 4")
    assert averaged.flops < styled.flops < 1.6 * averaged.flops
    assert styled.disk_bytes > averaged.disk_bytes


def test_clouds_are_shown_at_every_zoom_where_they_are_most_of_it() -> None:
    unstyled = np.zeros((6, 8, 4), np.uint8)
    unstyled[:4, :4] = (90, 80, 70, 255)  # four whole pixels of the first zoom, and one of the second
    unstyled[4, 4] = (90, 80, 70, 255)  # a quarter of one
    unstyled[5, 7] = (90, 80, 70, 255)  # a quarter of one that holds nothing else
    weight = 1.0 - unstyled[..., 3] / 255
    weight[4:, 6:] = 0
    zooms = []
    for factor in (2, 4):
        _, weight = halve(np.zeros((*weight.shape, 3), np.float32), weight.astype(np.float32))
        zooms.append(Zoom(factor, np.zeros((*weight.shape, 3), np.uint8), weight))
    first, second = with_clouds(tuple(zooms), unstyled, MemoryStorage())
    assert first.unstyled is not None
    assert second.unstyled is not None
    assert (first.unstyled[..., 3] > 0).tolist() == [[True, True, False, False]] * 2 + [[False] * 3 + [True]]
    assert first.unstyled[0, 0].tolist() == [90, 80, 70, 255]
    assert (second.unstyled[..., 3] > 0).tolist() == [[True, False], [False, False]]
    assert [zoom.unstyled for zoom in with_clouds(tuple(zooms), None, MemoryStorage())] == [None, None]


LEARNED = {"compute.precision": "float32", "output.zooms": "styled"}


@pytest.fixture(scope="module")
def painted(scene: Path) -> Result:
    small_style(normalised=True, deep_blocks=1).save(scene.with_name("small.style"))
    return nst_rs.stylize(scene, scene.with_name("small.style"), scene.with_name("painted.tif"), settings=LEARNED)


def test_a_learned_style_paints_every_zoom_by_itself(
    painted: Result, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    style = small_style(normalised=True, deep_blocks=1)
    record = json.loads(painted.record.read_text())
    statistics = [record["statistics"], *(zoom["statistics"] for zoom in record["zooms"])]
    assert len({json.dumps(each) for each in statistics}) == 4  # every zoom is normalised by its own values
    sheets: list[Any] = []
    compose = Painting.compose
    monkeypatch.setattr(Painting, "compose", lambda self: sheets.append((compose(self), *_copies(self))))
    config = override(load_config(painted.record), {"output.path": tmp_path / "map.tif"})
    job = prepare(config)
    run(job)
    _, image, weight = sheets[0]
    for zoom, (shown, mask) in enumerate(overviews(painted.output)):
        if zoom:
            image, weight = halve(image, weight)
        np.testing.assert_array_equal(mask, weight > 0)
        canvas = job.canvas(zoom)
        spans = [
            Span(-before, -before + -(-(size + before) // 8) * 8)
            for before, size in zip(canvas.before, weight.shape, strict=True)
        ]
        network = style.facts.architecture
        plain = GeneratorNetwork(network, adapted(style.weights, moments_of(statistics[zoom])), "/CPU:0")
        whole = plain(*seen(image, *spans, network.margin, canvas.corner))
        top, left = canvas.before
        difference = np.abs(shown - np.rint(whole)[top : top + weight.shape[0], left : left + weight.shape[1]])[mask]
        # Rounding, where the untiled picture's shape makes the library add up in another order.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3
    assert [entry["factor"] for entry in record["zooms"]] == FACTORS
    assert {"apply", "zoom 1:2", "zoom 1:4", "zoom 1:8"} <= record["seconds"].keys()


def _copies(painting_: Painting) -> tuple[np.ndarray, np.ndarray]:
    return painting_._scene.image[:, :].copy(), painting_._scene.weight[:, :].copy()


def test_a_learned_styles_map_is_the_same_as_without_them(painted: Result, scene: Path, tmp_path: Path) -> None:
    plain = nst_rs.stylize(
        scene, scene.with_name("small.style"), tmp_path / "plain.tif", settings={"compute.precision": "float32"}
    )
    np.testing.assert_array_equal(overviews(plain.output)[0][0], overviews(painted.output)[0][0])


def test_a_painting_that_is_killed_goes_on_to_the_same_map_and_zooms(
    painted: Result, scene: Path, tmp_path: Path
) -> None:
    """Killed after the map's three tiles and the first of the next zoom's two."""
    files = (f"scene.paths=[{scene}]", f"style.images={scene.with_name('small.style')}")
    orders = Orders(
        (*files, f"output.path={tmp_path / 'map.tif'}", "compute.precision=float32", "output.zooms=styled"),
        network=True,
        wait_after=4,
    )
    killed = ForkedRun(orders)
    assert killed.said() == "waiting"
    killed.process.kill()
    assert killed.end() == -signal.SIGKILL
    again: list[Any] = []
    result = run(prepare(load_config(None, orders.assignments)), again.append)
    assert len(again) == 3
    assert [state.fraction for state in again] == sorted(state.fraction for state in again)
    assert again[-1].fraction == pytest.approx(1)
    assert str(again[-1]).startswith("zoom 1:8, tile 1/1")
    for (made, _), (wanted, _) in zip(overviews(result.output), overviews(painted.output), strict=True):
        np.testing.assert_array_equal(made, wanted)


def test_a_plan_of_a_learned_style_lists_its_zooms(scene: Path, painted: Result) -> None:
    planned = forecast(load_config(painted.record))
    assert [row["zoom"] for row in planned.job.outline] == ["1:1", "1:2", "1:4", "1:8"]
    assert [row["pixels"] for row in planned.job.outline] == ["1030 × 61", "515 × 31", "258 × 16", "129 × 8"]
    assert planned.job.stages == ("apply", "zoom 1:2", "zoom 1:4", "zoom 1:8")
