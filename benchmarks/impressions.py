"""What `benchmarks.quality` keeps of a picture to judge it by: statistics of a fixed sample of windows, by VGG16.

Every window is seen with what stands around it, or the picture's mirror image, so that no feature knows of the cut, and
memory does not grow with the picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np

from benchmarks.picture_figures import ClassSums, Floats, color_histogram, patches, spectrum
from nst_rs.arrays import Mask, Pixels
from nst_rs.files.storage import PixelArray
from nst_rs.neural.vgg16 import Encoder
from nst_rs.pyramid.resample import mirrored_window
from nst_rs.pyramid.tiling import Span
from nst_rs.style.color import luminance
from nst_rs.vgg16 import VGG16, Trunk

SIDE = 256
"""Pixels of a window's side, about: a picture is cut evenly, in whole cells of the deepest layer."""
MOST = 16
"""Windows of a picture, at most."""
GRAM_LAYERS = ("conv2_1", "conv3_1", "conv4_1", "conv5_1")
PATCH_LAYERS = ("conv3_1", "conv4_1")
STRUCTURE_LAYER = "conv3_1"
TRUNK = Trunk.reaching(GRAM_LAYERS)

_POSITIONS = 1024
"""Positions of a window among which its structure is taken."""
_DEVIATION = 57.4
"""The pixel values that the networks of the literature take for 1: the standard deviation of ImageNet's, of 255."""

Cover = Sequence[Mapping[str, Mask]]
"""Window by window: land cover → where it is, (h, w)."""


@dataclass(frozen=True)
class Picture:
    """A picture that is read in windows."""

    pixels: PixelArray  # (H, W, 3) RGB in [0, 255]
    weight: PixelArray  # (H, W), 0 where there is no data


@dataclass(frozen=True)
class Place:
    """The rows and columns of one window of the sample."""

    number: int
    rows: Span
    columns: Span

    def read(self, array: PixelArray, margin: int = 0) -> Pixels:
        """Return the window, and `margin` pixels around it, mirrored where the array ends."""
        rows, columns = (Span(span.start - margin, span.stop + margin) for span in (self.rows, self.columns))
        return mirrored_window(array, rows, columns).astype(np.float32)

    def sample(self, rows: Floats, most: int) -> Floats:
        """Return `most` of some rows, or all where there are fewer; the same ones of every picture."""
        return rows[np.random.default_rng(self.number).permutation(len(rows))[:most]]


@dataclass(frozen=True)
class Features:
    """A layer's features in a window."""

    values: Pixels  # (h, w, C)
    valid: Mask  # (h, w)

    @property
    def rows(self) -> Pixels:
        """The valid positions, (N, C)."""
        return self.values[self.valid]

    @property
    def patches(self) -> Pixels:
        """The patches of 3 × 3 valid positions, (N, 9 C) of length 1."""
        whole = np.lib.stride_tricks.sliding_window_view(self.valid, (3, 3)).all(axis=(2, 3))
        return patches(self.values)[whole.ravel()]


@dataclass(frozen=True)
class Impression:
    """The statistics of a picture's windows. Those of one picture's windows add up."""

    grams: Mapping[str, Floats]
    """Layer → Σ F Fᵀ."""
    histogram: Floats
    spectrum: Floats
    patches: Mapping[str, tuple[Pixels, ...]]
    """Layer → patches window by window, (N, 9 C) of length 1."""
    structure: tuple[Pixels, ...]
    """Features window by window, at the same positions of every picture, (N, C)."""
    classes: Mapping[str, ClassSums]
    """Land cover → its colours; none where the land cover is not known."""

    def __add__(self, other: "Impression") -> "Impression":
        """Add the sums, and put the windows one after the other."""
        return Impression(
            {name: gram + other.grams[name] for name, gram in self.grams.items()},
            self.histogram + other.histogram,
            self.spectrum + other.spectrum,
            {name: part + other.patches[name] for name, part in self.patches.items()},
            self.structure + other.structure,
            {name: sums + other.classes[name] for name, sums in self.classes.items()},
        )


def places(weight: PixelArray, most: int = MOST) -> list[Place]:
    """Return windows over a picture, or a fixed sample of `most` of them: all of which half or more is valid."""
    rows, columns = (_cut(size) for size in weight.shape)
    cells = [(row, column) for row in rows for column in columns]
    held = [cell for cell in cells if (weight[cell[0].slice, cell[1].slice] > 0).mean() >= 0.5]
    chosen = np.sort(np.random.default_rng(0).permutation(len(held))[:most])
    return [Place(number, *held[index]) for number, index in enumerate(chosen)]


def _cut(size: int) -> list[Span]:
    """Return the parts into which an axis is cut; what is left over after the last whole cell is left out.

    >>> [(span.start, span.stop) for span in _cut(700)]
    [(0, 224), (224, 464), (464, 688)]
    """
    cells = size // TRUNK.stride
    edges = np.rint(np.linspace(0, cells, max(1, round(size / SIDE)) + 1)).astype(int) * TRUNK.stride
    return [Span(int(start), int(stop)) for start, stop in pairwise(edges)]


def impression(
    encoder: Encoder, picture: Picture, windows: Sequence[Place], cover: Cover = (), asked: Mapping[str, int] = {}
) -> Impression:
    """Return what is kept of a picture. `asked` is layer → how many patches are kept at most, all by default."""
    shares = {layer: -(-count // len(windows)) for layer, count in asked.items()}
    classes: Iterator[Mapping[str, Mask]] = iter(cover or [{}] * len(windows))
    return reduce(add, (_window(encoder, picture, place, next(classes), shares) for place in windows))


def _window(
    encoder: Encoder, picture: Picture, place: Place, cover: Mapping[str, Mask], shares: Mapping[str, int]
) -> Impression:
    pixels, valid = place.read(picture.pixels), place.read(picture.weight) > 0
    features = _features(encoder, picture, place)
    kept = {}
    for layer in PATCH_LAYERS:
        found = features[layer].patches
        kept[layer] = (place.sample(found, shares.get(layer, len(found))),)
    return Impression(
        {layer: features[layer].rows.T @ features[layer].rows for layer in GRAM_LAYERS},
        color_histogram(pixels[valid]),
        spectrum(luminance(pixels)),
        kept,
        (place.sample(features[STRUCTURE_LAYER].rows, _POSITIONS) / np.float32(_DEVIATION),),
        {name: ClassSums.of(pixels[where & valid]) for name, where in cover.items()},
    )


def _features(encoder: Encoder, picture: Picture, place: Place) -> dict[str, Features]:
    """Return layer → the window's features. A position is valid where all pixels of its cell are."""
    window, margin = place.read(picture.pixels, TRUNK.halo), TRUNK.halo
    valid = place.read(picture.weight) > 0
    found = encoder.features(window[np.newaxis])
    features = {}
    for layer in GRAM_LAYERS:
        stride = VGG16[layer].stride
        inner = slice(margin // stride, -(margin // stride))
        height, width = (size // stride for size in valid.shape)
        cells = valid.reshape(height, stride, width, stride)
        features[layer] = Features(found[layer].numpy()[0, inner, inner], cells.all(axis=(1, 3)))
    return features
