"""The cutting of a scene: levels from coarse to fine, each level's tiles and their windows. Integers only.

Along each axis a level's canvas is

    | border | the scene at this level | border and what fills up to the stride |

and is partitioned into cores. A tile's window is its core and a halo of all the pixels its features depend on; all
windows of a level have one shape, shifted inwards where they would leave the canvas.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from nst_rs.errors import ConfigError
from nst_rs.vgg16 import Trunk

BORDER = 32
"""Pixels of mirrored scene around the canvas. They weigh nothing; they keep the network's zero padding, which would
draw a frame, away from the scene's own border."""


@dataclass(frozen=True)
class Span:
    """Pixels [start, stop) along one axis."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of pixels."""
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The same for indexing."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Tile:
    """A core, which is the tile's own, inside the window that is computed for it. Canvas coordinates."""

    index: int
    core: tuple[Span, Span]
    window: tuple[Span, Span]

    @property
    def core_slices(self) -> tuple[slice, slice]:
        """(rows, columns) of the core in the canvas."""
        return self.core[0].slice, self.core[1].slice

    @property
    def window_slices(self) -> tuple[slice, slice]:
        """(rows, columns) of the window in the canvas."""
        return self.window[0].slice, self.window[1].slice

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """(rows, columns) of the core in the window."""
        rows, columns = (
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class Axis:
    """One axis of a level's canvas, cut into cores."""

    scene: int
    """Pixels of the scene at this level."""
    border: int
    canvas: int
    """Pixels of the canvas: a multiple of the stride."""
    cores: tuple[Span, ...]
    windows: tuple[Span, ...]

    @property
    def scene_slice(self) -> slice:
        """The place of the scene in the canvas."""
        return slice(self.border, self.border + self.scene)

    @property
    def seams(self) -> tuple[int, ...]:
        """The scene's pixels before which a core begins; cores that meet outside of the scene are left out."""
        places = (core.start - self.border for core in self.cores)
        return tuple(place for place in places if 0 < place < self.scene)


@dataclass(frozen=True)
class Level:
    """One level of the coarse-to-fine pyramid."""

    factor: int
    """Pixels of the full scene, along one axis, to one pixel of this level."""
    rows: Axis
    columns: Axis

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the scene at this level."""
        return self.rows.scene, self.columns.scene

    @property
    def canvas_shape(self) -> tuple[int, int]:
        """(H, W) of the canvas."""
        return self.rows.canvas, self.columns.canvas

    @property
    def window_shape(self) -> tuple[int, int]:
        """(H, W) of every window of this level."""
        return self.rows.windows[0].size, self.columns.windows[0].size

    @property
    def scene_slices(self) -> tuple[slice, slice]:
        """(rows, columns) of the scene in the canvas."""
        return self.rows.scene_slice, self.columns.scene_slice

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, row by row."""
        return tuple(self._tiles())

    def _tiles(self) -> Iterator[Tile]:
        index = 0
        for row_core, row_window in zip(self.rows.cores, self.rows.windows, strict=True):
            for column_core, column_window in zip(self.columns.cores, self.columns.windows, strict=True):
                yield Tile(index, (row_core, column_core), (row_window, column_window))
                index += 1

    @property
    def computed_pixels(self) -> int:
        """The pixels of all windows, which one pass over the level computes."""
        return len(self.rows.windows) * len(self.columns.windows) * math.prod(self.window_shape)


@dataclass(frozen=True)
class Plan:
    """The levels of a run, from coarse to fine."""

    shape: tuple[int, int]
    """(H, W) of the full scene."""
    tile: int
    trunk: Trunk
    levels: tuple[Level, ...]


def make_plan(shape: tuple[int, int], *, levels: int, tile: int, trunk: Trunk, further: int = 0) -> Plan:
    """Cut a scene of `shape` (H, W) into `levels` levels of tiles with cores of at most about `tile` pixels.

    There are `further` levels below them, which may be of any size. Raises ConfigError when the coarsest of the others
    would be smaller than the network's stride.

    >>> plan = make_plan((1860, 2041), levels=2, tile=512, trunk=Trunk.reaching(["conv5_1"]))
    >>> [(level.shape, len(level.tiles), level.window_shape) for level in plan.levels]
    [((930, 1021), 6, (576, 496)), ((1860, 2041), 20, (608, 560))]
    """
    coarsest = coarsest_shape(shape, levels)
    if min(coarsest) < trunk.stride:
        raise ConfigError(
            f"schedule.levels {levels}",
            expected=f"a coarsest level of {trunk.stride} pixels or more",
            got=f"{coarsest[1]} × {coarsest[0]} for a scene of {shape[1]} × {shape[0]}",
            do="use fewer levels",
        )
    factors = [2**k for k in reversed(range(levels + further))]
    return Plan(shape, tile, trunk, tuple(make_level(shape, factor, tile, trunk) for factor in factors))


def coarsest_shape(shape: tuple[int, int], levels: int) -> tuple[int, int]:
    """Return (H, W) at the coarsest of `levels` levels of a scene of `shape` (H, W).

    >>> coarsest_shape((349, 352), 3)
    (88, 88)
    """
    height, width = (-(-size // 2 ** (levels - 1)) for size in shape)
    return height, width


def make_level(shape: tuple[int, int], factor: int, tile: int, trunk: Trunk) -> Level:
    """Cut a scene of `shape` (H, W), made smaller by `factor`, into tiles."""
    rows, columns = (make_axis(-(-size // factor), tile, trunk) for size in shape)
    return Level(factor, rows, columns)


def make_axis(scene: int, tile: int, trunk: Trunk) -> Axis:
    """Cut one axis of `scene` pixels into cores as equal as the stride allows."""
    canvas = _round_up(scene + 2 * BORDER, trunk.stride)
    count = -(-canvas // _round_up(tile, trunk.stride))
    edges = [canvas // trunk.stride * i // count * trunk.stride for i in range(count)] + [canvas]
    cores = tuple(Span(*edge) for edge in pairwise(edges))
    needed = [(max(0, core.start - trunk.halo), min(canvas, core.stop + trunk.halo)) for core in cores]
    size = max(stop - start for start, stop in needed)
    windows = tuple(Span(min(start, canvas - size), min(start, canvas - size) + size) for start, _ in needed)
    return Axis(scene, BORDER, canvas, cores, windows)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
