"""Learned styles applied: real files, and a small network that was not learned but changes every pixel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import nst_rs
from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.errors import ConfigError, StyleError
from nst_rs.geo.grid import Grid
from nst_rs.learned.normalising import adapted
from nst_rs.learned.windows import paint, seen
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.pyramid.tiling import Span
from nst_rs.runs.finish import Result
from nst_rs.runs.painted.scene_statistics import moments_of
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import PaintingProgress
from nst_rs.runs.session import Session, run
from nst_rs.style.color import luminance
from tests.learned_styles import small_style
from tests.rasters import random_values, write_raster

FLOAT32 = {"compute.precision": "float32"}
SHAPE = 140, 570
"""Two blocks wide."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("applied")
    values = random_values((3, *SHAPE))
    values[:, 20:60, 500:530] = 0
    write_raster(folder / "scene.tif", values, names=("red", "green", "blue"), nodata=0)
    small_style().save(folder / "small.style")
    small_style("scene").save(folder / "grey.style")
    small_style(normalised=True, deep_blocks=1).save(folder / "normalised.style")
    return folder


def applied(folder: Path, name: str, style: str = "small", **settings: Any) -> Result:
    chosen = {key.replace("__", "."): value for key, value in settings.items()}
    output = folder / f"{name}.tif"
    return nst_rs.stylize(folder / "scene.tif", folder / f"{style}.style", output, settings=FLOAT32 | chosen)


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    return applied(folder, "map")


@pytest.fixture(scope="module")
def composite(folder: Path) -> np.ndarray:
    rendering = open_rendering(name_files(load_config(None), [str(folder / "scene.tif")], None, None))
    image, weight = np.zeros((*SHAPE, 3), np.float32), np.zeros(SHAPE, np.float32)
    compose(rendering.scene, rendering.channels, rendering.stretch, Sheets(image, weight))
    return image


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        found: np.ndarray = np.moveaxis(source.read(), 0, -1)
    return found


def mask(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        found: np.ndarray = source.dataset_mask() > 0
    return found


def test_the_map_is_the_networks_picture_of_the_whole_composite(result: Result, composite: np.ndarray) -> None:
    style = small_style()
    network = GeneratorNetwork(style.facts.architecture, style.weights, "/CPU:0")
    whole = paint(network, composite, Span(0, 140), Span(0, 572))[:, : SHAPE[1]]
    difference = np.abs(pixels(result.output).astype(float) - np.rint(whole))[mask(result.output)]
    # Rounding, where the untiled picture's shape makes the library add up in another order.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_the_map_lies_on_the_scenes_grid_with_its_nodata(result: Result, folder: Path) -> None:
    with rasterio.open(result.output) as made, rasterio.open(folder / "scene.tif") as scene:
        assert made.crs == scene.crs
        assert made.transform == scene.transform
        assert (made.dataset_mask() == scene.dataset_mask()).all()


@pytest.mark.parametrize("tile", [64, 600])
def test_any_tile_makes_the_same_pixels_bit_for_bit(result: Result, folder: Path, tile: int) -> None:
    other = applied(folder, f"tiles_{tile}", tiling__tile=tile)
    assert (pixels(other.output) == pixels(result.output)).all()


def test_workers_of_a_cluster_make_the_same_pixels_bit_for_bit(result: Result, folder: Path) -> None:
    other = applied(folder, "workers", compute__executor="dask", compute__workers=2)
    assert (pixels(other.output) == pixels(result.output)).all()
    assert not (folder / ".workers.tif.work").exists()


def test_strength_blends_towards_the_scene(folder: Path, result: Result, composite: np.ndarray) -> None:
    scene, half = (pixels(applied(folder, f"s{share}", style__strength=share / 10).output) for share in (0, 5))
    valid = mask(result.output)
    assert (scene[valid] == np.rint(composite)[valid]).all()
    middle = (scene[valid].astype(float) + pixels(result.output)[valid]) / 2
    assert np.abs(half[valid] - middle).max() <= 1.01  # three roundings


def test_the_scenes_colours_stay_where_they_are_asked_for(folder: Path, composite: np.ndarray) -> None:
    for style, settings in (("grey", {}), ("small", {"style__color": "scene"})):
        made = applied(folder, f"colours_{style}", style, **settings).output
        difference = pixels(made)[mask(made)].astype(float) - composite[mask(made)]
        inside = ((pixels(made)[mask(made)] > 0) & (pixels(made)[mask(made)] < 255)).all(axis=-1)
        # All channels change by as much as the luminance does, but for rounding.
        assert np.ptp(difference[inside], axis=-1).max() <= 1.01
        assert np.abs(luminance(difference[inside, np.newaxis].astype(np.float32))).mean() > 1


def test_everything_else_is_as_after_any_run(result: Result, folder: Path) -> None:
    record = json.loads(result.record.read_text())
    assert record["levels"] == []
    assert record["learned"]["licence"] == "CC0-1.0"
    assert [Path(entry["path"]).name for entry in record["inputs"]] == ["scene.tif", "small.style"]
    assert set(record["seconds"]) == {"compose", "network", "apply", "figures", "publish"}
    assert record["figures"]["seams"]["lines"] == 1
    assert record["cost"]["core_seconds"] > 0
    assert record["cost"]["gpu_seconds"] == 0 or "GPU" in record["device"]
    assert result.preview.exists()
    assert not (folder / ".map.tif.work").exists()


def test_bands_are_handed_over_with_their_own_values(folder: Path) -> None:
    made = applied(folder, "banded", output__bands=("blue", 1)).output.with_suffix(".bands.tif")
    np.testing.assert_array_equal(pixels(made), pixels(folder / "scene.tif")[..., [2, 0]])
    np.testing.assert_array_equal(mask(made), mask(folder / "scene.tif"))


def test_a_run_repeated_from_its_record_is_the_same_byte_for_byte(result: Result) -> None:
    before = result.output.read_bytes()
    run(prepare(load_config(result.record)))
    assert result.output.read_bytes() == before


def test_progress_is_told_tile_by_tile(folder: Path) -> None:
    heard: list[PaintingProgress] = []
    config = name_files(load_config(None), [folder / "scene.tif"], folder / "small.style", folder / "heard.tif")
    Session(prepare(config), heard.append).compute(0)
    assert [state.fraction for state in heard] == [0.5, 1.0]


def test_a_learned_style_does_not_go_with_others(folder: Path, harvest: Path) -> None:
    with pytest.raises(ConfigError, match="images, or one learned style"):
        nst_rs.stylize(folder / "scene.tif", [harvest, folder / "small.style"], folder / "no.tif")


def test_colours_that_the_style_did_not_learn_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="a style that was learned so"):
        applied(folder, "no", style__color="histogram")


def test_a_foreign_style_is_refused_before_anything_is_read(folder: Path) -> None:
    (folder / "foreign.style").write_bytes(b"no style")
    with pytest.raises(StyleError, match=r"foreign.style: expected a learned style"):
        applied(folder, "no", "foreign")


def test_settings_that_change_nothing_are_named_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {**FLOAT32, "style.size": 96, "style.strength": 0.5}
    nst_rs.stylize(
        folder / "scene.tif", folder / "small.style", folder / "told.tif", preset="legible", settings=settings
    )
    ignored = "style.size, objective.alpha, schedule.levels"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == f"small.style was learned already: {ignored}, set or of a preset, change nothing"


@pytest.fixture(scope="module")
def normalised(folder: Path) -> Result:
    return applied(folder, "normalised", "normalised")


def test_a_style_is_normalised_by_its_scene_and_the_record_holds_by_what(
    normalised: Result, composite: np.ndarray
) -> None:
    style = small_style(normalised=True, deep_blocks=1)
    network = style.facts.architecture
    kept = json.loads(normalised.record.read_text())["statistics"]
    assert kept["network"] == style.sha256
    plain = GeneratorNetwork(network, adapted(style.weights, moments_of(kept)), "/CPU:0")
    with rasterio.open(normalised.output) as made:
        corner = Grid(made.crs, made.transform, made.width, made.height).first_pixel
    (top, left), sides = (number % network.stride for number in corner), (152, 584)
    spans = [Span(-before, side - before) for before, side in zip((top, left), sides, strict=True)]
    whole = plain(*seen(composite, *spans, network.margin, corner))[top : top + SHAPE[0], left : left + SHAPE[1]]
    difference = np.abs(pixels(normalised.output).astype(float) - np.rint(whole))[mask(normalised.output)]
    # Rounding, where the untiled picture's shape makes the library add up in another order.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("settings", [{"tiling__tile": 64}, {"compute__executor": "dask", "compute__workers": 2}])
def test_any_tile_on_any_worker_is_normalised_alike(normalised: Result, folder: Path, settings: dict[str, Any]) -> None:
    other = applied(folder, "alike", "normalised", **settings)
    assert (pixels(other.output) == pixels(normalised.output)).all()


def test_a_part_of_a_scene_that_shares_the_statistics_of_the_whole_is_painted_as_the_whole_is(
    normalised: Result, folder: Path
) -> None:
    """But for a margin along the part's border, and along the gap in it: beyond the one the part is mirrored, into the
    other it is continued, from what it has."""
    area = {"rows": [0, 140], "columns": [3, 512]}
    limits = {"composite__limits": normalised.record, "scene__area": area}
    alone = applied(folder, "alone", "normalised", **limits)
    shared = applied(folder, "shared", "normalised", style__statistics=normalised.record, **limits)
    margin = small_style(deep_blocks=1).facts.architecture.margin
    columns = slice(3 + margin + 8, 500 - margin)
    whole = pixels(normalised.output)[:, columns]
    of_shared, of_alone = (pixels(made.output)[:, columns.start - 3 : columns.stop - 3] for made in (shared, alone))
    assert (of_shared == whole).all()
    assert not (of_alone == whole).all()
    records = [json.loads(made.record.read_text()) for made in (shared, normalised)]
    assert records[0]["statistics"] == records[1]["statistics"]
    names = [Path(entry["path"]).name for entry in records[0]["inputs"]]
    assert names == ["scene.tif", "normalised.run.json", "normalised.style"]


def test_a_neighbour_that_agrees_is_equal_to_the_bit_where_both_are_but_for_a_margin(
    folder: Path, tmp_path: Path
) -> None:
    made: list[Result] = []
    for name, columns in (("west", [0, 330]), ("east", [130, 480])):
        area = {"rows": [0, 140], "columns": columns}
        agree = {"style.agree": [each.output for each in made]}
        settings = {**FLOAT32, "scene.area": area, **agree}
        output = tmp_path / f"{name}.tif"
        made.append(nst_rs.stylize(folder / "scene.tif", folder / "normalised.style", output, settings=settings))
    margin = small_style(deep_blocks=1).facts.architecture.margin
    shared = slice(130 + margin + 8, 330 - margin - 8)  # blocks begin at multiples of the stride, 8
    first, second = (pixels(each.output) for each in made)
    assert (second[:, shared.start - 130 : shared.stop - 130] == first[:, shared]).all()
    records = [json.loads(each.record.read_text()) for each in made]
    assert records[0]["scene"]["limits"] == records[1]["scene"]["limits"]
    assert records[0]["statistics"] == records[1]["statistics"]
    assert records[1]["figures"]["agreement"]["seams"][0]["map"] == "west.tif"
    alone = nst_rs.stylize(
        folder / "scene.tif",
        folder / "normalised.style",
        tmp_path / "alone.tif",
        settings={**FLOAT32, "scene.area": {"rows": [0, 140], "columns": [130, 480]}},
    )
    assert not (pixels(alone.output)[:, shared.start - 130 : shared.stop - 130] == first[:, shared]).all()


def test_a_map_of_another_style_is_none_to_agree_with(normalised: Result, result: Result, folder: Path) -> None:
    small_style(normalised=True, deep_blocks=1, seed=9).save(folder / "another.style")
    for style, earlier, message in (
        (
            "another",
            normalised.output,
            r"^style\.agree .*: .* a run with the same learned style, got that of another one",
        ),
        ("normalised", result.output, r"^style\.agree .*: .*with its statistics"),
        ("normalised", folder / "scene.tif", r"style\.agree .*: expected a map made by this program"),
    ):
        with pytest.raises(ConfigError, match=message):
            applied(folder, "none", style, style__agree=earlier)


def test_a_killed_run_goes_on_with_the_statistics_that_it_began_with(
    normalised: Result, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = name_files(load_config(None), [folder / "scene.tif"], folder / "normalised.style", folder / "killed.tif")

    class KilledError(Exception):
        pass

    def kill(_: PaintingProgress) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        Session(prepare(override(config, FLOAT32)), kill).compute(0)

    def fail(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("nst_rs.neural.normalising.measure_moments", fail)
    made = run(prepare(override(config, FLOAT32)))
    assert (pixels(made.output) == pixels(normalised.output)).all()


def test_statistics_of_another_style_or_of_none_are_refused(normalised: Result, result: Result, folder: Path) -> None:
    small_style(normalised=True, deep_blocks=1, seed=9).save(folder / "other.style")
    for style, record, message in (
        ("other", normalised.record, "a run with the same learned style, got that of another one"),
        ("normalised", result.record, "with its statistics, got no key 'statistics'"),
        ("normalised", folder / "none.json", "with its statistics"),
        ("small", normalised.record, "a learned style that is normalised by its scene, got small.style, an older one"),
    ):
        with pytest.raises(ConfigError, match=message):
            applied(folder, "no", style, style__statistics=record)


def test_a_map_of_the_second_version_is_painted_as_it_was(folder: Path, composite: np.ndarray) -> None:
    """A style without scene's statistics has none in its record, and repeats pixels."""
    small_style(enlarging="repeated").save(folder / "second.style")
    made = applied(folder, "second", "second")
    assert "statistics" not in json.loads(made.record.read_text())
