"""The descent of a level that the device holds: picture, the optimiser's memory, features, weights and gradient.

What leaves the device in a round are the scene's moments and the optimiser's inner products, what enters it is the pull
on the moments: some megabytes, whatever the size of the picture. The arithmetic is that of
:class:`nst_rs.optimise.rounds.Exact`, and the steps are those of nst_rs/optimise/bfgs.py and adam.py, in the device's
own operations, so that pictures agree with those of the host but for rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.arrays import Pixels
from nst_rs.files.storage import Window
from nst_rs.neural.resident_step import Border, Part, adam_step, bfgs_step, curvature
from nst_rs.neural.window_model import WindowModel, on_host
from nst_rs.objective.losses import Losses
from nst_rs.objective.moments import Moments, Total
from nst_rs.objective.problem import Problem
from nst_rs.optimise import adam, bfgs
from nst_rs.optimise.bfgs import Curvature
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.resident import Residence, ResidentRound
from nst_rs.optimise.state import State
from nst_rs.pyramid.tiling import Tile


class DeviceArray:
    """A picture on the device, (H, W, 3) float32, that is read and written in windows as one in memory is."""

    def __init__(self, values: Pixels) -> None:
        """Copy `values` to the current device."""
        self.variable = tf.Variable(values)
        self.shape: tuple[int, ...] = values.shape
        self.dtype: np.dtype[Any] = values.dtype

    def __getitem__(self, window: Window, /) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self.variable[window].numpy()
        return values

    def __setitem__(self, window: Window, values: Any, /) -> None:
        self.variable[window].assign(values)


@dataclass(frozen=True)
class _TileOnDevice:
    """A tile with its weights and content features there."""

    tile: Tile
    weight: Any  # (h, w) float32: the canvas's in the core, 0 in the halo
    content: Mapping[str, Any]


class DeviceRound:
    """Measures all tiles, then computes every tile's share of the gradient, then moves every pixel: one move."""

    def __init__(self, kernel: WindowModel, problem: Problem, kept: int) -> None:
        """Take what the rounds of `problem` need to the device of `kernel`; `kept` is as in Exact."""
        self.problem = problem
        self._kernel = kernel
        self._kept = kept
        level = problem.canvas.level
        with tf.device(kernel.device):
            zeros = np.zeros((*level.canvas_shape, 3), np.float32)
            views = (problem.view(tile, zeros[tile.window_slices]) for tile in problem.canvas.tiles)
            self._tiles = [_TileOnDevice(view.tile, *kernel.on_device(view.weight, view.content)) for view in views]
            self._gradient = tf.Variable(zeros)
            self._border = Border(level)
        self._curvature, self._bfgs, self._adam = (
            tf.function(trace, autograph=False) for trace in (curvature, bfgs_step, adam_step)
        )

    def windows(self, done: int) -> int:  # noqa: ARG002
        """Return two for each tile: forward, and back."""
        return 2 * len(self._tiles)

    def take(self, state: State) -> State:
        """Return a copy of a state on the device."""
        with tf.device(self._kernel.device):
            picture, first, second = (DeviceArray(x[:, :]) for x in (state.picture, state.first, state.second))
            return State(picture, first, second, None if state.mean is None else DeviceArray(state.mean[:, :]), None)

    def __call__(self, now: State, after: State, moves: Sequence[Move], after_window: Callable[[Tile], None]) -> Losses:
        """Go from `now` to `after`, states of :meth:`take`; return the losses of `now`."""
        (move,) = moves
        picture = self._computed(lambda: self._border.mirrored_in(_tensor(now.picture)))
        moments, kept = self._forward(picture, after_window)
        self._back(picture, kept, moments, after_window)
        self._computed(lambda: self._step(now, after, move))
        return self.problem.objective.losses(moments)

    def _forward(self, picture: Any, after_window: Callable[[Tile], None]) -> tuple[Moments, dict[int, Any]]:
        """Return the picture's moments, and tile index → the activations of the windows that are kept."""
        kept, total = {}, Total()
        for number, tile in enumerate(self._tiles):
            window = picture[tile.tile.window_slices]
            ahead = partial(self._kernel.ahead, window, tile.weight, tile.content, keep=number < self._kept)
            activations, moments = self._computed(ahead)
            total.add(moments)
            if activations is not None:
                kept[tile.tile.index] = activations
            after_window(tile.tile)
        summed = total.value
        return self._computed(lambda: on_host(summed.counts, summed.products, summed.half_squares)), kept

    def _back(self, picture: Any, kept: dict[int, Any], moments: Moments, after_window: Callable[[Tile], None]) -> None:
        """Add up the tiles' shares of the gradient."""
        pull = self._kernel.pull_on_device(self.problem.objective.pull(moments))
        self._computed(lambda: self._gradient.assign(tf.zeros_like(self._gradient)))
        for tile in self._tiles:
            self._computed(partial(self._add_share, picture, tile, kept.pop(tile.tile.index, None), pull))
            after_window(tile.tile)

    def _add_share(self, picture: Any, tile: _TileOnDevice, activations: Any, pull: Any) -> None:
        place = tile.tile.window_slices
        if activations is None:
            activations, _ = self._kernel.ahead(picture[place], tile.weight, tile.content, keep=True)
        share = self._kernel.back(activations, tile.weight, tile.content, pull)
        self._gradient[place].assign(self._gradient[place] + share)

    def _step(self, now: State, after: State, move: Move) -> None:
        part = (_tensor(now.picture), _tensor(now.first), _tensor(now.second))
        gradient = self._border.folded_back(self._gradient)
        moved = (
            self._adam_step(part, gradient, move) if move.optimizer == "adam" else self._bfgs_step(part, gradient, move)
        )
        for array, values in zip((after.picture, after.first, after.second), moved, strict=True):
            _tensor(array).assign(values)
        if now.mean is not None and after.mean is not None:
            before = _tensor(now.mean)
            _tensor(after.mean).assign(before + np.float32(move.share) * (moved[0] - before))

    def _bfgs_step(self, part: Part, gradient: Any, move: Move) -> Part:
        height, width = self.problem.canvas.level.shape
        products = Curvature(*map(float, self._curvature(part, gradient).numpy()))
        factors = products.factors(move, 3 * height * width)
        moved: Part = self._bfgs(part, gradient, *_numbers(factors, bfgs.LARGEST * move.size))
        return moved

    def _adam_step(self, part: Part, gradient: Any, move: Move) -> Part:
        scales = 1 - adam.FIRST_DECAY**move.number, 1 - adam.SECOND_DECAY**move.number
        moved: Part = self._adam(part, gradient, *_numbers(move.size, scales))
        return moved

    def _computed(self, work: Callable[[], Any]) -> Any:
        with self._kernel.computing():
            return work()


def _tensor(array: Any) -> Any:
    """Return the variable of a state's array."""
    if not isinstance(array, DeviceArray):
        raise TypeError(f"a state on the device is needed, got an array of type {type(array).__name__}")
    return array.variable


def _numbers(*numbers: Any) -> tuple[Any, ...]:
    """Return numbers as tensors, so that other numbers need no other trace."""
    return tuple(tf.constant(number, tf.float32) for number in numbers)


def residence(kernel: WindowModel) -> Residence:
    """Return what makes the rounds that the kernel's device holds."""
    return partial(DeviceRound, kernel)


if TYPE_CHECKING:
    _: type[ResidentRound] = DeviceRound
