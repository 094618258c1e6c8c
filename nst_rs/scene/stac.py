"""STAC items to products: which assets are bands, where they lie, what their values mean. An item is not trusted."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pystac
from pystac.errors import STACError, STACTypeError

from nst_rs.errors import SceneError
from nst_rs.files.documents import MOST_BYTES, DocumentError, decode, parse_json, read_text
from nst_rs.files.locations import is_path
from nst_rs.scene.acquisition import Acquisition, together
from nst_rs.scene.metadata import Calibration
from nst_rs.scene.products import Product, Quality, Source
from nst_rs.scene.raster_file import read_header
from nst_rs.scene.sensors import SYNONYMS, Label, MaskKind, Registry, Sensor

SUFFIXES = (".json", ".geojson")
_SCHEMES = ("http://", "https://", "s3://", "gs://", "az://")
_RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "image/geotiff")
_QUALITY: Mapping[str, MaskKind] = {"scl": "scl", "qa_pixel": "qa_pixel"}
"""Assets by their key → what their values mean."""
_SECONDS = 60
_MOST_ITEMS = 1000


def is_stac(location: str) -> bool:
    """Whether `location` names a STAC document.

    >>> is_stac("scene/item.json"), is_stac("https://a.org/items/a?token=x"), is_stac("https://a.org/a.tif")
    (True, False, False)
    """
    return location.partition("?")[0].lower().endswith(SUFFIXES) and not location.startswith("/vsi")


def read_items(location: str, wanted: Sequence[str], registry: Registry) -> list[Product]:
    """Return the products of an item, or of a collection of items, each of the `wanted` assets, or of those with data.

    Raises SceneError for what is no STAC, and for an asset that is not where an item may point: below its own folder,
    or on the network.
    """
    data = _load(location)
    if not isinstance(data, dict) or data.get("type") not in ("Feature", "FeatureCollection"):
        raise SceneError(f"STAC {location}", expected="an item, or a collection of items", got=_kind(data))
    try:
        if data["type"] == "Feature":
            items = [pystac.Item.from_dict(data)]
        else:
            items = list(pystac.ItemCollection.from_dict(data).items)
    except (STACError, STACTypeError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise SceneError(f"STAC {location}", expected="a valid item", got=f"{said:.300}") from error
    if not 0 < len(items) <= _MOST_ITEMS:
        raise SceneError(f"STAC {location}", expected=f"1 to {_MOST_ITEMS} items", got=str(len(items)))
    base = (
        str(Path(location).parent) + "/" if is_path(location) else location.partition("?")[0].rpartition("/")[0] + "/"
    )
    return [_product(item, base, wanted, registry) for item in items]


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
        found = (folder / href).resolve()
        if not found.is_relative_to(folder):
            raise refusal
        return str(found)
    address = urljoin(base, href)
    if not address.startswith(base) or "/.." in address or re.search("%2e", address, re.IGNORECASE):
        raise refusal
    return address


@dataclass(frozen=True)
class _Asset:
    key: str
    location: str
    bands: tuple[Mapping[str, Any], ...]
    """What the item says of its bands."""
    roles: tuple[str, ...]
    kind: str

    @property
    def holds_data(self) -> bool:
        """Whether it is a raster that is no overview."""
        raster = self.kind.split(";")[0].strip().lower() in _RASTERS or self.location.lower().endswith((".tif", ".jp2"))
        return raster and not {"overview", "thumbnail", "visual", "metadata"} & set(self.roles)


def _product(item: pystac.Item, base: str, wanted: Sequence[str], registry: Registry) -> Product:
    assets = dict(_assets(item, base))
    missing = [key for key in wanted if key not in assets]
    if missing:
        known = ", ".join(assets)
        raise SceneError(
            f"STAC item {item.id}", expected=f"assets of {known}", got=", ".join(missing), do="see scene.assets"
        )
    chosen = [assets[key] for key in wanted] or _with_data(assets)
    labels: list[Label] = []
    sources: list[Source] = []
    sensor = _sensor(chosen, registry)
    for asset in chosen:
        header = read_header(asset.location)
        for index in range(1, len(header.labels) + 1):
            said = asset.bands[index - 1] if index <= len(asset.bands) else {}
            label = _label(said, asset.key if len(header.labels) == 1 else header.labels[index - 1].name)
            if label not in labels:
                labels.append(label)
                sources.append(_source(Source(header, index, header.calibrations[index - 1], None), said, item.id))
    if not sources:
        raise SceneError(f"STAC item {item.id}", expected="assets that are rasters", got="none", do="see scene.assets")
    quality = next(
        (Quality(read_header(assets[key].location), _QUALITY[key]) for key in assets if key in _QUALITY), None
    )
    return Product(item.id, sensor, tuple(labels), tuple(sources), quality, _acquired(item))


def _acquired(item: pystac.Item) -> Acquisition | None:
    """Return the time that an item says: from start to end where it has both."""
    edges = [item.properties.get(name) for name in ("start_datetime", "end_datetime")]
    said = edges if all(edges) else [item.properties.get("datetime")]
    return together(Acquisition.told(text) if isinstance(text, str) else None for text in said)


def _assets(item: pystac.Item, base: str) -> Iterator[tuple[str, _Asset]]:
    for key, asset in item.assets.items():
        bands = asset.extra_fields.get("bands") or asset.extra_fields.get("eo:bands") or []
        values = asset.extra_fields.get("raster:bands") or []
        if not (_mappings(bands) and _mappings(values) and isinstance(asset.href, str)):
            raise SceneError(
                f"STAC item {item.id}", expected="bands as lists of objects", got=f"others, in asset {key}"
            )
        count = max(len(bands), len(values))
        merged = tuple(_at(values, place) | _at(bands, place) for place in range(count))
        roles = tuple(map(str, asset.roles or ()))
        kind = str(asset.media_type or "")
        found = _Asset(str(key), asset.href, merged, roles, kind)
        if found.holds_data:
            yield found.key, replace(found, location=resolve(asset.href, base))


def _mappings(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, dict) for one in found)


def _at(found: Sequence[dict[str, Any]], place: int) -> dict[str, Any]:
    return found[place] if place < len(found) else {}


def _with_data(assets: Mapping[str, _Asset]) -> list[_Asset]:
    """Return the assets that are bands: those whose bands are described, else all; no quality bands."""
    bands = [asset for key, asset in assets.items() if key not in _QUALITY]
    described = [asset for asset in bands if any(_common(band) for band in asset.bands)]
    found: dict[tuple[str, ...], _Asset] = {}
    for asset in described or bands:  # the same bands are often there in several formats
        found.setdefault(tuple(_common(band) for band in asset.bands) if described else (asset.key,), asset)
    return list(found.values())


def _common(band: Mapping[str, Any]) -> str:
    return str(band.get("eo:common_name") or band.get("common_name") or "")


def _label(said: Mapping[str, Any], key: str) -> Label:
    name, common = str(said.get("name") or key), _common(said)
    return Label(name, SYNONYMS.get(common, common), (key,)) if common else Label.of(name)


def _source(source: Source, said: Mapping[str, Any], item: str) -> Source:
    """Return `source` with scale, offset and nodata as the item says."""
    scale, offset, nodata = (said.get(f"raster:{name}", said.get(name)) for name in ("scale", "offset", "nodata"))
    try:
        if scale is not None or offset is not None:
            calibration = Calibration(1.0 if scale is None else float(scale), 0.0 if offset is None else float(offset))
            source = replace(source, calibration=calibration)
        # An item's nodata stands where the file has none; "nan" and "inf" are words there.
        fill = source.header.nodata if nodata is None else float(nodata)
    except (ValueError, TypeError) as error:
        raise SceneError(
            f"STAC item {item}", expected="numbers for scale, offset and nodata", got=str(error)
        ) from error
    return replace(source, fill=fill)


def _sensor(assets: Sequence[_Asset], registry: Registry) -> Sensor | None:
    """Return the sensor of the assets, where all their names are of one."""
    found = {known[0].name: known[0] for a in assets if (known := registry.of_file(a.location.rpartition("/")[2]))}
    return next(iter(found.values())) if len(found) == 1 else None


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


def _kind(data: Any) -> str:
    return f"{data.get('type')!r:.40}" if isinstance(data, dict) else type(data).__name__
