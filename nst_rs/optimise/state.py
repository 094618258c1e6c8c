"""The state of a level's descent: its arrays by name, in memory or on disk."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nst_rs.files.storage import PixelArray, Storage, check_whole, strips
from nst_rs.optimise.core_array import CoreArray
from nst_rs.optimise.iterate import Iterate
from nst_rs.optimise.tile_moments import TileMoments
from nst_rs.pyramid.tiling import Level


@dataclass(frozen=True)
class State:
    """A level's descent between two rounds: arrays (H, W, 3) float32 of the canvas's shape, and the tiles' moments."""

    picture: PixelArray  # RGB in [0, 255]
    first: PixelArray
    second: PixelArray
    mean: PixelArray | None
    """These four are the arrays of :class:`nst_rs.optimise.iterate.Iterate`."""
    moments: TileMoments | None
    """The moments of every tile in the round before, where the rounds predict with them."""

    @property
    def result(self) -> PixelArray:
        """The picture that the descent has reached: the mean of iterates where there is one, else the last."""
        return self.picture if self.mean is None else self.mean

    def copy_to(self, other: "State") -> None:
        """Write this state into one of the same arrays."""
        pairs = list(zip(self._arrays, other._arrays, strict=True))
        if self.moments is not None and other.moments is not None:
            pairs.append((self.moments.array, other.moments.array))
        for array, target in pairs:
            for rows in strips(array.shape[0]):
                target[rows] = array[rows]

    def part(self, slices: tuple[slice, ...]) -> Iterate:
        """Return a copy of a part."""
        return self.at(slices).copy()

    def at(self, slices: tuple[slice, ...]) -> Iterate:
        """Return a part: as views of arrays in memory, as a copy of arrays on disk."""
        pixels, first, second, *mean = (array[slices] for array in self._arrays)
        return Iterate(pixels, first, second, *mean)

    def check_whole(self) -> None:
        """Raise OutputError where an array on disk was cut after it was written."""
        for array in (*self._arrays, *([] if self.moments is None else [self.moments.array])):
            check_whole(array)

    @property
    def in_memory(self) -> bool:
        """Whether :meth:`at` gives views, which may be written to."""
        return isinstance(self.picture, np.ndarray)

    def put(self, slices: tuple[slice, ...], part: Iterate) -> None:
        """Put a part back."""
        for array, values in zip(self._arrays, (part.pixels, part.first, part.second, part.mean), strict=False):
            array[slices] = values

    @property
    def _arrays(self) -> list[PixelArray]:
        return [array for array in (self.picture, self.first, self.second, self.mean) if array is not None]


@dataclass(frozen=True)
class Form:
    """The arrays that the states of a level have."""

    level: Level
    averaged: bool
    """Whether they keep a mean of iterates."""
    layers: tuple[tuple[str, ...], tuple[str, ...]] | None
    """The layers whose counts, and whose products, are kept of every tile; None: no moments are kept."""
    by_core: bool = False
    """Whether pictures are kept core by core, so that processes may write their tiles side by side."""

    def create(self, storage: Storage, name: str) -> State:
        """Return a new state of zeros in `storage`."""
        return self._state(lambda part, shape: storage.create(f"{name}-{part}", shape, np.float32))

    def open(self, storage: Storage, name: str) -> State:
        """Return the state that was created as `name`; raises KeyError when there is none."""
        return self._state(lambda part, _shape: storage.open(f"{name}-{part}"))

    def delete(self, storage: Storage, name: str) -> None:
        """Delete the state that was created as `name`."""
        for part in ("picture", "first", "second", "mean", "moments"):
            storage.delete(f"{name}-{part}")

    def _state(self, get: Callable[[str, tuple[int, ...]], PixelArray]) -> State:
        picture, first, second = (self._picture(get, part) for part in ("picture", "first", "second"))
        mean, moments = None, None
        if self.averaged:
            mean = self._picture(get, "mean")
        if self.layers is not None:
            array = get("moments", TileMoments.shape(len(self.level.tiles), *self.layers))
            moments = TileMoments(*self.layers, array)
        return State(picture, first, second, mean, moments)

    def _picture(self, get: Callable[[str, tuple[int, ...]], PixelArray], part: str) -> PixelArray:
        if self.by_core:
            return CoreArray(self.level, get(part, CoreArray.stack_shape(self.level)))
        return get(part, (*self.level.canvas_shape, 3))
