from importlib.metadata import version
from typing import Any

import pytest

from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.output.provenance import settings_digest, tags

CONFIG = override(RunConfig(), {"style.images": {"/paintings/a.jpg": 2, "/paintings/b.jpg": 1}})
INPUTS = [
    {"path": "/scenes/r0.tif", "bytes": 3, "sha256": "ab"},
    {"path": "/paintings/a.jpg", "bytes": 4, "sha256": "cd"},
]


def test_the_tags_name_program_style_settings_and_inputs_but_no_folder() -> None:
    found = tags(CONFIG, INPUTS)
    assert found["TIFFTAG_SOFTWARE"] == f"nst-rs {version('nst-rs')}"
    assert found["NST_RS_STYLE"] == "a.jpg, b.jpg"
    assert found["NST_RS_SETTINGS_SHA256"] == settings_digest(CONFIG)
    assert found["NST_RS_INPUTS"] == "r0.tif sha256:ab; a.jpg sha256:cd"
    assert not any("/" in value for value in found.values())


@pytest.mark.parametrize(
    "same",
    [
        {"scene.paths": ("elsewhere",)},
        {"output.path": "elsewhere.tif"},
        {"output.every": 10},
        {"compute.memory": "2GB"},
        {"style.images": {"moved/a.jpg": 4, "moved/b.jpg": 2}},
    ],
)
def test_where_files_lie_and_what_is_shown_on_the_way_do_not_change_the_settings_digest(same: dict[str, Any]) -> None:
    assert settings_digest(override(CONFIG, same)) == settings_digest(CONFIG)


def test_who_computes_does_not_change_the_settings_digest() -> None:
    here = override(CONFIG, {"compute.executor": "dask"})
    there = override(here, {"compute.address": "tcp://there:8786", "compute.workers": 7})
    assert settings_digest(here) == settings_digest(there) != settings_digest(CONFIG)


@pytest.mark.parametrize(
    "other",
    [
        {"objective.alpha": 0.3},
        {"style.images": {"a.jpg": 1, "b.jpg": 1}},
        {"output.profile": "jpeg"},
        {"schedule.seed": 1},
        {"model.weights": "/networks/other.h5"},
    ],
)
def test_every_setting_that_the_map_depends_on_changes_the_digest(other: dict[str, Any]) -> None:
    assert settings_digest(override(CONFIG, other)) != settings_digest(CONFIG)


@pytest.mark.parametrize("setting", ["model.weights", "schedule.init"])
def test_a_file_of_ones_own_counts_by_its_name(setting: str) -> None:
    here, there = (override(CONFIG, {setting: f"{folder}/own.h5"}) for folder in ("/a", "/b"))
    assert settings_digest(here) == settings_digest(there)
    assert settings_digest(here) != settings_digest(CONFIG)
