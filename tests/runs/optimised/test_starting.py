"""What the descent starts from: the scene, noise, an earlier map, or any picture of the scene's size."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nst_rs
from nst_rs.config.loading import load_config, override
from nst_rs.errors import ConfigError, NstError, SceneError
from nst_rs.runs.finish import Result
from nst_rs.runs.prepare import prepare
from nst_rs.runs.session import Session
from nst_rs.style.color import luminance
from tests.interrupted import interrupted
from tests.rasters import pixels

Settings = dict[str, Any]


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
        heard = interrupted(scene, harvest, tmp_path / "map.tif", settings, 2)
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
