"""The moments of every tile in an earlier round, in memory or on disk."""

from dataclasses import dataclass

import numpy as np

from nst_rs.files.storage import PixelArray
from nst_rs.objective.moments import Moments
from nst_rs.pyramid.tiling import Tile
from nst_rs.vgg16 import VGG16

_COLUMNS = 512


@dataclass(frozen=True)
class TileMoments:
    """Tile → the counts and products of its moments. They were computed in float32, which therefore loses nothing."""

    counted: tuple[str, ...]
    """The layers whose counts are kept."""
    multiplied: tuple[str, ...]
    """The layers whose products are kept."""
    array: PixelArray
    """(tiles × rows per tile, 512) float32: a tile's counts, then its products, one layer's after the other."""

    @staticmethod
    def shape(tiles: int, counted: tuple[str, ...], multiplied: tuple[str, ...]) -> tuple[int, int]:
        """Return the shape of the array for `tiles` tiles."""
        return tiles * _rows(counted, multiplied), _COLUMNS

    def put(self, tile: Tile, moments: Moments) -> None:
        """Keep a tile's moments."""
        counts = np.array([moments.counts[name] for name in self.counted])
        values = np.concatenate([counts, *(moments.products[name].ravel() for name in self.multiplied)])
        rows, columns = self._place(tile)
        self.array[rows, columns] = np.resize(values.astype(np.float32), (rows.stop - rows.start, _COLUMNS))

    def get(self, tile: Tile) -> Moments:
        """Return a tile's moments, without their distances to the content."""
        values = self.array[self._place(tile)].ravel()
        counts = dict(zip(self.counted, map(float, values), strict=False))
        products, start = {}, len(counts)
        for name in self.multiplied:
            side = VGG16[name].channels
            products[name] = values[start : start + side**2].reshape(side, side).astype(np.float64)
            start += side**2
        return Moments(counts, products)

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        rows = _rows(self.counted, self.multiplied)
        return slice(tile.index * rows, (tile.index + 1) * rows), slice(0, _COLUMNS)


def _rows(counted: tuple[str, ...], multiplied: tuple[str, ...]) -> int:
    """Return the rows that one tile takes."""
    return -(-(len(counted) + sum(VGG16[layer].channels ** 2 for layer in multiplied)) // _COLUMNS)
