"""The rendering of a configuration's scene: the bands or indices for red, green and blue, and their stretch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.composite.channels import Channels, Three, resolve_bands, resolve_channels
from nst_rs.composite.stretch import Limits, Stretch
from nst_rs.config.loading import Decisions
from nst_rs.config.regions import OfProduct
from nst_rs.config.sections import CompositeSection, RunConfig
from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_json, read_text
from nst_rs.scene.layout import on_grid_of
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene_of


@dataclass(frozen=True)
class Rendering:
    """A scene and how it becomes RGB."""

    scene: Scene
    """The scene, on the grid of its channels."""
    channels: Three
    stretch: Stretch
    keeps_clouds: bool
    """Whether the map shows clouds as they are in the scene."""
    extra_bands: tuple[int, ...] = ()
    """The scene's bands, from 1, that are written beside the map with their own values."""

    @property
    def extra_band_bytes(self) -> int:
        """Bytes of one pixel in all of `extra_bands` together."""
        return len(self.extra_bands) * np.dtype(self.scene.in_type_of(self.extra_bands).dtype).itemsize

    def settled(self) -> Decisions:
        """Return the settings that the scene decides: the channels by number, an earlier run's limits as numbers."""
        limits = self.stretch.limits
        channels = {"composite.bands": self.channels}
        if limits is None:
            return channels
        return {**channels, "composite.limits": tuple((each.low, each.high) for each in limits)}


def open_rendering(config: RunConfig) -> Rendering:
    """Open what `config` names, and find its channels there. Raises NstError."""
    composite = config.composite
    scene = open_scene_of(config.scene)
    channels = resolve_channels(scene, composite.bands)
    scene = on_grid_of(scene, Channels(scene, channels).bands)
    clouds = composite.mask == "clouds"
    if clouds:
        scene = scene.masking_clouds()
    if any(isinstance(region.where, OfProduct) for region in config.style.regions):
        scene = replace(scene, classes=True)
    extra_bands = resolve_bands(scene, config.output.bands)
    return Rendering(scene, channels, _stretch(composite), clouds and composite.masked == "unstyled", extra_bands)


def _stretch(composite: CompositeSection) -> Stretch:
    percentiles = composite.percentiles if composite.stretch == "percentile" else (0.0, 100.0)
    limits = composite.limits
    pairs = _recorded(limits) if isinstance(limits, Path) else limits
    fixed = None if pairs is None else (Limits(*pairs[0]), Limits(*pairs[1]), Limits(*pairs[2]))
    return Stretch(percentiles, fixed, composite.gamma, composite.sigmoid)


def _recorded(path: Path) -> Any:
    """Return the limits of an earlier run, checked as if they had been written out."""
    try:
        limits = parse_json(read_text(path))["scene"]["limits"]
        return CompositeSection.model_validate({"limits": limits}).limits
    except (DocumentError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"composite.limits {path}", expected="the record of an earlier run, with its limits", got=f"{error!s:.200}"
        ) from error
