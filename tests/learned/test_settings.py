from typing import Any

import pytest

from nst_rs.config.loading import PRESETS, load_config, override
from nst_rs.config.sections import RunConfig, setting_names
from nst_rs.learned.settings import ignored_settings, warn_of_ignored

HEEDED = {
    "scene.nodata": 0,
    "composite.bands": "true_color",
    "style.strength": 0.5,
    "style.color": "scene",
    "tiling.tile": 256,
    "compute.memory": "2GB",
    "output.profile": "jpeg",
}
IGNORED: dict[str, Any] = {
    "style.size": 256,
    "style.stroke": 90.0,
    "style.learned": "other.style",
    "model.pooling": "average",
    "objective.alpha": 3.0,
    "schedule.levels": 2,
    "schedule.iterations": 5,
    "tiling.statistics": "predicted",
    "tiling.tiles_at_once": 2,
    "learn.minutes": 3.0,
}


def test_the_examples_are_settings() -> None:
    assert {*HEEDED, *IGNORED} <= set(setting_names())


@pytest.mark.parametrize("name", IGNORED)
def test_a_setting_that_a_learned_style_does_not_heed_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    config = override(RunConfig(), {**HEEDED, name: IGNORED[name]})
    assert ignored_settings(config) == (name,)
    warn_of_ignored(config)
    assert [record.getMessage() for record in caplog.records] == [
        f"a learned style does not heed {name}; to have it otherwise, learn another style, or style with an image"
    ]


def test_settings_that_a_learned_style_heeds_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_ignored(override(RunConfig(), HEEDED))
    assert not caplog.records


@pytest.mark.parametrize("preset", PRESETS)
def test_all_that_a_preset_sets_is_named(preset: str) -> None:
    assert set(ignored_settings(load_config(None, preset=preset))) == set(PRESETS[preset])


def test_a_setting_that_was_given_its_defaults_value_changes_nothing() -> None:
    assert ignored_settings(RunConfig.model_validate(RunConfig().model_dump())) == ()
