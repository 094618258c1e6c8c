"""Bands to RGB: which bands, one stretch for the whole scene, and what stands where there is no data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.fill import fillnodata

from nst_rs.arrays import Mask, Pixels
from nst_rs.errors import ConfigError, SceneError
from nst_rs.scene import Scene

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


@dataclass(frozen=True)
class Limits:
    """The stretch of one band: `low` becomes 0 and `high` 255."""

    low: float
    high: float


@dataclass(frozen=True)
class Composite:
    """A scene as RGB."""

    image: Pixels  # (H, W, 3) RGB in [0, 255]; continued smoothly where there is no data
    valid: Mask  # (H, W)
    bands: tuple[int, int, int]
    """1-based, for red, green and blue."""
    limits: tuple[Limits, Limits, Limits]


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


def compose(scene: Scene, bands: tuple[int, int, int], percentiles: tuple[float, float]) -> Composite:
    """Read the scene and map `bands` to RGB with one stretch per band, computed over all its valid pixels.

    Raises SceneError when there is no valid pixel.
    """
    values = np.empty((3, *scene.grid.shape), np.float32)
    valid = np.empty(scene.grid.shape, np.bool_)
    for window in scene.blocks():
        rows = slice(window.row_off, window.row_off + window.height)
        values[:, rows], valid[rows] = scene.read(bands, window)
    if not valid.any():
        raise SceneError(
            f"scene {scene.tiles[0].path}",
            expected="some valid pixels in every chosen band",
            got=f"none in bands {', '.join(map(str, bands))}",
            do="check scene.nodata and composite.bands with nst-rs inspect",
        )
    limits = tuple(_limits(band[valid], percentiles) for band in values)
    planes = [_continue_into_nodata(_stretch(band, limit), valid) for band, limit in zip(values, limits, strict=True)]
    return Composite(np.stack(planes, axis=-1), valid, bands, (limits[0], limits[1], limits[2]))


def _resolve_band(scene: Scene, band: int | str) -> int:
    names = [name.lower() for name in scene.band_names]
    if isinstance(band, str) and band and band.lower() in names:
        return names.index(band.lower()) + 1
    if isinstance(band, int) and 1 <= band <= len(names):
        return band
    known = ", ".join(f"{i} ({name})" if name else str(i) for i, name in enumerate(scene.band_names, start=1))
    raise ConfigError("composite.bands", expected=f"bands of {known}", got=repr(band))


def _limits(values: Pixels, percentiles: tuple[float, float]) -> Limits:
    low, high = (float(value) for value in np.percentile(values, percentiles))
    if max(abs(low), abs(high)) > _LARGEST_VALUE:
        raise SceneError(
            "scene",
            expected=f"stored values below {_LARGEST_VALUE:g}",
            got=f"percentiles of {low:g} and {high:g}",
            do="set scene.nodata to the value that means no data",
        )
    return Limits(low, high if high > low else low + max(1.0, abs(low)))


def _stretch(band: Pixels, limits: Limits) -> Pixels:
    scaled = (band - np.float32(limits.low)) * np.float32(255 / (limits.high - limits.low))
    stretched: Pixels = np.clip(scaled, 0.0, 255.0)
    return stretched


def _continue_into_nodata(band: Pixels, valid: Mask) -> Pixels:
    """Continue the valid pixels into nodata, so that no feature of a valid pixel sees an edge that is not there."""
    if valid.all():
        return band
    band = np.where(valid, band, np.float32(band[valid].mean()))
    filled: Pixels = fillnodata(band, mask=valid, max_search_distance=_FILL_DISTANCE)
    return filled
