"""Whose colours the map has: the style's, the scene's, or a style's in the colours of the scene."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nst_rs
from nst_rs.config.loading import load_config
from nst_rs.files.storage import MemoryStorage
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised.levels import compose_levels
from nst_rs.runs.prepare import prepare
from nst_rs.runs.session import run
from tests.rasters import pixels

Settings = dict[str, Any]


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
