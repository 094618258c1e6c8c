"""Files to products: which bands there are, in which file each lies, and what its stored values mean."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nst_rs.errors import SceneError
from nst_rs.files.archives import inside, locations_in
from nst_rs.files.locations import is_path
from nst_rs.geo.grid import bounds
from nst_rs.scene.acquisition import Acquisition
from nst_rs.scene.listing import files_at
from nst_rs.scene.metadata import Calibration, mtl_time, read_mtl, read_safe, safe_time
from nst_rs.scene.raster_file import Header, read_header
from nst_rs.scene.sensors import Label, MaskKind, Registry, Sensor, labels_of, names_of_bands

log = logging.getLogger(__name__)

_SAFE_METADATA = re.compile(r"MTD_MSIL[12][AC]\.xml|S2._\w+_MTD_SAFL[12][AC]_\w+\.xml")
"""What the metadata of a Sentinel-2 product are called, the latter until December 2016."""


@dataclass(frozen=True)
class Source:
    """One band, where it is stored."""

    header: Header
    index: int
    """From 1, in the file."""
    calibration: Calibration
    fill: float | None
    """A stored value that means no data, besides what the file's own tags and masks say."""
    tagged: bool = True
    """Whether the file's own nodata value means no data too."""
    whole: bool = False
    """Whether there is no data only where all bands of the file hold such a value; else where this one does."""
    saturated: float | None = None
    """A stored value that is to count as no data because the instrument saturated."""

    @property
    def nodata(self) -> float | None:
        """The stored value that stands for no data."""
        if self.fill is None and self.tagged:
            return self.header.nodata
        return self.fill


@dataclass(frozen=True)
class Quality:
    """A product's quality band."""

    header: Header
    kind: MaskKind


@dataclass(frozen=True)
class Product:
    """Bands that were taken together: those of one file, or one file per band."""

    name: str
    sensor: Sensor | None
    labels: tuple[Label, ...]
    """One per band."""
    sources: tuple[Source, ...]
    """One per band."""
    quality: Quality | None = None
    acquired: Acquisition | None = None
    """When, where that is known."""
    gathered: bool = False
    """Whether the bands were gathered from files whose order means nothing: red, green and blue go by name alone."""

    @property
    def nodata(self) -> float | None:
        """The stored value that stands for no data, of the first band."""
        return self.sources[0].nodata


@dataclass(frozen=True)
class Meaning:
    """What stored values mean, by what a user says; None leaves it to the files and the sensor."""

    nodata: float | Literal["none"] | None = None
    """In place of the files' own nodata values."""
    nodata_in: Literal["auto", "any", "all"] = "auto"
    """Whether any band must hold a nodata value, or all of them."""
    scale: float | None = None
    offset: float | None = None
    keep_saturated: bool = True

    def applied(self, source: Source, sensor: Sensor | None) -> Source:
        """Return `source` with what the user and the sensor say of its values."""
        calibration = source.calibration
        scale = calibration.scale if self.scale is None else self.scale
        offset = calibration.offset if self.offset is None else self.offset
        known = (sensor.nodata if sensor else None, source.fill)
        fill = next((value for value in known if value is not None), None)
        return replace(
            source,
            calibration=Calibration(scale, offset),
            fill=fill if self.nodata is None else None if self.nodata == "none" else self.nodata,
            tagged=self.nodata is None,
            whole=self._whole(source.header, sensor),
            saturated=sensor.saturated if sensor and not self.keep_saturated else None,
        )

    def _whole(self, header: Header, sensor: Sensor | None) -> bool:
        """Return whether all bands must hold the value: in pictures of bytes, where 0 and 255 are colours like others.

        A product that defines its fill means it band by band.
        """
        if self.nodata_in != "auto":
            return self.nodata_in == "all"
        return header.dtype == "uint8" and len(header.colors) > 1 and (sensor is None or sensor.nodata is None)


def find_products(locations: Sequence[str], registry: Registry, sensor: Sensor | None, detect: bool) -> list[Product]:
    """Return the products that files, and folders of them, are of; in the order given.

    `sensor` is what the user says they are of; else, with `detect`, file names and metadata say it. Files of one band
    each that cover the same ground are the bands of one product, by their names. Raises SceneError.
    """
    files = list(dict.fromkeys(file for location in locations for file in files_at(location)))
    known = Registry((sensor,)) if sensor else registry if detect else Registry(())
    bands = {file: named for file in files if (named := known.of_file(_name(file)))}
    grouped: dict[tuple[str, str], dict[str, str]] = {}
    for file, (band_sensor, product, band) in bands.items():
        _keep_finer(grouped.setdefault((band_sensor.name, product), {}), band, file)
    others = _headers([file for file in files if file not in bands], [product for _, product in grouped])
    together = _on_one_ground(others.values())
    products: dict[object, Product] = {}
    for file in files:
        if file in bands:
            band_sensor, product, _ = bands[file]
            key = band_sensor.name, product
            if key not in products:
                products[key] = _gathered(product, band_sensor, grouped[key])
        elif file in together:
            headers = together[file]
            if headers[0].location not in products:
                products[headers[0].location] = _by_band_names(headers, sensor, registry)
        elif file in others:
            products[file] = _stack(others[file], sensor or _sensor_of(others[file], known))
    return list(products.values())


def _headers(files: Sequence[str], products: Sequence[str]) -> dict[str, Header]:
    """Return file → header, without the files that belong to one of `products` and are none of its bands."""
    headers = {}
    for file in files:
        if any(_name(file).startswith(f"{product}_") for product in products):
            log.info("%s is no band of its product, and is not read", file)
        else:
            headers[file] = read_header(file)
    return headers


def _on_one_ground(headers: Iterable[Header]) -> dict[str, tuple[Header, ...]]:
    """Return location → all files of its ground, for files of one band that others of one band cover wholly."""
    grounds: dict[object, list[Header]] = {}
    for header in headers:
        if len(header.labels) == 1:
            edges = tuple(f"{edge:.9g}" for edge in bounds(header.grid))  # rounding in headers is forgiven
            grounds.setdefault((header.grid.crs, edges), []).append(header)
    return {header.location: tuple(some) for some in grounds.values() if len(some) > 1 for header in some}


def _by_band_names(headers: Sequence[Header], sensor: Sensor | None, registry: Registry) -> Product:
    """Return the product of files of one band each, as their descriptions or names say which band each is."""
    described = [header.labels[0].name for header in headers]
    distinct = len({name.lower() for name in described if name}) == len(headers)
    names = described if distinct else names_of_bands([Path(header.location).stem for header in headers])
    first = headers[0]
    if names is None:
        raise SceneError(
            f"scene {first.location} and {headers[1].location}",
            expected="tiles beside each other, or bands of one scene that are named as such",
            got=f"{len(headers)} files of one band each on the same ground",
            do="name each file by its band, such as scene_B04.tif or scene_red.tif, or give one of them alone",
        )
    labels = labels_of(names, (sensor,) if sensor else registry.sensors)
    sources = tuple(
        Source(header, 1, _calibration_of(sensor, label, header.calibrations[0]), None)
        for header, label in zip(headers, labels, strict=True)
    )
    return Product(first.location, sensor, labels, sources)


def _name(location: str) -> str:
    return location.rpartition("/")[2]


def _keep_finer(bands: dict[str, str], band: str, file: str) -> None:
    """Of a band that a product has at several resolutions, keep the finest: names tell them, and sort by them."""
    if band not in bands or file.rpartition("_")[2] < bands[band].rpartition("_")[2]:
        bands[band] = file


def _sensor_of(header: Header, registry: Registry) -> Sensor | None:
    return registry.of_stack(_name(header.location), header.platform, len(header.labels))


def _stack(header: Header, sensor: Sensor | None) -> Product:
    """Return the product of one file of several bands."""
    if header.has_palette:
        header = header.as_colors()
    labels = _stack_labels(header, sensor) if sensor else header.labels
    if header.alpha is not None and not labels[header.alpha - 1].answers_to("alpha"):
        header = replace(header, alpha=None)  # GDAL tags a fourth band of bytes so, whatever the product has there
    sources = tuple(
        Source(header, index, _calibration_of(sensor, label, header.calibrations[index - 1]), None)
        for index, label in enumerate(labels, start=1)
    )
    acquired = sensor.acquired(_name(header.location)) if sensor else None
    return Product(header.location, sensor, labels, sources, acquired=acquired)


def _stack_labels(header: Header, sensor: Sensor) -> tuple[Label, ...]:
    """Return the labels of a sensor's file: by the bands' descriptions, else by their order, else by their colours.

    Colours come last: files tag their first three bands red, green and blue whatever these hold.
    """
    known = sensor.labels()
    described = [sensor.label_of(name) for name in header.descriptions]
    colored = [sensor.label_of(label.name) for label in header.labels]
    if any(described):
        return tuple(own or label for own, label in zip(described, header.labels, strict=True))
    if header.count >= len(known):
        return (*known, *header.labels[len(known) :])
    if any(colored):
        return tuple(own or label for own, label in zip(colored, header.labels, strict=True))
    expected = f"at least {len(known)} bands, or bands that are named"
    raise SceneError(f"scene {header.location} as {sensor.name}", expected=expected, got=f"{header.count} bands")


def _gathered(product: str, sensor: Sensor, files: dict[str, str]) -> Product:
    """Return a product of one file per band, with its metadata's scale and offset."""
    first = next(iter(files.values()))
    metadata = _metadata(sensor, product, first)
    labels, sources = [], []
    for label in sensor.labels():
        called = [name for name in (label.name, *label.also) if name.upper() in files]
        if called:
            header = read_header(files[called[0].upper()])
            own = metadata.calibrations.get(label.name)
            labels.append(label)
            sources.append(Source(header, 1, own or _calibration_of(sensor, label, header.calibrations[0]), None))
    if not sources:
        raise SceneError(f"product {product}", expected=f"bands of {sensor.title}", got=", ".join(files))
    masks = [Quality(read_header(files[band]), kind) for band, kind in sensor.masks.items() if band in files]
    acquired = metadata.acquired or sensor.acquired(_name(first))
    return Product(product, sensor, tuple(labels), tuple(sources), masks[0] if masks else None, acquired)


def _calibration_of(sensor: Sensor | None, label: Label, tagged: Calibration) -> Calibration:
    """Return what the file's tags say of a band, else what the sensor's definition says."""
    if sensor is None or tagged.changes:
        return tagged
    band = next((band for band in sensor.bands if band.name == label.name), None)
    if band is None:
        return tagged
    scale = sensor.scale if band.scale is None else band.scale
    return Calibration(scale, sensor.offset if band.offset is None else band.offset)


@dataclass(frozen=True)
class _Metadata:
    """What metadata say of a product."""

    calibrations: dict[str, Calibration]
    """Band → calibration."""
    acquired: Acquisition | None


def _metadata(sensor: Sensor, product: str, file: str) -> _Metadata:
    """Return what the metadata that lie with a product's file say: nothing where there are none."""
    if sensor.metadata is None or not (is_path(file) or inside(file)):
        return _Metadata({}, None)
    if sensor.metadata == "mtl":
        beside = file.removesuffix(_name(file)) + f"{product}_MTL.txt"
        return _Metadata(read_mtl(beside), mtl_time(beside)) if beside in _files_with(file) else _Metadata({}, None)
    of_safe = re.match(r"(.*?)GRANULE/[^/]+/IMG_DATA/", file)  # R10m may be below
    root = of_safe[1] if of_safe else file.removesuffix(_name(file))
    files = [name for name in _files_with(f"{root}MTD") if _SAFE_METADATA.fullmatch(name.removeprefix(root))]
    if files:
        return _Metadata(read_safe(files[0]), safe_time(files[0]))
    log.info("no metadata with %s: its values stay as stored, if scene.scale and scene.offset do not say else", file)
    return _Metadata({}, None)


def _files_with(file: str) -> list[str]:
    """Return the files in the folder of a file, which may lie in an archive, sorted."""
    packed = inside(file)
    if packed is None:
        return sorted(str(path) for path in Path(file).parent.iterdir())
    folder = file.removesuffix(_name(file))
    return [name for name in locations_in(packed[0]) if name.removesuffix(_name(name)) == folder]
