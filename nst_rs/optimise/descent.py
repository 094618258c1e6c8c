"""The loop of one level: rounds over all tiles, until the iterations are done or the loss has flattened."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nst_rs.objective.losses import Losses
from nst_rs.optimise.iterate import Move, Optimizer
from nst_rs.optimise.rounds import Round
from nst_rs.pyramid.tiling import Tile

PATIENCE = 10
"""Iterations over which a level's loss must have fallen."""


@dataclass(frozen=True)
class Descent:
    """The schedule of one level's descent: how many steps, how large, and when it may end."""

    iterations: int
    step_size: float
    """The first step's :attr:`nst_rs.optimise.iterate.Move.size`, in pixel values of 255."""
    last_step: float = 1.0
    """The last step's size over the first's; between them sizes fall evenly."""
    moves_per_round: int = 1
    averaged: float = 0.0
    """The share of the last iterations whose mean is the result; 0: the last one is."""
    tolerance: float = 0.0
    """The level ends when its loss falls by less than this share per iteration, over PATIENCE of them."""
    optimizer: Optimizer = "bfgs"

    def move(self, number: int) -> Move:
        """Return step `number`, from 1."""
        done = (number - 1) / max(1, self.iterations - 1)
        before = self.iterations - math.ceil(self.averaged * self.iterations)
        size = self.step_size * (1 + done * (self.last_step - 1))
        return Move(number, size, 1 / max(1, number - before), self.optimizer)

    def moves_after(self, number: int) -> tuple[Move, ...]:
        """Return the moves of the round that follows step `number`."""
        last = min(self.iterations, number + self.moves_per_round)
        return tuple(self.move(n) for n in range(number + 1, last + 1))

    def has_flattened(self, totals: Sequence[float]) -> bool:
        """Whether the losses at every round so far say that the level may end."""
        rounds = math.ceil(PATIENCE / self.moves_per_round)
        if not self.tolerance or len(totals) <= rounds:
            return False
        fallen = 1 - totals[-1] / totals[-1 - rounds] if totals[-1 - rounds] else 0.0
        return fallen < self.tolerance * rounds * self.moves_per_round


@dataclass(frozen=True)
class Step:
    """A message to the listener: one after every window, and one more, with the losses, after every round."""

    before: int
    """Iterations that were done when the round began."""
    iteration: int
    """The last one of the round, from 1."""
    iterations: int
    """All iterations of the level."""
    tile: int
    """Index of the tile whose window was computed last."""
    tiles: int
    windows_done: int
    """Windows computed so far in this round."""
    windows: int
    losses: Losses | None = None
    """The losses of the picture that the round started from, once it has ended."""


Listener = Callable[[Step], None]
S = TypeVar("S")


@dataclass(frozen=True)
class Point(Generic[S]):
    """A point of a level's descent, between two rounds."""

    now: S
    spare: S
    """The state that the next round may write."""
    done: int = 0
    """Iterations."""
    history: tuple[Losses, ...] = ()
    """The losses at the start of every round so far."""


def descend(
    kind: Round[S], start: Point[S], descent: Descent, listener: Listener, keep: Callable[[Point[S]], None]
) -> S:
    """Go on from `start` to the level's end and return its state; `keep` is called with every point on the way."""
    point = start
    while point.done < descent.iterations and not descent.has_flattened([x.total for x in point.history]):
        moves = descent.moves_after(point.done)
        beat = _Beat(kind, point.done, moves[-1].number, descent.iterations, listener)
        losses = kind(point.now, point.spare, moves, beat.after_window)
        point = Point(point.spare, point.now, moves[-1].number, (*point.history, losses))
        keep(point)
        beat.after_round(losses)
    return point.now


@dataclass
class _Beat:
    """Counts one round's windows for the listener."""

    kind: Round[Any]
    before: int
    iteration: int
    iterations: int
    listener: Listener
    done: int = 0
    tile: int = 0

    def after_window(self, tile: Tile) -> None:
        self.done += 1
        self.tile = tile.index
        self.listener(self._step(None))

    def after_round(self, losses: Losses) -> None:
        self.listener(self._step(losses))

    def _step(self, losses: Losses | None) -> Step:
        tiles = len(self.kind.problem.canvas.level.tiles)
        windows = self.kind.windows(self.before)
        return Step(self.before, self.iteration, self.iterations, self.tile, tiles, self.done, windows, losses)
