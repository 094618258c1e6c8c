"""STAC items to products: where an item may point, and what its bands are. An item is not trusted."""

import logging
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pystac
from pystac.errors import STACError, STACTypeError

from nst_rs.errors import PixelTypeError, SceneError
from nst_rs.files.documents import MOST_BYTES, DocumentError, decode, parse_json, read_text
from nst_rs.files.locations import is_path
from nst_rs.scene.acquisition import Acquisition, together
from nst_rs.scene.metadata import Calibration
from nst_rs.scene.products import Product, Quality, Source
from nst_rs.scene.raster_file import Header, read_header
from nst_rs.scene.sensors import Registry, Sensor
from nst_rs.scene.stac_items.assets import Asset, Choice, Said, choose, compare_sizes, describe, finest
from nst_rs.scene.stac_items.bands import Band, label_bands, without_alpha_by_tag

log = logging.getLogger(__name__)

SUFFIXES = (".json", ".geojson")
_SCHEMES = ("http://", "https://", "s3://", "gs://", "az://")
_SECONDS = 60
_MOST_ITEMS = 1000
_COLLECTION = "collection.json"
"""The file beside or above an item that may describe its assets: no other file of this machine is read for that."""


def is_stac(location: str) -> bool:
    """Whether `location` names a STAC document.

    >>> is_stac("scene/item.json"), is_stac("https://a.org/items/a?token=x"), is_stac("https://a.org/a.tif")
    (True, False, False)
    """
    return location.partition("?")[0].lower().endswith(SUFFIXES) and not location.startswith("/vsi")


def read_items(location: str, wanted: Sequence[str], registry: Registry) -> list[Product]:
    """Return the products of an item, or of several, each of the `wanted` assets, or of those that hold its bands.

    Raises SceneError for what is no STAC, and for an asset that is not where an item may point: below its own folder,
    or on the network.
    """
    items = _items(location, _load(location))
    folder = str(Path(location).parent) if is_path(location) else location.partition("?")[0].rpartition("/")[0]
    place = _Place(f"{folder}/", registry)
    return [_product(item, place, wanted) for item in items]


def resolve(href: str, base: str) -> str:
    """Return where an asset lies. Raises SceneError for a place that an item has no business with.

    >>> resolve("./B04.tif", "https://a.org/item/")
    'https://a.org/item/B04.tif'
    """
    refusal = SceneError(
        f"STAC asset {href!r:.200}", expected=f"a place below {base}, or on the network", got="another"
    )
    plain = href.isprintable() and not href.lower().endswith(".vrt")
    if not plain or href.startswith("/vsi"):
        raise refusal
    if not is_path(href):
        if not href.lower().startswith(_SCHEMES):
            raise refusal
        return href
    if is_path(base):
        folder = Path(base).resolve()
        file = (folder / href).resolve()
        if not file.is_relative_to(folder):
            raise refusal
        return str(file)
    address = urljoin(base, href)
    if not address.startswith(base) or "/.." in address or re.search("%2e", address, re.IGNORECASE):
        raise refusal
    return address


class _Place:
    """Where items lie: what they point to from there is read once, and no more than they may point to."""

    def __init__(self, base: str, registry: Registry) -> None:
        self.base = base
        self.registry = registry
        self._header = cache(lambda href: read_header(resolve(href, base)))
        self._definitions = cache(_read_definitions)

    def header(self, asset: Asset) -> Header:
        """Return what the asset's file says of itself. Raises SceneError."""
        header: Header = self._header(asset.href)
        return header

    def finer(self, one: Asset, other: Asset) -> bool:
        """Whether `one` has smaller pixels: as the item says, else as the files are."""
        said = compare_sizes(one, other)
        if said is not None:
            return said
        mine, its = (abs(self.header(asset).grid.transform.determinant) for asset in (one, other))
        return bool(mine < its)

    def definitions(self, item: pystac.Item) -> Mapping[str, Said]:
        """Return what the item's collection says of assets, by key; nothing where it cannot be read."""
        link = item.get_single_link("collection")
        href = link.get_target_str() if link and link.has_target_href() else None
        place = _place_of_collection(href, self.base) if href else None
        return self._definitions(place) if place else {}


def _product(item: pystac.Item, place: _Place, wanted: Sequence[str]) -> Product:
    assets = describe(item, {})
    if not any(asset.is_raster and asset.is_described for asset in assets):
        assets = describe(item, place.definitions(item))
    rasters = [asset for asset in assets if asset.is_raster]
    if not rasters:
        raise _nothing(item, assets, "an asset that is a GeoTIFF or JPEG 2000", "give another item")
    chosen = _named(item, assets, wanted) if wanted else choose(rasters, place.finer)
    if not chosen:
        raise _nothing(item, assets, "an asset that holds data", "choose by key, with scene.assets")
    bands = list(_bands(item, chosen, place, keeps_all=bool(wanted)))
    sensor = _sensor([band.asset for band in bands], place.registry)
    gathered = not wanted and len({band.asset.key for band in bands}) > 1
    labels = label_bands(bands, sensor)
    sources = tuple(_source(band, item) for band in without_alpha_by_tag(bands, labels))
    return Product(item.id, sensor, labels, sources, _quality(item, rasters, place), _acquired(item), gathered)


def _named(item: pystac.Item, assets: Sequence[Asset], wanted: Sequence[str]) -> list[Choice]:
    """Return the assets of the `wanted` keys, in that order. Raises SceneError, saying which there are."""
    by_key = {asset.key: asset for asset in assets}
    missing = [key for key in wanted if key not in by_key or not by_key[key].is_raster]
    if missing:
        got = ", ".join(_shown(by_key[key]) if key in by_key else key for key in missing)
        known = ", ".join(asset.key for asset in assets if asset.is_raster)
        raise SceneError(f"STAC item {item.id}", expected=f"assets of {known}", got=got, do="see scene.assets")
    return [Choice(by_key[key]) for key in wanted]


def _nothing(item: pystac.Item, assets: Sequence[Asset], expected: str, remedy: str) -> SceneError:
    got = ", ".join(map(_shown, assets)) or "no assets"
    return SceneError(f"STAC item {item.id}", expected=expected, got=f"{got:.500}", do=remedy)


def _shown(asset: Asset) -> str:
    return f"{asset.key} ({asset.media_type or 'of no type'})"


def _bands(item: pystac.Item, chosen: Sequence[Choice], place: _Place, keeps_all: bool) -> Iterator[Band]:
    """Return the bands of the chosen assets; but for `keeps_all`, not those of a type that is not read.

    Raises PixelTypeError where none is left.
    """
    refused: list[PixelTypeError] = []
    for choice in chosen:
        try:
            header = place.header(choice.asset)
        except PixelTypeError as error:
            if keeps_all:
                raise
            refused.append(error)
            log.warning("STAC item %s: asset %s is left out: %s", item.id, choice.asset.key, error)
            continue
        if header.has_palette:
            header = header.as_colors()
        indices = range(1, header.count + 1)
        yield from (Band(choice.asset, header, index) for index in indices if choice.takes(index))
    if len(refused) == len(chosen):
        raise refused[0]


def _source(band: Band, item: pystac.Item) -> Source:
    """Return where a band is stored, with scale, offset and nodata as the item says, else as the file says."""
    said, header = band.said, band.header
    scale, offset, nodata = (said.get(name) for name in ("raster:scale", "raster:offset", "nodata"))
    try:
        calibration = header.calibrations[band.index - 1]
        if scale is not None or offset is not None:
            calibration = Calibration(1.0 if scale is None else float(scale), 0.0 if offset is None else float(offset))
        fill = None if nodata is None else float(nodata)  # "nan" and "inf" are words there
    except (ValueError, TypeError, OverflowError) as error:
        raise SceneError(
            f"STAC item {item.id}", expected="numbers for scale, offset and nodata", got=str(error)
        ) from error
    return Source(header, band.index, calibration, fill)


def _sensor(assets: Sequence[Asset], registry: Registry) -> Sensor | None:
    """Return the sensor of the assets, where all their files' names that are known are of one."""
    known = [match[0] for asset in assets if (match := registry.of_file(asset.file_name))]
    return known[0] if len({sensor.name for sensor in known}) == 1 else None


def _quality(item: pystac.Item, rasters: Sequence[Asset], place: _Place) -> Quality | None:
    """Return the finest raster that says where clouds are."""
    masks = [asset for asset in rasters if asset.mask_kind]
    if not masks:
        return None
    mask = finest(masks, place.finer)
    try:
        return Quality(place.header(mask), mask.mask_kind or "scl")
    except PixelTypeError as error:
        log.warning("STAC item %s: mask %s is left out: %s", item.id, mask.key, error)
        return None


def _acquired(item: pystac.Item) -> Acquisition | None:
    """Return the time that an item says: from start to end where it has both."""
    edges = [item.properties.get(name) for name in ("start_datetime", "end_datetime")]
    said = edges if all(edges) else [item.properties.get("datetime")]
    return together(Acquisition.told(text) if isinstance(text, str) else None for text in said)


def _items(location: str, data: Any) -> list[pystac.Item]:
    """Return the items that a document holds. Raises SceneError for what holds none."""
    kind = data.get("type") if isinstance(data, dict) else None
    if kind not in ("Feature", "FeatureCollection"):
        raise _no_item(location, data)
    try:
        items = (
            [pystac.Item.from_dict(data)] if kind == "Feature" else list(pystac.ItemCollection.from_dict(data).items)
        )
    except (STACError, STACTypeError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise SceneError(f"STAC {location}", expected="a valid item", got=f"{said:.300}") from error
    if not 0 < len(items) <= _MOST_ITEMS:
        raise SceneError(f"STAC {location}", expected=f"1 to {_MOST_ITEMS} items", got=str(len(items)))
    return items


def _no_item(location: str, data: Any) -> SceneError:
    """Return what to say of a document that is no item: of one that links to items, where they are."""
    expected = "an item, or a FeatureCollection of items"
    if not isinstance(data, dict) or data.get("type") not in ("Collection", "Catalog"):
        kind = repr(data.get("type")) if isinstance(data, dict) else type(data).__name__
        return SceneError(f"STAC {location}", expected=expected, got=f"{kind:.40}", do="give the address of an item")
    links = data.get("links")
    hrefs = [
        str(link.get("href"))
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") in ("item", "items", "child", "search")
    ]
    remedy = f"give one of its items; it links to {hrefs[0]:.200}" if hrefs else "give one of its items"
    return SceneError(f"STAC {location}", expected=expected, got=f"a {data['type']}, which holds none", do=remedy)


def _place_of_collection(href: str, base: str) -> str | None:
    """Return where an item's collection lies; None for a place that an item has no business with.

    >>> _place_of_collection("../collection.json", "https://a.org/items/one/")
    'https://a.org/items/collection.json'
    >>> _place_of_collection("../../elsewhere.json", "items/one/")
    """
    if not href.isprintable() or href.startswith("/vsi"):
        return None
    if is_path(href) and is_path(base):
        folder = Path(base).resolve()
        file = (folder / href).resolve()
        return str(file) if file in (folder / _COLLECTION, folder.parent / _COLLECTION) else None
    address = urljoin(base, href) if is_path(href) else href
    return address if address.lower().startswith(("http://", "https://")) else None


def _read_definitions(place: str) -> Mapping[str, Said]:
    """Return what the collection at `place` says of assets, by key; nothing where it cannot be read."""
    try:
        data = _load(place)
    except SceneError as error:
        log.warning("an item's collection is not read, so its assets keep the names that they have: %s", error)
        return {}
    said = data.get("item_assets") if isinstance(data, dict) else None
    return {key: fields for key, fields in said.items() if isinstance(fields, dict)} if isinstance(said, dict) else {}


def _load(location: str) -> Any:
    try:
        return parse_json(read_text(Path(location)) if is_path(location) else _fetch(location))
    except DocumentError as error:
        raise SceneError(f"STAC {location}", expected="readable JSON", got=str(error)) from error


def _fetch(address: str) -> str:
    if not address.startswith(("http://", "https://")):
        raise DocumentError("no http:// or https:// address")
    try:
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme was checked
            return decode(answer.read(MOST_BYTES + 1))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DocumentError(str(error)) from error
