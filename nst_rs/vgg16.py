"""VGG16's geometry: strides, receptive fields, channels and operation counts. Integers only, no arrays.

Simonyan & Zisserman, arXiv 1409.1556, table 1, column D: 3×3 convolutions of stride 1, five blocks, 2×2 pooling
between the blocks. The weights and the arithmetic are in :mod:`nst_rs.neural.vgg16`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@dataclass(frozen=True)
class Layer:
    """One convolution layer, seen from the picture's pixels."""

    name: str
    in_channels: int
    channels: int
    stride: int
    """Pixels of the picture from one position of this layer to the next."""
    receptive_field: int
    """Pixels of the picture, along one axis, that one position sees."""

    @property
    def radius(self) -> int:
        """The number of pixels that a position sees beyond its own ``stride`` × ``stride`` cell, on every side.

        >>> VGG16["conv5_1"].radius
        58
        """
        return (self.receptive_field - self.stride) // 2

    @property
    def flops_per_pixel(self) -> float:
        """Floating-point operations of this convolution per pixel of the picture."""
        return 2 * 9 * self.in_channels * self.channels / self.stride**2


def _layers() -> Iterable[Layer]:
    channels, stride, field = 3, 1, 1
    for block, widths in enumerate(_BLOCKS, start=1):
        for index, width in enumerate(widths, start=1):
            field += 2 * stride
            yield Layer(f"conv{block}_{index}", channels, width, stride, field)
            channels = width
        field += stride
        stride *= 2


VGG16: dict[str, Layer] = {layer.name: layer for layer in _layers()}
"""The 13 convolution layers by name, from the picture inwards."""


@dataclass(frozen=True)
class Trunk:
    """The part of VGG16 that a set of layers needs: everything up to the deepest of them."""

    layers: tuple[Layer, ...]
    """All layers to compute, from the picture inwards."""

    @classmethod
    def reaching(cls, names: Iterable[str]) -> "Trunk":
        """Return the shortest trunk that holds every one of `names`.

        >>> Trunk.reaching(["conv1_1", "conv2_1"]).layers[-1].name
        'conv2_1'
        """
        order = list(VGG16)
        depth = max(order.index(name) for name in names)
        return cls(tuple(VGG16[name] for name in order[: depth + 1]))

    @property
    def stride(self) -> int:
        """Pixels to which tiles must be aligned so that their pooling grids agree."""
        return self.layers[-1].stride

    @property
    def halo(self) -> int:
        """The number of pixels around a tile's core on which the core's features depend.

        The radius of the deepest layer, rounded up to the stride: 64 for conv5_1.

        >>> Trunk.reaching(["conv5_1"]).halo
        64
        """
        radius = max(layer.radius for layer in self.layers)
        return -(-radius // self.stride) * self.stride

    @property
    def flops_per_pixel(self) -> float:
        """Operations of one forward pass per pixel; the backward pass to the picture costs as much again."""
        return sum(layer.flops_per_pixel for layer in self.layers)

    @property
    def activation_bytes_per_pixel(self) -> float:
        """Bytes of one float32 copy of all activations, per pixel of the picture."""
        return sum(4 * layer.channels / layer.stride**2 for layer in self.layers)
