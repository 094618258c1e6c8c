"""How an earlier map goes on beyond where it ends: its strokes for a few pixels, its colours for some more.

Windows of any size come out the same, but for rounding, where STROKES_REACH or COLORS_REACH pixels around them are
given too.
"""

from itertools import product

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Array, Mask, Pixels
from nst_rs.composite.change import box_sums, smooth

STROKES = 4
"""Pixels from where an earlier map ends over which its hold falls to nothing."""
STROKES_REACH = 2 * STROKES
COLORS = 24
"""Pixels from where an earlier map ends over which its colours go on."""

_TENT = STROKES // 2
_BESIDE = 0.5
"""The hold beyond a straight end, over the share of a tent around that lies inside."""
_RADII = (12, 6, 3, 1)
"""Half the pixels that colours are compared over: first far around, then what is left of the difference nearby."""
COLORS_REACH = 2 * sum(_RADII)
_RIDGE = 60.0
"""The variance of the scene's colours, in squared pixel values, below which they tell little about the map's."""


def strokes(pixels: Pixels, hold: Pixels) -> tuple[Pixels, Pixels]:
    """Return how the strokes of a map, (H, W, 3), go on beyond the ground that it holds, and how firmly, (H, W).

    They are mirrored at the nearest pixel that holds. A mean in their place came out smooth, with a step beside it.
    `hold`, (H, W) in [0, 1], is 0 beyond; what is returned falls to 0 at STROKES pixels.

    >>> hold = np.repeat(np.float32(np.arange(40) < 20)[np.newaxis], 40, axis=0)
    >>> columns = np.repeat(np.arange(40, dtype=np.float32)[np.newaxis, :, np.newaxis], 40, axis=0)
    >>> mirrored, falling = strokes(np.repeat(columns, 3, axis=2), hold)
    >>> mirrored[20, 20:23, 0].tolist(), [round(float(each), 2) for each in falling[20, 20:25]]
    ([18.0, 17.0, 16.0], [0.2, 0.12, 0.06, 0.02, 0.0])
    """
    around = _tent_sums(hold, _TENT) / _tent_sums(np.ones(hold.shape), _TENT)
    falling = np.clip(_BESIDE * around, 0, 1).astype(np.float32)
    places = np.stack(np.nonzero((falling > 0) & (hold == 0)), axis=-1)  # (N, 2)
    return _mirrored(pixels, hold > 0, places), falling


def _mirrored(pixels: Pixels, inside: Mask, places: npt.NDArray[np.intp]) -> Pixels:
    """Return pixels, (H, W, 3), with those at `places`, (N, 2), mirrored at the nearest ones that are `inside`.

    Where the mirrored pixel is not inside, as beside a narrow strip, the nearest one stands.
    """
    result = pixels.copy()
    offsets = sorted(product(range(-STROKES, STROKES + 1), repeat=2), key=lambda each: each[0] ** 2 + each[1] ** 2)
    for times, offset in product((2, 1), offsets[1:]):
        nearest, source = places + offset, places + times * np.array(offset)
        fits = ((nearest >= 0) & (nearest < inside.shape) & (source >= 0) & (source < inside.shape)).all(axis=1)
        fits[fits] = inside[tuple(nearest[fits].T)] & inside[tuple(source[fits].T)]
        result[tuple(places[fits].T)] = pixels[tuple(source[fits].T)]
        places = places[~fits]
    return result


def colors(scene: Pixels, picture: Pixels, firm: Mask) -> tuple[Pixels, Pixels]:
    """Return the colours that a map, (H, W, 3), would have on further ground, and how far they count, (H, W) in [0, 1].

    They follow from the scene's, (H, W, 3), by a linear function that is fitted to the `firm` pixels nearby, (H, W): He
    et al., Guided Image Filtering (2010), equations 5, 6 and 19, but over the pixels that the map has. What is left of
    the difference is carried on as a mean, nearer and nearer, so that nothing changes where the map ends. They count 1
    inside and at a straight end, and 0 from COLORS pixels on.
    """
    counts = firm.astype(np.float64)
    found, share = _regressed(scene, picture, counts), _share(counts, _RADII[0])
    for radius in _RADII[1:]:
        rest = _means(np.where(firm[..., np.newaxis], picture - found, 0), counts, radius)
        found = found + _share(counts, radius)[..., np.newaxis] * rest
    return np.clip(found, 0, 255).astype(np.float32), share.astype(np.float32)


def _regressed(scene: Pixels, picture: Pixels, counts: Array) -> Array:
    """Return for every pixel the picture's colour by the linear function of the scene's that holds around it."""
    channels = np.concatenate([scene, picture], axis=-1).astype(np.float64)  # (H, W, 6)
    products = channels[..., :3, np.newaxis] * channels[..., np.newaxis, :]  # (H, W, 3, 6)
    means = _means(channels, counts, _RADII[0])
    covariance = _means(products, counts, _RADII[0]) - means[..., :3, np.newaxis] * means[..., np.newaxis, :]
    slopes = np.linalg.solve(covariance[..., :3] + _RIDGE * np.eye(3), covariance[..., 3:])
    steps = (scene - means[..., :3])[..., np.newaxis, :]
    found: Array = means[..., 3:] + (steps @ slopes)[..., 0, :]
    return found


def _means(values: Array, counts: Array, radius: int) -> Array:
    """Return the means of values, (H, W, ...), around every pixel, near ones counting more; 0 where nothing counts."""
    trailing = (...,) + (np.newaxis,) * (values.ndim - 2)
    means: Array = _tent_sums(values * counts[trailing], radius) / np.maximum(_tent_sums(counts, radius), 1)[trailing]
    return means


def _share(counts: Array, radius: int) -> Array:
    """Return 1 inside what counts and at its straight ends, falling to 0 at 2 · `radius` pixels from it."""
    return smooth(np.clip(2 * _tent_sums(counts, radius) / _tent_sums(np.ones(counts.shape), radius), 0, 1))


def _tent_sums(values: npt.NDArray[np.generic], radius: int) -> Array:
    """Return box sums of box sums, which count near values more."""
    return box_sums(box_sums(values, radius), radius)
