"""The problem at one level: the scene's objective over the pixels of its canvas, seen tile by tile."""

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
from nst_rs.objective.terms.base import PixelTerm
from nst_rs.pyramid.border import fold_back, mirrored_in
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
    """The features of all layers, which the backward pass needs. Their form is the kernel's own."""


class Kernel(Protocol):
    """The network's arithmetic on one window: all that the loop knows of the network.

    :class:`nst_rs.neural.window_model.WindowModel` computes with VGG16; the tests have a stand-in whose features are
    the pixels. A window is (H, W, 3) float32 RGB in [0, 255]; H and W are multiples of the deepest layer's stride. A
    weight is (H, W) float32 in [0, 1]: 0 in the halo and on nodata; or (H, W, classes + 1), where every class is
    measured by itself under the names of :func:`nst_rs.objective.moments.in_class`, and the last plane is the depth of
    :attr:`nst_rs.pyramid.canvas.Canvas.depth`. The methods raise nothing of their own. Here
    each pixel is a feature, and nothing is measured but how many there are:

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
            window: The picture's window.
            weight: The weights of its pixels.
            content: What :meth:`content` returned for the scene's window; without it no distances are measured.
        """

    def content(self, window: Pixels) -> Features:
        """Return content layer → features of the scene's window, (H / stride, W / stride, C) in the kernel's own type.

        They may be cut and joined, and are handed back to the other methods.
        """

    def forward(self, window: Pixels, weight: Pixels, content: Features) -> Forward:
        """Return the moments of one window, as :meth:`measure` does, and what :meth:`backward` needs."""

    def backward(self, activations: Any, weight: Pixels, content: Features, pull: Pull) -> Pixels:
        """Return the window's share of the scene's gradient, (H, W, 3) float32, in an array that the caller may change.

        The share is the gradient of ⟨pull, moments of the window⟩ with respect to all its pixels, halo included.

        Args:
            activations: What :meth:`forward` returned for the window.
            weight: The weights of the positions that pull, which need not be those of the forward pass.
            content: As in the forward pass.
            pull: The derivative of the objective with respect to the whole scene's moments.
        """


@dataclass(frozen=True)
class View:
    """A tile's window of a picture, with the weights and the content features that it is measured with."""

    tile: Tile
    window: Pixels  # (H, W, 3)
    weight: Pixels  # (H, W) or (H, W, classes + 1): the canvas's in the core, 0 in the halo
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
            for name, features in kernel.content(canvas.image[tile.window_slices]).items():
                stride = VGG16[name].stride
                if name not in content:
                    shape = *(size // stride for size in canvas.level.canvas_shape), features.shape[-1]
                    content[name] = storage.create(f"content_{name}", shape, features.dtype)
                content[name][_coarse(tile.core_slices, stride)] = features[_coarse(tile.core_in_window, stride)]
        return cls(kernel, canvas, objective, content)

    def view(self, tile: Tile, window: Pixels) -> View:
        """Return the view of `window`, a tile's window of any picture, whose border is the scene, mirrored."""
        content = {name: array[_coarse(tile.window_slices, VGG16[name].stride)] for name, array in self.content.items()}
        return self.shown(tile, window, self.canvas.tile_weight(tile), content)

    def shown(self, tile: Tile, window: Pixels, weight: Pixels, content: Features) -> View:
        """Return the view of a tile's window of any picture, with the weights and the content features given."""
        return View(tile, mirrored_in(self.canvas.level, tile, window), weight, content)

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
        """Return the tile's share of the gradient, (H, W, 3): the pull on its core, carried back to the pixels it sees.

        What arrives in the canvas's border is counted at the pixels that are mirrored there. Added up where windows
        overlap, the shares are the gradient of the untiled scene, if `pull` is the scene's. No halo beyond the
        features' own is needed.
        """
        return self._gradient(view, view.weight, activations, pull)

    def nearby_gradient(self, view: View, activations: Any, pull: Pull) -> Pixels:
        """Return the pull on all positions of the window, carried back to its pixels, (H, W, 3).

        In the core this is the scene's gradient, less the part that positions outside the window contribute.
        """
        return self._gradient(view, self.canvas.weight_at(view.tile.window_slices), activations, pull)

    def _gradient(self, view: View, weight: Pixels, activations: Any, pull: Pull) -> Pixels:
        gradient = self.kernel.backward(activations, weight, view.content, pull)
        for term in self._pixel_terms(view):
            slope = term.gradient(view.window, _of_all_classes(weight))
            gradient = gradient + np.float32(pull.pixels[term.name]) * slope
        fold_back(self.canvas.level, view.tile, gradient)
        return gradient

    def _with_pixels(self, view: View, moments: Moments) -> Moments:
        """Return `moments` with what the objective's terms measure of the pixels themselves."""
        terms = self._pixel_terms(view)
        if not terms:
            return replace(moments, pixels={})
        weight = _of_all_classes(view.weight)
        return replace(moments, pixels={term.name: term.measure(view.window, weight) for term in terms})

    def _pixel_terms(self, view: View) -> list[PixelTerm]:
        """Return the terms that measure pixels, as they are in a view's window."""
        return [term.inside(view.tile.window_slices) for term in self.objective.pixel_terms]


def scene_moments(kernel: Kernel, canvas: Canvas, picture: PixelArray) -> Moments:
    """Return the moments of the whole picture, its style's only: the sum over its tiles."""
    return total(kernel.measure(picture[tile.window_slices], canvas.tile_weight(tile)) for tile in canvas.tiles)


def _of_all_classes(weight: Pixels) -> Pixels:
    """Return pixels' weights, (H, W), of weights by class and a depth, (H, W, classes + 1), or as they are."""
    total: Pixels = weight[..., :-1].sum(axis=-1) if weight.ndim == 3 else weight
    return total


def _coarse(slices: Iterable[slice], stride: int) -> tuple[slice, ...]:
    """Return slices of pixels as slices of a layer's positions."""
    return tuple(slice(x.start // stride, x.stop // stride) for x in slices)
