"""The raster side of a run: which scene is read, how its bands become RGB, what is written."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, field_validator, model_validator

from nst_rs.config.area import PartOfScene
from nst_rs.config.base import InWords, Section
from nst_rs.config.paths import LocalPath, Location

Band = Annotated[StrictInt | str, InWords("a band's number from 1 or its name")]
ThreeBands = Annotated[tuple[Band, Band, Band], InWords("three bands by number or name")]
Archive = Literal["pmtiles", "mbtiles"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Pair = tuple[Number, Number]
ThreePairs = Annotated[tuple[Pair, Pair, Pair], InWords("three pairs of numbers")]
Profile = Literal["deflate", "lzw", "jpeg", "webp"]


class SceneSection(Section):
    """Which files are the scene, and how they are understood: docs/products.md."""

    paths: tuple[Location, ...] = ()
    """The scene's products, files, folders of them, or STAC items; also what GDAL reads, such as ``/vsicurl/`` and
    ``s3://``."""
    sensor: Annotated[str, InWords("auto, none or a sensor's name")] = "auto"
    """The sensor that took the scene. ``auto``: the one that file names and metadata name; ``none``: no sensor is
    assumed; else a sensor's name."""
    sensors: LocalPath | None = None
    """A file that describes further sensors, as the files in nst_rs/data/sensors do."""
    assets: tuple[Annotated[str, InWords("an asset's key")], ...] = ()
    """The assets of a STAC item that are read, by key. Where none are named, all that hold data are read."""
    nodata: float | Literal["guess", "none"] | None = None
    """The stored value that means no data, in place of what the files' own tags and the product say. ``none``: no value
    does. ``guess``: the value of the scene's corners, where it is one that often means no data. Masks and alpha bands
    count in any case."""
    nodata_in: Literal["auto", "any", "all"] = "auto"
    """Whether a pixel is without data where ``any`` of its bands holds that value, or where ``all`` of them do.
    ``auto``: ``all`` in a file of several bands of 8 bits, where 0 and 255 are colours like others, else ``any``."""
    saturated: Literal["keep", "nodata"] = "keep"
    """Whether pixels at which the instrument saturated, as the product defines it, are kept or become nodata."""
    scale: Number | None = None
    """The scale in: physical value = stored value × scale + offset. Where none is set, the product's metadata says."""
    offset: Number | None = None
    """The offset in: physical value = stored value × scale + offset. Where none is set, the product's metadata says."""
    crs: Annotated[str, InWords("a CRS such as EPSG:32621, or web")] | None = None
    """The CRS of the map, into which products of other CRSs are brought. ``web``: the pixels of web map tiles, those of
    EPSG:3857 at the zoom level whose pixels are about as large as the scene's, so that tiles are not resampled. Where
    none is set, it is the first product's."""
    resolution: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["finest", "coarsest"] = "finest"
    """The side of the map's pixels in the CRS's units, or the ``finest`` or ``coarsest`` of the chosen bands."""
    resampling: Literal["nearest", "bilinear", "cubic"] = "bilinear"
    """How bands of another grid are brought onto the scene's grid."""
    area: PartOfScene | None = None
    """What the scene is cut to: west, south, east, north in degrees; or ``left``, ``bottom``, ``right``, ``top`` in the
    units of its grid; or its ``rows`` and ``columns``; or a GeoJSON file of polygons, outside of which there is no
    data."""

    @field_validator("area", mode="before")
    @classmethod
    def _four(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) != 4:
            raise ValueError("west, south, east and north in degrees, such as [9.0, 45.1, 9.2, 45.3]")
        return value

    @field_validator("scale")
    @classmethod
    def _not_zero(cls, value: float | None) -> float | None:
        if value == 0:
            raise ValueError("a number other than 0")
        return value


class CompositeSection(Section):
    """How bands become RGB."""

    bands: ThreeBands | Annotated[str, InWords("a composite's name")] | None = None
    """What red, green and blue show: three bands by number from 1 or by name, or spectral indices; or a composite's
    name, such as ``true_color``. Where none are set: the bands named red, green and blue, else the first three."""
    stretch: Literal["percentile", "minmax"] = "percentile"
    """What becomes 0 and 255 in each band: the ``composite.percentiles`` of its values, or its least and its greatest
    value."""
    percentiles: tuple[float, float] = (2.0, 98.0)
    """The percentiles of each band's valid pixels that become 0 and 255."""
    limits: ThreePairs | LocalPath | None = None
    """What becomes 0 and 255 in red, green and blue, in place of percentiles: three pairs of stored values; or an
    earlier run's record, whose limits are taken."""
    gamma: float = Field(1.0, gt=0, le=10)
    """Brightness of the middle: with v from 0 to 1, v becomes v^(1/gamma), so that above 1 the middle is brightened."""
    sigmoid: Literal[0] | Annotated[float, Field(ge=0.01, le=50)] = 0
    """Contrast in the middle, at the cost of both ends; 0 leaves it as it is. nst_rs/composite/stretch.py has the
    formula."""
    mask: Literal["none", "clouds"] = "none"
    """What is not styled. ``clouds``: clouds, cirrus and shadows, as the product's own quality band has them."""
    masked: Literal["unstyled", "nodata"] = "unstyled"
    """What the map shows where ``composite.mask`` applies: the scene as it is, or nothing."""

    @field_validator("limits")
    @classmethod
    def _rising(cls, value: tuple[Pair, ...] | Path | None) -> tuple[Pair, ...] | Path | None:
        if isinstance(value, tuple) and not all(low < high for low, high in value):
            raise ValueError("three pairs of rising numbers")
        return value

    @field_validator("percentiles")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if not 0 <= low < high <= 100:
            raise ValueError("two rising numbers from 0 to 100")
        return value


class PrintedPage(Section):
    """A page on which the map is printed."""

    paper: Literal["a4", "a3", "a2", "a1", "a0", "letter", "tabloid"] = "a4"
    """The paper's size. It is turned as the map is."""
    dpi: Annotated[StrictInt, Field(ge=50, le=600)] = 300
    """The most pixels to an inch; a map that has fewer is printed with those that it has."""
    title: str | None = None
    """The words above the map; the map's name unless set."""
    attribution: str | None = None
    """The words below it; sensor, date and painting unless set."""

    @model_validator(mode="before")
    @classmethod
    def _by_paper(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"paper": value}
        return value


class OutputSection(Section):
    """What is written."""

    path: LocalPath | None = None
    """The map to write, a GeoTIFF; a run's other files stand beside it. For ``nst-rs learn``, the learned style."""
    profile: Profile = "deflate"
    """How the map's pixels are stored: ``deflate`` and ``lzw`` keep them as they are, ``jpeg`` and ``webp`` do not."""
    tiles: Archive | None = None
    """Web tiles besides the map, in one file: ``pmtiles`` for pages without a server, ``mbtiles`` for desktop
    programs."""
    tile_size: Literal[256, 512] = 256
    """The side of a web tile in pixels. ``512``: tiles that show as much ground with twice the pixels, for sharp
    screens."""
    zooms: Literal["averaged", "styled"] = "averaged"
    """What the map shows from afar, in its overviews and at the coarser zoom levels of its web tiles. ``averaged``: its
    pixels, averaged; ``styled``: at every zoom level a picture of its own, whose strokes are as large as the map's."""
    bands: Literal["all"] | Annotated[tuple[Band, ...], Field(min_length=1)] | None = None
    """Bands of the scene that are written beside the map with their own values: numbers from 1 and names, such as
    ``[nir, swir1]``; or ``all``."""
    page: Annotated[PrintedPage | None, InWords("a paper's size such as a3, or paper, dpi, title and attribution")] = (
        None
    )
    """A page to print beside the map, a PDF with title, graticule, scale bar and arrow to the north."""
    every: Annotated[StrictInt, Field(ge=1)] | Literal["level"] | None = None
    """After how many iterations of a level a small picture of the map as it stands is kept for the report, besides at
    the level's end; ``level``: at the end of every level alone. There are 24 of them at most."""
