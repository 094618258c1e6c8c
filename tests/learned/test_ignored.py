"""What a learned style ignores."""

import pytest

from nst_rs.config.loading import PRESETS, override
from nst_rs.config.sections import RunConfig
from nst_rs.learned.ignored import ignored_settings


@pytest.mark.parametrize("name", PRESETS)
def test_all_that_a_preset_sets_is_ignored(name: str) -> None:
    assert ignored_settings(override(RunConfig(), PRESETS[name])) == list(PRESETS[name])


def test_what_a_learned_style_heeds_is_not_named() -> None:
    heeded = {
        "style.strength": 0.5,
        "style.color": "scene",
        "style.images": {"a.style": 2},
        "composite.bands": ("nir", "red", "green"),
        "tiling.tile": 512,
        "compute.device": "cpu",
        "output.tiles": "pmtiles",
        "scene.nodata": 0,
    }
    assert ignored_settings(override(RunConfig(), heeded)) == []


def test_what_it_ignores_is_named_in_the_order_of_the_configuration() -> None:
    ignored = {
        "tiling.steps_per_round": 2,
        "schedule.init": "a.tif",
        "schedule.iterations": 3,
        "style.stroke": 600,
        "model.pooling": "average",
        "output.every": "level",
    }
    assert ignored_settings(override(RunConfig(), ignored)) == [
        "style.stroke",
        "model.pooling",
        "schedule.iterations",
        "schedule.init",
        "tiling.steps_per_round",
        "output.every",
    ]
