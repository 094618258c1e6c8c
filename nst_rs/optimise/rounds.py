"""One round over all tiles of a level: from one picture to the next, by one step of every pixel or by several.

A round reads the state `now` and writes the state `after`, which are different arrays: killed in its middle, it can be
begun again. The kinds of round differ in where they take the scene's moments from while they compute tile after tile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from nst_rs.objective.losses import Losses
from nst_rs.objective.moments import Moments, Total, total
from nst_rs.objective.problem import Forward, Problem
from nst_rs.optimise import adam
from nst_rs.optimise.iterate import Iterate, Move
from nst_rs.optimise.state import State
from nst_rs.optimise.stepping import Stepping
from nst_rs.optimise.tile_moments import TileMoments
from nst_rs.pyramid.tiling import Tile

AfterWindow = Callable[[Tile], None]
MEASURED = 4
"""Steps at a level's start at which all tiles are measured before any is predicted: the picture changes most there."""
S_contra = TypeVar("S_contra", contravariant=True)


class Round(Protocol[S_contra]):
    """One kind of round, from state to state: :class:`nst_rs.optimise.state.State`, or one that lies on workers."""

    @property
    def problem(self) -> Problem:
        """The problem at this level."""

    def windows(self, done: int) -> int:
        """Return how many windows the round computes that follows `done` steps."""

    def __call__(self, now: S_contra, after: S_contra, moves: Sequence[Move], after_window: AfterWindow) -> Losses:
        """Go from `now` to `after` by `moves` of every pixel; return the losses of `now`.

        Args:
            now: The state to read. It is left as it is, but for remembered moments that a round measures anew.
            after: The state to write; whatever it holds is overwritten.
            moves: The steps of this round, one or several as the kind allows.
            after_window: Called with the tile after every window that was computed.
        """


@dataclass(frozen=True)
class Exact:
    """Measures all tiles, then computes every tile's share of the gradient at the scene's moments. Takes one move."""

    problem: Problem
    kept: int = 0
    """The number of windows whose activations are kept from the forward pass to the backward pass. The others are
    computed twice, to the same numbers."""

    def windows(self, done: int) -> int:  # noqa: ARG002
        """Return two for each tile: forward, and back."""
        return 2 * len(self.problem.canvas.tiles)

    def __call__(self, now: State, after: State, moves: Sequence[Move], after_window: AfterWindow) -> Losses:
        """Go from `now` to `after`; return the losses of `now`."""
        (move,) = moves
        problem = self.problem
        moments, kept = self._forward(now, after_window)
        pull = problem.objective.pull(moments)
        stepping = Stepping(problem.canvas.level, now, after, move)
        for view in problem.views(now.picture):
            forward = kept.pop(view.tile.index, None) or problem.forward(view)
            stepping.add(view.tile, problem.share(view, forward.activations, pull))
            after_window(view.tile)
        stepping.finish()
        return problem.objective.losses(moments)

    def _forward(self, now: State, after_window: AfterWindow) -> tuple[Moments, dict[int, Forward]]:
        """Return the picture's moments, and tile index → the forward pass of the windows that are kept."""
        kept, moments = {}, Total()
        for number, view in enumerate(self.problem.views(now.picture)):
            if number < self.kept:
                kept[view.tile.index] = self.problem.forward(view)
                moments.add(kept[view.tile.index].moments)
            else:
                moments.add(self.problem.measure(view))
            after_window(view.tile)
        return moments.value, kept


@dataclass(frozen=True)
class Predicted:
    """Goes forward and back in a few tiles at a time, at the moments that the scene should have by now. Takes one move.

    Position by position the scene is taken to have changed since the last round as the tiles met in this one have.
    A level's first rounds measure all tiles before; after them nothing is computed twice.
    """

    problem: Problem
    kept: int = 1
    """The number of tiles that go forward, their activations kept, before they go back: the more of them, the better is
    the first ones' prediction. With all of them it is the truth."""

    def windows(self, done: int) -> int:
        """Return one for each tile; near the level's start, two."""
        return (1 + _is_measured(done)) * len(self.problem.canvas.tiles)

    def __call__(self, now: State, after: State, moves: Sequence[Move], after_window: AfterWindow) -> Losses:
        """Go from `now` to `after`; return the losses of `now`."""
        (move,) = moves
        problem, prediction = self.problem, _Prediction.of(self.problem, now, after, moves, after_window)
        stepping = Stepping(problem.canvas.level, now, after, move)
        views = problem.views(now.picture)
        while group := [(view, problem.forward(view)) for view in islice(views, max(1, self.kept))]:
            for view, forward in group:
                prediction.meet(view.tile, forward.moments)
            pull = problem.objective.pull(prediction.expected())
            while group:
                view, forward = group.pop(0)  # no longer kept
                stepping.add(view.tile, problem.share(view, forward.activations, pull))
                after_window(view.tile)
        stepping.finish()
        return prediction.losses


@dataclass(frozen=True)
class TileByTile:
    """Takes several moves in one tile, at predicted moments, before it turns to the next. Tiles meet once per round.

    A state is read and written once for several moves instead of once for each. Meanwhile the halo goes stale, so that
    the map may show seams: the record's seam ratio tells.
    """

    problem: Problem

    def windows(self, done: int) -> int:
        """Return one for each tile; near the level's start, two."""
        return (1 + _is_measured(done)) * len(self.problem.canvas.tiles)

    def __call__(self, now: State, after: State, moves: Sequence[Move], after_window: AfterWindow) -> Losses:
        """Go from `now` to `after`; return the losses of `now`."""
        problem, prediction = self.problem, _Prediction.of(self.problem, now, after, moves, after_window)
        computed = {tile.index for tile in problem.canvas.tiles}
        for tile in problem.canvas.level.tiles:
            part = now.part(tile.window_slices)
            if tile.index in computed:
                self._descend(tile, part, moves, prediction)
                after_window(tile)
            after.put(tile.core_slices, part.inside(tile.core_in_window))
        return prediction.losses

    def _descend(self, tile: Tile, part: Iterate, moves: Sequence[Move], prediction: "_Prediction") -> None:
        for index, move in enumerate(moves):
            view = self.problem.view(tile, part.pixels)
            forward = self.problem.forward(view)
            if index == 0:
                prediction.meet(tile, forward.moments)
            else:
                prediction.follow(index, forward.moments)
            pull = self.problem.objective.pull(prediction.expected(index))
            adam.step(part, self.problem.nearby_gradient(view, forward.activations, pull), move)


class _Prediction:
    """Predicts the scene's moments: from all tiles' one round ago, and from those of the tiles met in this round."""

    def __init__(self, problem: Problem, scene_before: Moments, before: TileMoments, after: TileMoments) -> None:
        self._problem, self._scene_before, self._before, self._after = problem, scene_before, before, after
        self._met_before = Total()
        self._met: list[Total] = []
        """The sums over the tiles met so far, after none, one, two ... moves of this round."""

    @classmethod
    def of(
        cls, problem: Problem, now: State, after: State, moves: Sequence[Move], after_window: AfterWindow
    ) -> "_Prediction":
        if now.moments is None or after.moments is None:
            raise ValueError("a predicted round needs the tiles' moments of the round before")
        if _is_measured(moves[0].number - 1):
            for view in problem.views(now.picture):
                now.moments.put(view.tile, problem.measure(view))
                after_window(view.tile)
        scene = total(now.moments.get(tile) for tile in problem.canvas.tiles)
        return cls(problem, scene, now.moments, after.moments)

    def meet(self, tile: Tile, moments: Moments) -> None:
        """Take in the moments of a tile's core at the round's start."""
        self._after.put(tile, moments)
        self._met_before.add(self._before.get(tile))
        self.follow(0, moments)

    def follow(self, moves: int, moments: Moments) -> None:
        """Take in the moments of the tile last met after so many of the round's moves."""
        if moves == len(self._met):
            self._met.append(Total())
        self._met[moves].add(moments)

    def expected(self, moves: int = 0) -> Moments:
        """Return the moments that the scene should have after so many moves of the round.

        Position by position the scene is taken to have changed as the tiles met so far have: for the first this is its
        own change, for the last it is the truth.
        """
        return self._scene_before.expected(self._met[moves].value, self._met_before.value)

    @property
    def losses(self) -> Losses:
        """The losses at the round's start, once all tiles are known."""
        return self._problem.objective.losses(self._met[0].value)


def _is_measured(done: int) -> bool:
    return done < MEASURED


if TYPE_CHECKING:
    _rounds: tuple[type[Round[State]], ...] = (Exact, Predicted, TileByTile)
