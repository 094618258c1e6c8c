"""The part of a round that one of several processes computes: blocks of consecutive tiles, whose cores it holds.

Blocks hand each other strips: the pixels of a core that a neighbour's window sees, and that window's gradient there.
Whoever carries the strips, nothing here depends on how many blocks there are: moments are added in pairs and shares in
the tiles' order, as :class:`nst_rs.optimise.rounds.Exact` does in one process, so the bits are the same.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import check_written
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import Moments, Pull, total
from nst_rs.objective.problem import Features, Forward, Kernel, Problem, View
from nst_rs.optimise import bfgs, stepping
from nst_rs.optimise.bfgs import Curvature
from nst_rs.optimise.iterate import Iterate, Move
from nst_rs.optimise.state import State
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import Axis, Level, Span, Tile

Cores = Mapping[int, Iterate]
"""Tile → its core's pixels and what the optimiser remembers of them."""
Gradients = Mapping[int, Pixels]
"""Tile → the scene's gradient at its core, (h, w, 3) float32."""
Shares = Mapping[int, Pixels]
"""Tile → its window's share of the gradient, (H, W, 3) float32."""
Strips = Mapping[tuple[int, int], Pixels]
"""(tile of the core, tile of the window) → pixels or their gradient where the two overlap, (h, w, 3) float32."""
Recipe = Callable[[], Kernel]
"""Builds the network where it is called. Hashable: a process builds equal recipes once."""


@dataclass(frozen=True)
class Overlap:
    """The part of a tile's core that a tile's window sees, in canvas coordinates."""

    core: Tile
    window: Tile
    rows: Span
    columns: Span

    @property
    def key(self) -> tuple[int, int]:
        """The two tiles' indices, as in Strips."""
        return self.core.index, self.window.index

    @property
    def in_core(self) -> tuple[slice, slice]:
        """(rows, columns) in the core."""
        return _inside(self.rows, self.core.core[0]), _inside(self.columns, self.core.core[1])

    @property
    def in_window(self) -> tuple[slice, slice]:
        """(rows, columns) in the window."""
        return _inside(self.rows, self.window.window[0]), _inside(self.columns, self.window.window[1])


@dataclass(frozen=True)
class Block:
    """Consecutive tiles that one process computes together."""

    number: int
    tiles: tuple[Tile, ...]
    computed: tuple[Tile, ...]
    """The tiles that hold any valid pixel."""
    seen: Mapping[int, tuple[Overlap, ...]]
    """Block → where this block's windows see its cores."""
    shown: Mapping[int, tuple[Overlap, ...]]
    """Block → where its windows see this block's cores."""

    @property
    def sources(self) -> list[int]:
        """The other blocks that this one sees."""
        return [number for number in self.seen if number != self.number]

    @property
    def viewers(self) -> list[int]:
        """The other blocks that see this one."""
        return [number for number in self.shown if number != self.number]


@dataclass(frozen=True)
class LevelInputs:
    """The inputs that all blocks of a level share. They are small: the canvas is a reference to arrays on disk."""

    name: str
    """No other level of any run has the same."""
    recipe: Recipe
    canvas: Canvas
    objective: Objective
    kept: int
    """The most windows whose activations a process keeps from the forward pass to the backward pass."""


@dataclass(frozen=True)
class BlockInputs:
    """The inputs of one block, the same in every round of a level."""

    level: LevelInputs
    block: Block
    weights: Mapping[int, Pixels]
    """Computed tile → its window's weights, (H, W): 0 in the halo."""
    content: Mapping[int, Features]
    """Computed tile → the scene's features in its window."""

    @property
    def problem(self) -> Problem:
        """The level's problem, with this process's network. The content is in the views."""
        return Problem(_network(self.level.recipe), self.level.canvas, self.level.objective, {})

    def view(self, tile: Tile, window: Pixels) -> View:
        """Return a computed tile's window with its weights and its content features."""
        return self.problem.shown(tile, window, self.weights[tile.index], self.content[tile.index])


def cut(level: Level, computed: Sequence[Tile], size: int) -> list[Block]:
    """Return the level's tiles as blocks of `size` of the `computed` ones and of what lies between them.

    `size` is a power of two: a block's moments then are one of the sums that :func:`nst_rs.objective.moments.total`
    makes on its way, whatever the size.
    """
    starts = [0, *(tile.index for tile in computed[size::size]), len(level.tiles)]
    runs = [level.tiles[start:stop] for start, stop in pairwise(starts)]
    block_of = {tile.index: number for number, run in enumerate(runs) for tile in run}
    seen: list[dict[int, list[Overlap]]] = [{} for _ in runs]
    shown: list[dict[int, list[Overlap]]] = [{} for _ in runs]
    for tile in computed:
        for overlap in overlaps(level, tile):
            of_core, of_window = block_of[overlap.core.index], block_of[tile.index]
            seen[of_window].setdefault(of_core, []).append(overlap)
            shown[of_core].setdefault(of_window, []).append(overlap)
    indices = {tile.index for tile in computed}
    return [
        Block(number, run, tuple(tile for tile in run if tile.index in indices), _fixed(sees), _fixed(shows))
        for number, (run, sees, shows) in enumerate(zip(runs, seen, shown, strict=True))
    ]


def overlaps(level: Level, window: Tile) -> Iterator[Overlap]:
    """Return where a tile's window sees cores, in the order of their tiles."""
    across = len(level.columns.cores)
    for row, rows in _met(level.rows, window.window[0]):
        for column, columns in _met(level.columns, window.window[1]):
            yield Overlap(level.tiles[row * across + column], window, rows, columns)


def best_size(tiles: int, workers: int) -> int:
    """Return the largest size of blocks of `tiles` tiles that gives no worker a tenth more to do than single tiles.

    >>> best_size(6, 1), best_size(6, 2), best_size(16, 2), best_size(484, 10)
    (8, 1, 8, 4)
    """
    sizes: list[int] = [2**k for k in range((tiles - 1).bit_length() + 1)]
    return max(x for x in sizes if _most(tiles, workers, x) <= 1.1 * _most(tiles, workers, 1))


def prepare(level: LevelInputs, block: Block) -> BlockInputs:
    """Read a block's weights, and compute the content features of its windows.

    Raises OutputError where the canvas is not there.
    """
    kernel, canvas = _network(level.recipe), level.canvas
    for tile in block.computed:
        check_written(canvas.image, tile.window_slices)
    weights = {tile.index: canvas.tile_weight(tile) for tile in block.computed}
    with _turn:
        content = {tile.index: kernel.content(canvas.image[tile.window_slices]) for tile in block.computed}
    return BlockInputs(level, block, weights, content)


def load(inputs: BlockInputs, state: State) -> Cores:
    """Read a block's cores from a state on disk. Raises OutputError where they are not there."""
    for tile in inputs.block.tiles:
        check_written(state.picture, tile.core_slices)
    return {tile.index: state.part(tile.core_slices) for tile in inputs.block.tiles}


def save(inputs: BlockInputs, cores: Cores, state: State) -> None:
    """Write a block's cores to a state on disk."""
    for tile in inputs.block.tiles:
        state.put(tile.core_slices, cores[tile.index])


def halo_strips(inputs: BlockInputs, cores: Cores, viewer: int) -> Strips:
    """Return the pixels of this block's cores that another block's windows see: a part of their halo."""
    return {x.key: cores[x.core.index].pixels[x.in_core].copy() for x in inputs.block.shown[viewer]}


def measure(inputs: BlockInputs, cores: Cores, halos: Iterable[Strips], round_number: int) -> Moments:
    """Return the moments of a block, and keep its activations for :func:`share` where there is room."""
    problem, moments = inputs.problem, []
    for view in _views(inputs, cores, halos):
        with _turn:
            forward = problem.forward(view)
            _activations.keep((inputs.level.name, round_number), view.tile.index, forward, inputs.level.kept)
        moments.append(forward.moments)
    return total(moments)


def share(inputs: BlockInputs, cores: Cores, halos: Iterable[Strips], pull: Pull, round_number: int) -> Shares:
    """Return every window's share of the gradient, at all pixels that it sees.

    Where this process has not kept a window's activations, because there was no room or because another process had
    measured it, it computes them again, to the same numbers.
    """
    problem, shares = inputs.problem, {}
    for view in _views(inputs, cores, halos):
        with _turn:
            forward = _activations.take((inputs.level.name, round_number), view.tile.index) or problem.forward(view)
            shares[view.tile.index] = problem.share(view, forward.activations, pull)
    return shares


def gradient_strips(inputs: BlockInputs, shares: Shares, source: int) -> Strips:
    """Return this block's shares of the gradient at another block's cores."""
    return {x.key: shares[x.window.index][x.in_window].copy() for x in inputs.block.seen[source]}


def gradients(inputs: BlockInputs, cores: Cores, shares: Shares, others: Iterable[Strips]) -> Gradients:
    """Return the scene's gradient at the block's cores: the sum of its own `shares` and the other blocks' strips."""
    block, strips = inputs.block, _joined(others)
    if block.number in block.seen:
        strips |= gradient_strips(inputs, shares, block.number)
    sums = {tile.index: np.zeros_like(cores[tile.index].pixels) for tile in block.tiles}
    every = [overlap for overlaps in block.shown.values() for overlap in overlaps]
    for overlap in sorted(every, key=lambda x: x.window.index):  # the order of addition decides on the last bit
        sums[overlap.core.index][overlap.in_core] += strips[overlap.key]
    return sums


def curvatures(cores: Cores, slopes: Gradients) -> list[Curvature]:
    """Return BFGS's inner products over each of the block's cores."""
    return [Curvature.of([bfgs.measure(cores[index], slope)]) for index, slope in slopes.items()]


def factors(blocks: Iterable[Iterable[Curvature]], move: Move, level: Level) -> tuple[float, float, float]:
    """Return BFGS's factors for the whole scene, from the inner products of all blocks."""
    return stepping.factors_of((part for block in blocks for part in block), move, level)


def step(cores: Cores, slopes: Gradients, move: Move, of_scene: tuple[float, float, float] | None) -> Cores:
    """Return the block's cores after `move`, with BFGS's factors for the scene; Adam has none."""
    after = {index: core.copy() for index, core in cores.items()}
    for index, slope in slopes.items():
        stepping.step(after[index], slope, move, of_scene)
    return after


class _Activations:
    """The windows' forward passes that this process keeps, those of one round at a time."""

    def __init__(self) -> None:
        self._round: tuple[str, int] | None = None
        self._kept: dict[int, Forward] = {}

    def keep(self, which: tuple[str, int], tile: int, forward: Forward, most: int) -> None:
        if which != self._round:
            self._round, self._kept = which, {}
        if len(self._kept) < most:
            self._kept[tile] = forward

    def take(self, which: tuple[str, int], tile: int) -> Forward | None:
        return self._kept.pop(tile, None) if which == self._round else None


_activations = _Activations()
# One window at a time, with all the threads that the process has: windows are large, and so is what they take.
_turn = threading.RLock()


@lru_cache(maxsize=1)
def _built(recipe: Recipe) -> Kernel:
    return recipe()


def _network(recipe: Recipe) -> Kernel:
    with _turn:  # lru_cache would let two threads build it
        return _built(recipe)


def _most(tiles: int, workers: int, size: int) -> int:
    """Return the number of tiles of the worker with the most."""
    blocks = -(-tiles // size)
    return min(tiles, -(-blocks // workers) * size)


def _views(inputs: BlockInputs, cores: Cores, halos: Iterable[Strips]) -> Iterator[View]:
    """Return the windows of the computed tiles, put together from cores and halos."""
    block = inputs.block
    strips = _joined(halos)
    parts: dict[int, list[Overlap]] = {}
    for overlaps in block.seen.values():
        for overlap in overlaps:
            parts.setdefault(overlap.window.index, []).append(overlap)
    for tile in block.computed:
        window = np.empty((*(span.size for span in tile.window), 3), np.float32)
        for part in parts[tile.index]:
            own = cores.get(part.core.index)
            window[part.in_window] = strips[part.key] if own is None else own.pixels[part.in_core]
        yield inputs.view(tile, window)


def _joined(strips: Iterable[Strips]) -> dict[tuple[int, int], Pixels]:
    return {key: strip for each in strips for key, strip in each.items()}


def _met(axis: Axis, window: Span) -> Iterator[tuple[int, Span]]:
    """Return the cores that a window meets along an axis: their place among the cores, and where they meet it."""
    for place, core in enumerate(axis.cores):
        start, stop = max(core.start, window.start), min(core.stop, window.stop)
        if start < stop:
            yield place, Span(start, stop)


def _inside(part: Span, whole: Span) -> slice:
    return slice(part.start - whole.start, part.stop - whole.start)


def _fixed(by_block: Mapping[int, list[Overlap]]) -> dict[int, tuple[Overlap, ...]]:
    return {number: tuple(overlaps) for number, overlaps in by_block.items()}
