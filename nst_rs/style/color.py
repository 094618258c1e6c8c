"""The colours of the map: the style's, the scene's own, or the style's after it was given the scene's.

Gatys, Bethge, Hertzmann and Shechtman, *Preserving Color in Neural Artistic Style Transfer* (arXiv 1606.05897). The
scene's colours are counted once, over its whole composite. Every pixel is changed by itself, so that any window of a
picture may be given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.config.sections import Color
from nst_rs.files.storage import PixelArray, strips
from nst_rs.style.picture import Style

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""The shares of red, green and blue in Y of YIQ."""

_LEAST_VARIANCE = 1 / 12
"""The variance of pixel values that rounding to bytes leaves. Directions that vary less hold noise and are not
stretched."""


@dataclass(frozen=True)
class Colors:
    """Counts and sums of a picture's colours. They add up, so that a large picture is counted strip by strip."""

    count: float
    sums: Array  # (3,) Σ x, of RGB in [0, 255]
    products: Array  # (3, 3) Σ x xᵀ

    @classmethod
    def of(cls, image: Pixels, valid: Mask) -> "Colors":
        """Return the colours of the `valid` pixels, (h, w), of `image`, (h, w, 3)."""
        colors = image[valid].astype(np.float64)  # (N, 3)
        return cls(float(len(colors)), colors.sum(axis=0), colors.T @ colors)

    @classmethod
    def of_blend(cls, styles: Sequence[Style]) -> "Colors":
        """Return the colours of a blend of paintings, of which every one counts by its share."""
        counted = [(style.share, cls.of(style.image, style.weight > 0)) for style in styles]
        return reduce(
            add, (cls(share, share * each.mean, share * each.products / each.count) for share, each in counted)
        )

    def __add__(self, other: "Colors") -> "Colors":
        """Return the colours of both pictures."""
        return Colors(self.count + other.count, self.sums + other.sums, self.products + other.products)

    @property
    def mean(self) -> Array:
        """The mean μ, (3,). There must be a pixel."""
        return self.sums / self.count

    @property
    def covariance(self) -> Array:
        """The covariance Σ, (3, 3)."""
        covariance: Array = self.products / self.count - np.outer(self.mean, self.mean)
        return covariance


@dataclass(frozen=True)
class ColorMap:
    """A linear map of colours, x' = A x + b."""

    matrix: Array  # (3, 3)
    offset: Array  # (3,)

    def __call__(self, image: Pixels) -> Pixels:
        """Return `image`, (H, W, 3), in its new colours, kept in [0, 255]."""
        mapped = image.astype(np.float64) @ self.matrix.T + self.offset
        return np.clip(mapped, 0.0, 255.0).astype(np.float32)


def count_colors(image: PixelArray, weight: PixelArray) -> Colors:
    """Return the colours of a whole scene, (H, W, 3), where its weight, (H, W), is above 0; strip by strip."""
    return reduce(add, (Colors.of(image[rows], weight[rows] > 0) for rows in strips(weight.shape[0])))


def channels_first(image: npt.NDArray[Any]) -> Pixels:
    """Return the channels of an image, (H, W, 3), one after the other in memory: (3, H, W) float32."""
    return np.moveaxis(image, -1, 0).astype(np.float32, order="C")


def luminance(image: Pixels) -> Pixels:
    """Return Y of YIQ, (H, W) in [0, 255], of an image, (H, W, 3).

    >>> luminance(np.array([[[255, 0, 0], [10, 10, 10]]], np.float32)).round().tolist()
    [[76.0, 10.0]]
    """
    # No matrix product: its sums' order depends on the shape, and a window's pixels are to be the whole's to the bit.
    red, green, blue = (image[..., channel] * np.float32(share) for channel, share in enumerate(LUMINANCE))
    weighted: Pixels = red + green + blue
    return weighted


def grey(image: Pixels) -> Pixels:
    """Return an image's luminance in all of three channels, (H, W, 3)."""
    return np.repeat(luminance(image)[..., np.newaxis], 3, axis=-1)


def join(result: Pixels, scene: Pixels) -> Pixels:
    """Return the luminance of `result` with the chrominance of `scene`, both (H, W, 3), kept in [0, 255].

    Y counts alike in all three of YIQ's channels red, green and blue: with I and Q kept, they all change by as much.
    """
    change = luminance(result) - luminance(scene)
    joined: Pixels = np.clip(scene + change[..., np.newaxis], 0.0, 255.0)
    return joined


def match_luminance(style: Colors, scene: Colors) -> ColorMap:
    """Return the map to a grey of the scene's mean and standard deviation: L' = σ_C / σ_S (L − μ_S) + μ_C."""
    from_mean, to_mean = (colors.mean @ LUMINANCE for colors in (style, scene))
    variance, wanted = (LUMINANCE @ colors.covariance @ LUMINANCE for colors in (style, scene))
    scale = np.sqrt(max(0.0, wanted) / variance) if variance > _LEAST_VARIANCE else 0.0
    return ColorMap(scale * np.tile(LUMINANCE, (3, 1)), np.full(3, to_mean - scale * from_mean))


def match_colors(style: Colors, scene: Colors) -> ColorMap:
    """Return the map to colours of the scene's mean and covariance.

    A = Σ_C^{1/2} Σ_S^{-1/2} with symmetric roots, b = μ_C − A μ_S: of the maps that A Σ_S Aᵀ = Σ_C leaves open, the
    paper's "Image Analogies" variant, which unlike Cholesky factors does not depend on the channels' order. Where the
    style hardly varies its inverse root is 0.
    """
    values, axes = np.linalg.eigh(style.covariance)
    varies = values > _LEAST_VARIANCE
    inverse_root = (axes[:, varies] / np.sqrt(values[varies])) @ axes[:, varies].T
    values, axes = np.linalg.eigh(scene.covariance)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    matrix = root @ inverse_root
    return ColorMap(matrix, scene.mean - matrix @ style.mean)


def to_optimise(color: Color, scene: Pixels) -> Pixels:
    """Return what stands for the scene, (H, W, 3), while the picture is optimised."""
    return grey(scene) if color == "scene" else scene


def to_imitate(color: Color, style: Style, scene: Colors) -> Style:
    """Return the style image as it is to be imitated in a scene of the colours `scene`."""
    if color == "style":
        return style
    own = Colors.of(style.image, style.weight > 0)
    mapped = (match_luminance if color == "scene" else match_colors)(own, scene)
    return replace(style, image=mapped(style.image))


def to_show(color: Color, result: Pixels, scene: Pixels) -> Pixels:
    """Return the map's pixels from the optimised ones, `result`, and the scene's composite, both (H, W, 3)."""
    return join(result, scene) if color == "scene" else result
