"""What a STAC item says of its rasters, and which of them are the bands of a scene. Nothing is opened here."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pystac

from nst_rs.errors import SceneError
from nst_rs.scene.sensors import COMMON_NAMES, SYNONYMS, MaskKind

_RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "image/geotiff")
_SUFFIXES = (".tif", ".tiff", ".jp2")
_MASKS: Mapping[str, MaskKind] = {"scl": "scl", "qa_pixel": "qa_pixel", "bqa": "bqa"}
"""Rasters that say where clouds are, by key or band name in lower case → what their values mean."""
_FLAGS = re.compile(r"(^|[-_])(udm\d?|f?mask|qa|qc|quality)($|[-_])")
"""What stands in the keys, in lower case, of rasters that say how far others can be used."""
_MASK_ROLES = {"cloud", "cloud-shadow", "snow-ice", "water-mask", "land-water", "data-mask", "saturation"}
_PICTURE_ROLES = {"visual", "overview"}
_PICTURES = {"visual", "tci", "true_color", "overview", "preview", "rendered_preview"}
"""Keys of renderings for the eye: several catalogues give them no other role than data."""
_ASIDE_ROLES = {"thumbnail", "metadata"}
_FORMAT = re.compile(r"([-_.](jp2|tiff?|cog))+$", re.IGNORECASE)
_FORMAT_OR_SIZE = re.compile(r"([-_.](jp2|tiff?|cog|\d+m))+$", re.IGNORECASE)
_BAND_LISTS = ("raster:bands", "eo:bands", "bands")
"""Lists of bands' fields by position, of STAC 1.0 and 1.1; where several name one field, the last one stands."""
_SHARED_VALUES = ("nodata", "raster:scale", "raster:offset", "raster:spatial_resolution")
_SHARED_NAMES = ("eo:common_name", "eo:center_wavelength")
_NAMES = {"name", "description", *_SHARED_NAMES}
_NOW_CALLED = {
    "scale": "raster:scale",
    "offset": "raster:offset",
    "spatial_resolution": "raster:spatial_resolution",
    "common_name": "eo:common_name",
    "center_wavelength": "eo:center_wavelength",
}
"""Fields of bands in STAC 1.0 → their names in STAC 1.1."""

Said = Mapping[str, Any]
"""What an item says of one band: fields by their names in STAC 1.1, their values unchecked."""
Identity = tuple[str, str]
"""What tells a band from the others of its item, whichever file holds it."""


@dataclass(frozen=True)
class Asset:
    """A raster of an item, as the item describes it."""

    key: str
    href: str
    media_type: str
    roles: frozenset[str]
    shared: Said
    """What holds for all its bands."""
    bands: tuple[Said, ...]
    """What holds for each band; empty where the item lists none."""
    fields: Said
    """All other fields, as they stand."""

    @property
    def file_name(self) -> str:
        """The name of its file, without the token that may follow it."""
        return self.href.partition("?")[0].rpartition("/")[2]

    @property
    def base(self) -> str:
        """Its key in lower case, without a format or a pixel size at the end.

        >>> Asset("Red_20m-jp2", "", "", frozenset(), {}, (), {}).base
        'red'
        """
        return _FORMAT_OR_SIZE.sub("", self.key).lower()

    @property
    def is_raster(self) -> bool:
        """Whether its type, or the name of its file, is a raster's."""
        media_type = self.media_type.partition(";")[0].strip().lower()
        return media_type in _RASTERS or self.file_name.lower().endswith(_SUFFIXES)

    @property
    def is_picture(self) -> bool:
        """Whether it is a rendering for the eye."""
        return bool(_PICTURE_ROLES & self.roles) or self.base in _PICTURES

    @property
    def is_aside(self) -> bool:
        """Whether it is a thumbnail, or describes the others."""
        return bool(_ASIDE_ROLES & self.roles)

    @property
    def mask_kind(self) -> MaskKind | None:
        """What its values mean, where they say where clouds are."""
        names = (self.base, *(str(said.get("name")).lower() for said in self.bands))
        return next((_MASKS[name] for name in names if name in _MASKS), None)

    @property
    def is_measured(self) -> bool:
        """Whether it holds measurements, and neither classes, flags nor a rendering."""
        said = (self.fields, *self.bands)
        classes = any(field.startswith("classification:") for fields in said for field in fields)
        flags = _MASK_ROLES & self.roles or self.mask_kind or _FLAGS.search(self.base)
        return not (classes or flags or self.is_picture or self.is_aside)

    @property
    def is_described(self) -> bool:
        """Whether the item says which bands it holds; a key that is a common name says it too."""
        listed = any(_NAMES & said.keys() for said in (self.shared, *self.bands))
        return listed or "sar:polarizations" in self.fields or SYNONYMS.get(self.base, self.base) in COMMON_NAMES

    def said_of(self, index: int, count: int) -> Said:
        """Return what the item says of band `index`, from 1, of the `count` bands that the file holds."""
        if index <= len(self.bands):
            return self.bands[index - 1]
        return {field: self.shared[field] for field in self.shared if count == 1 or field in _SHARED_VALUES}

    def identities(self) -> tuple[Identity, ...]:
        """Return the identity of each band that the item lists; of a raster without a list, one."""
        return tuple(self._identity(said) for said in self.bands or (self.shared,))

    def _identity(self, said: Said) -> Identity:
        name, common = str(said.get("name", "")).lower(), common_name(said)
        return (name or self.base, common) if common else (self.base, name)

    def sizes(self) -> tuple[float | None, ...]:
        """Return the side of a pixel as its transform, its resolution and its ground sample distance have it.

        The three are of different units and meanings: only numbers of one kind compare.
        """
        transform = self.fields.get("proj:transform")
        numbers = [_number(value) or 0.0 for value in transform[:5]] if isinstance(transform, list) else []
        area = abs(numbers[0] * numbers[4] - numbers[1] * numbers[3]) if len(numbers) == 5 else 0.0
        said = self.bands[0] if self.bands else self.shared
        resolution = _number(said.get("raster:spatial_resolution"))
        return area**0.5 or None, resolution, _number(self.fields.get("gsd"))


Finer = Callable[[Asset, Asset], bool]
"""Whether the first of two rasters has the smaller pixels."""


@dataclass(frozen=True)
class Choice:
    """A raster that is chosen, and the bands in it that no finer raster holds."""

    asset: Asset
    identities: frozenset[Identity] | None = None
    """The bands that are taken of those that the item lists; None takes all."""

    def takes(self, index: int) -> bool:
        """Whether band `index`, from 1, is taken."""
        listed = self.asset.identities()
        return self.identities is None or index > len(listed) or listed[index - 1] in self.identities


def describe(item: pystac.Item, definitions: Mapping[str, Said]) -> list[Asset]:
    """Return an item's assets; what it does not say of one is as the collection's `definitions` have it.

    Raises SceneError where bands are no lists of objects.
    """
    return [_asset(item, str(key), asset, definitions.get(str(key), {})) for key, asset in item.assets.items()]


def _asset(item: pystac.Item, key: str, asset: pystac.Asset, definition: Said) -> Asset:
    fields = {**definition, **asset.extra_fields}
    lists = [_by_number(fields.get(name) or [], item.properties.get(name)) for name in _BAND_LISTS]
    if not (all(map(_objects, lists)) and isinstance(asset.href, str)):
        raise SceneError(f"STAC item {item.id}", expected="bands as lists of objects", got=f"others, in asset {key}")
    shared = {**_plain(item.properties, _SHARED_VALUES), **_plain(fields, (*_SHARED_VALUES, *_SHARED_NAMES))}
    count = max(map(len, lists))
    bands = tuple({**shared, **_merged(lists, position)} for position in range(count))
    roles = asset.roles or definition.get("roles")
    names = frozenset(map(str, roles)) if isinstance(roles, list) else frozenset()
    media_type = str(asset.media_type or definition.get("type") or "")
    return Asset(key, asset.href, media_type, names, shared, bands, fields)


def _by_number(bands: Any, listed: Any) -> Any:
    """Return `bands`; those that are numbers of the item's own list, as in STAC before 1.0, as that list has them."""
    if not (isinstance(bands, list) and isinstance(listed, list)):
        return bands
    known = dict(enumerate(listed))
    return [known.get(band, band) if isinstance(band, int) else band for band in bands]


def _objects(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _plain(fields: Said, names: Iterable[str]) -> Said:
    """Return the fields of these names that hold something."""
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _merged(lists: Sequence[Sequence[dict[str, Any]]], position: int) -> Said:
    """Return what several lists say of the band at one position."""
    merged: dict[str, Any] = {}
    for bands in lists:
        if position < len(bands):
            said = {_NOW_CALLED.get(name, name): value for name, value in bands[position].items()}
            merged |= _plain(said, said)
    return merged


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and abs(value) < 1e15 and value else None


def common_name(said: Said) -> str:
    """Return the common name that an item gives a band, as this program has it; nothing where it gives none.

    >>> common_name({"eo:common_name": "SWIR16"})
    'swir1'
    """
    common = str(said.get("eo:common_name", "")).lower()
    return SYNONYMS.get(common, common)


def choose(assets: Sequence[Asset], finer: Finer) -> list[Choice]:
    """Return the rasters that are an item's scene, where nobody chose.

    They are the rasters whose bands are described, each band from the finest of them; else all that hold measurements;
    else the finest rendering for the eye; else whatever is no thumbnail.
    """
    measured = [asset for asset in assets if asset.is_measured]
    described = [asset for asset in measured if asset.is_described]
    if measured:
        return list(_finest_of_each_band(described or measured, finer))
    pictures = [asset for asset in assets if asset.is_picture and not asset.is_aside]
    if pictures:
        return [Choice(finest(pictures, finer))]
    return [Choice(asset) for asset in assets if not asset.is_aside]


def _finest_of_each_band(assets: Sequence[Asset], finer: Finer) -> Iterator[Choice]:
    """Return the assets that hold each band finest, in the order in which the bands are first listed."""
    holders: dict[Identity, Asset] = {}
    for asset in assets:
        for identity in asset.identities():
            if identity not in holders or finer(asset, holders[identity]):
                holders[identity] = asset
    for key, asset in {asset.key: asset for asset in holders.values()}.items():
        yield Choice(asset, frozenset(identity for identity, holder in holders.items() if holder.key == key))


def finest(assets: Sequence[Asset], finer: Finer) -> Asset:
    """Return the raster of the smallest pixels; of equal ones the first."""
    best = assets[0]
    for asset in assets[1:]:
        if finer(asset, best):
            best = asset
    return best


def compare_sizes(one: Asset, other: Asset) -> bool | None:
    """Return whether `one` has smaller pixels than `other` by what the item says; None where it does not say it.

    The same raster in another format, by its key, never has.
    """
    if _FORMAT.sub("", one.key) == _FORMAT.sub("", other.key):
        return False
    pairs = zip(one.sizes(), other.sizes(), strict=True)
    return next((mine < its for mine, its in pairs if mine is not None and its is not None), None)
