"""Every tile's moments of an earlier round, wherever there is room for them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nst_rs.architecture import VGG16
from nst_rs.moments import Moments
from nst_rs.storage import PixelArray, Storage
from nst_rs.tiling import Tile

_COLUMNS = 512


@dataclass(frozen=True)
class Recollection:
    """Tile → counts and sums of its moments. float32, in which they were computed, loses nothing."""

    counted: tuple[str, ...]
    """Layers with counts."""
    summed: tuple[str, ...]
    """Layers with sums."""
    rows: int
    """Of the array, that one tile takes."""
    array: PixelArray
    """(tiles × rows, 512) float32: a tile's counts, then its sums, one layer's after the other."""

    @classmethod
    def of(cls, tiles: int, layers: tuple[Iterable[str], Iterable[str]], name: str, storage: Storage) -> "Recollection":
        """Return an empty one for `tiles` tiles, as `name` in `storage`; `layers`: those counted, those summed."""
        counted, summed = (tuple(names) for names in layers)
        rows = -(-(len(counted) + sum(VGG16[layer].channels ** 2 for layer in summed)) // _COLUMNS)
        return cls(counted, summed, rows, storage.create(name, (tiles * rows, _COLUMNS), np.float32))

    def put(self, tile: Tile, moments: Moments) -> None:
        """Keep a tile's moments."""
        counts = np.array([moments.counts[name] for name in self.counted])
        values = np.concatenate([counts, *(moments.sums[name].ravel() for name in self.summed)])
        self.array[self._place(tile)] = np.resize(values.astype(np.float32), (self.rows, _COLUMNS))

    def get(self, tile: Tile) -> Moments:
        """Return a tile's moments."""
        values = self.array[self._place(tile)].ravel()
        counts = dict(zip(self.counted, map(float, values), strict=False))
        sums, start = {}, len(counts)
        for name in self.summed:
            side = VGG16[name].channels
            sums[name] = values[start : start + side**2].reshape(side, side).astype(np.float64)
            start += side**2
        return Moments(counts, sums)

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        return slice(tile.index * self.rows, (tile.index + 1) * self.rows), slice(0, _COLUMNS)
