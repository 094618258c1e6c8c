"""Runs that are interrupted, and what goes on from what they have left."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nst_rs
from nst_rs.config.loading import load_config
from nst_rs.output.files import Outputs
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import Session
from tests.forked import use_pixels_for_features
from tests.interrupted import interrupt_after, interrupted
from tests.rasters import pixels

Settings = dict[str, Any]
CUT = {"scene.area": {"rows": [0, 80], "columns": [50, 130]}, "tiling.tile": 64}
"""A part of both tiles of the scene, with nodata, cut into 3 × 3 tiles."""


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
@pytest.mark.parametrize("statistics", [{"statistics": "exact"}, {"statistics": "predicted", "steps_per_round": 2}])
def test_a_run_killed_anywhere_goes_on_to_the_same_bytes(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, memory: str, statistics: Settings
) -> None:
    tiling = {f"tiling.{key}": value for key, value in statistics.items()}
    settings = {**quick, **CUT, **tiling, "schedule.iterations": (3, 3), "compute.memory": memory}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole" / "map.tif", settings=settings)
    starts = []
    for rounds in (0, 1, 2):
        heard = interrupted(scene, harvest, tmp_path / "killed" / "map.tif", settings, rounds)
        starts.append((heard[0].level, heard[0].step.before))
    again = nst_rs.stylize(scene, harvest, tmp_path / "killed" / "map.tif", settings=settings)
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses
    assert starts == sorted(starts)
    assert starts[-1] > (1, 0)
    assert set((tmp_path / "killed").iterdir()) == set(Outputs(tmp_path / "killed" / "map.tif"))


def test_another_run_does_not_go_on_where_one_was_killed(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    other = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings={**quick, "objective.beta": 2.0})
    fresh = nst_rs.stylize(scene, harvest, tmp_path / "fresh.tif", settings={**quick, "objective.beta": 2.0})
    assert other.output.read_bytes() == fresh.output.read_bytes()
    assert other.losses == fresh.losses


def test_what_was_left_to_the_machine_stays_decided_as_when_the_run_began(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**quick, "compute.precision": "auto", "schedule.iterations": (8, 6)}
    for precision, rounds in (("float32", 2), ("bfloat16", 0)):
        monkeypatch.setattr(
            "nst_rs.runs.prepare.choose_precision", lambda wanted, _, p=precision: p if wanted == "auto" else wanted
        )
        heard = interrupted(scene, harvest, tmp_path / "map.tif", settings, rounds)
    assert heard[0].step.before > 0


def test_a_run_that_the_device_holds_goes_on_to_the_same_bytes_and_to_the_hosts_picture(
    scene: Path, harvest: Path, deep: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**deep, **CUT, "schedule.iterations": (3, 3), "schedule.averaged": 0.5}
    host = nst_rs.stylize(scene, harvest, tmp_path / "host.tif", settings=settings)
    # A CPU's operations in place of a GPU's: the run is the same otherwise.
    monkeypatch.setattr("nst_rs.runs.optimised.job.OptimisedJob.is_resident", lambda _job, _index: True)
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole.tif", settings=settings)
    heard = interrupted(scene, harvest, tmp_path / "killed.tif", settings, 4)
    again = nst_rs.stylize(scene, harvest, tmp_path / "killed.tif", settings=settings)
    assert heard[-1].level == 2
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses
    assert whole.losses == pytest.approx(host.losses, rel=1e-3)
    # Two whole numbers apart where rounding falls the other way, and has been enlarged by six steps.
    assert np.abs(pixels(whole.output).astype(int) - pixels(host.output)).max() <= 2


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_a_stage_that_failed_goes_on_when_it_is_tried_again(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, memory: str
) -> None:
    settings = {**quick, **CUT, "schedule.iterations": (5, 3), "compute.memory": memory}
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole.tif", settings=settings)
    heard: list[Progress] = []
    job = prepare(load_config(whole.record, [f"output.path={tmp_path}/again.tif"]))
    session = Session(job, lambda state: interrupt_after(state, 2, heard))
    for index in (0, 1):
        for _ in range(2):
            heard.clear()
            with pytest.raises(KeyboardInterrupt):
                session.compute(index)
        session._work._tracker.listener = lambda _state: None
        session.compute(index)
        session._work._tracker.listener = lambda state: interrupt_after(state, 1, heard)
    again = session.publish()
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert again.losses == whole.losses


def test_a_damaged_checkpoint_is_as_none(scene: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    checkpoint = tmp_path / ".map.tif.work" / "checkpoint.json"
    checkpoint.write_text(checkpoint.read_text()[:-9])
    states: list[Progress] = []
    nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick, listener=states.append)
    assert (states[0].level, states[0].step.before) == (1, 0)


@pytest.mark.parametrize("part", ["c/0/0/0", "zarr.json"])
def test_a_run_whose_kept_pixels_were_cut_starts_anew(
    scene: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    use_pixels_for_features(monkeypatch.setattr)
    whole = nst_rs.stylize(scene, harvest, tmp_path / "whole.tif", settings=quick)
    interrupted(scene, harvest, tmp_path / "map.tif", quick, 2)
    cut = list((tmp_path / ".map.tif.work" / "arrays").glob(f"level-*/{part}"))
    assert cut
    for path in cut:  # as on a machine that went down before its disk had all
        os.truncate(path, path.stat().st_size // 2)
    again = nst_rs.stylize(scene, harvest, tmp_path / "map.tif", settings=quick)
    assert again.output.read_bytes() == whole.output.read_bytes()
