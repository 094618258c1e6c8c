"""Sensors as data: a product's bands, how its files are named, the composites it makes. A user can add to them.

The program's own are in nst_rs/data/sensors; :class:`Sensor` says what each key means.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_yaml, read_text
from nst_rs.scene.acquisition import Acquisition

COMPOSITES: Mapping[str, tuple[str, str, str]] = {
    "true_color": ("red", "green", "blue"),
    "color_infrared": ("nir", "red", "green"),
    "swir": ("swir2", "nir", "red"),
    "agriculture": ("swir1", "nir", "blue"),
    "natural": ("swir1", "nir", "red"),
    "urban": ("swir2", "swir1", "red"),
}
"""Composites by common name: name → bands for red, green and blue. A sensor may have others of these names."""

POLARISATIONS = ("vv", "vh", "hh", "hv")
"""A radar's bands, by the common names that they have: sent and received vertically or horizontally."""

SYNONYMS = {
    "swir16": "swir1",
    "swir22": "swir2",
    "lwir": "thermal1",
    "lwir11": "thermal1",
    "lwir12": "thermal2",
    "rededge071": "rededge1",
    "rededge075": "rededge2",
    "rededge078": "rededge3",
    "green05": "green1",
    "coastal_blue": "coastal",
    "coastal_aerosol": "coastal",
    "near_infrared": "nir",
    "green_i": "green1",
    **{
        f"{kind}0_{polarisation}": polarisation for kind in ("sigma", "gamma", "beta") for polarisation in POLARISATIONS
    },
}
"""What others call the common names: STAC's eo extension of versions 1 and 2, PlanetScope's band descriptions, radar
programs."""

COMMON_NAMES = frozenset(
    {*SYNONYMS.values(), "pan", "blue", "green", "yellow", "red", "rededge", "nir08", "nir09", "cirrus"}
)
"""The common names of spectral bands."""

MaskKind = Literal["qa_pixel", "bqa", "scl"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SensorBand(_Data):
    """One band of a sensor."""

    name: str
    """As in file names: ``B8A``."""
    common: str
    """As people call it: ``nir08``."""
    also: tuple[str, ...] = ()
    scale: float | None = None
    """Where it is another than the sensor's."""
    offset: float | None = None


class Sensor(_Data):
    """One product of one sensor."""

    name: str
    """What ``scene.sensor`` takes."""
    title: str
    bands: tuple[SensorBand, ...]
    """In the order in which a file of several bands holds them."""
    files: str | None = None
    """A regular expression for the names of files of one band, with groups ``product`` and ``band``; and ``acquired``,
    where there are digits for year, month, day and, if there, hours, minutes, seconds in UTC."""
    stacks: str | None = None
    """A regular expression for the names of files that hold all bands; it too may have a group ``acquired``."""
    platforms: tuple[str, ...] = ()
    """What metadata calls the satellites."""
    metadata: Literal["mtl", "safe"] | None = None
    """Where scale and offset are: a Landsat MTL.txt, or a Sentinel-2 MTD_MSIL*.xml."""
    nodata: float | None = None
    """The stored value of fill by the product's definition, whatever a file's tags say."""
    saturated: float | None = None
    scale: float = 1.0
    """Where no metadata says it: physical value = stored value × scale + offset."""
    offset: float = 0.0
    masks: dict[str, MaskKind] = {}
    """Quality bands: name in file names → what its values mean."""
    composites: dict[str, tuple[str, str, str]] = {}
    """Composites of its own, or in place of the general ones: name → bands."""

    @field_validator("files", "stacks")
    @classmethod
    def _an_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"a regular expression ({error})") from error
        return value

    def match_file(self, name: str) -> tuple[str, str] | None:
        """Return (product, band) of a file of one band; None where it is not of this sensor."""
        match = re.fullmatch(self.files, name, re.IGNORECASE) if self.files else None
        return (match["product"], match["band"].upper()) if match else None

    def holds(self, name: str, bands: int) -> bool:
        """Whether a file of this name and so many bands is one of this sensor's."""
        named = self.stacks is not None and re.fullmatch(self.stacks, name, re.IGNORECASE) is not None
        return named and bands >= len(self.bands)

    def acquired(self, name: str) -> Acquisition | None:
        """Return when what is in a file was taken, by the file's name; None where that does not say it."""
        for pattern in filter(None, (self.files, self.stacks)):
            match = re.fullmatch(pattern, name, re.IGNORECASE)
            if match:
                return Acquisition.named(match.groupdict().get("acquired") or "")
        return None

    def labels(self) -> tuple["Label", ...]:
        """Return the names of its bands, in order."""
        return tuple(Label(band.name, band.common, band.also) for band in self.bands)

    def label_of(self, name: str) -> "Label | None":
        """Return the names of the band that `name` means; None where it means none."""
        return next((label for label in self.labels() if label.answers_to(name)), None)


@dataclass(frozen=True)
class Label:
    """What a band is called; all empty where nobody named it."""

    name: str = ""
    common: str = ""
    also: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str) -> "Label":
        """Return the label of a band that is called `name`, in a file's description or by its colour.

        >>> Label.of("SWIR16")
        Label(name='SWIR16', common='swir1', also=())
        """
        lowered = name.lower()
        return cls(name, SYNONYMS.get(lowered, lowered))

    def answers_to(self, name: str) -> bool:
        """Whether `name` means this band."""
        lowered = name.lower()
        called = {self.name.lower(), self.common.lower(), *(other.lower() for other in self.also)}
        return bool(name) and (lowered in called or SYNONYMS.get(lowered) in called)

    def __str__(self) -> str:
        """Return the band's name, and the common one where it is another."""
        plain = not self.common or self.common == self.name.lower()
        return self.name if plain else f"{self.name} {self.common}"


@dataclass(frozen=True)
class Registry:
    """The sensors that are known; those a user adds come first."""

    sensors: tuple[Sensor, ...]

    def named(self, name: str) -> Sensor:
        """Return the sensor of that name. Raises ConfigError."""
        for sensor in self.sensors:
            if sensor.name == name:
                return sensor
        known = ", ".join(sensor.name for sensor in self.sensors)
        raise ConfigError("scene.sensor", expected=f"auto, none or one of {known}", got=name)

    def of_file(self, name: str) -> tuple[Sensor, str, str] | None:
        """Return (sensor, product, band) for the name of a file of one band; None where no sensor knows it."""
        for sensor in self.sensors:
            named = sensor.match_file(name)
            if named:
                return sensor, *named
        return None

    def of_stack(self, name: str, platform: str, bands: int) -> Sensor | None:
        """Return the sensor of a file of several bands, by its name or by the satellite that its metadata names."""
        for sensor in self.sensors:
            if sensor.holds(name, bands):
                return sensor
        flown = [sensor for sensor in self.sensors if sensor.stacks and platform in sensor.platforms]
        return next((sensor for sensor in flown if len(sensor.bands) == bands), None)


_BAND_NUMBER = re.compile(r"b(?:and)?\d{1,2}a?", re.IGNORECASE)


def names_of_bands(stems: Sequence[str]) -> list[str] | None:
    """Return the band that each file's name tells, in its last word that is one; None unless all tell different ones.

    >>> names_of_bands(["scene_B04_10m", "scene_B8A_20m"]), names_of_bands(["north", "south"])
    (['B04', 'B8A'], None)
    """
    words = [[word for word in re.split(r"[^A-Za-z0-9]+", stem) if _is_band_name(word)] for stem in stems]
    names = [named[-1] for named in words if named]
    return names if len({name.lower() for name in names}) == len(stems) else None


def _is_band_name(word: str) -> bool:
    common = {band.common for sensor in _packaged() for band in sensor.bands}
    return _BAND_NUMBER.fullmatch(word) is not None or word.lower() in common | set(SYNONYMS) | set(POLARISATIONS)


def labels_of(names: Sequence[str], sensors: Iterable[Sensor]) -> tuple[Label, ...]:
    """Return the labels of bands that are called `names`.

    The names are those of a sensor that has them all, where all such sensors mean the same by them: ``B04`` is red, but
    ``B4`` is red to Landsat 8 and near infrared to Landsat 7.
    """
    meanings = set()
    for sensor in sensors:
        own = {label.name.lower(): label for label in sensor.labels()}
        if all(name.lower() in own for name in names):
            meanings.add(tuple(own[name.lower()] for name in names))
    return meanings.pop() if len(meanings) == 1 else tuple(Label.of(name) for name in names)


def composites_of(sensor: Sensor | None, labels: Sequence[Label]) -> dict[str, tuple[str, str, str]]:
    """Return the composites, name → bands, that a scene of these bands can make."""
    own = sensor.composites if sensor else {}
    return {
        name: bands
        for name, bands in {**COMPOSITES, **own}.items()
        if all(any(label.answers_to(band) for label in labels) for band in bands)
    }


def load_sensors(added: Path | None = None) -> Registry:
    """Return the sensors of the file `added`, then the program's own. Raises ConfigError for a file that is none."""
    return Registry((*(_read(added) if added else ()), *_packaged()))


@cache
def _packaged() -> tuple[Sensor, ...]:
    files = sorted(resources.files("nst_rs").joinpath("data", "sensors").iterdir(), key=lambda file: file.name)
    return tuple(sensor for file in files for sensor in _check(parse_yaml(file.read_text(encoding="utf-8"))))


def _read(path: Path) -> Iterable[Sensor]:
    try:
        return _check(parse_yaml(read_text(path)))
    except DocumentError as error:
        raise ConfigError(f"sensors {path}", expected="a readable YAML file", got=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"sensors {path}", expected="a list of sensors", got=f"{place}: {first['msg']}") from error


def _check(data: Any) -> tuple[Sensor, ...]:
    return TypeAdapter(tuple[Sensor, ...]).validate_python(data)
