import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import Affine

from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.geo.grid import Grid
from nst_rs.style.stroke import fit, settle_learned_stroke, settle_stroke

UTM = CRS.from_epsg(32621)


def grid(resolution: float, metres: tuple[float, float] = (12_000, 9_000)) -> Grid:
    width, height = (round(side / resolution) for side in metres)
    return Grid(UTM, Affine(resolution, 0, 500_000, 0, -resolution, 9_000_000), width, height)


def settled(stroke: float, on: Grid, **settings: object) -> RunConfig:
    chosen = {key.replace("__", "."): value for key, value in settings.items()}
    config = override(RunConfig(), {"style.stroke": stroke, **chosen})
    return override(config, settle_stroke(config, on))


def stroke_on_the_ground(config: RunConfig, on: Grid) -> float:
    """In metres, at the coarsest level, where strokes are found."""
    return config.style.size / 32 * on.metres_per_pixel * 2 ** (config.schedule.levels - 1)


@given(stroke=st.floats(60, 30_000), finer=st.floats(5, 30))
def test_two_sensors_scenes_of_one_place_get_strokes_of_one_size(stroke: float, finer: float) -> None:
    for on in (grid(30), grid(finer)):
        config = settled(stroke, on)
        half_a_pixel = 0.5 / 32 * on.metres_per_pixel * 2 ** (config.schedule.levels - 1)
        assert stroke_on_the_ground(config, on) == pytest.approx(stroke, abs=half_a_pixel * (1 + 1e-9))


@pytest.mark.parametrize(("resolution", "levels", "size"), [(30.0, 2, 320), (10.0, 3, 480)])
def test_landsat_and_sentinel_by_hand(resolution: float, levels: int, size: int) -> None:
    """600 m are 20 pixels of 30 m, 10 after one halving, and 60 pixels of 10 m, 15 after two."""
    config = settled(600, grid(resolution))
    assert (config.schedule.levels, config.style.size) == (levels, size)


@given(st.floats(2, 1e5), st.integers(1, 12))
def test_a_stroke_is_8_to_16_pixels_where_there_are_levels_enough(pixels: float, most: int) -> None:
    levels, size = fit(pixels, most)
    assert 1 <= levels <= most
    assert size == round(32 * pixels / 2 ** (levels - 1))
    if pixels < 8:
        assert levels == 1
    elif levels < most:
        assert 256 <= size <= 512
    else:
        assert size >= 256


def test_a_scene_too_small_for_the_levels_gets_fewer_and_a_larger_style() -> None:
    small = grid(30, (1200, 9_000))  # 40 pixels wide: 20 after one halving, less than the stride of 16 after two
    config = settled(1200, small)
    assert (config.schedule.levels, config.style.size) == (2, 640)


def test_a_shallow_network_has_no_more_levels_than_a_schedule_may_have() -> None:
    shallow = {"objective__content_layers": {"conv1_1": 1}, "objective__style_layers": {"conv1_1": 1}}
    assert settled(30 * 2**17, grid(30), **shallow).schedule.levels == 12


@pytest.mark.parametrize("stroke", [1.0, 59.0, 1e6])
def test_a_stroke_of_no_possible_size_is_refused_with_the_sizes_there_are(stroke: float) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"^style.stroke: expected 60 to 61440 metres for this scene, got {re.escape(f'{stroke:g}')}$",
    ):
        settled(stroke, grid(30))
    assert settled(60, grid(30)).style.size == 64
    assert settled(61440, grid(30)).style.size == 4096


@given(resolution=st.floats(0.3, 500), side=st.integers(16, 5000))
def test_the_sizes_that_are_named_are_possible(resolution: float, side: int) -> None:
    on = grid(resolution, (side * resolution, side * resolution))
    with pytest.raises(ConfigError) as refused:
        settled(1e-3, on)
    low, high = str(refused.value).partition("expected ")[2].split(" metres")[0].split(" to ")
    assert settled(float(low), on).style.size == 64
    assert settled(float(high), on).style.size == 4096


def test_without_a_stroke_nothing_is_decided() -> None:
    assert settle_stroke(RunConfig(), grid(30)) == settle_learned_stroke(RunConfig(), grid(30)) == {}


@given(st.floats(60, 3840))
def test_a_style_that_is_scaled_with_the_levels_has_the_strokes_size_at_all_of_them(stroke: float) -> None:
    config = settled(stroke, grid(30), style__scaling="level")
    assert config.style.size == round(32 * stroke / 30)
    assert config.schedule.levels == settled(stroke, grid(30)).schedule.levels


@pytest.mark.parametrize(
    ("stroke", "advice"), [(59.0, ""), (3900.0, "; set style.scaling=fixed for a larger one")], ids=["small", "large"]
)
def test_a_stroke_beyond_the_largest_style_is_refused_with_the_way_there_is(stroke: float, advice: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"^style.stroke: expected 60 to 3840 metres for this scene, got {re.escape(f'{stroke:g}')}{advice}$",
    ):
        settled(stroke, grid(30), style__scaling="level")


@given(st.floats(60, 30_000))
def test_settling_again_changes_nothing(stroke: float) -> None:
    config = settled(stroke, grid(10))
    assert override(config, settle_stroke(config, grid(10))) == config


def test_iterations_a_level_must_be_as_many_as_the_strokes_levels() -> None:
    assert settled(600, grid(10), schedule__iterations=(3, 2, 1)).schedule.level_iterations == (3, 2, 1)
    # The default of three levels does not count once a stroke decides.
    assert settled(600, grid(30), schedule__iterations=(2, 1)).schedule.level_iterations == (2, 1)
    with pytest.raises(
        ConfigError,
        match=r"^schedule.iterations: expected one number, or one for each of the 2 levels of style.stroke 600, "
        "got 3 numbers$",
    ):
        settled(600, grid(30), schedule__iterations=(3, 2, 1))


def test_a_run_holds_and_repeats_what_its_stroke_decided(olinda: Path, harvest: Path, tmp_path: Path) -> None:
    from nst_rs.runs.prepare import prepare

    assignments = [f"scene.paths=[{olinda}]", f"style.images={harvest}", f"output.path={tmp_path}/map.tif"]
    job = prepare(load_config(None, [*assignments, "style.stroke=600", "compute.precision=float32"]))
    # 600 / 28.5 = 21.05 pixels, 10.53 after one halving.
    assert job.config.style.size == 337
    assert max(job.inputs.styles[0].image.shape) == 337
    assert [level.factor for level in job.plan.levels] == [2, 1]
    record = tmp_path / "map.run.json"
    record.write_text(json.dumps({"configuration": json.loads(job.config.model_dump_json())}))
    assert prepare(load_config(record)).config == job.config
