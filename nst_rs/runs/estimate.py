"""The memory and the operations that a plan will take: arithmetic on the plan, without any measurement."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from nst_rs.files import storage
from nst_rs.files.storage import STRIP_ROWS
from nst_rs.optimise.core_array import CoreArray
from nst_rs.pyramid.tiling import Level, Plan, make_level
from nst_rs.vgg16 import VGG16, Trunk

TILE_STEP = 64
LARGEST_TILE = 1152
"""Beyond this a larger tile saves less than a tenth of the halo's work and takes ever more memory."""

# Copies of all activations that the gradient's pass holds at its peak: measured, see benchmarks/memory.py.
_ACTIVATION_COPIES = 2.0
# Bytes per pixel of a strip of rows at its peak, while nodata is filled: measured at widths of 4,096 to 16,384 pixels.
_STRIP_BYTES_PER_PIXEL = 85.0
# TensorFlow, GDAL and the weights, before the first pixel.
_PROCESS_BYTES = 0.9e9
# Bytes per pixel of a strip of rows at its peak where the ground is divided, in all and per class with a style; where
# the picture agrees with earlier maps, in all and per map; and the rows of such a strip. All measured.
_DIVIDED_BYTES, _BYTES_PER_CLASS = 15.0, 12.0
_AGREEING_BYTES, _BYTES_PER_EARLIER_MAP, _AGREEING_ROWS = 215.0, 25.0, 300

SECONDS_PER_PIXEL_AROUND = 2e-6
"""Seconds that a run spends on reading, composing, measuring and writing one pixel of the scene."""
SECONDS_PER_PIXEL_DIVIDED = 1e-6
"""The same for dividing a pixel's ground into classes."""
SECONDS_PER_PIXEL_AGREED = 3e-6
"""The same for finding where one earlier map holds a pixel: its scene is composed anew."""


@dataclass(frozen=True)
class Memory:
    """Peak bytes, on the host and on the device; on a CPU the two are one memory."""

    canvases: float
    """The arrays of the scene's size, in memory or on disk."""
    windows: float
    """The network's memory for a window."""
    rows: float
    """The rows of the scene that are worked on at a time."""
    on_disk: bool
    """Whether the canvases are kept on disk, because they would not fit the budget."""
    process: float = _PROCESS_BYTES

    @property
    def scene(self) -> float:
        """Bytes of memory for the scene itself."""
        return self.rows if self.on_disk else self.rows + self.canvases

    @property
    def host(self) -> float:
        """Bytes where the scene is held, when the windows are computed there too."""
        return self.scene + self.windows + self.process


@dataclass(frozen=True)
class Special:
    """What takes work of its own in a run: classes of ground with a style, and earlier maps to agree with."""

    classes: int = 0
    maps: int = 0

    def rows_bytes(self, height: int, width: int) -> float:
        """Estimate the bytes of a strip of rows of a scene while it is divided, or compared with earlier maps."""
        rows = min(height, STRIP_ROWS) * (_DIVIDED_BYTES + _BYTES_PER_CLASS * self.classes) if self.classes else 0.0
        each = _AGREEING_BYTES + _BYTES_PER_EARLIER_MAP * self.maps
        return width * max(rows, min(height, _AGREEING_ROWS) * each if self.maps else 0.0)

    def seconds(self, pixels: int) -> float:
        """Estimate the time that this takes in a scene of so many pixels, without the network's."""
        divided = SECONDS_PER_PIXEL_DIVIDED if self.classes else 0.0
        return pixels * (divided + SECONDS_PER_PIXEL_AGREED * self.maps)


@dataclass(frozen=True)
class Kept:
    """The arrays that a run keeps of its scene, in memory or on disk: shape and type of each."""

    canvases: tuple[tuple[tuple[int, ...], str], ...]
    """Levels' colours and weights, and the content's features at the finest."""
    states: tuple[tuple[tuple[int, ...], str], ...]
    """The descent's two states at the finest level and at the one below; on disk in any case, so that a run can go on.
    """

    @classmethod
    def by(
        cls, plan: Plan, content_layers: Iterable[str], precision: str, arrays: int, by_core: bool = False
    ) -> "Kept":
        """Return the arrays that `plan` keeps: `arrays` per state; `by_core`: states are kept core by core."""
        colors = [((*level.canvas_shape, 3), "float32") for level in plan.levels]
        weights = [(level.canvas_shape, "float32") for level in plan.levels]
        kind = "uint16" if precision == "bfloat16" else "float32"
        layers = [VGG16[name] for name in content_layers]
        rows, columns = plan.levels[-1].canvas_shape
        content = [((rows // layer.stride, columns // layer.stride, layer.channels), kind) for layer in layers]
        pictures = [(CoreArray.stack_shape(level), "float32") for level in plan.levels] if by_core else colors
        states = [picture for picture in pictures[-2:] for _ in range(2 * arrays)]
        return cls((*colors, *weights, *content), tuple(states))

    @property
    def memory_bytes(self) -> int:
        """Bytes where they are kept in memory."""
        return sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in (*self.canvases, *self.states))

    def disk_bytes(self, on_disk: bool) -> int:
        """Bytes of disk; `on_disk`: also the canvases are kept there."""
        kept = (*self.canvases, *self.states) if on_disk else self.states
        return sum(storage.stored_bytes(shape, kind) for shape, kind in kept)


def memory(
    plan: Plan,
    kept: Kept,
    styles: Iterable[tuple[int, int]],
    value_bytes: int,
    budget: float,
    special: Special = Special(),
) -> Memory:
    """Estimate the peak of a plan with styles of shapes `styles`, (H, W) each.

    `value_bytes` is 4 for float32 activations, 2 for bfloat16. The canvases are kept on disk where the run would take
    more than `budget` bytes with them in memory.
    """
    measured = [*(make_level(style, 1, plan.tile, plan.trunk) for style in styles), *plan.levels]
    window = max(math.prod(level.window_shape) for level in measured)
    windows = window_bytes(window, plan.trunk, value_bytes)
    rows = max(strip_bytes(plan.levels[-1]), special.rows_bytes(*plan.shape))
    in_memory = Memory(float(kept.memory_bytes), windows, rows, on_disk=False)
    return replace(in_memory, on_disk=in_memory.host > budget)


def strip_bytes(finest: Level) -> float:
    """Estimate the bytes of a strip of rows at work, and of a row of tiles' shares of the gradient."""
    return rows_bytes(*finest.canvas_shape) + finest.window_shape[0] * 12 * finest.canvas_shape[1]


def composed_bytes(shape: tuple[int, int]) -> int:
    """Return the bytes of disk of a scene of `shape`, (H, W), that is composed there and written as a GeoTIFF."""
    arrays = storage.stored_bytes((*shape, 3), "float32") + storage.stored_bytes(shape, "float32")
    return arrays + 4 * math.prod(shape)


def rows_bytes(height: int, width: int) -> float:
    """Estimate the bytes of a strip of rows of a scene while it is composed or written."""
    return min(height, STRIP_ROWS) * _STRIP_BYTES_PER_PIXEL * width


def left_for_windows(shape: tuple[int, int], trunk: Trunk, budget: float) -> float:
    """Return what is left of `budget` bytes for windows beside the program and a strip of a scene of `shape` (H, W)."""
    return budget - _PROCESS_BYTES - strip_bytes(make_level(shape, 1, LARGEST_TILE, trunk))


def window_bytes(pixels: int, trunk: Trunk, value_bytes: int) -> float:
    """Estimate the peak of one window's forward and backward pass."""
    return pixels * trunk.activation_bytes_per_pixel * _ACTIVATION_COPIES * value_bytes / 4


def activation_bytes(level: Level, trunk: Trunk, value_bytes: int) -> float:
    """Return the bytes that one window of `level` keeps from its forward pass to its backward pass."""
    return math.prod(level.window_shape) * trunk.activation_bytes_per_pixel * value_bytes / 4


def resident_bytes(level: Level, arrays: int, content_layers: Iterable[str]) -> float:
    """Return the bytes that a level's descent takes on a device that holds it, beside its windows' activations.

    `arrays` per state; there are two states, and four more pictures at work: the gradient, the mirrored picture, and
    copies of both. Weights and content features are held window by window.
    """
    pictures = (2 * arrays + 4) * 12 * math.prod(level.canvas_shape)
    features = sum(VGG16[name].channels / VGG16[name].stride ** 2 for name in content_layers)
    return pictures + 4 * (1 + features) * level.computed_pixels


def best_tile(shape: tuple[int, int], trunk: Trunk, value_bytes: int, budget: float, workers: int = 1) -> int:
    """Return the tile that computes the fewest pixels of a scene of `shape` with windows of at most `budget` bytes.

    Where there are several `workers`, the pixels of the one with the most tiles count. Returns TILE_STEP where no tile
    fits: the caller compares the plan with the memory that there is.
    """
    fitting = {TILE_STEP: make_level(shape, 1, TILE_STEP, trunk)}
    for tile in range(2 * TILE_STEP, LARGEST_TILE + 1, TILE_STEP):
        level = make_level(shape, 1, tile, trunk)
        if window_bytes(math.prod(level.window_shape), trunk, value_bytes) <= budget:
            fitting[tile] = level
    return min(fitting, key=lambda tile: (_most_pixels(fitting[tile], workers), tile))


def _most_pixels(level: Level, workers: int) -> int:
    return -(-len(level.tiles) // workers) * math.prod(level.window_shape)


def product_flops(level: Level, layers: Iterable[str], passes: float) -> float:
    """Return the operations of the feature products at some layers, Σ F Fᵀ, or of carrying their pull back: as many."""
    return (
        passes * level.computed_pixels * sum(2 * VGG16[name].channels ** 2 / VGG16[name].stride ** 2 for name in layers)
    )


def flops(level: Level, trunk: Trunk, passes: float) -> float:
    """Return the convolutions' operations of `passes` over a level, forward or back: one costs as much as the other."""
    return passes * level.computed_pixels * trunk.flops_per_pixel
