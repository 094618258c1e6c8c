"""A learned network's picture of any window of a scene: what stands around the window, and its grain."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import PixelArray
from nst_rs.learned.architecture import Architecture, grain
from nst_rs.pyramid.resample import mirrored_window
from nst_rs.pyramid.tiling import Span

_BLOCKS = (512, 1024)
"""Pixels along the side of the windows that a whole picture may be painted in: whole chunks of the arrays on disk."""


def best_block(shape: tuple[int, ...], margin: int) -> int:
    """Return the side of the blocks in which a scene of `shape`, (H, W, ...), computes the fewest pixels.

    It depends on the scene alone, so that a scene is painted in the same blocks wherever and however it is.

    >>> best_block((349, 352), margin=52), best_block((10980, 10980), margin=52)
    (512, 1024)
    """
    height, width = shape[:2]

    def computed(side: int) -> int:
        return -(-height // side) * -(-width // side) * (side + 2 * margin) ** 2

    return min(_BLOCKS, key=computed)


@dataclass(frozen=True)
class MapTile:
    """A tile of the map, of whole blocks, which may reach beyond the scene on every side."""

    rows: Span
    columns: Span

    def inside(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the part of it that lies in a scene of `shape`, (H, W, ...), as slices of the scene."""
        height, width = shape[:2]
        rows, columns = self.rows, self.columns
        return slice(max(0, rows.start), min(rows.stop, height)), slice(max(0, columns.start), min(columns.stop, width))


Corner = tuple[int, int]
"""The row and the column of a scene's first pixel where pixels are counted from elsewhere, as its neighbours' are."""


def cut(shape: tuple[int, ...], side: int, before: Corner = (0, 0)) -> list[MapTile]:
    """Return the tiles of a scene of `shape`, (H, W), row by row. The first one begins `before` the scene.

    >>> [(tile.rows.start, tile.columns.start) for tile in cut((512, 700), 512)]
    [(0, 0), (0, 512)]
    >>> [(tile.rows.start, tile.columns.start) for tile in cut((508, 700), 512, before=(4, 0))]
    [(-4, 0), (-4, 512)]
    """
    height, width = shape
    return [
        MapTile(Span(top, top + side), Span(left, left + side))
        for top in range(-before[0], height, side)
        for left in range(-before[1], width, side)
    ]


class Network(Protocol):
    """A learned network, ready to be applied: :class:`nst_rs.neural.generator.GeneratorNetwork` is one."""

    @property
    def architecture(self) -> Architecture:
        """The network's size, and with it the margin that windows need."""

    def __call__(self, scene: Pixels, grain: Pixels) -> Pixels:
        """Return the picture of a window, (H, W, 3) float32 in [0, 255].

        Args:
            scene: The window with its margin, (H + 2 margin, W + 2 margin, 3) float32 RGB in [0, 255]; it begins at a
                multiple of the network's stride, and so do H and W.
            grain: The grain of the same places, (H + 2 margin, W + 2 margin, GRAIN_CHANNELS) float32 in [-1, 1].
        """


def seen(image: PixelArray, rows: Span, columns: Span, margin: int, corner: Corner = (0, 0)) -> tuple[Pixels, Pixels]:
    """Return a network's input for a window of a scene: pixels and grain, with `margin` around the window.

    Beyond the scene, (H, W, 3), it is mirrored. Counted from where the scene's first pixel is the `corner`, the window
    begins at a multiple of the network's stride.
    """
    tall, wide = (Span(span.start - margin, span.stop + margin) for span in (rows, columns))
    places = (np.arange(span.start, span.stop) + first for span, first in zip((tall, wide), corner, strict=True))
    return mirrored_window(image, tall, wide), grain(*places)


def paint(network: Network, image: PixelArray, rows: Span, columns: Span) -> Pixels:
    """Return a window of the picture that `network` makes of a scene, (H, W, 3) both."""
    return network(*seen(image, rows, columns, network.architecture.margin))


def paint_all(network: Network, image: PixelArray, picture: PixelArray) -> None:
    """Write the picture that `network` makes of `image` into `picture`, (H, W, 3) both, in blocks of one shape."""
    for tile in cut(image.shape[:2], best_block(image.shape, network.architecture.margin)):
        place = tile.inside(image.shape)
        height, width = (part.stop - part.start for part in place)
        picture[place] = paint(network, image, tile.rows, tile.columns)[:height, :width]
