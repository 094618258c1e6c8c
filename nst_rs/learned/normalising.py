"""A learned network is normalised by statistics of a scene, which are constants for all of the scene's tiles.

While it learns, every convolution but the last is normalised by its own values (Ulyanov, Vedaldi and Lempitsky, arXiv
1701.02096). Applied, it is normalised by values at places of the whole scene. They are taken once and folded into the
weights, and what is left is a network like any other: tiles of it fit each other exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels
from nst_rs.config.sections import Color
from nst_rs.files.storage import PixelArray
from nst_rs.learned.architecture import Architecture, Weights
from nst_rs.learned.windows import seen
from nst_rs.pyramid.resample import mirrored_window
from nst_rs.pyramid.tiling import Span
from nst_rs.style.color import to_optimise

BLOCK_GAIN = 0.5
"""Standard deviation of what a residual block adds; of all else it is 1."""
LEAST_VARIANCE = 1e-3

_SIDE = 256
"""Pixels along the sides of the blocks that statistics are taken of, without their margins."""
_MOST_PIXELS = 3e6
"""The most pixels that statistics are taken of, margins included: some seconds' work."""

Moments = Mapping[str, npt.NDArray[np.float32]]
"""Convolution → means and variances of its values, (2, channels)."""


def is_normalised(convolution: str) -> bool:
    """Whether a convolution is normalised: all are but the last, whose values are colours."""
    return convolution != "last"


def gain(convolution: str) -> float:
    """Return the standard deviation to which a convolution is normalised.

    >>> gain("block1_1"), gain("deepblock3_2")
    (1.0, 0.5)
    """
    return BLOCK_GAIN if "block" in convolution and convolution.endswith("_2") else 1.0


def adapted(weights: Weights, moments: Moments) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of a plain network that does what `weights` do where they are normalised by `moments`."""
    made = dict(weights)
    for name, (mean, variance) in moments.items():
        scale = np.float32(gain(name)) / np.sqrt(variance + np.float32(LEAST_VARIANCE))
        made[f"{name}.kernel"] = weights[f"{name}.kernel"] * scale
        made[f"{name}.bias"] = weights[f"{name}.bias"] - mean * scale
    return made


@dataclass(frozen=True)
class Sample:
    """Blocks of a scene that statistics are taken of. N blocks, H and W with the network's margin."""

    scene: Pixels  # (N, H, W, 3) RGB in [0, 255]
    grain: Pixels  # (N, H, W, GRAIN_CHANNELS)
    weight: Pixels  # (N, H, W): 1 where there is data, else 0

    def in_colors(self, found_by: Color) -> "Sample":
        """Return the sample in the colours that a style was learned in."""
        return replace(self, scene=to_optimise(found_by, self.scene))


def sample(image: PixelArray, weight: PixelArray, architecture: Architecture) -> Sample:
    """Return the blocks of a scene, (H, W, 3) and (H, W), by which a network is normalised: always the same ones.

    They are all of a small scene; else they are spread over the blocks that hold data.
    """
    margin, shape = architecture.margin, weight.shape
    corners = [(top, left) for top in range(0, shape[0], _SIDE) for left in range(0, shape[1], _SIDE)]
    holding = [(top, left) for top, left in corners if weight[top : top + _SIDE, left : left + _SIDE].any()]
    places = _spread(holding or corners, _most_blocks(margin))
    spans = [(Span(top, top + _SIDE), Span(left, left + _SIDE)) for top, left in places]
    blocks = [(*seen(image, *each, margin), _weight(weight, *each, margin)) for each in spans]
    return Sample(*(np.stack(parts) for parts in zip(*blocks, strict=True)))


def sampled_pixels(shape: tuple[int, int], margin: int) -> int:
    """Return the most pixels that statistics of a scene of `shape`, (H, W), are taken of, margins included.

    >>> sampled_pixels((300, 200), margin=52), sampled_pixels((10980, 10980), margin=52)
    (259200, 2980800)
    """
    blocks = -(-shape[0] // _SIDE) * -(-shape[1] // _SIDE)
    return min(blocks, _most_blocks(margin)) * (_SIDE + 2 * margin) ** 2


def _most_blocks(margin: int) -> int:
    return int(_MOST_PIXELS // (_SIDE + 2 * margin) ** 2)


def _spread(places: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return at most so many of some places: one at random of each of as many runs of them, whose order is by rows."""
    if len(places) <= most:
        return places
    ends = np.linspace(0, len(places), most + 1).astype(int)
    generator = np.random.default_rng(0)
    return [places[int(generator.integers(*run))] for run in pairwise(ends)]


def _weight(weight: PixelArray, rows: Span, columns: Span, margin: int) -> Pixels:
    """Return a window of a scene's weight with a margin, mirrored beyond the scene, as the scene is."""
    tall, wide = (Span(span.start - margin, span.stop + margin) for span in (rows, columns))
    return mirrored_window(weight, tall, wide)
