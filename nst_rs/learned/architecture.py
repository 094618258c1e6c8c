"""The learned network's geometry: its convolutions, margin and cost; and the grain it is fed. NumPy only.

A feed-forward network after Johnson, Alahi and Fei-Fei (arXiv 1603.08155), with three departures:

- Nothing in it depends on more than a neighbourhood: the statistics that it is normalised by while it learns are frozen
  into its weights, and there is no padding. A window goes in with a margin and comes out without it, so a picture made
  of tiles is the picture made at once.
- What comes out is the scene, smoothed, plus a correction, which is 0 before anything is learned. The smoothing takes
  away what is finer than a stroke. With the sharp scene in its place, or with its fine detail handed to the last
  convolutions, what is learned first is to recolour the scene's own speckle, and strokes do not come.
- It is fed grain, a fixed function of a pixel's place. A network of convolutions alone turns a calm lake into one
  colour, or into a regular pattern; strokes on it need something to begin from.

It enlarges by repeating pixels and convolving (Odena, Dumoulin and Olah, "Deconvolution and Checkerboard Artifacts").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels

STRIDE = 4
"""Pixels to which windows must be aligned: the network works at a quarter of the resolution."""

GRAIN_CHANNELS = 2


@dataclass(frozen=True)
class Architecture:
    """A network's size."""

    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels at full, half and quarter resolution."""
    blocks: int = 5
    """Residual blocks at quarter resolution, of two convolutions each."""

    @property
    def kernels(self) -> dict[str, tuple[int, int, int, int]]:
        """Convolution → its kernel's shape, (height, width, in, out), from the scene to the picture."""
        full, half, quarter = self.widths
        body = {
            f"block{index}_{part}": (3, 3, quarter, quarter) for index in range(1, self.blocks + 1) for part in (1, 2)
        }
        return {
            "first": (6, 6, 3 + GRAIN_CHANNELS, half),
            "down": (4, 4, half, quarter),
            **body,
            "up1": (3, 3, quarter, half),
            "up2": (3, 3, half, full),
            "last": (5, 5, full, 3),
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter → its shape: a kernel and a bias for each convolution."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, kernel in self.kernels.items():
            shapes |= {f"{name}.kernel": kernel, f"{name}.bias": kernel[-1:]}
        return shapes

    @property
    def margin(self) -> int:
        """Pixels around its own STRIDE × STRIDE cell that a pixel of the picture sees: the receptive radius.

        Counted from the picture back to the scene. It is a multiple of the stride, so it is the margin of windows too.

        >>> Architecture().margin
        52
        """
        at_full = 2 + 1  # last, up2
        at_half = -(-at_full // 2) + 1  # whole cells, and up1
        at_quarter = -(-at_half // 2) + 2 * self.blocks
        # Halving kernels of 4 and 6 pixels see 1 and 2 beyond their cell of 2.
        return 2 * (2 * at_quarter + 1) + 2

    @property
    def flops_per_pixel(self) -> float:
        """Operations per pixel of the picture, margins not counted."""
        strides = {"first": 2, "down": 4, "up1": 2, "up2": 1, "last": 1}
        return float(sum(2 * np.prod(shape) / strides.get(name, 4) ** 2 for name, shape in self.kernels.items()))


Weights = Mapping[str, npt.NDArray[np.float32]]
"""Parameter → values, of the shapes that an architecture names."""


def first_weights(architecture: Architecture, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights to begin learning from, He's (arXiv 1502.01852). The picture then is the scene, smoothed."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in architecture.shapes.items():
        scale = 0.0 if len(shape) == 1 or name.startswith("last") else np.sqrt(2 / np.prod(shape[:3]))
        weights[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    return weights


def grain(rows: npt.NDArray[np.int_], columns: npt.NDArray[np.int_]) -> Pixels:
    """Return the grain at some rows and columns of a scene, (H, W, GRAIN_CHANNELS) in [-1, 1].

    One channel has a value for each pixel, the other one for each cell of STRIDE × STRIDE pixels; both are uniform, and
    independent from place to place. The values are a hash of the place (the finaliser of MurmurHash3), so any window of
    the grain is the same as the whole's.

    >>> whole = grain(np.arange(8), np.arange(8))
    >>> bool((grain(np.arange(3, 5), np.arange(6, 8)) == whole[3:5, 6:8]).all())
    True
    """
    fine = _hash(rows, columns, 0)
    coarse = _hash(rows // STRIDE, columns // STRIDE, 1)
    values: Pixels = np.stack([fine, coarse], axis=-1) * np.float32(2 / 2**24) - np.float32(1)
    return values


def _hash(rows: npt.NDArray[np.int_], columns: npt.NDArray[np.int_], salt: int) -> npt.NDArray[np.float32]:
    """Return whole numbers in [0, 2²⁴), which float32 holds exactly."""
    key = _mixed(rows.astype(np.uint32) + np.uint32(0x9E3779B9 * (salt + 1) & 0xFFFFFFFF))[:, np.newaxis]
    return (_mixed(key ^ columns.astype(np.uint32)[np.newaxis] * np.uint32(0x85EBCA6B)) >> np.uint32(8)).astype(
        np.float32
    )


def _mixed(key: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        key = (key ^ (key >> np.uint32(shift))) * np.uint32(factor)
    return key ^ (key >> np.uint32(16))
