"""The learned network's geometry: its convolutions, margin and cost; and the grain it is fed. NumPy only.

A feed-forward network after Johnson, Alahi and Fei-Fei (arXiv 1603.08155), with these departures:

- Nothing in it depends on more than a neighbourhood: the statistics that it is normalised by are constants of a scene,
  and there is no padding. A window goes in with a margin and comes out without it, so a picture made of tiles is the
  picture made at once.
- What comes out is the scene, smoothed, plus a correction, which is 0 before anything is learned. The smoothing takes
  away what is finer than a stroke. With the sharp scene in its place, or with its fine detail handed to the last
  convolutions, what is learned first is to recolour the scene's own speckle, and strokes do not come.
- It is fed grain, a fixed function of a pixel's place. A network of convolutions alone turns a calm lake into one
  colour, or into a regular pattern; strokes on it need something to begin from.

- It sees farther than its blocks at a quarter of the resolution reach: others draw at an eighth, and what they draw is
  enlarged and revised.

- At half the resolution it looks at the scene and the grain again. Of what is drawn at a quarter alone it could make
  fine strokes only by a pattern that repeats with its cells, or stairs along a shore.

It enlarges by interpolating between pixels and convolving, so that nothing repeats with the period of its cells.
Networks of the first files repeat pixels instead (Odena, Dumoulin, Olah, "Deconvolution and Checkerboard Artifacts").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels

STRIDE = 4
"""Pixels along the cells of the grain, and of a network whose blocks are all at a quarter of the resolution."""

GRAIN_CHANNELS = 2

Enlarging = Literal["repeated", "interpolated"]


@dataclass(frozen=True)
class Architecture:
    """A network's size."""

    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels at full, half and quarter resolution; an eighth has those of a quarter."""
    blocks: int = 5
    """Residual blocks at quarter resolution, of two convolutions each."""
    deep_blocks: int = 0
    """Residual blocks at an eighth of the resolution, which come before the others."""
    enlarging: Enlarging = "interpolated"

    @property
    def kernels(self) -> dict[str, tuple[int, int, int, int]]:
        """Convolution → its kernel's shape, (height, width, in, out), from the scene to the picture."""
        full, half, quarter = self.widths
        deep: dict[str, tuple[int, int, int, int]] = {}
        if self.deep_blocks:
            deep["deep"] = (4, 4, quarter, quarter)
            deep |= _residual("deepblock", self.deep_blocks, quarter)
            deep["up0"] = (3, 3, quarter, quarter)
        return {
            "first": (6, 6, 3 + GRAIN_CHANNELS, half),
            "down": (4, 4, half, quarter),
            **deep,
            **_residual("block", self.blocks, quarter),
            "up1": (3, 3, quarter, half),
            **({} if self.enlarging == "repeated" else {"detail": (6, 6, 3 + GRAIN_CHANNELS, half)}),
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
    def stride(self) -> int:
        """Pixels to which windows must be aligned."""
        return 2 * STRIDE if self.deep_blocks else STRIDE

    @property
    def margin(self) -> int:
        """Pixels around its own cell of `stride` pixels that a pixel of the picture sees: the receptive radius.

        Counted from the picture back to the scene. It is a multiple of the stride, so it is the margin of windows too.

        >>> Architecture().margin, Architecture(blocks=2, deep_blocks=3).margin
        (52, 88)
        """
        # The last convolution sees 2 pixels and so a cell of 2 beyond its own; enlarging by interpolation sees one more
        # pixel of those that it enlarges, and so does repeating them.
        at_half = 1 + 1  # up2
        at_quarter = at_half // 2 + 1 + 2 * self.blocks  # up1
        if self.deep_blocks:
            at_eighth = at_quarter // 2 + 1 + 2 * self.deep_blocks  # up0
            at_quarter = 2 * at_eighth + 1
        # Halving kernels of 4 and 6 pixels see 1 and 2 beyond their cell of 2.
        return 2 * (2 * at_quarter + 1) + 2

    @property
    def flops_per_pixel(self) -> float:
        """Operations per pixel of the picture, margins not counted."""
        strides = {"first": 2, "down": 4, "up1": 2, "detail": 2, "up2": 1, "last": 1, "deep": 8}

        def stride(name: str) -> int:
            return strides.get(name, 8 if name.startswith("deepblock") else 4)

        return float(sum(2 * np.prod(shape) / stride(name) ** 2 for name, shape in self.kernels.items()))


def _residual(name: str, count: int, width: int) -> dict[str, tuple[int, int, int, int]]:
    """Return the kernels of residual blocks."""
    return {f"{name}{index}_{part}": (3, 3, width, width) for index in range(1, count + 1) for part in (1, 2)}


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
