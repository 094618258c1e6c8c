"""The protocol of executors, and the traits that planning must know of them.

An executor computes a run's tiles. `local` computes them in this process, one after the other; `dask` has the workers
of a cluster compute them. Another one is one module that satisfies :class:`Executor`, one line in
:mod:`nst_rs.executors.choice`, and its name in ``compute.executor``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from nst_rs.executors.recipes import KernelRecipe
from nst_rs.learned.painter import TilePainter
from nst_rs.learned.windows import MapTile
from nst_rs.objective.losses import Objective
from nst_rs.objective.problem import Kernel
from nst_rs.optimise.checkpoint import Keeper
from nst_rs.optimise.descent import Descent, Point, Step
from nst_rs.optimise.resident import Residence
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.canvas import Canvas


@dataclass(frozen=True)
class Traits:
    """The facts that planning must know of an executor before there is one."""

    in_process: bool
    """Whether tiles are computed in this process. Then the scene's arrays may lie in its memory, and the time that the
    network takes is this process's own. Else the arrays lie on disk, where workers read and write them."""
    writes_cores: bool
    """Whether several processes write tiles side by side, so that pictures must be kept core by core."""
    predicts: bool
    """Whether it can compute at predicted statistics. Else they are exact."""


@dataclass(frozen=True)
class LevelTask:
    """The descent of one level."""

    kernel: Kernel
    """This process's network."""
    recipe: KernelRecipe
    """The recipe by which another process builds the same network."""
    canvas: Canvas
    objective: Objective
    predicted: bool
    """Whether the statistics are predicted."""
    kept_windows: int
    """The most windows that may keep their activations at a time, in all processes together."""
    descent: Descent
    keeper: Keeper
    form: Form
    start: Point[State]
    listener: Callable[[Step], None]
    keep: Callable[[Point[Any]], None]
    """Called with every point between two rounds, to keep it."""
    folder: Path
    """The folder in which the arrays lie that are on disk. Every process that computes must reach it."""
    residence: Residence | None = None
    """What makes the level's rounds where this process's device holds the descent; else None."""


@dataclass(frozen=True)
class PaintTask:
    """The tiles of a map that a learned style paints."""

    painter: TilePainter
    tiles: Sequence[MapTile]
    done: Callable[[MapTile], None]
    """Called with every tile that is written, in any order. Raises OutputError where it is not."""
    folder: Path
    """As in :class:`LevelTask`."""


class Executor(Protocol):
    """Computes the tiles of one run.

    A type checker proves that a class is one where an instance is assigned:

    >>> from nst_rs.executors.local import LocalExecutor
    >>> executor: Executor = LocalExecutor()
    >>> executor.traits.in_process, executor.seconds_to_connect
    (True, None)
    """

    traits: ClassVar[Traits]
    """What it can do, told before there is an instance."""

    def reach(self) -> None:
        """Find workers that run elsewhere, before anything is read or computed. Raises ResourceError for none."""

    def descend(self, task: LevelTask) -> State:
        """Compute a level from its start to its end.

        A level that failed may be computed again: it goes on from the state that was kept last.

        Args:
            task: The level, its start, and what hears of every step and of every point between two rounds.

        Returns:
            The state that the level ends in, in arrays that this process can read.

        Raises:
            NstError: Where there are no workers, or they have too little memory.
        """

    def paint(self, task: PaintTask) -> None:
        """Paint all tiles. A tile may be painted more than once; it comes out the same.

        Args:
            task: The painter, the tiles in any order, and what hears of every tile that is written.

        Raises:
            NstError: As :meth:`descend` does.
        """

    def close(self) -> None:
        """Let go of workers and connections. The executor may be used again afterwards."""

    @property
    def seconds_to_connect(self) -> float | None:
        """The seconds that it took to find or start workers; None where there are none to find."""
