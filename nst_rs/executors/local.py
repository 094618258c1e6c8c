"""The executor that computes tiles in this process, one after the other."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from nst_rs.executors.base import Executor, LevelTask, PaintTask, Traits
from nst_rs.learned.painter import paint_in_turn
from nst_rs.objective.problem import Problem
from nst_rs.optimise.descent import descend
from nst_rs.optimise.resident import ResidentRound
from nst_rs.optimise.rounds import Exact, Predicted, Round, TileByTile
from nst_rs.optimise.state import State


class LocalExecutor:
    """Computes in this process."""

    traits: ClassVar[Traits] = Traits(in_process=True, writes_cores=False, predicts=True)
    seconds_to_connect: float | None = None

    def reach(self) -> None:
        """Do nothing: there are no workers to find."""

    def descend(self, task: LevelTask) -> State:
        """Compute a level; see :class:`nst_rs.executors.base.Executor`."""
        problem = Problem.of(task.kernel, task.canvas, task.objective, task.keeper.storage)
        if task.residence is not None:
            return _descend_there(task.residence(problem, task.kept_windows), task)
        return descend(_rounds(problem, task), task.start, task.descent, task.listener, task.keep)

    def paint(self, task: PaintTask) -> None:
        """Paint all tiles, reading the next one while one is painted."""
        paint_in_turn(task.painter, task.tiles, task.done)

    def close(self) -> None:
        """Do nothing: there are no workers to let go of."""


def _descend_there(kind: ResidentRound, task: LevelTask) -> State:
    """Compute a level on the device that holds its states, and bring back the one it ends in."""
    start = replace(task.start, now=kind.take(task.start.now), spare=kind.take(task.start.spare))
    end = descend(kind, start, task.descent, task.listener, task.keep)
    end.copy_to(task.start.now)
    return task.start.now


def _rounds(problem: Problem, task: LevelTask) -> Round[State]:
    """Return the kind of rounds that the level is computed in."""
    if not task.predicted:
        return Exact(problem, task.kept_windows)
    return Predicted(problem, task.kept_windows) if task.descent.moves_per_round == 1 else TileByTile(problem)


if TYPE_CHECKING:
    _executor: Executor = LocalExecutor()
