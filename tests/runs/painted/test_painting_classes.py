"""Classes of ground painted by learned styles: real files, and small networks that were not learned."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio

from nst_rs.composite.soft_classes import shares_of
from nst_rs.config.loading import load_config
from nst_rs.errors import ConfigError, NstError
from nst_rs.output.files import Outputs
from nst_rs.pyramid.resample import halve
from nst_rs.runs.finish import Result
from nst_rs.runs.prepare import forecast, prepare
from nst_rs.runs.session import run
from tests.forked import ForkedRun, Orders
from tests.learned_styles import small_style
from tests.rasters import random_values, write_raster

SHAPE = 90, 620
SHORE = 560
"""Two blocks wide; the first one holds no land."""
CPU = ("compute.precision=float32", "compute.device=cpu")
STYLED = "output.zooms=styled"
Array = np.ndarray


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    values = random_values((4, *SHAPE)) // 8
    values[1, :, :SHORE] += 150
    values[3, :, SHORE:] += 150
    values[:, 40:50, 550:570] = 0
    write_raster(folder / "scene.tif", values, names=("red", "green", "blue", "nir"), nodata=0)
    for number, name in enumerate(("sea", "field")):
        small_style(seed=number).save(folder / f"{name}.style")
    small_style(normalised=True, deep_blocks=1).save(folder / "normalised.style")
    return folder


def assignments(folder: Path, output: Path, sea: str | None, land: str | None, *further: str) -> tuple[str, ...]:
    images = [{"images": str(folder / name)} if name else {} for name in (sea, land)]
    classes = [{"name": "sea", "where": "ndwi > 0", **images[0]}, {"name": "land", **images[1]}]
    named = f"scene.paths=[{folder / 'scene.tif'}]", f"style.regions={json.dumps(classes)}", f"output.path={output}"
    return (*named, *CPU, *further)


def made(folder: Path, name: str, sea: str | None, land: str | None, *further: str) -> Result:
    return run(prepare(load_config(None, assignments(folder, folder / f"{name}.tif", sea, land, *further))))


def pixels(path: Path) -> Array:
    with rasterio.open(path) as source:
        return np.moveaxis(source.read(), 0, -1).astype(int)


def pictures(path: Path) -> list[Array]:
    """The map, (h, w, 3), and its pictures for coarser zooms."""
    with rasterio.open(path) as source:
        count = len(source.overviews(1))
    read = [pixels(path)]
    for number in range(count):
        with rasterio.open(path, overview_level=number) as source:
            read.append(np.moveaxis(source.read(), 0, -1).astype(int))
    return read


@pytest.fixture(scope="module")
def both(folder: Path) -> Result:
    return made(folder, "both", "sea.style", "field.style")


@pytest.fixture(scope="module")
def field(folder: Path) -> Array:
    return alone(folder, "field")


def alone(folder: Path, style: str) -> Array:
    return pixels(painted_alone(folder, style))


def painted_alone(folder: Path, style: str, *further: str) -> Path:
    named = (f"scene.paths=[{folder / 'scene.tif'}]", f"style.images={folder / style}.style")
    settings = (*named, f"output.path={folder / style}.tif", *CPU, *further)
    return run(prepare(load_config(None, settings))).output


def test_every_class_is_as_its_style_alone_would_paint_the_scene(folder: Path, both: Result, field: Array) -> None:
    sea, joined = alone(folder, "sea"), pixels(both.output)
    assert (joined[:, : SHORE - 4] == sea[:, : SHORE - 4]).all()
    assert (joined[:, SHORE + 4 :] == field[:, SHORE + 4 :]).all()
    shore = joined[:30, SHORE - 4 : SHORE + 4]
    low, high = (choose(sea, field)[:30, SHORE - 4 : SHORE + 4] for choose in (np.minimum, np.maximum))
    assert (low <= shore).all()
    assert (shore <= high).all()


def test_the_map_does_not_depend_on_the_tiles(folder: Path, both: Result) -> None:
    other = made(folder, "tiles", "sea.style", "field.style", "tiling.tile=1024")
    assert (pixels(other.output) == pixels(both.output)).all()


def test_a_class_without_a_style_shows_the_scene_and_is_not_painted(folder: Path) -> None:
    result = made(folder, "half", None, "field.style")
    scene = made(folder, "none", None, "field.style", "style.strength=0")
    assert (pixels(result.output)[:, : SHORE - 4] == pixels(scene.output)[:, : SHORE - 4]).all()
    assert "apply land" in result.seconds
    assert "apply sea" not in result.seconds


def test_the_record_and_the_report_have_the_classes(both: Result) -> None:
    record = json.loads(both.record.read_text())
    assert [(each["name"], each["paintings"]) for each in record["regions"]] == [
        ("sea", ["sea.style"]),
        ("land", ["field.style"]),
    ]
    assert record["regions"][0]["learned"]["widths"] == [4, 8, 8]
    assert record["levels"] == []
    assert {"apply sea", "apply land"} <= set(both.seconds)
    assert '<ul class="ground">' in both.report.read_text()


def test_a_plan_lists_a_stage_for_every_class(folder: Path) -> None:
    planned = forecast(load_config(None, assignments(folder, folder / "plan.tif", "sea.style", "field.style")))
    assert planned.job.stages == ("apply sea", "apply land")
    assert [row["class"] for row in planned.job.outline] == ["sea", "land"]
    assert [row["after"] for row in planned.job.ground] == ["sea.style", "field.style"]
    assert planned.seconds > 0


def test_a_style_that_is_normalised_by_its_scene_paints_a_class_too(folder: Path, field: Array) -> None:
    result = made(folder, "normalised", "normalised.style", "field.style")
    joined = pixels(result.output)
    assert (joined[:, SHORE + 4 :] == field[:, SHORE + 4 :]).all()
    assert "statistics sea" in result.seconds


@pytest.mark.parametrize(
    ("sea", "land", "further", "said"),
    [
        ("sea.style", "harvest.jpg", (), "style.regions land: expected one learned style, as another class has"),
        ("sea.style", "field.style", ("style.statistics=map.run.json",), "style.statistics: expected no earlier run's"),
        ("sea.style", "field.style", ("style.color=histogram",), "style.color histogram: expected a style"),
        ("gone.style", "field.style", (), "gone.style: expected"),
    ],
)
def test_what_cannot_be_painted_is_refused_in_one_line(
    folder: Path, sea: str, land: str, further: tuple[str, ...], said: str
) -> None:
    with pytest.raises(NstError) as error:
        prepare(load_config(None, assignments(folder, folder / "refused.tif", sea, land, *further)))
    assert said in str(error.value)


def test_styles_learned_on_other_bands_need_bands_that_are_named(folder: Path) -> None:
    style = small_style()
    facts = style.facts.model_copy(update={"configuration": {"composite": {"bands": ["nir", "red", "green"]}}})
    type(style)(facts, style.weights, style.preview).save(folder / "infrared.style")
    named = assignments(folder, folder / "bands.tif", "infrared.style", "field.style")
    with pytest.raises(ConfigError, match="expected styles that were learned on the same bands"):
        prepare(load_config(None, named))
    assert prepare(load_config(None, [*named, "composite.bands=[red, green, blue]"])).stages


def test_every_zoom_is_painted_by_its_classes_styles(folder: Path, tmp_path: Path) -> None:
    """Two blocks at the first zoom, 512 of 650 pixels; the shore is in the second one. Both styles are there alone."""
    shore, shape = 1100, (40, 1300)
    values = random_values((4, *shape)) // 8 + 1
    values[1, :, :shore] += 150
    values[3, :, shore:] += 150
    values[:, 10:20, 1090:1120] = 0
    write_raster(tmp_path / "scene.tif", values, names=("red", "green", "blue", "nir"), nodata=0)
    for name in ("sea", "field"):
        shutil.copy(folder / f"{name}.style", tmp_path)
    made_of = tmp_path, "both", "sea.style", "field.style"
    both = made(*made_of, STYLED)
    sea, field = (pictures(painted_alone(tmp_path, style, STYLED)) for style in ("sea", "field"))
    numbers = np.repeat((np.arange(shape[1]) >= shore)[np.newaxis], shape[0], axis=0).astype(np.uint8)
    weight = (values[0] > 0).astype(np.float32)
    shares = shares_of(numbers, weight, (0, 1), slice(0, shape[0]))
    found = pictures(both.output)
    assert [picture.shape[1] for picture in found] == [1300, 650, 325, 163]
    for zoom, picture in enumerate(found):
        shares, weight = halve(shares, weight) if zoom else (shares, weight)
        wanted = shares[..., :1] * sea[zoom] + shares[..., 1:] * field[zoom]
        pure = shares.max(axis=-1) == 1
        assert pure.mean() > 0.9
        np.testing.assert_array_equal(picture[pure], wanted[pure])
        assert np.abs(picture - wanted)[weight > 0].max() <= 0.501  # both sides of the shore, joined and rounded once
    record = json.loads(both.record.read_text())
    assert [entry["factor"] for entry in record["zooms"]] == [2, 4, 8]
    assert {"apply sea", "zoom 1:8 sea", "zoom 1:2 land"} <= set(both.seconds)


def test_a_plan_lists_every_classes_zooms(folder: Path) -> None:
    named = assignments(folder, folder / "zooms.tif", "sea.style", "field.style")
    plain, styled = prepare(load_config(None, named)), prepare(load_config(None, [*named, STYLED]))
    assert styled.stages == (
        *("apply sea", "zoom 1:2 sea", "zoom 1:4 sea"),
        *("apply land", "zoom 1:2 land", "zoom 1:4 land"),
    )
    assert [(row["class"], row["zoom"]) for row in styled.outline][2:4] == [("sea", "1:4"), ("land", "1:1")]
    assert styled.disk_bytes > plain.disk_bytes


def test_a_run_killed_on_its_way_goes_on_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """The bytes of the pictures for zooms, too."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = (
        assignments(folder, tmp_path / name / "map.tif", "sea.style", "normalised.style", STYLED)
        for name in ("whole", "killed")
    )
    first = ForkedRun(Orders(whole, network=True))
    tally = first.said()
    assert first.end() == 0
    cut_short = ForkedRun(Orders(killed, network=True, kill_at=int(0.7 * tally.changes)))
    assert cut_short.end() == -signal.SIGKILL
    assert ForkedRun(Orders(killed, network=True)).end() == 0
    assert (tmp_path / "killed" / "map.tif").read_bytes() == (tmp_path / "whole" / "map.tif").read_bytes()
    assert set((tmp_path / "killed").iterdir()) == set(Outputs(tmp_path / "killed" / "map.tif"))
