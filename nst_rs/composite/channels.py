"""The channels red, green and blue: bands or spectral indices, by number or name."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Mask, Pixels
from nst_rs.errors import ConfigError
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.sensors import Label

log = logging.getLogger(__name__)

_OWN_NAMES = {
    "green1": "G1",
    "rededge1": "RE1",
    "rededge2": "RE2",
    "rededge3": "RE3",
    "swir1": "S1",
    "swir2": "S2",
    "thermal1": "T1",
    "thermal2": "T2",
    "vv": "VV",
    "vh": "VH",
    "hh": "HH",
    "hv": "HV",
}
"""Common names that spyndex does not know → its formulas' names of these bands."""

Channel = int | str
"""A band by its number from 1, or a spectral index by its name."""
Three = tuple[Channel, Channel, Channel]


@dataclass(frozen=True)
class Index:
    """A spectral index as spyndex has it, of some of a scene's bands."""

    name: str
    bands: dict[str, int]
    """The formula's name of a band → the band's number."""

    def compute(self, by_band: dict[int, Pixels]) -> Pixels:
        """Return the index; NaN or infinite where its formula divides by nothing."""
        import spyndex

        known = spyndex.indices[self.name]
        constants = {name: spyndex.constants[name].default for name in known.bands if name not in self.bands}
        bands = {name: by_band[number] for name, number in self.bands.items()}
        with np.errstate(all="ignore"):
            values = spyndex.computeIndex(self.name, {**bands, **constants})
        return np.asarray(values, np.float32)


@cache
def spyndex_bands() -> dict[str, str]:
    """Return common names → the names in spyndex's formulas. Where ours differ from spyndex's, ours count."""
    import spyndex

    theirs = {band.common_name: band.short_name for band in map(spyndex.bands.get, spyndex.bands)}
    return {name: short for name, short in theirs.items() if short not in _OWN_NAMES.values()} | _OWN_NAMES


class Channels:
    """Three channels of a scene: which bands they take, and their values."""

    def __init__(self, scene: Scene, chosen: Sequence[Channel]) -> None:
        """Prepare to compute `chosen`, as :func:`resolve_channels` returns them."""
        self._parts = [find_index(scene.labels, part) if isinstance(part, str) else part for part in chosen]
        used = [
            number for part in self._parts for number in (part.bands.values() if isinstance(part, Index) else [part])
        ]
        self.bands: tuple[int, ...] = tuple(dict.fromkeys(used))
        """The bands that are read, from 1."""
        plain = not any(isinstance(part, Index) for part in self._parts)
        self.dtype: str = scene.dtype if plain else "float32"
        """The type of the channels' values."""

    def compute(self, values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Mask]:
        """Return the channels, (3, h, w), of `values`, (bands, h, w), and where all of them are finite."""
        if self.dtype != "float32":
            stored = values[[self.bands.index(part) for part in self._parts if isinstance(part, int)]]
            return stored, np.ones(stored.shape[1:], np.bool_)
        by_band = {number: band.astype(np.float32, copy=False) for number, band in zip(self.bands, values, strict=True)}
        channels = np.stack([p.compute(by_band) if isinstance(p, Index) else by_band[p] for p in self._parts])
        return channels, np.isfinite(channels).all(axis=0)


def resolve_channels(scene: Scene, wanted: Sequence[Channel] | str | None) -> Three:
    """Return the channels for red, green and blue: bands as numbers from 1, spectral indices as spyndex names them.

    `wanted` holds numbers, names and indices, or is the name of a composite; None takes the bands named red, green and
    blue, else the first three, else the first one three times: of a scene of two that is warned of. Raises ConfigError
    for what the scene has not, and where nothing is wanted of bands that are neither named red, green and blue nor in
    an order that means something.
    """
    if isinstance(wanted, str):
        wanted = _composite(scene, wanted)
    if wanted is not None:
        red, green, blue = (resolve_channel(scene, channel, "composite.bands") for channel in wanted)
        return red, green, blue
    named = [_number(scene, name) for name in ("red", "green", "blue")]
    if all(named):
        red, green, blue = (number or 1 for number in named)
        return red, green, blue
    if any(tile.product.gathered for tile in scene.tiles):
        raise _no_order(scene)
    if len(scene.labels) >= 3:
        return 1, 2, 3
    if len(scene.labels) == 2 and not any(label.answers_to("alpha") for label in scene.labels):
        log.warning(
            "red, green and blue are all band 1 of two (%s); choose with composite.bands, for example [1, 2, 2]",
            ", ".join(str(label) or "unnamed" for label in scene.labels),
        )
    return 1, 1, 1


def resolve_bands(scene: Scene, wanted: Sequence[Channel] | Literal["all"] | None) -> tuple[int, ...]:
    """Return the numbers, from 1, of the bands to write beside the map. Raises ConfigError for what is no band."""
    if wanted is None:
        return ()
    if wanted == "all":
        return tuple(range(1, len(scene.labels) + 1))
    numbers = {channel: _band(scene, channel) for channel in wanted}
    for channel, number in numbers.items():
        if number is None:
            raise _no_band("output.bands", scene, channel)
    return tuple(filter(None, numbers.values()))


def _composite(scene: Scene, name: str) -> Sequence[str]:
    if name in scene.composites:
        return scene.composites[name]
    known = ", ".join(scene.composites) or "none, as its bands are not named"
    raise ConfigError(
        "composite.bands", expected=f"a composite that the scene can make ({known}), or three bands", got=repr(name)
    )


def resolve_channel(scene: Scene, channel: Channel, setting: str) -> Channel:
    """Return the number of the band, or the spectral index, that `setting` means. Raises ConfigError."""
    number = _band(scene, channel)
    if number is not None:
        return number
    if isinstance(channel, str) and channel and _official(channel):
        return find_index(scene.labels, channel, setting).name
    raise _no_band(setting, scene, channel)


def find_index(labels: Sequence[Label], name: str, setting: str = "composite.bands") -> Index:
    """Return the spectral index of that name, whatever its case. Raises ConfigError where the bands are not enough."""
    import spyndex

    official = _official(name)
    if official is None:
        raise ConfigError(setting, expected="a band, or a spectral index that spyndex knows", got=repr(name))
    short_names = spyndex_bands()
    by_name = {short_names.get(label.common): number for number, label in reversed(list(enumerate(labels, start=1)))}
    needed = [band for band in spyndex.indices[official].bands if band not in spyndex.constants]
    missing = [band for band in needed if band not in by_name]
    if missing:
        known = {short: common for common, short in short_names.items()}
        raise ConfigError(
            f"{setting}: {official}",
            expected=f"bands {', '.join(known.get(band, band) for band in needed)}",
            got=f"a scene without {', '.join(known.get(band, band) for band in missing)}",
        )
    return Index(official, {band: by_name[band] for band in needed})


def _official(name: str) -> str | None:
    import spyndex

    return next((known for known in spyndex.indices if known.lower() == name.lower()), None)


def _band(scene: Scene, channel: Channel) -> int | None:
    """Return the number of the band that `channel` means, if it means one."""
    if isinstance(channel, str):
        return _number(scene, channel) if channel else None
    return channel if 1 <= channel <= len(scene.labels) else None


def _no_band(setting: str, scene: Scene, channel: Channel) -> ConfigError:
    names = enumerate(scene.labels, start=1)
    known = ", ".join(f"{number} ({label})" if label.name else str(number) for number, label in names)
    nameless = isinstance(channel, str) and not any(label.name or label.common for label in scene.labels)
    numbers = [min(number, len(scene.labels)) for number in (1, 2, 3)]
    do = f"these bands have no names: set composite.bands to numbers, such as {numbers}" if nameless else ""
    return ConfigError(setting, expected=f"bands of {known}", got=repr(channel), do=do)


def _no_order(scene: Scene) -> ConfigError:
    names = ", ".join(str(label) or "-" for label in scene.labels)
    return ConfigError(
        "composite.bands",
        expected=f"three bands of {names}",
        got="none, and no bands called red, green and blue",
        do="name three there, or choose a STAC item's assets, in the order of the colours, with scene.assets",
    )


def _number(scene: Scene, name: str) -> int | None:
    """Return the number of the band of that name: its own before a common one."""
    own = [number for number, label in enumerate(scene.labels, start=1) if label.name.lower() == name.lower()]
    called = [number for number, label in enumerate(scene.labels, start=1) if label.answers_to(name)]
    return next(iter(own + called), None)
