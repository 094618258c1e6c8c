"""A finished map as web tiles in one file: EPSG:3857, transparent where there is no data."""

import io
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from pystac import Asset
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from nst_rs.composite.rendering import Subject
from nst_rs.errors import OutputError
from nst_rs.geo.footprint import bounding_box, footprint, lattice
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.geotiff import block_pixels, cache_bytes

SIDE = 256
"""Pixels along a side of a tile."""
MOST_NORTHERN = 85.0511287798066
"""Degrees of latitude: beyond, web maps have nothing."""

_HALF = math.pi * 6378137.0
"""Metres in EPSG:3857 from its middle to its edges."""
_QUALITY = 90
_SPARED = 0.25
"""Of a zoom level: by so much tiles may be coarser than the map before the next level is made."""


@dataclass(frozen=True)
class Part:
    """A block of tiles of one zoom level, from the map's western to its eastern edge, or to the antimeridian."""

    zoom: int
    columns: range
    rows: range

    @property
    def resolution(self) -> float:
        """Metres of EPSG:3857 a pixel."""
        return 2 * _HALF / (SIDE << self.zoom)

    @property
    def transform(self) -> Affine:
        """From the block's pixels to EPSG:3857."""
        step = self.resolution * SIDE
        left, top = self.columns.start * step - _HALF, _HALF - self.rows.start * step
        return Affine.translation(left, top) @ Affine.scale(self.resolution, -self.resolution)


def check_place(path: Path, grid: Grid) -> None:
    """Raise OutputError where web tiles cannot show the grid: nowhere on Earth, or too near a pole."""
    found = footprint(grid)
    if found is None or bounding_box(found)[1] >= MOST_NORTHERN or bounding_box(found)[3] <= -MOST_NORTHERN:
        place = f"a scene on Earth within {MOST_NORTHERN:.2f} degrees of the equator"
        raise OutputError(f"output {path}", expected=place, got=grid.describe(), do="leave out output.tiles")


def parts(grid: Grid) -> list[Part]:
    """Return the blocks of tiles of every zoom level, from the one at which a tile holds the whole map."""
    found, nodes = footprint(grid), lattice(grid, 3)
    if found is None or nodes is None:
        raise ValueError("a grid that is nowhere on Earth has no web tiles")  # check_place comes first
    box = bounding_box(found)
    finest = _zoom(grid.metres_per_pixel / math.cos(math.radians(float(nodes[1][1, 1]))))
    blocks: list[Part] = []
    for zoom in range(finest, -1, -1):
        blocks = [*_blocks(box, zoom), *blocks]
        if sum(len(part.columns) * len(part.rows) for part in blocks if part.zoom == zoom) == 1:
            break
    return blocks


def write_tiles(path: Path, finished: FinishedMap) -> None:
    """Write the tiles of a finished map to `path`, which ends in the kind of archive."""
    with rasterio.open(finished.tif) as source:
        grid = Grid(source.crs, source.transform, source.width, source.height)
    with rasterio.Env(GDAL_CACHEMAX=cache_bytes(grid)), rasterio.open(finished.tif) as source:
        blocks = parts(grid)
        opening = _pmtiles if path.suffix == ".pmtiles" else _mbtiles
        with opening(path, _Summary.of(finished.tif.stem, grid, blocks, finished.record)) as archive:
            for place, tile in _tiles(source, blocks):
                archive.add(place, tile)


_Place = tuple[int, int, int]
"""Zoom, column from the west, row from the north."""


class _Archive(Protocol):
    def add(self, place: _Place, tile: bytes) -> None:
        """Add a tile."""


@dataclass(frozen=True)
class _Summary:
    """What an archive says of itself."""

    name: str
    description: str
    zooms: tuple[int, int]
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, name: str, grid: Grid, blocks: Sequence[Part], record: Mapping[str, Any]) -> "_Summary":
        found = footprint(grid)
        west, south, east, north = bounding_box(found) if found else (-180.0, -90.0, 180.0, 90.0)
        styles = ", ".join(Path(path).name for path in record["configuration"]["style"]["images"])
        # An archive cannot say that it crosses the antimeridian.
        span = (west, east) if west < east else (-180.0, 180.0)
        limits = max(south, -MOST_NORTHERN), min(north, MOST_NORTHERN)
        box = span[0], limits[0], span[1], limits[1]
        return cls(name, f"In the style of {styles}", (blocks[0].zoom, blocks[-1].zoom), box)

    @property
    def center(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


def _zoom(metres: float) -> int:
    """Return the zoom level for pixels of so many metres of EPSG:3857."""
    return max(0, math.ceil(math.log2(2 * _HALF / SIDE / metres) - _SPARED))


def _blocks(box: Sequence[float], zoom: int) -> list[Part]:
    west, south, east, north = box
    spans = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    rows = range(_row(north, zoom), _row(south, zoom) + 1)
    return [Part(zoom, range(_column(a, zoom), _column(b, zoom) + 1), rows) for a, b in spans]


def _column(longitude: float, zoom: int) -> int:
    return min((1 << zoom) - 1, max(0, math.floor((longitude + 180) / 360 * (1 << zoom))))


def _row(latitude: float, zoom: int) -> int:
    limited = math.radians(min(MOST_NORTHERN, max(-MOST_NORTHERN, latitude)))
    share = (1 - math.asinh(math.tan(limited)) / math.pi) / 2
    return min((1 << zoom) - 1, max(0, math.floor(share * (1 << zoom))))


def _tiles(source: Any, blocks: Sequence[Part]) -> Iterator[tuple[_Place, bytes]]:
    """Return every tile that holds data, in the order in which PMTiles keeps them: by zoom, then along a curve."""
    with ExitStack() as stack:
        opened = [(part, stack.enter_context(_warped(source, part))) for part in blocks]
        places = [
            ((part.zoom, column, row), part, warped)
            for part, warped in opened
            for column in part.columns
            for row in part.rows
        ]
        for place, part, warped in sorted(places, key=lambda found: int(zxy_to_tileid(*found[0]))):
            rgba = _read(warped, part, place)
            if rgba[3].any():
                yield place, _encode(rgba)


def _warped(source: Any, part: Part) -> WarpedVRT:
    return WarpedVRT(
        source,
        crs="EPSG:3857",
        transform=part.transform,
        width=len(part.columns) * SIDE,
        height=len(part.rows) * SIDE,
        resampling=Resampling.bilinear,
        add_alpha=True,
    )


def _read(warped: WarpedVRT, part: Part, place: _Place) -> Any:
    """Return a tile, (4, SIDE, SIDE) RGBA bytes."""
    _, column, row = place
    window = Window((column - part.columns.start) * SIDE, (row - part.rows.start) * SIDE, SIDE, SIDE)
    return warped.read(window=window)


def _encode(rgba: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(rgba, 0, -1)).save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()


class _PmtilesArchive:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def add(self, place: _Place, tile: bytes) -> None:
        self._writer.write_tile(zxy_to_tileid(*place), tile)


@contextmanager
def _pmtiles(path: Path, summary: _Summary) -> Iterator[_Archive]:
    west, south, east, north = (round(value * 1e7) for value in summary.box)
    longitude, latitude = (round(value * 1e7) for value in summary.center)
    header = {
        "tile_type": TileType.WEBP,
        "tile_compression": Compression.NONE,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": summary.zooms[0],
        "center_lon_e7": longitude,
        "center_lat_e7": latitude,
    }
    with path.open("wb") as file:
        writer = Writer(file)
        writer.tile_f.close()
        writer.tile_f = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - on the disk that was checked for room
        with closing(writer.tile_f):
            yield _PmtilesArchive(writer)
            writer.finalize(header, {"name": summary.name, "description": summary.description, "type": "overlay"})


class _MbtilesArchive:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, place: _Place, tile: bytes) -> None:
        zoom, column, row = place
        south_up = (1 << zoom) - 1 - row
        self._database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (zoom, column, south_up, tile))


@contextmanager
def _mbtiles(path: Path, summary: _Summary) -> Iterator[_Archive]:
    facts = {
        "name": summary.name,
        "description": summary.description,
        "format": "webp",
        "type": "overlay",
        "version": "1",
        "bounds": ",".join(f"{value:.7f}" for value in summary.box),
        "center": ",".join([*(f"{value:.7f}" for value in summary.center), str(summary.zooms[0])]),
        "minzoom": str(summary.zooms[0]),
        "maxzoom": str(summary.zooms[1]),
    }
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE metadata (name text, value text)")
            database.execute(
                "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
            )
            database.executemany("INSERT INTO metadata VALUES (?, ?)", facts.items())
            yield _MbtilesArchive(database)
            database.execute("CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)")
            database.commit()
    except sqlite3.Error as error:
        raise OutputError(f"output {path.name}", expected="room and leave to write", got=str(error)) from error


def _check(path: Path, subject: Subject) -> None:
    check_place(path, subject.scene.grid)


def _asset(path: Path) -> Asset:
    kind = {".pmtiles": "application/vnd.pmtiles", ".mbtiles": "application/vnd.sqlite3"}[path.suffix]
    return Asset(path.name, media_type=kind, roles=["visual"])


def _most_bytes(subject: Subject) -> int:
    """Return what may be needed: 2.8 times as many pixels of a byte or so each, which are copied into their file."""
    return 12 * block_pixels(subject.scene.grid)


COMPANION = Companion(
    "tiles",
    ending=lambda output: None if output.tiles is None else f".{output.tiles}",
    endings=(".pmtiles", ".mbtiles"),
    write=write_tiles,
    check=_check,
    asset=_asset,
    most_bytes=_most_bytes,
)
