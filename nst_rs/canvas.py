"""One level of the scene as the loop sees it: canvas and border, tiles' weights, the picture a level starts from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.pyramid import enlarge
from nst_rs.tiling import Level, Tile

Init = Literal["content", "noise"]


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
