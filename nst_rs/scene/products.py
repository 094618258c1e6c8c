"""Files to products: which bands there are, in which file each lies, and what its stored values mean."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from nst_rs.errors import PixelTypeError, SceneError
from nst_rs.files.locations import file_of, is_path
from nst_rs.geo.grid import Box, Grid
from nst_rs.scene.acquisition import Acquisition
from nst_rs.scene.metadata import Calibration, mtl_time, read_mtl, read_safe, safe_time
from nst_rs.scene.sensors import Label, MaskKind, Registry, Sensor

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".img", ".ntf"})
"""File names that are looked for in a folder."""
DTYPES = ("uint8", "uint16", "int16", "float32")
GDAL_CACHE_BYTES = 256 * 2**20
"""For decoded blocks, in place of GDAL's own twentieth of all memory: a strip of rows of a wide scene."""

_DRIVERS = ("GTiff", "JP2OpenJPEG", "HFA", "NITF", "ENVI", "PNG", "JPEG")
"""Formats of pictures of the ground. GDAL knows others that fetch what a text file tells them to."""
_MOST_SIDE = 2**20
_MOST_PIXELS = 2**36
_MOST_BLOCK_BYTES = 2**30
_MOST_BANDS = 1000
_MOST_UNFOLDED, _UNFOLDED_ANYWAY = 2000, 2**28
_NETWORK = {"GDAL_HTTP_TIMEOUT": 60, "GDAL_HTTP_CONNECTTIMEOUT": 15, "GDAL_HTTP_MAX_RETRY": 2}
_FAILURES = (RasterioError, CPLE_BaseError, ValueError, OverflowError, SystemError)
"""What rasterio raises for what is damaged or hostile in a file; the last for a name that is no UTF-8."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    location: str
    grid: Grid
    labels: tuple[Label, ...]
    dtype: str
    nodata: float | None
    calibrations: tuple[Calibration, ...]
    platform: str
    """The satellite that its metadata names, or nothing."""


@dataclass(frozen=True)
class Source:
    """One band, where it is stored."""

    header: Header
    index: int
    """From 1, in the file."""
    calibration: Calibration
    fill: float | None
    """A stored value that means no data, besides what the file's own tags and masks say."""
    saturated: float | None = None
    """A stored value that is to count as no data because the instrument saturated."""


@dataclass(frozen=True)
class Quality:
    """A product's quality band."""

    header: Header
    kind: MaskKind


@dataclass(frozen=True)
class Product:
    """Bands that were taken together: those of one file, or one file a band."""

    name: str
    sensor: Sensor | None
    labels: tuple[Label, ...]
    """One a band."""
    sources: tuple[Source, ...]
    """One a band."""
    quality: Quality | None = None
    acquired: Acquisition | None = None
    """When, where that is known."""
    gathered: bool = False
    """Whether the bands were gathered from files whose order means nothing: red, green and blue go by name alone."""

    @property
    def nodata(self) -> float | None:
        """The stored value that stands for no data."""
        first = self.sources[0]
        return first.header.nodata if first.fill is None else first.fill


@dataclass(frozen=True)
class Meaning:
    """What stored values mean, by what a user says; None leaves it to the files and the sensor."""

    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None
    keep_saturated: bool = True

    def applied(self, source: Source, sensor: Sensor | None) -> Source:
        """Return `source` with what the user and the sensor say of its values."""
        calibration = source.calibration
        scale = calibration.scale if self.scale is None else self.scale
        offset = calibration.offset if self.offset is None else self.offset
        known = (self.nodata, sensor.nodata if sensor else None, source.fill)
        fill = next((value for value in known if value is not None), None)
        saturated = sensor.saturated if sensor and not self.keep_saturated else None
        return replace(source, calibration=Calibration(scale, offset), fill=fill, saturated=saturated)


@contextmanager
def opened(location: str, expected: str = "a raster that GDAL can read") -> Iterator[Any]:
    """Open a raster for reading, with GDAL held to this program's limits.

    Raises SceneError, which says what was `expected`, for whatever GDAL raises while it is open.
    """
    options: dict[str, Any] = {"GDAL_CACHEMAX": GDAL_CACHE_BYTES, **_NETWORK}
    if not is_path(location):
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # read_header refuses such files
            with rasterio.Env(**options), DatasetReader(location, driver=_drivers(location)) as source:
                yield source
    except _FAILURES as error:
        raise SceneError(f"scene {location}", expected=expected, got=_said(error)) from error


def _drivers(location: str) -> list[str]:
    """Return the formats to try; a VRT, which names other files, must be called one."""
    return [*_DRIVERS, "VRT"] if location.lower().endswith(".vrt") else list(_DRIVERS)


def read_header(location: str) -> Header:
    """Return what a file says of itself. Raises SceneError for one that cannot be a part of a scene."""
    with opened(location) as source:
        _check_size(location, source)
        _check_place(location, source)
        return _header(location, source)


def find_products(locations: Sequence[str], registry: Registry, sensor: Sensor | None, detect: bool) -> list[Product]:
    """Return the products that files, and folders of them, are of; in the order given.

    `sensor` is what the user says they are of; else, with `detect`, file names and metadata say it. Raises SceneError.
    """
    files = [file for location in locations for file in _files(location)]
    known = Registry((sensor,)) if sensor else registry if detect else Registry(())
    bands = {file: named for file in files if (named := known.of_file(_name(file)))}
    grouped: dict[tuple[str, str], dict[str, str]] = {}
    for file, (band_sensor, product, band) in bands.items():
        _keep_finer(grouped.setdefault((band_sensor.name, product), {}), band, file)
    found: dict[object, Product] = {}
    for file in files:
        if file in bands:
            band_sensor, product, _ = bands[file]
            key = band_sensor.name, product
            if key not in found:
                found[key] = _gathered(product, band_sensor, grouped[key])
        elif any(_name(file).startswith(f"{product}_") for _, product in grouped):
            log.info("%s is no band of its product, and is not read", file)
        else:
            header = read_header(file)
            found[file] = _stack(header, sensor or _sensor_of(header, known))
    return list(found.values())


def _name(location: str) -> str:
    return location.rpartition("/")[2]


def _keep_finer(bands: dict[str, str], band: str, file: str) -> None:
    """Of a band that a product has at several resolutions, keep the finest: names tell them, and sort by them."""
    if band not in bands or file.rpartition("_")[2] < bands[band].rpartition("_")[2]:
        bands[band] = file


def _files(location: str) -> Iterable[str]:
    if not is_path(location):
        return [location]
    path = Path(location)
    if path.is_dir():
        found = sorted(str(p) for p in _listed(path) if p.suffix.lower() in SUFFIXES)
        if not found:
            raise SceneError(f"scene folder {path}", expected="GeoTIFF files", got="none")
        return found
    if path.exists():
        return [location]
    raise SceneError(f"scene {path}", expected="a file or folder", got="nothing of that name")


def _listed(folder: Path) -> Iterable[Path]:
    """Return a folder's files; of a SAFE folder the bands deep inside."""
    bands = list(folder.glob("GRANULE/*/IMG_DATA/**/*"))
    return [path for path in bands if path.is_file()] or folder.iterdir()


def _sensor_of(header: Header, registry: Registry) -> Sensor | None:
    return registry.of_stack(_name(header.location), header.platform, len(header.labels))


def _stack(header: Header, sensor: Sensor | None) -> Product:
    """Return the product of one file of several bands."""
    labels = header.labels
    if sensor:
        named = [sensor.label_of(label.name) for label in labels]
        known = sensor.labels()
        if any(named):
            labels = tuple(found or label for found, label in zip(named, labels, strict=True))
        elif len(labels) >= len(known):
            labels = (*known, *labels[len(known) :])
        else:
            expected = f"at least {len(known)} bands, or bands that are named"
            raise SceneError(f"scene {header.location} as {sensor.name}", expected=expected, got=f"{len(labels)} bands")
    sources = tuple(
        Source(header, index, _calibration_of(sensor, label, header.calibrations[index - 1]), None)
        for index, label in enumerate(labels, start=1)
    )
    acquired = sensor.acquired(_name(header.location)) if sensor else None
    return Product(header.location, sensor, labels, sources, acquired=acquired)


def _gathered(product: str, sensor: Sensor, files: dict[str, str]) -> Product:
    """Return a product of one file a band, with its metadata's scale and offset."""
    first = next(iter(files.values()))
    metadata = _metadata(sensor, product, Path(first))
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


def _metadata(sensor: Sensor, product: str, file: Path) -> _Metadata:
    """Return what the metadata that lie with a product's file say: nothing where there are none."""
    if sensor.metadata is None or not is_path(str(file)):
        return _Metadata({}, None)
    if sensor.metadata == "mtl":
        beside = file.with_name(f"{product}_MTL.txt")
        return _Metadata(read_mtl(beside), mtl_time(beside)) if beside.is_file() else _Metadata({}, None)
    folder = file.absolute().parent
    if "GRANULE" in folder.parts:  # GRANULE/*/IMG_DATA/R10m, of a SAFE folder
        folder = Path(*folder.parts[: folder.parts.index("GRANULE")])
    found = sorted(folder.glob("MTD_MSIL[12][AC].xml"))
    if found:
        return _Metadata(read_safe(found[0]), safe_time(found[0]))
    log.info("no metadata with %s: its values stay as stored, if scene.scale and scene.offset do not say else", file)
    return _Metadata({}, None)


def _check_size(location: str, source: Any) -> None:
    """Refuse what would take all memory, or all time, for what it holds."""
    check_extent(f"scene {location}", (0, 0, source.height, source.width))
    if source.count > _MOST_BANDS:
        raise SceneError(f"scene {location}", expected=f"at most {_MOST_BANDS} bands", got=f"{source.count}")
    _check_density(location, source)
    rows, columns = source.block_shapes[0]
    if rows * columns * 4 > _MOST_BLOCK_BYTES:
        raise SceneError(
            f"scene {location}",
            expected=f"blocks of at most {_MOST_BLOCK_BYTES // 2**20} MB",
            got=f"blocks of {columns} × {rows} pixels",
            do="cut it into tiles, with gdal_translate -co TILED=YES",
        )


def _check_density(location: str, source: Any) -> None:
    """Refuse a file of next to nothing that unfolds to gigabytes: deflate packs a thousand bytes into one at best."""
    file = file_of(location)
    if file is None or source.driver == "VRT":
        return
    held = source.width * source.height * source.count
    stored = file.stat().st_size
    if held > _MOST_UNFOLDED * stored and held > _UNFOLDED_ANYWAY:
        raise SceneError(
            f"scene {location}",
            expected=f"a file of at least a byte for {_MOST_UNFOLDED} pixels",
            got=f"{stored} bytes for {source.width} × {source.height} pixels in {source.count} bands",
        )


def _check_place(location: str, source: Any) -> None:
    """Refuse what does not say where its pixels lie."""
    turned = source.transform == Affine.identity()
    if turned and source.gcps[0]:
        remedy = "rectify it first, with gdalwarp -order 1, or -tps"
        raise SceneError(f"scene {location}", expected="a geotransform", got="ground control points", do=remedy)
    if turned and source.rpcs is not None:
        remedy = "rectify it first, with gdalwarp -rpc"
        raise SceneError(f"scene {location}", expected="a geotransform", got="rational polynomials (RPCs)", do=remedy)
    if source.crs is None:
        raise SceneError(f"scene {location}", expected="a CRS", got="none", do="assign one, with gdal_edit.py -a_srs")
    if turned:
        raise SceneError(f"scene {location}", expected="a geotransform", got="none", do="georeference it first")


def _header(location: str, source: Any) -> Header:
    dtype = source.dtypes[0]
    if set(source.dtypes) != {dtype} or dtype not in DTYPES:
        expected = f"bands of one type of {', '.join(DTYPES)}"
        raise PixelTypeError(f"scene {location}", expected=expected, got=f"{source.dtypes}")
    grid = Grid(source.crs, source.transform, source.width, source.height)
    _check_grid(location, grid)
    calibrations = tuple(Calibration(*pair) for pair in zip(source.scales, source.offsets, strict=True))
    platform = source.tags(ns="IMAGERY").get("SATELLITEID", "")
    return Header(location, grid, _labels(source), dtype, source.nodata, calibrations, platform)


def _check_grid(location: str, grid: Grid) -> None:
    """Refuse a geotransform that places pixels nowhere."""
    numbers = [*list(grid.transform)[:6], grid.transform.determinant]
    if not all(abs(number) < 1e15 for number in numbers) or not grid.transform.determinant:
        raise SceneError(f"scene {location}", expected="a geotransform of finite numbers", got=f"{numbers[:6]}")


def _labels(source: Any) -> tuple[Label, ...]:
    labels = []
    for description, color in zip(source.descriptions, source.colorinterp, strict=True):
        named = color in (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        labels.append(Label.of(description or (color.name if named else "")))
    return tuple(labels)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def check_extent(what: str, box: Box) -> None:
    """Refuse an extent of more pixels than any map has, such as that of two files at the ends of the world."""
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    if max(height, width) > _MOST_SIDE or height * width > _MOST_PIXELS:
        expected = f"at most {_MOST_SIDE} pixels a side and {_MOST_PIXELS} pixels"
        raise SceneError(what, expected=expected, got=f"{width} × {height} pixels", do="set scene.area")
