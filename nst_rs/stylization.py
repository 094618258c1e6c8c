"""The loop: levels from coarse to fine, iterations, tiles. Knows neither TensorFlow nor rasterio.

One objective for the whole scene. Every iteration first measures all tiles and adds up their moments, then asks every
tile for its share of the scene's gradient and adds up the shares, then takes one step with all pixels. Moments and
shares add up exactly, so the gradient does not depend on how the scene was cut.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from nst_rs.adam import Adam
from nst_rs.arrays import Pixels
from nst_rs.moments import Moments, total
from nst_rs.objective import Losses, Objective, Pull
from nst_rs.pyramid import enlarged_rows, mirror
from nst_rs.storage import Inset, MemoryStorage, PixelArray, Storage, bands
from nst_rs.tiling import Level, Tile

Init = Literal["content", "noise"]


@dataclass(frozen=True)
class Forward:
    """One window's forward pass."""

    moments: Moments
    activations: Any
    """Of all layers, for the backward pass: the kernel's own."""


class Kernel(Protocol):
    """What the loop needs of the network: see :class:`nst_rs.neural.kernel.Kernel`."""

    def measure(self, window: Pixels, weight: Pixels) -> Moments:
        """Return the moments of one window."""

    def content(self, window: Pixels) -> Any:
        """Return the content features of one window, to be handed back to :meth:`backward`."""

    def forward(self, window: Pixels, weight: Pixels) -> Forward:
        """Return the moments of one window, and what its backward pass needs."""

    def backward(
        self, activations: Any, weight: Pixels, content: Any, pull: Pull
    ) -> tuple[Pixels, Mapping[str, float]]:
        """Return the window's share of the gradient, and its 1/2 Σ (F − P)² by content layer."""


@dataclass(frozen=True)
class Canvas:
    """One level of the scene with its border: what the tiles' windows are cut from."""

    level: Level
    image: PixelArray  # (H, W, 3) float32 RGB in [0, 255]
    weight: PixelArray  # (H, W) float32 in [0, 1]: the valid share of each pixel, 0 in the border

    @classmethod
    def empty(cls, level: Level, storage: Storage) -> "Canvas":
        """Return a level's canvas in `storage`, yet without a scene."""
        image = storage.create(f"image-{level.factor}", (*level.canvas_shape, 3), np.float32)
        return cls(level, image, storage.create(f"weight-{level.factor}", level.canvas_shape, np.float32))

    @classmethod
    def around(cls, level: Level, image: Pixels, weight: Pixels) -> "Canvas":
        """Surround a level's scene, (h, w, 3), by its mirrored border, which weighs nothing. In memory."""
        canvas = cls.empty(level, MemoryStorage())
        canvas.scene_image[:, :], canvas.scene_weight[:, :] = image, weight
        mirror(canvas.image, level)
        return canvas

    @property
    def scene_image(self) -> PixelArray:
        """The scene without the border, (h, w, 3)."""
        return Inset(self.image, self.level.scene_slices)

    @property
    def scene_weight(self) -> PixelArray:
        """Its weights, (h, w)."""
        return Inset(self.weight, self.level.scene_slices)

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


def first_picture(canvas: Canvas, init: Init, seed: int, storage: Storage) -> PixelArray:
    """Make, in `storage`, the picture the coarsest level starts from: the scene, or uniform noise over [0, 255]."""
    picture = _new_picture(canvas.level, storage)
    generator = np.random.default_rng(seed)
    for rows in bands(picture.shape[0]):
        if init == "content":
            picture[rows] = canvas.image[rows]
        else:
            shape = (rows.stop - rows.start, *picture.shape[1:])
            picture[rows] = generator.random(shape, np.float32) * np.float32(255)
    return picture


def next_picture(picture: PixelArray, coarse: Level, fine: Level, storage: Storage) -> PixelArray:
    """Enlarge a level's picture, border included, to the next finer level's canvas, in `storage`."""
    enlarged = _new_picture(fine, storage)
    # The coarse canvas's border covers twice its pixels here; only its far end can fall short of this canvas.
    places, columns = (
        np.minimum(np.arange(axis.canvas) + 2 * below.border - axis.border, 2 * below.canvas - 1)
        for axis, below in ((fine.rows, coarse.rows), (fine.columns, coarse.columns))
    )
    for rows in bands(fine.rows.canvas):
        first, last = int(places[rows][0]), int(places[rows][-1])
        enlarged[rows] = enlarged_rows(picture, first, last + 1)[places[rows] - first][:, columns]
    return enlarged


def _new_picture(level: Level, storage: Storage) -> PixelArray:
    return storage.create(f"picture-{level.factor}", (*level.canvas_shape, 3), np.float32)


def _ignore(_tile: Tile) -> None:
    pass


def stylize_level(problem: "Problem", picture: Pixels, descent: Descent, listener: Listener) -> Pixels:
    """Descend from `picture` (of the canvas's shape, RGB in [0, 255]); return where it ends, `picture` unchanged."""
    picture = picture.copy()
    adam = Adam.at_rest(picture.shape)
    for iteration in range(1, descent.iterations + 1):
        beat = _Beat(iteration, descent.iterations, problem.canvas, listener)
        gradient, losses = problem.gradient(picture, beat.after_window)
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


@dataclass(frozen=True)
class Problem:
    """What is minimised at one level: the scene's objective over the pixels of its canvas."""

    kernel: Kernel
    canvas: Canvas
    objective: Objective
    kept: int = 0
    """How many windows' activations are kept from the forward pass to the backward pass. The others are computed twice,
    to the same numbers."""

    @cached_property
    def content(self) -> dict[int, Any]:
        """Tile index → the content features of the scene in that tile's window."""
        image = self.canvas.image
        return {tile.index: self.kernel.content(image[tile.window_slices]) for tile in self.canvas.tiles}

    def gradient(self, picture: Pixels, after_window: Callable[[Tile], None] = _ignore) -> tuple[Pixels, Losses]:
        """Return the gradient of the whole scene's objective at `picture`, (H, W, 3), and the objective's terms.

        Exact: the moments of the cores are the scene's, and every tile's share spans its whole window, so that added up
        where windows overlap they are the gradient of the untiled scene. No halo beyond the features' own is needed.
        """
        moments, activations = self._forward(picture, after_window)
        pull = self.objective.pull(moments)
        gradient = np.zeros(picture.shape, picture.dtype)
        half_squares = dict.fromkeys(self.objective.content_layers, 0.0)
        for tile in self.canvas.tiles:
            share, squares = self._backward_tile(picture, tile, activations.pop(tile.index, None), pull)
            gradient[tile.window_slices] += share
            half_squares = {name: value + squares[name] for name, value in half_squares.items()}
            after_window(tile)
        return gradient, self.objective.losses(moments, half_squares)

    def _forward(self, picture: Pixels, after_window: Callable[[Tile], None]) -> tuple[Moments, dict[int, Any]]:
        """Return the picture's moments, and tile index → activations of the windows that are kept."""
        kept_tiles, measured_tiles = self.canvas.tiles[: self.kept], self.canvas.tiles[self.kept :]
        activations, moments = {}, []
        for tile in kept_tiles:
            forward = self._forward_tile(picture, tile)
            activations[tile.index] = forward.activations
            moments.append(forward.moments)
            after_window(tile)
        for tile in measured_tiles:
            moments.append(self.kernel.measure(picture[tile.window_slices], self.canvas.tile_weight(tile)))
            after_window(tile)
        return total(moments), activations

    def _forward_tile(self, picture: Pixels, tile: Tile) -> Forward:
        return self.kernel.forward(picture[tile.window_slices], self.canvas.tile_weight(tile))

    def _backward_tile(
        self, picture: Pixels, tile: Tile, activations: Any, pull: Pull
    ) -> tuple[Pixels, Mapping[str, float]]:
        if activations is None:
            activations = self._forward_tile(picture, tile).activations
        return self.kernel.backward(activations, self.canvas.tile_weight(tile), self.content[tile.index], pull)


def scene_moments(kernel: Kernel, canvas: Canvas, picture: PixelArray) -> Moments:
    """Return the moments of the whole picture: the sum over its tiles."""
    return total(kernel.measure(picture[tile.window_slices], canvas.tile_weight(tile)) for tile in canvas.tiles)
