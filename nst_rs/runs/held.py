"""What the picture of every level is held to: earlier maps and, below the finest level, their colours beyond them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Any

import numpy as np

from nst_rs.composite.beyond import COLORS_REACH, colors
from nst_rs.files.storage import Inset, PixelArray, Storage, Window, strips, widened
from nst_rs.objective.terms.agreement import Agreement, voice
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.resample import halve_into, mirror
from nst_rs.pyramid.tiling import Level

FIRM = 0.99
"""The hold from which on ground counts as unchanged, in figures."""

_BLOCK = 256
"""Rows and columns of the blocks in which colours are carried on."""
_COLORS_HOLD = 0.5
"""How firmly colours hold beside a map's end on the coarsest level; on every next one half as much, and on the finest
not at all: the colours are to be kept, and the strokes to be free."""


@dataclass(frozen=True)
class Held:
    """What the picture of one level is held to, on the level's canvas; nothing holds in the border."""

    level: Level
    earlier: PixelArray  # (H, W, 3) float32 in [0, 255]
    hold: PixelArray  # (H, W) float32 in [0, 1]

    @classmethod
    def empty(cls, level: Level, storage: Storage) -> "Held":
        """Return arrays in `storage` that hold nothing yet."""
        earlier = storage.create(f"earlier-{level.factor}", (*level.canvas_shape, 3), np.float32)
        return cls(level, earlier, storage.create(f"hold-{level.factor}", level.canvas_shape, np.float32))

    @property
    def in_scene(self) -> tuple[PixelArray, PixelArray]:
        """The two arrays without the border."""
        return Inset(self.earlier, self.level.scene_slices), Inset(self.hold, self.level.scene_slices)

    def term(self, weight: float) -> Agreement:
        """Return the term of the objective."""
        return Agreement(weight, self.earlier, self.hold)

    def canvas(self, canvas: Canvas, storage: Storage) -> Canvas:
        """Return a level's canvas with weights that are less where ground is held, in `storage`."""
        weight = storage.create(f"voice-{self.level.factor}", self.level.canvas_shape, np.float32)
        for rows in strips(weight.shape[0]):
            weight[rows] = canvas.weight[rows] * voice(self.hold[rows])
        return replace(canvas, weight=weight)

    def lay_over(self, picture: PixelArray) -> None:
        """Put the earlier maps in place of a picture of the canvas's shape, as far as they hold."""
        for rows in strips(picture.shape[0]):
            below, hold = picture[rows], self.hold[rows][..., np.newaxis]
            earlier = self.earlier[rows]
            picture[rows] = np.where(hold < 1, below + hold * (earlier - below), earlier)
        mirror(picture, self.level)


@dataclass(frozen=True)
class HeldLevels:
    """What the picture is held to at all levels, from coarse to fine."""

    levels: tuple[Held, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The part of the run record."""


def empty_beyond(level: Level, storage: Storage) -> PixelArray:
    """Return an array in `storage` for where no earlier map is: the share of each pixel of a scene, (h, w, 1)."""
    return storage.create(_beyond(level), (*level.shape, 1), np.float32)


def _beyond(level: Level) -> str:
    return f"beyond-{level.factor}"


def fill_coarser(levels: Sequence[Held], canvases: Sequence[Canvas], beyond: PixelArray, storage: Storage) -> None:
    """Halve what the finest level is held to into the others, and carry the earlier maps' colours on there.

    Both are from coarse to fine; `beyond`, of :func:`empty_beyond` for the finest level, is deleted.
    """
    for fine, coarse in pairwise(reversed(levels)):
        halve_into(*fine.in_scene, *coarse.in_scene)
    for index in reversed(range(len(levels) - 1)):
        held, canvas = levels[index], canvases[index]
        share = empty_beyond(held.level, storage)
        # The canvas has been halved so before: its weights stay as they are.
        halve_into(beyond, canvases[index + 1].scene_weight, share, canvas.scene_weight)
        _carry_colors(held, canvas.scene_image, share, _COLORS_HOLD / 2**index)
        beyond = share
    for held in levels:
        storage.delete(_beyond(held.level))


def _carry_colors(held: Held, scene: PixelArray, beyond: PixelArray, firmness: float) -> None:
    """Hold a level's picture to the colours of the earlier maps around them, where it lies `beyond` them, (h, w, 1).

    A descent changes strokes sooner than colours: the finer levels, which start from this one, keep them.
    """
    earlier, hold = held.in_scene
    for inner, outer, own in _blocks(hold.shape):
        share = beyond[inner][..., 0]
        firm = hold[outer] >= FIRM
        if not share.any() or not firm.any():
            continue
        found, counted = (each[own] for each in colors(scene[outer], earlier[outer], firm))
        of_strokes = hold[inner]
        together = np.maximum(of_strokes, np.float32(firmness) * counted * share)
        part = (of_strokes / np.maximum(together, np.float32(1e-9)))[..., np.newaxis]
        earlier[inner] = found + part * (earlier[inner] - found)
        hold[inner] = together


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[Window, Window, Window]]:
    """Yield blocks of pixels, the blocks that their colours depend on, and the former's place in the latter."""
    for rows, columns in product(*(strips(size, _BLOCK) for size in shape)):
        (seen_rows, own_rows), (seen_columns, own_columns) = (
            widened(part, COLORS_REACH, size) for part, size in zip((rows, columns), shape, strict=True)
        )
        yield (rows, columns), (seen_rows, seen_columns), (own_rows, own_columns)
