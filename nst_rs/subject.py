"""What a configuration makes a picture of: the scene, what red, green and blue are made of, and their stretch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.area import read_area
from nst_rs.channels import Channels, Three, resolve_bands, resolve_channels
from nst_rs.config import CompositeSection, RunConfig, SceneSection, override
from nst_rs.documents import DocumentError, parse_json, read_text
from nst_rs.errors import ConfigError
from nst_rs.scene import Reading, Scene, Target, understand
from nst_rs.sensors import load_sensors
from nst_rs.sources import Meaning, Product, find_products
from nst_rs.stac_source import is_stac, read_items
from nst_rs.stretch import Limits, Stretch


@dataclass(frozen=True)
class Subject:
    """A scene and how it becomes RGB."""

    scene: Scene
    """On the grid that its channels ask for."""
    channels: Three
    stretch: Stretch
    keeps_clouds: bool
    """Whether the map shows clouds as they are in the scene."""
    passed: tuple[int, ...] = ()
    """The bands, from 1, that are handed over beside the map with their own values."""

    @property
    def passed_bytes(self) -> int:
        """Bytes of a pixel in all these bands."""
        return len(self.passed) * np.dtype(self.scene.in_type_of(self.passed).dtype).itemsize

    def settled(self, config: RunConfig) -> RunConfig:
        """Return `config` with channels by number, and limits that were an earlier run's as numbers."""
        limits = self.stretch.limits
        settings: dict[str, Any] = {"composite.bands": self.channels}
        if limits is not None:
            settings["composite.limits"] = tuple((one.low, one.high) for one in limits)
        return override(config, settings)


def open_scene_of(section: SceneSection) -> Scene:
    """Open the files that a configuration names as one scene, on the grid of its finest band. Raises NstError."""
    reading = _reading(section)
    registry = load_sensors(section.sensors)
    sensor = None if section.sensor in ("auto", "none") else registry.named(section.sensor)
    products: list[Product] = []
    files: list[str] = []
    for path in section.paths:
        if is_stac(path):
            products += read_items(path, section.assets, registry)
        else:
            files.append(path)
    if files:
        products += find_products(files, registry, sensor, section.sensor == "auto")
    return understand(products, reading)


def open_subject(config: RunConfig) -> Subject:
    """Open what `config` names, and find its channels there. Raises NstError."""
    composite = config.composite
    scene = open_scene_of(config.scene)
    channels = resolve_channels(scene, composite.bands)
    scene = scene.chosen(Channels(scene, channels).bands)
    clouds = composite.mask == "clouds"
    if clouds:
        scene = scene.masking_clouds()
    passed = resolve_bands(scene, config.output.bands)
    return Subject(scene, channels, _stretch(composite), clouds and composite.masked == "unstyled", passed)


def _reading(section: SceneSection) -> Reading:
    nodata = None if section.nodata == "guess" else section.nodata
    return Reading(
        Meaning(nodata, section.scale, section.offset, section.saturated == "keep"),
        section.nodata == "guess",
        Target(section.crs, section.resolution, section.resampling, read_area(section.area) if section.area else None),
    )


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
