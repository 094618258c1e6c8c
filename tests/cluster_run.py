"""A run of one level on a cluster, with pixels for a network: in the test's process, or in one to be killed."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nst_rs.executors.dask import cluster as dask
from nst_rs.executors.dask.rounds import ClusterRounds, WorkersState
from nst_rs.files.workspace import Workspace
from nst_rs.optimise.checkpoint import Checkpoint, Keeper
from nst_rs.optimise.descent import Descent, Point, Step, descend
from nst_rs.optimise.rounds import Exact
from nst_rs.optimise.state import Form, State
from tests.pixel_kernel import PixelKernel, canvas_of, problem_of, state_of

CANVAS = canvas_of((90, 150), 64)
DESCENT = Descent(4, 4.0)
RUN = {"run": "the tests'"}


def expected() -> np.ndarray:
    """What the run comes to without a cluster."""
    start = Point(*(state_of(CANVAS) for _ in range(2)))
    found: np.ndarray = descend(Exact(problem_of(CANVAS)), start, DESCENT, lambda _: None, lambda _: None).picture[:]
    return found


def go(
    folder: Path, found: dask.Cluster, listener: Callable[[Step], None], kept: bool = True
) -> tuple[np.ndarray, int]:
    """Begin the run, or go on with it; return its picture, and how many iterations were done before.

    `kept`: whether it is kept on disk after every round, or never.
    """
    keeper = Keeper(Workspace(folder / "map.tif"), in_memory=False, others_write=True)
    form = Form(CANVAS.level, averaged=False, layers=None, by_core=True)
    point = _point(keeper, form, Checkpoint.read(Workspace(folder / "map.tif")))
    kind = ClusterRounds(found, problem_of(CANVAS), PixelKernel, kept=2, size=1)

    def keep(reached: Point[WorkersState]) -> None:
        keeper._pause_until = 0.0 if kept else float("inf")
        keeper.keep(form, reached.now, Checkpoint(RUN, 0, reached.done, [reached.history]))

    start = Point(kind.begin(point.now), WorkersState(kind), point.done, point.history)
    end = descend(kind, start, DESCENT, listener, keep)
    return keeper.copy(form, end).picture[:], point.done


def _point(keeper: Keeper, form: Form, checkpoint: Checkpoint | None) -> Point[State]:
    if checkpoint is not None:
        return keeper.resume(form, checkpoint)
    point = keeper.start(form, 0)
    point.now.picture[:, :] = CANVAS.image[:, :]
    return point


def main() -> None:
    """Run in the folder that is named, on workers of its own, and say after every round how far it is."""

    def tell(step: Step) -> None:
        if step.losses is not None:
            print(f"round {step.iteration}", flush=True)

    with dask.started(2, 1) as found:
        go(Path(sys.argv[1]), found, tell)


if __name__ == "__main__":
    main()
