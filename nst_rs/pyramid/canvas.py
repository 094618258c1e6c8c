"""The canvas of a level: the scene and its border, tiles' weights, and the picture that the level starts from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import STRIP_ROWS, Inset, MemoryStorage, PixelArray, Storage, strips
from nst_rs.pyramid.resample import enlarged_rows, halve, mirror
from nst_rs.pyramid.tiling import Level, Tile

ENDLESS = 255.0
"""A depth, in pixels, that no layer sees beyond."""
Init = Literal["content", "noise"]


@dataclass(frozen=True)
class Canvas:
    """One level of the scene with its border. The tiles' windows are cut from it."""

    level: Level
    image: PixelArray  # (H, W, 3) float32 RGB in [0, 255]
    weight: PixelArray  # (H, W) float32 in [0, 1]: the valid share of each pixel, 0 in the border
    classes: PixelArray | None = None  # (H, W, classes) float32 in [0, 1]: each class's share of the pixel's valid part
    """None where the ground is not divided into classes. What belongs to none of them weighs nothing."""
    depth: PixelArray | None = None  # (H, W) float32: pixels on every side of a pixel, at least, that are of its class
    """None where that is not counted: then borders between classes are no matter to any layer."""

    @classmethod
    def empty(cls, level: Level, storage: Storage) -> "Canvas":
        """Return a level's canvas in `storage`, still without a scene."""
        image = storage.create(f"image-{level.factor}", (*level.canvas_shape, 3), np.float32)
        return cls(level, image, storage.create(f"weight-{level.factor}", level.canvas_shape, np.float32))

    @classmethod
    def around(cls, level: Level, image: Pixels, weight: Pixels) -> "Canvas":
        """Surround a level's scene, (h, w, 3), in memory by its mirrored border, which weighs nothing."""
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
        """The tiles that hold any pixel that weighs something; the others are not computed."""
        return [tile for tile in self.level.tiles if self._shared_at(tile.core_slices).any()]

    def weight_at(self, place: tuple[slice, slice]) -> Pixels:
        """Return the weights of a part: (h, w), or (h, w, classes + 1) where the ground is divided.

        The last plane then is the depth, which is no weight: the network makes less of positions that see beyond it.
        """
        weight = self._shared_at(place)
        if self.classes is None:
            return weight
        depth = np.full(weight.shape[:2], ENDLESS, np.float32) if self.depth is None else self.depth[place]
        return np.concatenate([weight, depth[..., np.newaxis]], axis=-1)

    def _shared_at(self, place: tuple[slice, slice]) -> Pixels:
        """Return the weights of a part, (h, w), or (h, w, classes)."""
        weight = self.weight[place]
        return weight if self.classes is None else weight[..., np.newaxis] * self.classes[place]

    def tile_weight(self, tile: Tile) -> Pixels:
        """Return the window's weights, as :meth:`weight_at` does: the canvas's in the core, 0 in the halo."""
        core = self.weight_at(tile.core_slices)
        weight = np.zeros((*(span.size for span in tile.window), *core.shape[2:]), np.float32)
        weight[tile.core_in_window] = core
        return weight


def first_picture(canvas: Canvas, init: Init, seed: int, picture: PixelArray) -> None:
    """Write the picture that the coarsest level starts from: the scene itself, or uniform noise over [0, 255]."""
    generator = np.random.default_rng(seed)
    for rows in strips(picture.shape[0]):
        if init == "content":
            picture[rows] = canvas.image[rows]
        else:
            shape = (rows.stop - rows.start, *picture.shape[1:])
            picture[rows] = generator.random(shape, np.float32) * np.float32(255)


def scaled_picture(read: Callable[[slice], Pixels], weight: PixelArray, level: Level, picture: PixelArray) -> None:
    """Write a picture of the full scene, scaled down to a level as the scene is, into `picture`, of its canvas's shape.

    `read` returns rows of it, (h, W, 3) RGB in [0, 255]; `weight` is the full scene's, (H, W). It is read strip by
    strip, and mirrored into the border.
    """
    scaled = Inset(picture, level.scene_slices)
    for rows in strips(level.shape[0], max(1, STRIP_ROWS // level.factor)):
        source = slice(rows.start * level.factor, min(rows.stop * level.factor, weight.shape[0]))
        image, weights = read(source), weight[source]
        for _ in range(level.factor.bit_length() - 1):
            image, weights = halve(image, weights)
        scaled[rows] = image
    mirror(picture, level)


def next_picture(coarse: tuple[PixelArray, Level], fine: tuple[PixelArray, Level]) -> None:
    """Enlarge a level's picture, its border mirrored anew, into the next finer level's, of its canvas's shape."""
    (picture, below), (enlarged, above) = coarse, fine
    mirror(picture, below)
    # The coarse canvas's border covers twice its pixels here; only its far end can fall short of this canvas.
    places, columns = (
        np.minimum(np.arange(axis.canvas) + 2 * under.border - axis.border, 2 * under.canvas - 1)
        for axis, under in ((above.rows, below.rows), (above.columns, below.columns))
    )
    for rows in strips(above.rows.canvas):
        first, last = int(places[rows][0]), int(places[rows][-1])
        enlarged[rows] = enlarged_rows(picture, first, last + 1)[places[rows] - first][:, columns]
