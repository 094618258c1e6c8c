"""Which class of ground every pixel of a scene belongs to: the classes' rules, tried in order, the rest last."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from nst_rs.arrays import Mask
from nst_rs.composite.channels import Channels, resolve_channel
from nst_rs.composite.starting_picture import check_place
from nst_rs.config.regions import OfPolygons, OfProduct, OfRaster, Region, parse_threshold
from nst_rs.errors import ConfigError, SceneError
from nst_rs.files.storage import PixelArray
from nst_rs.geo.area import Outline, read_chosen
from nst_rs.geo.grid import Grid
from nst_rs.scene.classes import TOLD
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.products import Meaning, Source
from nst_rs.scene.raster_file import Header, read_header
from nst_rs.scene.raster_read import Place, box_of, read_file

_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

WORLD_COVER = {
    "trees": 10,
    "shrubland": 20,
    "grassland": 30,
    "cropland": 40,
    "built-up": 50,
    "bare": 60,
    "snow": 70,
    "water": 80,
    "wetland": 90,
    "mangroves": 95,
    "moss": 100,
}
"""ESA WorldCover's legend (Product User Manual, version 2.0, table 2), in short names."""


class Rule(Protocol):
    """Says where a class of ground is."""

    def inside(self, window: Window) -> Mask:
        """Return, (h, w), the pixels of a window of the scene that are in the class. Raises NstError."""


@dataclass(frozen=True)
class Beyond:
    """Where a spectral index or a band is beyond a number; nowhere where the scene has no data for it."""

    scene: Scene
    channels: Channels
    sign: str
    limit: float

    def inside(self, window: Window) -> Mask:
        """See :class:`Rule`."""
        values, valid, _ = self.scene.read_clouded(self.channels.bands, window)
        (channel,), defined = self.channels.compute(values)
        inside: Mask = _SIGNS[self.sign](channel, self.limit) & valid & defined
        return inside


@dataclass(frozen=True)
class Said:
    """Where the product's own quality band says one of some classes."""

    scene: Scene
    classes: tuple[str, ...]

    def inside(self, window: Window) -> Mask:
        """See :class:`Rule`."""
        return self.scene.showing(self.classes, window)


@dataclass(frozen=True)
class Mapped:
    """Where a raster of classes holds one of some values; nowhere beyond the raster."""

    source: Source
    grid: Grid
    values: tuple[int, ...]

    def inside(self, window: Window) -> Mask:
        """See :class:`Rule`."""
        header, whole = self.source.header, (0, 0, self.grid.height, self.grid.width)
        place = Place(self.grid, whole, header.grid, window)
        read, held = read_file(header, [self.source], place, "nearest", stored=True)  # classes have none between them
        inside: Mask = np.isin(read[0], self.values) & held[0]
        return inside


@dataclass(frozen=True)
class Outlined:
    """Inside of polygons: where a pixel's middle is."""

    outline: Outline
    grid: Grid

    def inside(self, window: Window) -> Mask:
        """See :class:`Rule`."""
        return self.outline.inside(self.grid.cut(box_of(window)))


def open_rules(scene: Scene, regions: Sequence[Region]) -> tuple[Rule, ...]:
    """Return the rules of all classes but the last, which is the rest. Raises ConfigError for what cannot be had."""
    return tuple(_open(scene, region) for region in regions[:-1])


def number_classes(rules: Sequence[Rule], window: Window) -> npt.NDArray[np.uint8]:
    """Return, (h, w), the number of each pixel's class, from 0: that of the first rule that holds, or of the rest."""
    numbers = np.full((window.height, window.width), len(rules), np.uint8)
    for number, rule in reversed(list(enumerate(rules))):
        numbers[rule.inside(window)] = number
    return numbers


def count_classes(numbers: PixelArray, weight: PixelArray, rows: slice, classes: int) -> npt.NDArray[np.int64]:
    """Return how many pixels of some rows, of those with data, are in each of so many classes."""
    counts: npt.NDArray[np.int64] = np.bincount(numbers[rows][weight[rows] > 0], minlength=classes)
    return counts


def _open(scene: Scene, region: Region) -> Rule:
    setting, where = f"style.regions {region.name}", region.where
    if isinstance(where, OfProduct):
        return _said(scene, where, setting)
    if isinstance(where, OfRaster):
        return _mapped(scene, where, setting)
    if isinstance(where, OfPolygons):
        return _outlined(scene, where, setting)
    threshold = parse_threshold(where or "")
    channel = resolve_channel(scene, threshold.channel, setting)
    channels = Channels(scene, [channel])
    typed = scene.in_type_of(channels.bands)
    return Beyond(typed, Channels(typed, [channel]), threshold.sign, threshold.limit)


def _said(scene: Scene, where: OfProduct, setting: str) -> Said:
    for tile in scene.tiles:
        quality = tile.product.quality
        if quality is None:
            expected = "a product with a quality band (QA_PIXEL, BQA or SCL)"
            raise ConfigError(setting, expected=expected, got=f"{tile.product.name}, which has none")
        untold = [name for name in where.product if name not in TOLD[quality.kind]]
        if untold:
            told = ", ".join(TOLD[quality.kind])
            do = f"tell it by an index, such as {_INSTEAD[untold[0]]}" if untold[0] in _INSTEAD else ""
            raise ConfigError(
                setting, expected=f"what the quality band of {tile.product.name} tells: {told}", got=untold[0], do=do
            )
    return Said(scene, where.product)


_INSTEAD = {"water": "'ndwi > 0'", "vegetation": "'ndvi > 0.4'"}


def _mapped(scene: Scene, where: OfRaster, setting: str) -> Mapped:
    if not where.raster.is_file():
        raise ConfigError(setting, expected="a raster of classes", got=f"no such file, {where.raster}")
    try:
        header = read_header(str(where.raster), scene.grid)
    except SceneError as error:
        raise ConfigError(f"{setting}: {str(error).removeprefix('scene ')}") from error
    _check_classes(header, where.raster, setting)
    check_place(f"{setting}: {where.raster}", "a raster", header.grid, scene.grid)
    source = Meaning().applied(Source(header, 1, header.calibrations[0], None), None)
    return Mapped(source, scene.grid, tuple(_value(value, setting) for value in where.values))


def _check_classes(header: Header, raster: Path, setting: str) -> None:
    if header.stored.startswith("float") or len(header.colors) != 1:
        got = f"{len(header.colors)} bands of {header.stored} in {raster.name}"
        raise ConfigError(setting, expected="one band of whole numbers", got=got)


def _value(value: int | str, setting: str) -> int:
    if isinstance(value, int):
        return value
    if value not in WORLD_COVER:
        raise ConfigError(setting, expected=f"numbers, or names of {', '.join(WORLD_COVER)}", got=repr(value))
    return WORLD_COVER[value]


def _outlined(scene: Scene, where: OfPolygons, setting: str) -> Outlined:
    area = read_chosen(where.polygons, setting, where.attribute, where.values)
    return Outlined(area.on(scene.grid), scene.grid)


if TYPE_CHECKING:
    _: tuple[type[Rule], ...] = (Beyond, Said, Mapped, Outlined)
