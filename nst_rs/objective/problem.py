"""What is minimised at one level: the scene's objective over the pixels of its canvas, seen tile by tile."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels
from nst_rs.files.storage import PixelArray, Storage
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import Moments, Pull, total
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import Tile
from nst_rs.vgg16 import VGG16

Features = Mapping[str, npt.NDArray[Any]]
"""Layer → (H / stride, W / stride, C), in the kernel's own type."""


@dataclass(frozen=True)
class Forward:
    """One window's forward pass."""

    moments: Moments
    activations: Any
    """Of all layers, for the backward pass: the kernel's own."""


class Kernel(Protocol):
    """What the loop needs of the network.

    Windows are (H, W, 3) float32 RGB in [0, 255], weights (H, W) float32 in [0, 1]. Nothing is raised but what the
    device runs out of. :class:`nst_rs.neural.window_model.Kernel` is VGG16; here each pixel is a feature:

    >>> class PixelKernel:
    ...     def measure(self, window, weight, content=None):
    ...         return Moments({"conv1_1": float(weight.sum())}, {}, {})
    ...     def content(self, window):
    ...         return {}
    ...     def forward(self, window, weight, content):
    ...         return Forward(self.measure(window, weight), activations=None)
    ...     def backward(self, activations, weight, content, pull):
    ...         return np.zeros((*weight.shape, 3), np.float32)
    >>> kernel: Kernel = PixelKernel()
    >>> kernel.measure(np.zeros((16, 16, 3), np.float32), np.ones((16, 16), np.float32)).counts
    {'conv1_1': 256.0}
    """

    def measure(self, window: Pixels, weight: Pixels, content: Features | None = None) -> Moments:
        """Return the moments of one window.

        Args:
            window: The pixels.
            weight: What each pixel counts.
            content: The scene's features in this window, where the distance to them is to be measured too.
        """

    def content(self, window: Pixels) -> Features:
        """Return the content features of one window of the scene, to be handed back to the other methods."""

    def forward(self, window: Pixels, weight: Pixels, content: Features) -> Forward:
        """Return the moments of one window, and what its backward pass needs.

        Args:
            window: The pixels.
            weight: What each pixel counts.
            content: The scene's features in this window.
        """

    def backward(self, activations: Any, weight: Pixels, content: Features, pull: Pull) -> Pixels:
        """Return the window's share of the gradient, (H, W, 3) float32.

        Args:
            activations: What :meth:`forward` has returned for the window.
            weight: What each pixel counts, which may be another weight than the moments were measured with.
            content: The scene's features in this window.
            pull: The derivative of the whole scene's objective with respect to its moments.
        """


@dataclass(frozen=True)
class View:
    """A tile's window of a picture, to be judged: by what its core holds, or by all of it."""

    tile: Tile
    window: Pixels  # (H, W, 3)
    weight: Pixels  # (H, W): the canvas's in the core, 0 in the halo
    content: Features


@dataclass(frozen=True)
class Problem:
    """The objective at one level."""

    kernel: Kernel
    canvas: Canvas
    objective: Objective
    content: Mapping[str, PixelArray]
    """Content layer → the scene's features on the canvas, (H / stride, W / stride, C)."""

    @classmethod
    def of(cls, kernel: Kernel, canvas: Canvas, objective: Objective, storage: Storage) -> "Problem":
        """Compute the content features of the scene, once, into `storage`."""
        content: dict[str, PixelArray] = {}
        for tile in canvas.tiles:
            found = kernel.content(canvas.image[tile.window_slices])
            for name, features in found.items():
                stride = VGG16[name].stride
                if name not in content:
                    shape = *(size // stride for size in canvas.level.canvas_shape), features.shape[-1]
                    content[name] = storage.create(f"content_{name}", shape, features.dtype)
                content[name][_coarse(tile.core_slices, stride)] = features[_coarse(tile.core_in_window, stride)]
        return cls(kernel, canvas, objective, content)

    def view(self, tile: Tile, window: Pixels) -> View:
        """Return `window`, a tile's window of some picture, with what it is judged by."""
        content = {name: array[_coarse(tile.window_slices, VGG16[name].stride)] for name, array in self.content.items()}
        return View(tile, window, self.canvas.tile_weight(tile), content)

    def views(self, picture: PixelArray) -> Iterator[View]:
        """Yield every tile's view of `picture`, in order; the next one is read while this one is worked on."""
        with ThreadPoolExecutor(1) as reader:
            coming: deque[Future[View]] = deque()
            for tile in self.canvas.tiles:
                coming.append(reader.submit(self._read, tile, picture))
                if len(coming) > 1:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _read(self, tile: Tile, picture: PixelArray) -> View:
        return self.view(tile, picture[tile.window_slices])

    def measure(self, view: View) -> Moments:
        """Return the moments of a tile's core."""
        return self._with_pixels(view, self.kernel.measure(view.window, view.weight, view.content))

    def forward(self, view: View) -> Forward:
        """Return the moments of a tile's core, and what :meth:`share` needs."""
        forward = self.kernel.forward(view.window, view.weight, view.content)
        return replace(forward, moments=self._with_pixels(view, forward.moments))

    def share(self, view: View, activations: Any, pull: Pull) -> Pixels:
        """Return what the tile's core asks of all the pixels it sees, (H, W, 3): the tile's share of the gradient.

        Added up where windows overlap, the shares are the gradient of the untiled scene, if `pull` is the scene's. No
        halo beyond the features' own is needed.
        """
        return self._gradient(view, view.weight, activations, pull)

    def nearby_gradient(self, view: View, activations: Any, pull: Pull) -> Pixels:
        """Return what all positions of the window ask of its pixels, (H, W, 3).

        In the core this is the scene's gradient but for what positions outside the window ask of it.
        """
        return self._gradient(view, self.canvas.weight[view.tile.window_slices], activations, pull)

    def _gradient(self, view: View, weight: Pixels, activations: Any, pull: Pull) -> Pixels:
        gradient = self.kernel.backward(activations, weight, view.content, pull)
        for term in self.objective.pixel_terms:
            gradient = gradient + np.float32(pull.pixels[term.name]) * term.gradient(view.window, weight)
        return gradient

    def _with_pixels(self, view: View, moments: Moments) -> Moments:
        """Return `moments` with what the objective's terms measure of the pixels themselves."""
        terms = self.objective.pixel_terms
        return replace(moments, pixels={term.name: term.measure(view.window, view.weight) for term in terms})


def scene_moments(kernel: Kernel, canvas: Canvas, picture: PixelArray) -> Moments:
    """Return the moments of the whole picture, its style's only: the sum over its tiles."""
    return total(kernel.measure(picture[tile.window_slices], canvas.tile_weight(tile)) for tile in canvas.tiles)


def _coarse(slices: Iterable[slice], stride: int) -> tuple[slice, ...]:
    """Return slices of pixels as slices of a layer's positions."""
    return tuple(slice(x.start // stride, x.stop // stride) for x in slices)
