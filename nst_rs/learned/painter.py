"""A tile of a map is read, painted with a learned style and written: the same in this process and on a worker.

A tile is painted in blocks, which lie on the scene's own grid whatever the tile's size is. A block
needs nothing but its margin of another, so blocks of any size make the same picture but for rounding: libraries add up
in another order where shapes differ. Blocks of one shape in one place make it the same bit for bit, on any machine.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from nst_rs.arrays import Pixels, Rgb
from nst_rs.config.sections import Color
from nst_rs.files.storage import PixelArray, check_written
from nst_rs.learned.windows import Corner, MapTile, Network, best_block, seen
from nst_rs.style.color import to_optimise, to_show

# One block at a time, with all the threads that the process has.
_turn = threading.Lock()


@dataclass(frozen=True)
class Manner:
    """The way a learned style is applied."""

    found_by: Color
    """The value of ``style.color`` with which it was learned."""
    shown: Color
    strength: float
    """A number from 0, the scene, to 1, the style."""


class Recipe(Protocol):
    """Builds the network in the process that needs it: :class:`nst_rs.executors.recipes.PaintingRecipe`."""

    def __call__(self) -> Network:
        """Build the network."""

    def with_threads(self, threads: int) -> "Recipe":
        """Return the recipe for a process that may use so many threads."""


@dataclass
class TilePainter:
    """Paints tiles from one array into another. It can be sent to another process, which then builds its own network.

    Nothing is written but a tile's own pixels, so a tile may be painted again, by anyone.
    """

    recipe: Recipe
    margin: int
    """Pixels around a window that the network sees."""
    manner: Manner
    image: PixelArray  # (H, W, 3) RGB in [0, 255]
    result: PixelArray  # (H, W, 3) uint8
    corner: Corner = (0, 0)
    """Where the grain has the scene's first pixel."""
    seconds: float = field(default=0.0, init=False)
    """The seconds that the network has taken so far in this process."""
    _network: Network | None = field(default=None, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    def with_threads(self, threads: int) -> "TilePainter":
        """Return the painter for processes that may use so many threads each."""
        return replace(self, recipe=self.recipe.with_threads(threads))

    @property
    def network(self) -> Network:
        """The network of this process, built when it is first used. One block at a time uses it."""
        if self._network is None:
            self._network = self.recipe()
        return self._network

    def read(self, tile: MapTile) -> tuple[Pixels, Pixels]:
        """Return the scene and its grain, with margins, for a tile. Raises OutputError where the scene is not there."""
        check_written(self.image, tile.inside(self.image.shape))
        return seen(self.image, tile.rows, tile.columns, self.margin, self.corner)

    def paint(self, tile: MapTile, around: Pixels, grain: Pixels) -> None:
        """Write a tile of the map, from what :meth:`read` returned."""
        place = tile.inside(self.image.shape)
        rows, columns = (
            slice(part.start - span.start, part.stop - span.start)
            for part, span in zip(place, (tile.rows, tile.columns), strict=True)
        )
        self.result[place] = self._painted(around, grain, (rows.stop, columns.stop))[rows, columns]

    def _painted(self, around: Pixels, grain: Pixels, shape: tuple[int, ...]) -> Rgb:
        """Return a tile's first pixels, (*shape, 3)."""
        made, block = np.empty((*shape, 3), np.uint8), best_block(self.image.shape, self.margin)
        for top in range(0, shape[0], block):
            for left in range(0, shape[1], block):
                window = slice(top, top + block + 2 * self.margin), slice(left, left + block + 2 * self.margin)
                place = made[top : top + block, left : left + block]
                painted = self._painted_block(around[window], grain[window])
                place[:] = np.rint(painted[: place.shape[0], : place.shape[1]])
        return made

    def _painted_block(self, around: Pixels, grain: Pixels) -> Pixels:
        """Return a block's pixels, (block, block, 3) in [0, 255]."""
        inner, strength = slice(self.margin, -self.margin), self.manner.strength
        found_by = to_optimise(self.manner.found_by, around)
        with _turn:
            started = time.perf_counter()
            picture = self.network(found_by, grain)
            self.seconds += time.perf_counter() - started
        own = found_by[inner, inner]
        blended = own + np.float32(strength) * (picture - own) if strength < 1 else picture
        return to_show(self.manner.shown, blended, around[inner, inner])


def paint_tile(painter: TilePainter, tile: MapTile) -> None:
    """Read, paint and write one tile."""
    painter.paint(tile, *painter.read(tile))


def paint_in_turn(painter: TilePainter, tiles: Sequence[MapTile], done: Callable[[MapTile], None]) -> None:
    """Paint all `tiles`, telling `done` of each; the next one is read meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: deque[Future[tuple[Pixels, Pixels]]] = deque()
        for number, tile in enumerate(tiles):
            coming += [reader.submit(painter.read, each) for each in tiles[number + len(coming) : number + 2]]
            painter.paint(tile, *coming.popleft().result())
            done(tile)
