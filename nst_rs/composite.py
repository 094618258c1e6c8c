"""Bands to RGB: which bands, one stretch for the whole scene, and what stands where there is no data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rasterio.fill import fillnodata

from nst_rs.arrays import Mask, Pixels
from nst_rs.errors import ConfigError, SceneError
from nst_rs.percentiles import Counter
from nst_rs.scene import Scene
from nst_rs.storage import PixelArray, bands

COMPOSITES = {
    "true_color": ("red", "green", "blue"),
    "color_infrared": ("nir", "red", "green"),
    "natural": ("swir1", "nir", "red"),
    "urban": ("swir2", "swir1", "red"),
    "agriculture": ("swir1", "nir", "blue"),
}
"""Composites that a scene whose bands are named can make: name → bands for red, green and blue."""

_LARGEST_VALUE = 1e30
"""Beyond it lies no measurement, but what marks nodata in floating-point rasters, such as -3.4e38."""

_FILL_DISTANCE = 128
"""Pixels over which the picture is continued into nodata: beyond what any feature of a valid pixel sees."""

_FILL_MARGIN = _FILL_DISTANCE + 1
"""Rows above and below that can change what a pixel is filled with: GDAL looks from one row below the pixel's."""

_FRACTIONS = 2**20
"""Parts of a pixel value in which the mean is summed: a sum of whole numbers is the same in any order."""


@dataclass(frozen=True)
class Limits:
    """The stretch of one band: `low` becomes 0 and `high` 255."""

    low: float
    high: float


@dataclass(frozen=True)
class Composite:
    """How a scene became RGB."""

    bands: tuple[int, int, int]
    """1-based, for red, green and blue."""
    limits: tuple[Limits, Limits, Limits]
    valid_share: float
    """Of the grid's pixels, those that hold data in all three bands."""


def resolve_bands(scene: Scene, wanted: Sequence[int | str] | None) -> tuple[int, int, int]:
    """Return the 1-based bands for red, green and blue.

    `wanted` holds indices or names; None takes the bands named red, green and blue, else the first three, else the
    only one three times. Raises ConfigError for a band the scene has not.
    """
    if wanted is not None:
        red, green, blue = (_resolve_band(scene, band) for band in wanted)
        return red, green, blue
    names = [name.lower() for name in scene.band_names]
    if {"red", "green", "blue"} <= set(names):
        return names.index("red") + 1, names.index("green") + 1, names.index("blue") + 1
    return (1, 2, 3) if len(names) >= 3 else (1, 1, 1)


def available_composites(scene: Scene) -> dict[str, tuple[str, str, str]]:
    """Return the composites, name → bands, whose bands the scene names."""
    names = {name.lower() for name in scene.band_names}
    return {name: bands for name, bands in COMPOSITES.items() if set(bands) <= names}


def compose(
    scene: Scene,
    chosen: tuple[int, int, int],
    percentiles: tuple[float, float],
    image: PixelArray,
    weight: PixelArray,
) -> Composite:
    """Read the scene once and map the `chosen` bands to RGB with one stretch per band, computed over all valid pixels.

    Writes `image`, (H, W, 3) float32 RGB in [0, 255], continued smoothly where there is no data, and `weight`, (H, W)
    float32, 1 where there is data and 0 elsewhere. Raises SceneError when there is no valid pixel.
    """
    counters = _read(scene, chosen, image, weight)
    valid = counters[0].total
    if not valid:
        raise SceneError(
            f"scene {scene.tiles[0].path}",
            expected="some valid pixels in every chosen band",
            got=f"none in bands {', '.join(map(str, chosen))}",
            do="check scene.nodata and composite.bands with nst-rs inspect",
        )
    red, green, blue = (
        _limits(*counter.percentiles(percentiles, partial(_valid_values, image, weight, channel)))
        for channel, counter in enumerate(counters)
    )
    limits = (red, green, blue)
    sums = _stretch_all(image, weight, limits)
    if valid < scene.grid.height * scene.grid.width:
        _continue_into_nodata(image, weight, [np.float32(total / valid / _FRACTIONS) for total in sums])
    return Composite(chosen, limits, valid / (scene.grid.height * scene.grid.width))


def _read(scene: Scene, chosen: Sequence[int], image: PixelArray, weight: PixelArray) -> list[Counter]:
    """Write the stored values, which float32 holds exactly, and the weights; return each band's counts."""
    counters = [Counter(scene.dtype) for _ in chosen]
    for window in scene.blocks():
        rows = slice(window.row_off, window.row_off + window.height)
        values, valid = scene.read(chosen, window)
        image[rows], weight[rows] = np.moveaxis(values, 0, -1), valid
        for counter, band in zip(counters, values, strict=True):
            counter.add(band[valid])
    return counters


def _valid_values(image: PixelArray, weight: PixelArray, channel: int) -> Iterator[Pixels]:
    return (image[rows][..., channel][weight[rows] > 0] for rows in bands(weight.shape[0]))


def _resolve_band(scene: Scene, band: int | str) -> int:
    names = [name.lower() for name in scene.band_names]
    if isinstance(band, str) and band and band.lower() in names:
        return names.index(band.lower()) + 1
    if isinstance(band, int) and 1 <= band <= len(names):
        return band
    known = ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(scene.band_names, start=1))
    raise ConfigError("composite.bands", expected=f"bands of {known}", got=repr(band))


def _limits(low: float, high: float) -> Limits:
    if max(abs(low), abs(high)) > _LARGEST_VALUE:
        raise SceneError(
            "scene",
            expected=f"stored values below {_LARGEST_VALUE:g}",
            got=f"percentiles of {low:g} and {high:g}",
            do="set scene.nodata to the value that means no data",
        )
    return Limits(low, high if high > low else low + max(1.0, abs(low)))


def _stretch_all(image: PixelArray, weight: PixelArray, limits: Sequence[Limits]) -> list[int]:
    """Stretch `image` where it lies; return each band's sum over the valid pixels, in _FRACTIONS."""
    sums = [0] * len(limits)
    for rows in bands(weight.shape[0]):
        pixels, valid = image[rows], weight[rows] > 0
        for channel, limit in enumerate(limits):
            stretched = _stretch(pixels[..., channel], limit)
            sums[channel] += int(np.rint(stretched[valid] * np.float64(_FRACTIONS)).astype(np.int64).sum())
            pixels[..., channel] = stretched
        image[rows] = pixels
    return sums


def _stretch(band: Pixels, limits: Limits) -> Pixels:
    scaled = (band - np.float32(limits.low)) * np.float32(255 / (limits.high - limits.low))
    stretched: Pixels = np.clip(scaled, 0.0, 255.0)
    return stretched


def _continue_into_nodata(image: PixelArray, weight: PixelArray, means: Sequence[np.float32]) -> None:
    """Continue the valid pixels into nodata, so that no feature of a valid pixel sees an edge that is not there.

    By bands of rows, each with the rows around it that reach into it: valid pixels are read and never changed, so that
    what was filled before makes no difference. Where nothing valid is near, the mean stands.
    """
    height = weight.shape[0]
    for rows in bands(height):
        if weight[rows].all():
            continue
        seen = slice(max(0, rows.start - _FILL_MARGIN), min(height, rows.stop + _FILL_MARGIN))
        inside = slice(rows.start - seen.start, rows.stop - seen.start)
        pixels, valid = image[seen], weight[seen] > 0
        filled = [_fill(pixels[..., c], valid, mean)[inside] for c, mean in enumerate(means)]
        image[rows] = np.stack(filled, axis=-1)


def _fill(band: Pixels, valid: Mask, mean: np.float32) -> Pixels:
    filled: Pixels = fillnodata(np.where(valid, band, mean), mask=valid, max_search_distance=_FILL_DISTANCE)
    return filled
