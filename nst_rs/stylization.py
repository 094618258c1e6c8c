"""The loop: levels from coarse to fine, iterations, tiles. Knows neither TensorFlow nor rasterio.

One objective for the whole scene. Every iteration first measures all tiles and adds up their moments, then asks every
tile for its share of the scene's gradient and adds up the shares, then takes one step with all pixels. Moments and
shares add up exactly, so the picture does not depend on how it was cut.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from nst_rs.adam import Adam
from nst_rs.arrays import Pixels
from nst_rs.moments import Moments, total
from nst_rs.objective import Losses, Objective, Pull
from nst_rs.pyramid import enlarge
from nst_rs.tiling import Level, Tile

Init = Literal["content", "noise"]


class Kernel(Protocol):
    """What the loop needs of the network: see :class:`nst_rs.neural.kernel.Kernel`."""

    def measure(self, window: Pixels, weight: Pixels) -> Moments:
        """Return the moments of one window."""

    def content(self, window: Pixels) -> Any:
        """Return the content features of one window, to be handed back to :meth:`gradient`."""

    def gradient(self, window: Pixels, weight: Pixels, content: Any, pull: Pull) -> tuple[Pixels, Mapping[str, float]]:
        """Return the window's share of the gradient, and its 1/2 Σ (F − P)² by content layer."""


@dataclass(frozen=True)
class Canvas:
    """One level of the scene with its border: what the tiles' windows are cut from."""

    level: Level
    image: Pixels  # (H, W, 3) RGB in [0, 255]
    weight: Pixels  # (H, W) in [0, 1]: the valid share of each pixel, 0 in the border

    @classmethod
    def around(cls, level: Level, image: Pixels, weight: Pixels) -> "Canvas":
        """Surround a level's scene, (h, w, 3), by its mirrored border, which weighs nothing."""
        pad = [(axis.border, axis.canvas - axis.border - axis.scene) for axis in (level.rows, level.columns)]
        return cls(level, np.pad(image, [*pad, (0, 0)], mode="symmetric"), np.pad(weight, pad))

    @cached_property
    def tiles(self) -> list[Tile]:
        """The tiles that hold any valid pixel; the others have nothing to say."""
        return [tile for tile in self.level.tiles if self.weight[tile.core_slices].any()]

    def tile_weight(self, tile: Tile) -> Pixels:
        """Return the window's weights: the canvas's in the core, 0 in the halo."""
        weight = np.zeros([span.size for span in tile.window], np.float32)
        weight[tile.core_in_window] = self.weight[tile.core_slices]
        return weight


@dataclass(frozen=True)
class Descent:
    """How one level goes downhill."""

    iterations: int
    step_size: float
    """Pixel values (of 255) that Adam moves a pixel at most, about, in one step."""


@dataclass(frozen=True)
class Step:
    """What a listener hears after every window, and once more with the losses after every iteration."""

    iteration: int
    """From 1."""
    iterations: int
    tile: int
    """Index of the tile whose window was computed last."""
    tiles: int
    windows_done: int
    """Windows measured or differentiated so far in this iteration."""
    windows: int
    losses: Losses | None = None
    """The losses of the picture that the iteration started from, once it has ended."""


Listener = Callable[[Step], None]


def first_picture(canvas: Canvas, init: Init, seed: int) -> Pixels:
    """Return the picture the coarsest level starts from: the scene itself, or uniform noise over [0, 255]."""
    if init == "content":
        return canvas.image.copy()
    noise = np.random.default_rng(seed).random(canvas.image.shape, np.float32)
    return noise * np.float32(255)


def next_picture(picture: Pixels, coarse: Level, fine: Level) -> Pixels:
    """Enlarge a level's picture, border included, to the next finer level's canvas."""
    twice = enlarge(picture)
    rows, columns = (
        np.arange(axis.canvas) + 2 * below.border - axis.border
        for axis, below in ((fine.rows, coarse.rows), (fine.columns, coarse.columns))
    )
    # The coarse canvas's border covers twice its pixels here; only its far end can fall short of this canvas.
    return twice[np.minimum(rows, len(twice) - 1)][:, np.minimum(columns, twice.shape[1] - 1)]


def _ignore(_tile: Tile) -> None:
    pass


def stylize_level(
    kernel: Kernel, canvas: Canvas, picture: Pixels, objective: Objective, descent: Descent, listener: Listener
) -> Pixels:
    """Descend from `picture` (of the canvas's shape, RGB in [0, 255]); return where it ends, `picture` unchanged."""
    picture = picture.copy()
    adam = Adam.at_rest(picture.shape)
    content = content_targets(kernel, canvas)
    for iteration in range(1, descent.iterations + 1):
        beat = _Beat(iteration, descent.iterations, canvas, listener)
        gradient, losses = scene_gradient(kernel, canvas, picture, content, objective, beat.after_window)
        adam.step(picture, gradient, descent.step_size)
        beat.after_iteration(losses)
    return picture


@dataclass
class _Beat:
    """Counts one iteration's windows for the listener."""

    iteration: int
    iterations: int
    canvas: Canvas
    listener: Listener
    done: int = 0
    tile: int = 0

    def after_window(self, tile: Tile) -> None:
        self.done += 1
        self.tile = tile.index
        self.listener(self._step(None))

    def after_iteration(self, losses: Losses) -> None:
        self.listener(self._step(losses))

    def _step(self, losses: Losses | None) -> Step:
        tiles = len(self.canvas.level.tiles)
        windows = 2 * len(self.canvas.tiles)
        return Step(self.iteration, self.iterations, self.tile, tiles, self.done, windows, losses)


def content_targets(kernel: Kernel, canvas: Canvas) -> dict[int, Any]:
    """Return tile index → the content features of the scene in that tile's window."""
    return {tile.index: kernel.content(canvas.image[tile.window_slices]) for tile in canvas.tiles}


def scene_gradient(
    kernel: Kernel,
    canvas: Canvas,
    picture: Pixels,
    content: Mapping[int, Any],
    objective: Objective,
    after_window: Callable[[Tile], None] = _ignore,
) -> tuple[Pixels, Losses]:
    """Return the gradient of the whole scene's objective at `picture`, (H, W, 3), and the objective's terms.

    Exact: the moments of the cores are the scene's, and every tile's share spans its whole window, so that added up
    where windows overlap they are the gradient of the untiled scene. No halo beyond the features' own is needed.
    """
    moments = scene_moments(kernel, canvas, picture, after_window)
    pull = objective.pull(moments)
    gradient = np.zeros(picture.shape, picture.dtype)
    half_squares = dict.fromkeys(objective.content_layers, 0.0)
    for tile in canvas.tiles:
        share, squares = kernel.gradient(
            picture[tile.window_slices], canvas.tile_weight(tile), content[tile.index], pull
        )
        gradient[tile.window_slices] += share
        half_squares = {name: value + squares[name] for name, value in half_squares.items()}
        after_window(tile)
    return gradient, objective.losses(moments, half_squares)


def scene_moments(
    kernel: Kernel, canvas: Canvas, picture: Pixels, after_window: Callable[[Tile], None] = _ignore
) -> Moments:
    """Return the moments of the whole picture: the sum over its tiles."""

    def measured() -> Iterator[Moments]:
        for tile in canvas.tiles:
            yield kernel.measure(picture[tile.window_slices], canvas.tile_weight(tile))
            after_window(tile)

    return total(measured())
