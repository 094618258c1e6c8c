import hashlib
import json
import logging
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.composite.compose import Composite
from nst_rs.composite.stretch import Limits
from nst_rs.files.fingerprint import fingerprint, fingerprints
from nst_rs.objective.losses import Losses, TermLoss
from nst_rs.objective.terms.base import Value
from nst_rs.objective.terms.registry import describe
from nst_rs.pyramid.tiling import make_plan
from nst_rs.runs import record
from nst_rs.runs.record import level_record, of_scene, peak_memory_bytes, versions, warn_of_changes
from nst_rs.scene.opening import open_scene
from nst_rs.vgg16 import Trunk


@settings(max_examples=20, deadline=None)
@given(content=st.binary(max_size=2000))
def test_a_fingerprint_is_of_the_content(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("input") / "scene.tif"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert fingerprint(path) == {"path": str(path), "bytes": len(content), "sha256": digest}


def test_fingerprints_keep_the_order_of_the_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "bac"]
    for path in paths:
        path.write_text(path.name)
    assert [entry["path"] for entry in fingerprints(paths)] == [str(path) for path in paths]


def test_a_scene_is_recorded_with_its_bands_its_grid_and_its_time(olinda: Path) -> None:
    composite = Composite((5, 4, "NDVI"), (Limits(0.0, 0.3), Limits(0.0, 0.25), Limits(-1.0, 1.0)), 0.5)
    scene = open_scene([olinda.parent / "landsat" / "LC08_L1TP_195025_20130707_20170503_01_T1"])
    found = json.loads(json.dumps(of_scene(scene, composite)))
    assert (found["sensor"], found["bands"]) == ("landsat-oli-l1", ["B5", "B4", "NDVI"])
    assert found["acquired"] == ["2013-07-07T10:17:42.166196+00:00"] * 2
    assert found["shape"] == list(scene.grid.shape)
    assert found["limits"] == [[0.0, 0.3], [0.0, 0.25], [-1.0, 1.0]]
    assert of_scene(open_scene([olinda]), composite)["acquired"] is None


def _losses(total: float, **terms: tuple[Value, float]) -> Losses:
    return Losses(total, {name: TermLoss(*term) for name, term in terms.items()})


def test_a_level_is_recorded_with_its_geometry_and_every_term() -> None:
    (level,) = make_plan((300, 420), levels=1, tile=256, trunk=Trunk.reaching(["conv3_1"])).levels
    history = [
        _losses(
            4.0, content=({"conv2_2": 1.5}, 3.0), style=({"conv1_1": 0.5, "conv3_1": 0.25}, 0.75), variation=(2.0, 0.25)
        ),
        _losses(
            2.0,
            content=({"conv2_2": 1.0}, 1.0),
            style=({"conv1_1": 0.375, "conv3_1": 0.125}, 0.5),
            variation=(4.0, 0.5),
        ),
    ]
    found = level_record(level, len(history), history)
    assert found == {
        "factor": 1,
        "shape": [300, 420],
        "tiles": 4,
        "window": list(level.window_shape),
        "iterations": 2,
        "losses": {
            "total": [4.0, 2.0],
            "content": {"conv2_2": [1.5, 1.0]},
            "style": {"conv1_1": [0.5, 0.375], "conv3_1": [0.25, 0.125]},
            "variation": [2.0, 4.0],
        },
        "terms": [
            {"name": "content", "label": "content", "meaning": "distance to the scene", "share": [3.0, 1.0]},
            {"name": "style", "label": "style", "meaning": "distance to the painting", "share": [0.75, 0.5]},
            {**describe("variation"), "share": [0.25, 0.5]},
        ],
    }
    assert json.loads(json.dumps(found)) == found


def test_a_level_without_iterations_has_no_losses() -> None:
    (level,) = make_plan((64, 64), levels=1, tile=64, trunk=Trunk.reaching(["conv1_1"])).levels
    found = level_record(level, 0, [])
    assert (found["losses"], found["terms"]) == ({"total": []}, [])


def test_versions_are_those_that_run() -> None:
    found = versions()
    assert found["numpy"] == np.__version__
    assert set(found) == {"python", "nst-rs", "tensorflow", "keras", "rasterio", "rio-cogeo", "numpy", "pillow"}


def test_the_peak_of_memory_is_in_bytes_and_counts_what_was_freed() -> None:
    held = np.ones(50_000_000, np.uint8)
    size = held.nbytes
    del held
    # No process of this kind is as small as 50 MB or as large as 1 TB: kilobytes would be below, their square above.
    assert size < peak_memory_bytes() < 1e12


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The record of a run that read a.tif, b.tif and style.png."""
    paths = [tmp_path / name for name in ("a.tif", "b.tif", "style.png")]
    for path in paths:
        path.write_text(f"content of {path.name}")
    record = {"record": 1, "inputs": fingerprints(paths)}
    (tmp_path / "map.run.json").write_text(json.dumps(record))
    return tmp_path / "map.run.json"


def warned(caplog: pytest.LogCaptureFixture, config: Path, names: list[str]) -> list[str]:
    """Names of the inputs of which a warning tells."""
    with caplog.at_level(logging.WARNING):
        warn_of_changes(config, [config.parent / name for name in names])
    assert all("is not the file that the recorded run read" in message for message in caplog.messages)
    return [name for name in names for message in caplog.messages if message.startswith(f"{config.parent / name} ")]


def test_only_changed_inputs_are_warned_of(earlier: Path, caplog: pytest.LogCaptureFixture) -> None:
    (earlier.parent / "b.tif").write_text("other content")
    assert warned(caplog, earlier, ["a.tif", "b.tif", "style.png"]) == ["b.tif"]


def test_unchanged_inputs_are_not_warned_of_even_under_other_names(
    earlier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (earlier.parent / "a.tif").rename(earlier.parent / "renamed.tif")
    assert warned(caplog, earlier, ["renamed.tif", "b.tif", "style.png"]) == []


@pytest.mark.parametrize(("name", "content"), [("run.yaml", "scene: {}"), ("run.json", '{"scene": {}}')])
def test_a_configuration_that_is_no_record_knows_of_no_change(
    earlier: Path, caplog: pytest.LogCaptureFixture, name: str, content: str
) -> None:
    config = earlier.with_name(name)
    config.write_text(content)
    assert warned(caplog, config, ["a.tif"]) == []


def test_the_version_of_tensorflow_is_recorded_whichever_edition_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {**dict.fromkeys(record._PACKAGES, "1.0"), "tensorflow-cpu": "2.0"}
    del installed["tensorflow"]

    def version(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(record, "version", version)
    assert record.versions()["tensorflow"] == "2.0"
    assert "tensorflow-cpu" not in record.versions()
