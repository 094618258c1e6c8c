import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from tests.configurations import write_configuration

SECTIONS = "scene, composite, style, model, objective, schedule, tiling, compute, learn, output"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"scenes": {}}, f"unknown key scenes: expected one of {SECTIONS}"),
        (
            {"style": {"imgae": "a.png"}},
            "unknown key style.imgae: expected one of images, scaling, size, stroke, strength, statistics, learned",
        ),
        (
            {"schedule": {"step": 1}},
            "unknown key schedule.step: expected one of levels, iterations, optimizer, step_size, last_step, tolerance",
        ),
    ],
)
def test_an_unknown_key_is_refused_naming_those_there_are(tmp_path: Path, data: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_config(write_configuration(tmp_path / "run.yaml", data))


@pytest.mark.parametrize(
    ("assignment", "complaint"),
    [
        ("objective.alpha=-1", "objective.alpha: expected greater than or equal to 0 or a list, got -1"),
        ("objective.beta=.nan", "objective.beta: expected a finite number, got nan"),
        ("objective.beta=.inf", "objective.beta: expected a finite number, got inf"),
        ("objective.content_layers={conv4_2: -1}", "objective.content_layers.conv4_2: expected greater than or equal"),
        ("objective.content_normalization=max", "objective.content_normalization: expected 'mean' or 'sum', got 'max'"),
        ("composite.percentiles=[98, 2]", "composite.percentiles: expected two rising numbers from 0 to 100, got [98"),
        ("composite.percentiles=[50, 50]", "composite.percentiles: expected two rising numbers from 0 to 100, got [50"),
        ("composite.percentiles=[-1, 50]", "composite.percentiles: expected two rising numbers from 0 to 100, got [-1"),
        ("composite.percentiles=[2, 101]", "composite.percentiles: expected two rising numbers from 0 to 100, got [2"),
        ("composite.bands=[1, 2]", "composite.bands.2: expected a value, got nothing"),
        ("composite.bands=[1.5, 2, 3]", "composite.bands.0: expected a whole number or a name, got 1.5"),
        ("style.images=5", "style.images: expected a path, a list of paths, or paths with weights, got 5"),
        ("style.images=", "style.images: expected a path, a list of paths, or paths with weights, got None"),
        ("style.images=[a.jpg, 2]", "style.images: expected a path, a list of paths, or paths with weights, got ['a"),
        ("style.images={3: 1}", "style.images.3: expected a path, got 3"),
        ("model.weights=5", "model.weights: expected 'packaged' or 'imagenet' or a name, got 5"),
        ("scene.paths=[3]", "scene.paths.0: expected a name, got 3"),
        ("style.images={a.jpg: -1}", "style.images: expected greater than or equal to 0, got -1"),
        ("style.images={a.jpg: much}", "style.images: expected a number, got 'much'"),
        ("style.size=63", "style.size: expected greater than or equal to 64, got 63"),
        ("style.size=4097", "style.size: expected less than or equal to 4096, got 4097"),
        ("style.stroke=0", "style.stroke: expected greater than 0, got 0"),
        ("style.stroke=.inf", "style.stroke: expected a finite number, got inf"),
        ("style.color=grey", "style.color: expected 'style', 'scene' or 'histogram', got 'grey'"),
        ("model.pooling=min", "model.pooling: expected 'max' or 'average', got 'min'"),
        ("schedule.levels=0", "schedule.levels: expected greater than or equal to 1, got 0"),
        ("schedule.levels=13", "schedule.levels: expected less than or equal to 12, got 13"),
        ("schedule.iterations=0", "schedule.iterations: expected greater than or equal to 1 or a list, got 0"),
        ("schedule.iterations=[9, 9, 0]", "schedule.iterations.2: expected greater than or equal to 1, got 0"),
        ("schedule.step_size=0", "schedule.step_size: expected greater than 0, got 0"),
        ("schedule.step_size=256", "schedule.step_size: expected less than or equal to 255, got 256"),
        ("schedule.seed=-1", "schedule.seed: expected greater than or equal to 0, got -1"),
        ("tiling.tile=63", "tiling.tile: expected greater than or equal to 64 or 'auto', got 63"),
        ("tiling.statistics=some", "tiling.statistics: expected 'auto', 'exact' or 'predicted', got 'some'"),
        ("compute.device=gpu", "compute.device: expected auto, cpu or gpu:N, got 'gpu'"),
        ("compute.precision=float64", "compute.precision: expected 'auto', 'float32' or 'bfloat16', got 'float64'"),
        ("compute.memory=much", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got 'much'"),
        ("compute.memory=4 parsecs", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got '4 parsecs'"),
        ("compute.memory=0", "compute.memory: expected auto, or more than 0 bytes, got 0"),
        ("compute.memory=-1GB", "compute.memory: expected auto, or bytes such as 4GB or 512MB, got '-1GB'"),
        ("output.bands=nir", "output.bands: expected 'all' or a list, got 'nir'"),
        ("output.bands=[]", "output.bands: expected 'all' or at least one of a list, got []"),
        ("scene.paths=a.tif", "scene.paths: expected a list, got 'a.tif'"),
        ("schedule.levels.coarse=1", "schedule.levels: expected a whole number, got {'coarse': 1}"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_key(assignment: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="^" + re.escape(complaint)):
        load_config(None, [assignment])


@pytest.mark.parametrize(("one", "other"), list(combinations(["tiling.tile", "style.size", "schedule.levels"], 2)))
def test_of_several_mistakes_one_is_named_with_its_own_value(one: str, other: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^(tiling.tile|style.size|schedule.levels): expected .*, got -[12]$"
    ) as caught:
        override(RunConfig(), {one: -1, other: -2})
    named = str(caught.value).partition(":")[0]
    assert str(caught.value).endswith({one: "-1", other: "-2"}[named])


def test_a_setting_that_there_is_no_more_is_read_at_its_default_and_refused_otherwise() -> None:
    """The records of earlier runs hold it, and they can still be run again."""
    assert load_config(None, ["learn.normalised=0.6"]) == load_config(None)
    with pytest.raises(ConfigError, match="learn: expected no key normalised: a style is normalised by its scene"):
        load_config(None, ["learn.normalised=0.7"])
