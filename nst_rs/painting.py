"""A learned network's picture of any window of a scene: what stands around the window, and its grain."""

from typing import Protocol

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.pyramid import mirrored_window
from nst_rs.storage import PixelArray
from nst_rs.stylizer import Architecture, grain
from nst_rs.tiling import Span


class Network(Protocol):
    """A learned network: see :class:`nst_rs.neural.stylizer.Stylizer`."""

    @property
    def architecture(self) -> Architecture:
        """Its size."""

    def __call__(self, scene: Pixels, grain: Pixels) -> Pixels:
        """Return the picture of a window with its margin, without it."""


def seen(image: PixelArray, rows: Span, columns: Span, margin: int) -> tuple[Pixels, Pixels]:
    """Return what a network is shown for a window of a scene: pixels and grain, with `margin` around the window.

    Beyond the scene, (H, W, 3), it is mirrored. The window begins at a multiple of the network's stride.
    """
    tall, wide = (Span(span.start - margin, span.stop + margin) for span in (rows, columns))
    places = np.arange(tall.start, tall.stop), np.arange(wide.start, wide.stop)
    return mirrored_window(image, tall, wide), grain(*places)


def paint(network: Network, image: PixelArray, rows: Span, columns: Span) -> Pixels:
    """Return a window of the picture that `network` makes of a scene, (H, W, 3) both."""
    return network(*seen(image, rows, columns, network.architecture.margin))
