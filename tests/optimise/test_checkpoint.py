import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nst_rs.files.workspace import Workspace
from nst_rs.objective.losses import Losses, TermLoss
from nst_rs.optimise.checkpoint import Checkpoint, Keeper
from nst_rs.optimise.state import Form
from tests.pixel_kernel import level_of

FORM = Form(level_of((100, 90), 64), averaged=True, layers=(("conv1_1",), ("conv1_1",)))
LOSSES = Losses(7e-21, {"style": TermLoss({"conv1_1": 0.1, "conv2_1": 1 / 3}, 0.1), "variation": TermLoss(0.25, 1e-9)})
REACHED = Checkpoint({"configuration": {"a": [1, 2]}}, level=0, done=3, histories=[[LOSSES, LOSSES]])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "map.tif")


def test_a_checkpoint_comes_back_to_the_last_digit(workspace: Workspace) -> None:
    workspace.create()
    REACHED.write(workspace)
    assert Checkpoint.read(workspace) == REACHED


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"histories": 3}', '{"histories": [], "other": 1}'])
def test_what_is_no_checkpoint_is_none(workspace: Workspace, text: str | None) -> None:
    workspace.create()
    if text is not None:
        workspace.checkpoint.write_text(text)
    assert Checkpoint.read(workspace) is None


OLDER_LOSSES = {"content": {"conv1_1": 0.1}, "style": {"conv1_1": 1 / 3}, "total": 0.5, "variation": 0.0}


@pytest.mark.parametrize(
    "losses", [OLDER_LOSSES, {"total": 0.5}, {"total": 0.5, "terms": []}, {"total": 0.5, "terms": {"style": 1.0}}, 0.5]
)
def test_a_checkpoint_whose_losses_are_of_another_form_is_none(workspace: Workspace, losses: object) -> None:
    workspace.create()
    REACHED.write(workspace)
    data = json.loads(workspace.checkpoint.read_text())
    workspace.checkpoint.write_text(json.dumps({**data, "histories": [[losses]]}))
    assert Checkpoint.read(workspace) is None


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_kept_state_is_where_the_next_run_resumes(workspace: Workspace, in_memory: bool) -> None:
    keeper = Keeper(workspace, in_memory)
    point = keeper.start(FORM, 0)
    point.spare.picture[:, :] = 7
    keeper.keep(FORM, point.spare, REACHED)
    found = Checkpoint.read(workspace)
    assert found is not None
    assert replace(found, generation="") == REACHED
    resumed = Keeper(workspace, in_memory).resume(FORM, found)
    assert (resumed.now.picture[:, :] == 7).all()
    assert (resumed.done, resumed.history) == (3, (LOSSES, LOSSES))


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_whole_is_not_written_while_the_next_is_kept(workspace: Workspace, in_memory: bool) -> None:
    keeper = Keeper(workspace, in_memory)
    point = keeper.start(FORM, 0)
    states, generations = [point.spare, point.now] * 2, []
    for value, state in enumerate(states, start=1):
        state.picture[:, :] = value
        keeper._pause_until = 0.0
        before = Checkpoint.read(workspace)
        if before is not None:
            whole = FORM.open(workspace.arrays, f"level-{FORM.level.factor}-{before.generation}")
            assert np.unique(whole.picture[:, :]) == [value - 1]
        keeper.keep(FORM, state, REACHED)
        found = Checkpoint.read(workspace)
        assert found is not None
        generations.append(found.generation)
    assert generations == ["b", "a", "b", "a"]


def test_states_in_memory_are_copied_no_more_often_than_is_worth_it(workspace: Workspace) -> None:
    keeper = Keeper(workspace, in_memory=True)
    point = keeper.start(FORM, 0)
    keeper.keep(FORM, point.spare, REACHED)
    keeper.keep(FORM, point.now, replace(REACHED, done=4))
    found = Checkpoint.read(workspace)
    assert found is not None
    assert found.done == 3


def test_a_state_that_is_wanted_at_once_is_kept_and_read(workspace: Workspace) -> None:
    keeper = Keeper(workspace, in_memory=True)
    point = keeper.start(FORM, 0)
    for number in (3, 4, 5):
        point.now.picture[:, :] = number
        keeper.keep(FORM, point.now, replace(REACHED, done=number), at_once=True)
        assert (keeper.kept(FORM).picture[:, :] == number).all()
    assert (found := Checkpoint.read(workspace)) is not None
    assert found.done == 5


def test_a_forgotten_level_leaves_nothing(workspace: Workspace) -> None:
    keeper = Keeper(workspace, in_memory=False)
    keeper.start(FORM, 0)
    keeper.forget(FORM)
    assert list((workspace.folder / "arrays").glob("level-*")) == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_level_begun_anew_is_not_gone_on_from(workspace: Workspace, in_memory: bool) -> None:
    keeper = Keeper(workspace, in_memory)
    point = keeper.start(FORM, 0)
    keeper.keep(FORM, point.spare, REACHED)
    keeper.start(FORM, 1)
    assert Checkpoint.read(workspace) is not None
    keeper.start(FORM, 0)
    assert Checkpoint.read(workspace) is None


def test_a_checkpoint_without_its_arrays_is_noticed(workspace: Workspace) -> None:
    keeper = Keeper(workspace, in_memory=False)
    point = keeper.start(FORM, 0)
    keeper.keep(FORM, point.spare, REACHED)
    found = Checkpoint.read(workspace)
    assert found is not None
    assert keeper.has(FORM, found)
    keeper.forget(FORM)
    assert not keeper.has(FORM, found)
