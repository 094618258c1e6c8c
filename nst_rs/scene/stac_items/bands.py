"""What the bands of a STAC item are called: by the product's definition, else by the item, else by the file."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nst_rs.scene.raster_file import Header
from nst_rs.scene.sensors import COMMON_NAMES, SYNONYMS, Label, Sensor
from nst_rs.scene.stac_items.assets import Asset, Said, common_name

_RED_EDGES = (("rededge1", 0.69, 0.73), ("rededge2", 0.73, 0.76), ("rededge3", 0.76, 0.79), ("nir08", 0.80, 0.90))
"""Common names, and from where to where in micrometres their bands have their centre: STAC's eo extension 2.0."""


@dataclass(frozen=True)
class Band:
    """A band of an item's raster."""

    asset: Asset
    header: Header
    index: int
    """From 1, in the file."""

    @property
    def said(self) -> Said:
        """What the item says of it; nothing of a palette's colours, as it speaks of their numbers."""
        return {} if self.header.in_colors else self.asset.said_of(self.index, self.header.count)

    @property
    def is_alone(self) -> bool:
        """Whether its file holds no other, so that the asset's key is a name of the band."""
        return self.header.count == 1

    @property
    def name(self) -> str:
        """What the item calls it; nothing where it does not."""
        name: Any = self.said.get("name")
        return str(name or (self.asset.key if self.is_alone else ""))


def label_bands(bands: Sequence[Band], sensor: Sensor | None) -> tuple[Label, ...]:
    """Return the names of an item's bands.

    What a file says of its own bands, such as colours, counts only for those of which the item says nothing.
    """
    times = Counter(band.name for band in bands)
    names = [band.asset.key if band.is_alone and times[band.name] > 1 else band.name for band in bands]
    labels = [_label(band, name, sensor) for band, name in zip(bands, names, strict=True)]
    if sensor is None and not any(label.common == "nir" for label in labels):
        labels = [_as_nir(label) if label.common == "nir08" else label for label in labels]
    return tuple(_without_names_of_others(label, labels) for label in labels)


def without_alpha_by_tag(bands: Sequence[Band], labels: Sequence[Label]) -> list[Band]:
    """Return the bands; where one of a file's is tagged alpha and called something else, the file has no alpha.

    GDAL tags the fourth band of bytes so, whatever it holds.
    """
    measured = {
        band.header.location
        for band, label in zip(bands, labels, strict=True)
        if band.index == band.header.alpha and not label.answers_to("alpha")
    }
    return [
        replace(band, header=replace(band.header, alpha=None)) if band.header.location in measured else band
        for band in bands
    ]


def _label(band: Band, name: str, sensor: Sensor | None) -> Label:
    common = common_name(band.said)
    if not name and not common:
        return band.header.labels[band.index - 1]
    keys = (band.asset.key,) if band.is_alone else ()
    known = _known(band, sensor)
    if known:
        return Label(name or known.name, known.common, (*keys, known.name, *known.also, common))
    return Label(name or common, _common(band, common) or Label.of(name).common, (*keys, common))


def _known(band: Band, sensor: Sensor | None) -> Label | None:
    """Return the names of the band by the product's definition: by the file's name, else by the band's own."""
    if sensor is None:
        return None
    match = sensor.match_file(band.asset.file_name) if band.is_alone else None
    return sensor.label_of(match[1] if match else band.name)


def _common(band: Band, common: str) -> str:
    """Return the common name that the item gives, else the key's; which of them it is where it says ``rededge``."""
    base = band.asset.base
    by_key = SYNONYMS.get(base, base)
    if not band.is_alone or by_key not in COMMON_NAMES:
        by_key = ""
    if common != "rededge":
        return common or by_key
    return _red_edge(band.said.get("eo:center_wavelength")) or (by_key if by_key.startswith(common) else common)


def _red_edge(centre: Any) -> str:
    """Return the common name of a band that is called ``rededge`` by its centre; nothing where that says none."""
    if not isinstance(centre, int | float):
        return ""
    return next((name for name, low, high in _RED_EDGES if low <= centre < high), "")


def _as_nir(label: Label) -> Label:
    """Return the narrow near infrared as the near infrared, as Landsat's band 5 is, where there is no wide one."""
    return replace(label, common="nir", also=(*label.also, "nir08"))


def _without_names_of_others(label: Label, labels: Sequence[Label]) -> Label:
    """Return `label` without further names that are another band's own."""
    own = {name.lower() for other in labels if other is not label for name in (other.name, other.common)}
    return replace(label, also=tuple(name for name in dict.fromkeys(label.also) if name and name.lower() not in own))
