"""Bands to RGB: one stretch for the whole scene, and a smooth continuation where there is no data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rasterio.fill import fillnodata

from nst_rs.arrays import Mask, Pixels
from nst_rs.composite.channels import Channels, Three
from nst_rs.composite.percentiles import Counter
from nst_rs.composite.stretch import Limits, Stretch
from nst_rs.errors import SceneError
from nst_rs.files.storage import PixelArray, strips, widened
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.plausibility import Negatives, Pinholes, warn_of_unmarked_nodata

_LARGEST_VALUE = 1e30
"""Beyond it lies no measurement, but what marks nodata in floating-point rasters, such as -3.4e38."""

_FILL_DISTANCE = 128
"""Pixels over which the picture is continued into nodata: beyond what any feature of a valid pixel sees."""

_FILL_MARGIN = _FILL_DISTANCE + 1
"""Rows above and below that can change what a pixel is filled with: GDAL looks from one row below the pixel's."""

_FRACTIONS = 2**20
"""Parts of a pixel value in which the mean is summed: a sum of whole numbers is the same in any order."""


@dataclass(frozen=True)
class Composite:
    """The channels and limits by which a scene became RGB."""

    bands: Three
    """For red, green and blue: numbers from 1, or names of spectral indices."""
    limits: tuple[Limits, Limits, Limits]
    valid_share: float
    """The share of the grid's pixels that hold data in all three bands."""


@dataclass(frozen=True)
class Sheets:
    """The arrays that a composite is written to, each as large as the scene."""

    image: PixelArray  # (H, W, 3) float32 RGB in [0, 255]
    weight: PixelArray  # (H, W) float32, 1 where there is data to be styled, else 0
    unstyled: PixelArray | None = None  # (H, W, 4) uint8 RGB and 255 where the map shows the scene as it is


def compose(scene: Scene, chosen: Three, stretch: Stretch, sheets: Sheets) -> Composite:
    """Read the scene once and map the `chosen` channels to RGB with one stretch each, over all valid pixels.

    Writes the sheets: the image is continued smoothly where there is no data; where the scene knows of clouds they are
    no data, or, with a sheet for it, unstyled. Warns of values that look wrong: nst_rs/scene/plausibility.py. Raises
    SceneError when there is no valid pixel.
    """
    warn_of_unmarked_nodata(scene)
    channels = Channels(scene, chosen)
    counters = _read(scene, channels, sheets)
    valid = counters[0].total
    if not valid:
        raise SceneError(
            f"scene {scene.tiles[0].product.name}",
            expected="some valid pixels in every chosen band",
            got=f"none in bands {', '.join(map(str, chosen))}",
            do="check scene.nodata and composite.bands with nst-rs inspect",
        )
    limits = stretch.limits or _limits_of(counters, stretch, sheets)
    sums = _stretch_all(sheets, stretch, limits)
    if valid < scene.grid.height * scene.grid.width:
        means = [np.float32(total / valid / _FRACTIONS) for total in sums]
        _continue_into_nodata(sheets.image, sheets.weight, means)
    return Composite(chosen, limits, valid / (scene.grid.height * scene.grid.width))


def _read(scene: Scene, channels: Channels, sheets: Sheets) -> list[Counter]:
    """Write the channels' values, which float32 holds exactly, and the weights; return each channel's counts."""
    counters = [Counter(channels.dtype) for _ in range(3)]
    negatives, pinholes = Negatives(scene, channels.bands), Pinholes(scene)
    for window in scene.blocks():
        rows = slice(window.row_off, window.row_off + window.height)
        read, valid, clouded = scene.read_clouded(channels.bands, window)
        values, defined = channels.compute(read)
        pinholes.add(valid)
        valid &= defined
        sheets.image[rows], sheets.weight[rows] = np.moveaxis(np.where(valid, values, 0), 0, -1), valid & ~clouded
        if sheets.unstyled is not None:
            sheets.unstyled[rows] = ((valid & clouded) * np.uint8(255))[..., np.newaxis].repeat(4, axis=-1)
        negatives.add(read, valid & ~clouded)
        for counter, band in zip(counters, values, strict=True):
            counter.add(band[valid & ~clouded])
    negatives.warn()
    pinholes.warn()
    return counters


def _limits_of(counters: Sequence[Counter], stretch: Stretch, sheets: Sheets) -> tuple[Limits, Limits, Limits]:
    red, green, blue = (
        _limits(*counter.percentiles(stretch.percentiles, partial(_valid_values, sheets.image, sheets.weight, channel)))
        for channel, counter in enumerate(counters)
    )
    return red, green, blue


def _valid_values(image: PixelArray, weight: PixelArray, channel: int) -> Iterator[Pixels]:
    return (image[rows][..., channel][weight[rows] > 0] for rows in strips(weight.shape[0]))


def _limits(low: float, high: float) -> Limits:
    if max(abs(low), abs(high)) > _LARGEST_VALUE:
        raise SceneError(
            "scene",
            expected=f"stored values below {_LARGEST_VALUE:g}",
            got=f"percentiles of {low:g} and {high:g}",
            do="set scene.nodata to the value that means no data",
        )
    return Limits(low, high if high > low else low + max(1.0, abs(low)))


def _stretch_all(sheets: Sheets, stretch: Stretch, limits: Sequence[Limits]) -> list[int]:
    """Stretch the image where it lies; return each channel's sum over the valid pixels, in _FRACTIONS."""
    sums = [0] * len(limits)
    for rows in strips(sheets.weight.shape[0]):
        pixels, valid = sheets.image[rows], sheets.weight[rows] > 0
        for channel, limit in enumerate(limits):
            stretched = stretch.apply(pixels[..., channel], limit)
            sums[channel] += int(np.rint(stretched[valid] * np.float64(_FRACTIONS)).astype(np.int64).sum())
            pixels[..., channel] = stretched
        sheets.image[rows] = pixels
        if sheets.unstyled is not None:
            kept = sheets.unstyled[rows]
            kept[..., :3] = np.where(kept[..., 3:] > 0, np.rint(pixels), 0)
            sheets.unstyled[rows] = kept
    return sums


def _continue_into_nodata(image: PixelArray, weight: PixelArray, means: Sequence[np.float32]) -> None:
    """Continue the valid pixels into nodata, so that no feature of a valid pixel sees an edge that is not there.

    By strips of rows, each with the rows around it that reach into it: valid pixels are read and never changed, so that
    what was filled before makes no difference. Where nothing valid is near, the mean stands.
    """
    height = weight.shape[0]
    for rows in strips(height):
        if weight[rows].all():
            continue
        seen, inside = widened(rows, _FILL_MARGIN, height)
        pixels, valid = image[seen], weight[seen] > 0
        filled = [_fill(pixels[..., c], valid, mean)[inside] for c, mean in enumerate(means)]
        image[rows] = np.stack(filled, axis=-1)


def _fill(band: Pixels, valid: Mask, mean: np.float32) -> Pixels:
    filled: Pixels = fillnodata(np.where(valid, band, mean), mask=valid, max_search_distance=_FILL_DISTANCE)
    return filled
