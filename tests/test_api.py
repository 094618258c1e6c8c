"""What Python users call."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray
from PIL import Image

import nst_rs
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, LockedError, OutputError, StyleError
from nst_rs.files import lock
from nst_rs.runs.progress import Progress
from tests.learned_styles import small_style
from tests.rasters import NORTH_UP, in_memory, random_values, write_raster

Settings = dict[str, Any]
BANDS = ("red", "green", "blue")


def run(code: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = random_values((3, 64, 80))
    found[:, 5:20, 5:30] = 0
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> Path:
    return write_raster(tmp_path_factory.mktemp("scene") / "scene.tif", values, names=BANDS, nodata=0)


@pytest.fixture(scope="module")
def fast(quick: Settings) -> Settings:
    return {**quick, "schedule.levels": 1, "schedule.iterations": 2}


@pytest.fixture(scope="module")
def result(scene: Path, harvest: Path, fast: Settings, tmp_path_factory: pytest.TempPathFactory) -> nst_rs.Result:
    return nst_rs.stylize(scene, harvest, tmp_path_factory.mktemp("out") / "map.tif", settings=fast)


def test_importing_nst_rs_brings_neither_tensorflow_nor_rasterio() -> None:
    names = ("tensorflow", "keras", "rasterio", "xarray", "matplotlib", "prefect")
    code = f"import sys, nst_rs; print([name for name in {names} if name in sys.modules])"
    assert run(code).stdout.strip() == "[]"


def test_every_exported_name_is_there_and_listed() -> None:
    assert set(nst_rs.__all__) <= set(dir(nst_rs))
    assert all(getattr(nst_rs, name) is not None for name in nst_rs.__all__)
    assert nst_rs.__version__ == version("nst-rs")
    with pytest.raises(AttributeError, match="module 'nst_rs' has no attribute 'stylise'"):
        nst_rs.stylise  # noqa: B018


def test_a_map_made_from_python_leaves_the_terminal_to_its_user(
    scene: Path, harvest: Path, fast: Settings, tmp_path: Path
) -> None:
    call = f"nst_rs.stylize({str(scene)!r}, {str(harvest)!r}, {str(tmp_path / 'map.tif')!r}, settings={fast!r})"
    ended = run(f"import nst_rs; nst_rs.Result; made = {call}; print(made.output)")
    assert ended.stderr == ""
    assert ended.stdout.strip() == str(tmp_path / "map.tif")


def test_a_preset_comes_before_the_configuration_and_that_before_settings(
    scene: Path, harvest: Path, quick: Settings
) -> None:
    shallow = {key: value for key, value in quick.items() if not key.startswith("schedule")}

    def chosen(settings: Settings | None = None, **how: Any) -> tuple[Any, int]:
        config = nst_rs.plan(scene, harvest, settings={**shallow, **(settings or {})}, **how).job.config
        return config.objective.alpha, config.schedule.levels

    config = override(load_config(None), {"schedule.levels": 1})
    assert chosen() == (0.2, 3)
    assert chosen(preset="legible") == (1.0, 2)
    assert chosen(preset="legible", config=config) == (1.0, 1)
    assert chosen(preset="legible", config=config, settings={"objective.alpha": 0.3}) == (0.3, 1)
    with pytest.raises(ConfigError, match="preset: expected one of legible, balanced, painterly, quick, got readable"):
        nst_rs.plan(scene, harvest, preset="readable")


@pytest.mark.parametrize("kind", ["SceneArray", "masked", "DataArray", "masked DataArray"])
def test_a_scene_in_memory_makes_the_map_that_its_file_makes(
    kind: str, result: nst_rs.Result, scene: Path, values: np.ndarray, harvest: Path, fast: Settings, tmp_path: Path
) -> None:
    masked = np.ma.MaskedArray(np.where(values == 0, 7, values), values == 0)
    given = {
        "SceneArray": in_memory(values),
        "masked": in_memory(masked, transform=tuple(NORTH_UP)[:6]),
        "DataArray": rioxarray.open_rasterio(scene),
        "masked DataArray": rioxarray.open_rasterio(scene, masked=True),
    }[kind]
    painting = Image.open(harvest)
    made = nst_rs.stylize(given, painting, tmp_path / "map.tif", settings=fast)
    assert np.array_equal(made.read().filled(0), result.read().filled(0))
    assert np.array_equal(made.read().mask, result.read().mask)
    with rasterio.open(made.output) as ours, rasterio.open(scene) as theirs:
        assert (ours.crs, ours.transform) == (theirs.crs, theirs.transform)
    record = json.loads(made.record.read_text())
    assert sorted(path.name for path in (tmp_path / "map.inputs").iterdir()) == ["scene.tif", "style1.png"]
    assert record["scene"]["bands"] == list(BANDS)
    assert {Path(entry["path"]).parent for entry in record["inputs"]} == {tmp_path / "map.inputs"}


def test_the_record_of_a_run_from_memory_repeats_it(
    values: np.ndarray, harvest: Path, fast: Settings, tmp_path: Path
) -> None:
    made = nst_rs.stylize(in_memory(values), Image.open(harvest), tmp_path / "map.tif", settings=fast)
    first, stamp = made.output.read_bytes(), (tmp_path / "map.inputs" / "scene.tif").stat().st_mtime_ns
    again = nst_rs.stylize(
        tmp_path / "map.inputs" / "scene.tif",
        tmp_path / "map.inputs" / "style1.png",
        tmp_path / "map.tif",
        config=made.record,
    )
    assert again.output.read_bytes() == first
    nst_rs.stylize(in_memory(values), Image.open(harvest), tmp_path / "map.tif", settings=fast)
    assert (tmp_path / "map.inputs" / "scene.tif").stat().st_mtime_ns == stamp


def test_paths_and_pictures_are_blended(scene: Path, harvest: Path, fast: Settings) -> None:
    styles = nst_rs.plan(scene, [harvest, Image.new("CMYK", (90, 60))], settings=fast).job.inputs.styles
    assert [style.share for style in styles] == [0.5, 0.5]


def test_a_picture_of_a_camera_is_upright(scene: Path, fast: Settings) -> None:
    turned = Image.new("RGB", (90, 60))
    turned.getexif()[0x0112] = 6
    (style,) = nst_rs.plan(scene, turned, settings=fast).job.inputs.styles
    assert style.image.shape == (96, 64, 3)


def test_a_picture_of_more_than_eight_bits_is_refused(scene: Path) -> None:
    with pytest.raises(StyleError, match="style image: expected eight bits a channel, got mode I;16"):
        nst_rs.plan(scene, Image.new("I;16", (90, 60)))


def test_nothing_is_written_beside_a_map_that_cannot_be_made(values: np.ndarray, harvest: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        nst_rs.stylize(in_memory(values), harvest, tmp_path / "map.tif", settings={"schedule.levels": 0})
    with pytest.raises(OutputError, match="expected an existing folder"):
        nst_rs.stylize(in_memory(values), harvest, tmp_path / "none" / "map.tif")
    with lock.alone(lock.path_for(tmp_path / "map.tif"), "map"), pytest.raises(LockedError):
        nst_rs.stylize(in_memory(values), harvest, tmp_path / "map.tif")
    assert list(tmp_path.iterdir()) == []


def test_inputs_lie_beside_the_map_wherever_its_name_leads(
    values: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    small_style().save(tmp_path / "small.style")
    settings = {"compute.precision": "float32"}
    made = nst_rs.stylize(in_memory(values), "~/small.style", "~/map.v2.tif", settings=settings)
    assert made.output == tmp_path / "map.v2.tif"
    assert [path.name for path in (tmp_path / "map.v2.inputs").iterdir()] == ["scene.tif"]
    with pytest.raises(OutputError):
        nst_rs.stylize(in_memory(values), "~/small.style", "", settings=settings)


def test_the_map_is_read_as_an_array_with_a_mask(result: nst_rs.Result, values: np.ndarray) -> None:
    read = result.read()
    assert (read.shape, read.dtype) == ((64, 80, 3), np.dtype("uint8"))
    assert np.array_equal(read.mask[..., 0], (values == 0).all(axis=0))
    with rasterio.open(result.output) as source:
        assert np.array_equal(np.moveaxis(read.data, -1, 0), source.read())


def test_the_map_is_a_data_array_with_a_georeference(result: nst_rs.Result, scene: Path) -> None:
    array, theirs = result.to_xarray(), rioxarray.open_rasterio(scene)
    assert array.dtype == np.dtype("uint8")
    assert array.coords["band"].to_numpy().tolist() == list(BANDS)
    assert array.rio.crs == theirs.rio.crs
    assert array.rio.transform() == theirs.rio.transform()
    assert np.array_equal(np.moveaxis(array.to_numpy(), 0, -1), result.read().data)
    assert np.array_equal(array.coords["valid"].to_numpy(), ~result.read().mask[..., 0])


def test_a_notebook_shows_the_map_small_and_nothing_where_it_is_gone(
    scene: Path, harvest: Path, fast: Settings, tmp_path: Path
) -> None:
    made = nst_rs.stylize(scene, harvest, tmp_path / "a & b.tif", settings=fast)
    shown = made._repr_html_()
    assert shown is not None
    assert '<img src="data:image/png;base64,' in shown
    assert "a &amp; b.tif" in shown
    assert len(shown) < 2_000_000
    made.preview.unlink()
    made.output.unlink()
    assert made._repr_html_() is None
    with pytest.raises(OutputError, match=r"map .*a & b\.tif: expected the map that was made"):
        made.read()


def test_what_is_returned_fits_a_screen(
    result: nst_rs.Result, olinda: Path, harvest: Path, fast: Settings, tmp_path: Path
) -> None:
    small_style().save(tmp_path / "small.style")
    many = in_memory(np.zeros((300, 20, 20), "uint8"), bands=tuple(f"band {number}" for number in range(300)))
    shown = [
        result,
        nst_rs.plan(olinda, harvest, settings=fast),
        nst_rs.plan(olinda, tmp_path / "small.style", settings={"compute.precision": "float32"}),
    ]
    shown += [nst_rs.inspect(olinda), nst_rs.inspect(many), small_style(), many]
    for value in shown:
        assert repr(value).startswith(type(value).__name__)
        assert len(repr(value)) < 800
        assert len(repr(value).splitlines()) < 20


def test_a_style_is_learned_from_python(scene: Path, harvest: Path, fast: Settings, tmp_path: Path) -> None:
    few = {"learn.steps": 2, "learn.window": 64, "learn.widths": (4, 8, 8), "learn.blocks": 1, "learn.batch": 1}
    network = {key: value for key, value in fast.items() if not key.startswith("schedule")}
    heard: list[object] = []
    style = nst_rs.learn(
        scene,
        harvest,
        tmp_path / "made.style",
        preset="legible",
        settings={**network, **few, "learn.held_out_size": 64},
        listener=heard.append,
    )
    assert style.facts.learning.steps == 2
    assert style.facts.configuration["objective"]["alpha"] == 1.0
    assert heard
    made = nst_rs.stylize(
        scene, tmp_path / "made.style", tmp_path / "map.tif", settings={"compute.precision": "float32"}
    )
    assert made.losses == ()


def test_configurations_are_swept_from_python(scene: Path, harvest: Path, fast: Settings, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"scene: {{paths: [{scene}]}}\nstyle: {{images: {harvest}}}\n")
    heard: list[object] = []
    found = nst_rs.sweep(
        tmp_path / "base.yaml",
        tmp_path / "made",
        vary={"objective.alpha": (0.1, 0.4), "composite.bands": [["red", "green", "blue"]]},
        settings=fast,
        listener=heard.append,
    )
    assert [run.name for run in found.runs] == [f"base_alpha={alpha}_bands=red-green-blue" for alpha in (0.1, 0.4)]
    assert [run.config.objective.alpha for run in found.runs] == [0.1, 0.4]
    assert all(isinstance(state, Progress) for state in heard)
    assert found.sheet.is_file()


def test_what_was_set_stays_known_when_more_is_set() -> None:
    config = override(override(RunConfig(), {"objective.alpha": 0.3}), {"style.size": 96})
    assert config.model_dump(exclude_unset=True) == {"objective": {"alpha": 0.3}, "style": {"size": 96}}
