"""The arithmetic of the figures by which `benchmarks.quality` judges a map. NumPy alone: no network, no files."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

BINS = 128
"""Bins of a colour histogram, over the 256 values of a channel."""
SEGMENT = 64
"""Pixels of the pieces of rows and columns whose spectra are taken."""
_SLOWEST = 10
"""The lowest frequency at which a comb is looked for, in 1/SEGMENT: a period of 6.4 pixels."""
_BESIDE = 4
"""Frequencies, in 1/SEGMENT, from a comb's to those that it is compared with: Hann's window spreads a line over two."""
_SEEN = 1.05
"""From this ratio on a comb is said to have a period: rounding to whole values makes less."""
_QUERIES = 1024
"""Patches that are compared with all of the painting's at once."""


def cosine(one: Floats, other: Floats) -> float:
    """Return the cosine of the angle between two arrays, taken as vectors; 0 where either is 0.

    >>> round(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])), 4)
    0.7071
    """
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.vdot(one, other) / lengths) if lengths else 0.0


def color_histogram(pixels: Floats) -> Floats:
    """Return the counts of the values of red, green and blue in BINS bins each, (3, BINS).

    `pixels` are (N, 3) in [0, 255].
    """
    return np.stack([np.histogram(pixels[:, channel], BINS, (0, 256))[0] for channel in range(3)])


def histogram_cosine(one: Floats, other: Floats) -> float:
    """Return the mean over the channels of the cosines of two histograms, (3, BINS)."""
    return float(np.mean([cosine(a.astype(float), b.astype(float)) for a, b in zip(one, other, strict=True)]))


def patches(features: Floats) -> Floats:
    """Return all patches of 3 × 3 positions, each scaled to length 1: (N, 9 C) of (h, w, C). One of zeros stays so."""
    height, width, channels = features.shape
    views = np.lib.stride_tricks.sliding_window_view(features, (3, 3), axis=(0, 1))
    rows = views.reshape((height - 2) * (width - 2), 9 * channels)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


@dataclass(frozen=True)
class Patterns:
    """How a map's patches stand to a painting's."""

    likeness: float
    """Mean over the map's patches of the cosine to the patch of the painting that is most like it."""
    used: float
    """How many of the painting's patches are the most like some patch of the map, over how many could be."""


def match_patches(mine: Floats, theirs: Floats) -> Patterns:
    """Compare the patches of a map with those of a painting, both (N, 9 C) of length 1.

    As many different ones could be used as either has, so `used` is 1 for a picture compared with itself. It falls with
    repeated motifs: 0.63, 1 − 1/e, are used where as many are drawn at random. Figures compare only where as many
    patches are asked.
    """
    best, places = [], set()
    for first in range(0, len(mine), _QUERIES):
        likeness = mine[first : first + _QUERIES] @ theirs.T
        nearest = likeness.argmax(axis=1)
        best.append(likeness[np.arange(len(likeness)), nearest])
        places |= set(nearest.tolist())
    return Patterns(float(np.concatenate(best).mean()), len(places) / min(len(mine), len(theirs)))


def structural_distance(content: Floats, result: Floats) -> float:
    """Return the mean over the rows of KL(S_content ‖ S_result), S = softmax of the rows of F Fᵀ / C².

    Features of the scene and of the map at the same positions, (N, C). S says of every position which others are like
    it: the distance is 0 where the map keeps that, whatever its colours.
    """
    ours, others = (_log_softmax(x @ x.T / x.shape[1] ** 2) for x in (content, result))
    return float((np.exp(ours) * (ours - others)).sum(axis=1).mean())


def _log_softmax(rows: Floats) -> Floats:
    shifted = rows - rows.max(axis=1, keepdims=True)
    logarithms: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logarithms


def spectrum(luminance: Floats) -> Floats:
    """Return the sums of the squared spectra of all pieces of SEGMENT pixels of the rows and of the columns.

    (SEGMENT / 2 + 1,), from period infinity to 2 pixels; additive over windows, (H, W) each of at least SEGMENT pixels.
    Every piece has its mean taken away and Hann's window laid over it.
    """
    window = np.hanning(SEGMENT + 1)[:-1]
    sums = np.zeros(SEGMENT // 2 + 1)
    for lines in (luminance, luminance.T):
        pieces = lines[:, : lines.shape[1] // SEGMENT * SEGMENT].reshape(-1, SEGMENT)
        around = pieces - pieces.mean(axis=1, keepdims=True)
        sums += (np.abs(np.fft.rfft(around * window)) ** 2).sum(axis=0)
    return sums


def prominence(sums: Floats) -> dict[float, float]:
    """Return period in pixels → energy there over the geometric mean of that a little slower and a little faster.

    1 where the spectrum falls off smoothly. Periods of 6.4 pixels to 2; beyond 2 the spectrum is its own mirror image.
    """
    mirrored = np.concatenate([sums, sums[-2::-1]]) + np.finfo(float).tiny
    places = range(_SLOWEST, SEGMENT // 2 + 1)
    return {
        SEGMENT / place: float(mirrored[place] / np.sqrt(mirrored[place - _BESIDE] * mirrored[place + _BESIDE]))
        for place in places
    }


@dataclass(frozen=True)
class Comb:
    """How far a map's spectrum stands out where the scene's does not."""

    at_2: float
    at_4: float
    """At the periods of 2 and of 4 pixels, in which a network enlarges."""
    strongest: float
    """The largest at any period from 2 to 6.4 pixels."""
    period: float | None
    """Where it is, in pixels; None where nothing stands out more than in the scene."""


def comb(result: Floats, content: Floats) -> Comb | None:
    """Return the comb of a map, of sums of spectra `result` and the scene's, `content`.

    None where either is of one colour.
    """
    if not (result.any() and content.any()):
        return None
    ours, scenes = prominence(result), prominence(content)
    ratios = {period: ours[period] / scenes[period] for period in ours}
    period = max(ratios, key=ratios.__getitem__)
    return Comb(ratios[2.0], ratios[4.0], ratios[period], period if ratios[period] > _SEEN else None)


@dataclass(frozen=True)
class ClassSums:
    """Count, sum and squares of the colours of one land-cover class. They add up over windows."""

    count: float
    sums: Floats  # (3,) Σ x of RGB in [0, 255]
    squares: float
    """Σ |x|²."""

    @classmethod
    def of(cls, colors: Floats) -> "ClassSums":
        """Return the sums of `colors`, (N, 3)."""
        colors = colors.astype(float)
        return cls(len(colors), colors.sum(axis=0), float((colors**2).sum()))

    def __add__(self, other: "ClassSums") -> "ClassSums":
        """Add the sums."""
        return ClassSums(self.count + other.count, self.sums + other.sums, self.squares + other.squares)

    @property
    def mean(self) -> Floats:
        """The class's mean colour, (3,)."""
        mean: Floats = self.sums / self.count
        return mean

    @property
    def scatter(self) -> float:
        """Σ |x − mean|²."""
        return max(0.0, self.squares - float(self.sums @ self.sums) / self.count)


@dataclass(frozen=True)
class Apart:
    """How far land-cover classes stand apart in a picture."""

    distance: float
    """Mean distance between two classes' mean colours, in values of 255."""
    spread: float
    """Root mean square distance of a pixel's colour from its class's mean."""

    @property
    def separability(self) -> float:
        """The distance over the spread."""
        return self.distance / self.spread if self.spread else np.inf


def apart(classes: Mapping[str, ClassSums]) -> Apart | None:
    """Return how far classes that are there stand apart; None where fewer than two are."""
    there = [sums for sums in classes.values() if sums.count]
    if len(there) < 2:
        return None
    distances = [np.linalg.norm(one.mean - other.mean) for one, other in combinations(there, 2)]
    variance = sum(sums.scatter for sums in there) / sum(sums.count for sums in there)
    return Apart(float(np.mean(distances)), float(np.sqrt(variance)))
