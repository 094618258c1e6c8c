"""One raster file: what it says of itself, opened with GDAL held to this program's limits."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import rasterio
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.enums import ColorInterp
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from nst_rs.errors import PixelTypeError, SceneError
from nst_rs.files.documents import DocumentError, read_text
from nst_rs.files.failures import said_by
from nst_rs.files.locations import file_of, is_path, subdataset
from nst_rs.files.undecodable import undecodable
from nst_rs.geo.grid import Box, Grid
from nst_rs.scene.metadata import Calibration
from nst_rs.scene.sensors import Label

DTYPES = ("uint8", "uint16", "int16", "float32")
"""What pixels are computed in."""
_CONVERTED = {
    "int8": "int16",
    **dict.fromkeys(("float16", "float64", "uint32", "int32", "uint64", "int64"), "float32"),
}
"""Types of files → what they are read as."""
GDAL_CACHE_BYTES = 256 * 2**20
"""For decoded blocks, in place of GDAL's own twentieth of all memory: a strip of rows of a wide scene."""

_DRIVERS = (
    *("GTiff", "JP2OpenJPEG", "HFA", "NITF", "ENVI", "EHdr", "PNG", "JPEG", "WEBP", "BMP"),
    *("AAIGrid", "DTED", "SRTMHGT", "USGSDEM", "RMF"),
)
"""Formats of pictures of the ground. GDAL knows others that fetch what a text file tells them to."""
_MOST_SIDE = 2**20
_MOST_PIXELS = 2**36
_MOST_BLOCK_BYTES = 2**30
_MOST_BANDS = 1000
_MOST_UNFOLDED, _UNFOLDED_ANYWAY = 2000, 2**28
_NETWORK = {"GDAL_HTTP_TIMEOUT": 60, "GDAL_HTTP_CONNECTTIMEOUT": 15, "GDAL_HTTP_MAX_RETRY": 2}
_FAILURES = (RasterioError, CPLE_BaseError, ValueError, OverflowError, SystemError)
"""What rasterio raises for what is damaged or hostile in a file."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    location: str
    grid: Grid
    labels: tuple[Label, ...]
    """One per band: by its description, else by its colour."""
    dtype: str
    """What its pixels are read as."""
    nodata: float | None
    calibrations: tuple[Calibration, ...]
    platform: str
    """The satellite that its metadata names, or nothing."""
    descriptions: tuple[str, ...] = ()
    """One per band; empty where it has none."""
    stored: str = ""
    """The type of its pixels in the file."""
    alpha: int | None = None
    """The band, from 1, that is 0 where there is no data."""
    masked: bool = False
    """Whether it has a mask, inside or beside it, which comes before a nodata value."""
    has_palette: bool = False
    """Whether its one band holds the numbers of colours."""
    block: tuple[int, int] = (1, 1)
    """Rows and columns that are stored, and decoded, together."""
    in_colors: bool = False
    """Whether it is read as these colours."""

    @property
    def count(self) -> int:
        """How many bands it has."""
        return len(self.labels)

    @property
    def colors(self) -> tuple[int, ...]:
        """The bands, from 1, without alpha."""
        return tuple(band for band in range(1, self.count + 1) if band != self.alpha)

    @property
    def is_converted(self) -> bool:
        """Whether its pixels are read as another type than they are stored in."""
        return self.stored != self.dtype

    def as_colors(self) -> "Header":
        """Return the header of a file that has a palette, read as the palette's colours."""
        labels = tuple(map(Label.of, ("red", "green", "blue")))
        plain = (Calibration(),) * 3
        return replace(self, labels=labels, descriptions=("",) * 3, calibrations=plain, dtype="uint8", in_colors=True)


@contextmanager
def opened(location: str, expected: str = "a raster that GDAL can read") -> Iterator[Any]:
    """Open a raster for reading, with GDAL held to this program's limits.

    Raises SceneError, which says what was `expected`, for whatever GDAL raises while it is open.
    """
    options: dict[str, Any] = {"GDAL_CACHEMAX": GDAL_CACHE_BYTES, **_NETWORK}
    if not is_path(location):
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
    if location.encode("utf-8", "ignore").decode("utf-8") != location:
        raise SceneError(f"scene {location}", expected="a name in UTF-8", got="other bytes", do="rename it")
    try:
        with warnings.catch_warnings(), undecodable("rasterio") as lost:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # read_header refuses such files
            warnings.simplefilter("ignore", NodataShadowWarning)  # alpha is looked at beside a nodata value
            with rasterio.Env(**options), DatasetReader(location, driver=_drivers(location)) as source:
                yield source
            if lost:  # rasterio goes on as if nothing had failed
                raise RasterioError(lost[-1])
    except _FAILURES as error:
        said = said_by(error)
        raise SceneError(f"scene {location}", expected=expected, got=said, do=_remedy(location, said)) from error


def _drivers(location: str) -> list[str]:
    """Return the formats to try; a VRT, which names other files, must be called one, and a variable by its format."""
    named = subdataset(location)
    if named is not None:
        return [_OF_VARIABLES[named[0]]]
    return [*_DRIVERS, "VRT"] if location.lower().endswith(".vrt") else list(_DRIVERS)


_OF_VARIABLES = {"NETCDF": "netCDF", "HDF5": "HDF5Image", "HDF4_SDS": "HDF4Image", "HDF4_EOS": "HDF4Image"}
"""How a variable's name begins → its format in GDAL."""
_WITH_VARIABLES = frozenset({".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".he5"})
_COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
"""Endings of what has to be unpacked before GDAL reads it."""
_MOST_NAMED = 6


def _remedy(location: str, said: str) -> str:
    """Return what to do about a raster that GDAL cannot open."""
    named = subdataset(location)
    if named is not None and not _is_built_in(_OF_VARIABLES[named[0]]):
        return f"rasterio's GDAL is built without {named[0]}: convert it with gdal_translate of another GDAL"
    if "not recognized" in said:
        if location.lower().endswith(_COMPRESSED):
            return "unpack it first"
        variables = _variables(location)
        if variables:
            return f"name a variable in it as the scene: {', '.join(variables)}"
        return f"formats read are {', '.join(_DRIVERS)} and VRT; convert another with gdal_translate"
    missing = _missing_sources(location) if location.lower().endswith(".vrt") and is_path(location) else []
    return f"the VRT is of {missing[0]}, which is not there" if missing else ""


def _is_built_in(driver: str) -> bool:
    with rasterio.Env() as environment:
        return driver in environment.drivers()


def _variables(location: str) -> list[str]:
    """Return the variables of a NetCDF or HDF5 file, as GDAL names them: the first few."""
    if Path(location).suffix.lower() not in _WITH_VARIABLES:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.Env(), DatasetReader(location, driver=["netCDF", "HDF5"]) as source:
                return [name.replace("netcdf:", "NETCDF:") for name in source.subdatasets[:_MOST_NAMED]]
    except _FAILURES:
        return []


def _missing_sources(vrt: str) -> list[str]:
    """Return the files that a VRT names and that are not there."""
    try:
        root = fromstring(read_text(Path(vrt)), forbid_dtd=True)
    except (DocumentError, ParseError, DefusedXmlException, ValueError):
        return []
    named = [element for element in root.iter() if element.tag in ("SourceFilename", "SourceDataset")]
    texts = [(element.text or "", element.get("relativeToVRT") == "1") for element in named]
    paths = [Path(vrt).parent / text if relative else Path(text) for text, relative in texts if is_path(text)]
    return [str(path) for path in paths if not path.exists()]


def read_header(location: str, place: Grid | None = None) -> Header:
    """Return what a file says of itself. Raises SceneError for one that cannot be a part of a scene.

    Where a `place` is given, a picture of its size that does not say where it lies is taken to lie there.
    """
    with opened(location) as source:
        _check_size(location, source)
        if place is not None and _lies_nowhere(source):
            _check_fits(location, source, place)
            return replace(_header(location, source), grid=place)
        _check_place(location, source)
        return _header(location, source)


def _lies_nowhere(source: Any) -> bool:
    """Whether a file says nothing of where its pixels lie, as ordinary pictures do."""
    said = source.crs is not None or source.gcps[0] or source.rpcs is not None
    return source.transform == Affine.identity() and not said


def _check_fits(location: str, source: Any, place: Grid) -> None:
    """Refuse an ordinary picture that is not one of all pixels of `place`, from the upper left corner on."""
    if source.shape != place.shape:
        raise SceneError(
            f"scene {location}",
            expected=f"the scene's size, {place.width} × {place.height} pixels, as it does not say where it lies",
            got=f"{source.width} × {source.height} pixels",
            do="scale it to that size, or georeference it with gdal_translate -a_srs and -a_ullr",
        )
    if source.tags().get("EXIF_Orientation", "1") != "1":
        raise SceneError(
            f"scene {location}",
            expected="a picture that is stored upright",
            got="one that its camera has turned",
            do="open it in a picture editor and save it again",
        )


def _check_size(location: str, source: Any) -> None:
    """Refuse what would take all memory, or all time, for what it holds."""
    if not 1 <= source.count <= _MOST_BANDS:
        raise SceneError(f"scene {location}", expected=f"1 to {_MOST_BANDS} bands", got=f"{source.count or 'none'}")
    rows, columns = source.block_shapes[0]
    if rows * columns * 4 > _MOST_BLOCK_BYTES:
        raise SceneError(
            f"scene {location}",
            expected=f"blocks of at most {_MOST_BLOCK_BYTES // 2**20} MB",
            got=f"blocks of {columns} × {rows} pixels",
            do="cut it into tiles, with gdal_translate -co TILED=YES",
        )


def check_density(header: Header, pixels: int) -> None:
    """Refuse to read `pixels` of a file of next to nothing: deflate packs a thousand bytes into one at best."""
    file = file_of(header.location)
    if file is None or not file.is_file() or header.location.lower().endswith(".vrt"):
        return
    held, stored = pixels * header.count, file.stat().st_size
    if held > _MOST_UNFOLDED * stored and held > _UNFOLDED_ANYWAY:
        raise SceneError(
            f"scene {header.location}",
            expected=f"a file of at least a byte for {_MOST_UNFOLDED} pixels",
            got=f"{stored} bytes for {pixels} pixels in {header.count} bands",
            do="set scene.area to where its data lie, if most of it is empty",
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
    stored = source.dtypes[0]
    dtype = _CONVERTED.get(stored, stored)
    if set(source.dtypes) != {stored} or dtype not in DTYPES:
        expected = f"bands of one type of {', '.join((*DTYPES, *_CONVERTED))}"
        remedy = "convert it, for example with gdal_translate -ot Float32"
        types = ", ".join(dict.fromkeys(source.dtypes))
        raise PixelTypeError(f"scene {location}", expected=expected, got=types, do=remedy)
    grid = Grid.of(source)
    _check_grid(location, grid)
    descriptions = _descriptions(location, source)
    flags = {flag.name for flag in source.mask_flag_enums[0]}
    return Header(
        location,
        grid,
        _labels(descriptions, source.colorinterp),
        dtype,
        _nodata(source.nodata, stored),
        tuple(Calibration(*pair) for pair in zip(source.scales, source.offsets, strict=True)),
        platform=source.tags(ns="IMAGERY").get("SATELLITEID", ""),
        descriptions=descriptions,
        stored=stored,
        alpha=_alpha(source.colorinterp, descriptions),
        masked="per_dataset" in flags and "alpha" not in flags,
        block=source.block_shapes[0],
        has_palette=source.count == 1 and source.colorinterp[0] == ColorInterp.palette,
    )


def _nodata(value: float | None, stored: str) -> float | None:
    """Return a file's nodata value as its pixels hold it once they are read."""
    if value is None or _CONVERTED.get(stored) != "float32" or not np.isfinite(value):
        return value
    least, most = np.finfo("float32").min, np.finfo("float32").max
    return float(np.float32(np.clip(value, least, most)))


def _alpha(colors: Sequence[ColorInterp], descriptions: Sequence[str]) -> int | None:
    """Return the band that is alpha: GDAL tags a fourth band of bytes so, even one that is described as another."""
    for band, (color, description) in enumerate(zip(colors, descriptions, strict=True), start=1):
        if color == ColorInterp.alpha and len(colors) > 1:
            return band if not description or "alpha" in description.lower() else None
    return None


def _check_grid(location: str, grid: Grid) -> None:
    """Refuse a geotransform that places pixels nowhere."""
    numbers = [*list(grid.transform)[:6], grid.transform.determinant]
    if not all(abs(number) < 1e15 for number in numbers) or not grid.transform.determinant:
        raise SceneError(f"scene {location}", expected="a geotransform of finite numbers", got=f"{numbers[:6]}")


def _descriptions(location: str, source: Any) -> tuple[str, ...]:
    """Return what a file calls its bands: a variable's one band is called like the variable."""
    named = subdataset(location)
    if named is not None and source.count == 1:
        return (source.descriptions[0] or named[2].rpartition("/")[2],)
    return tuple(description or "" for description in source.descriptions)


def _labels(descriptions: Sequence[str], colors: Sequence[ColorInterp]) -> tuple[Label, ...]:
    labels = []
    for description, color in zip(descriptions, colors, strict=True):
        named = color in (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
        labels.append(Label.of(description or (color.name if named else "")))
    return tuple(labels)


def check_extent(what: str, box: Box) -> None:
    """Refuse an extent of more pixels than any map has, such as that of two files at the ends of the world."""
    top, left, bottom, right = box
    height, width = bottom - top, right - left
    if max(height, width) > _MOST_SIDE or height * width > _MOST_PIXELS:
        expected = f"at most {_MOST_SIDE} pixels a side and {_MOST_PIXELS} pixels"
        raise SceneError(what, expected=expected, got=f"{width} × {height} pixels", do="set scene.area")
