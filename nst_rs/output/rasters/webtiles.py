"""A finished map as web tiles in one file: EPSG:3857, transparent where there is no data."""

import io
import math
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import morecantile
import numpy as np
import rasterio
import rasterio.shutil
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from pystac import Asset
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from nst_rs.composite.rendering import Rendering
from nst_rs.errors import OutputError
from nst_rs.files.failures import unwritable
from nst_rs.geo.footprint import bounding_box, degrees, footprint, turned
from nst_rs.geo.grid import Grid
from nst_rs.geo.webgrid import CRS_OF_WEB, MOST_NORTHERN, SIDE, WORLD, zoom_of
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.provenance import paintings_of
from nst_rs.output.rasters.geotiff import block_pixels, cache_bytes

_QUALITY = 90


@dataclass(frozen=True)
class Part:
    """A block of tiles of one zoom level, from the map's western to its eastern edge, or to the antimeridian."""

    zoom: int
    columns: range
    rows: range
    side: int = SIDE
    """Pixels along a side of a tile."""

    @property
    def resolution(self) -> float:
        """The side of a pixel in metres of web maps."""
        return float(WORLD.matrix(self.zoom).cellSize) * SIDE / self.side

    @property
    def transform(self) -> Affine:
        """From the block's pixels to EPSG:3857."""
        first = WORLD.xy_bounds(morecantile.Tile(self.columns.start, self.rows.start, self.zoom))
        return Affine.translation(first.left, first.top) @ Affine.scale(self.resolution, -self.resolution)


def map_bounds(name: str, grid: Grid, do: str = "") -> tuple[float, float, float, float]:
    """Return west, south, east, north of what web maps can show of a grid, east beyond 180 across the antimeridian.

    Raises OutputError where they can show nothing, nowhere on Earth or too near a pole: of `name`, advising to `do`.
    """
    outline = footprint(grid)
    west, south, east, north = bounding_box(outline) if outline else (0.0, 90.0, 0.0, 90.0)
    south, north = max(south, -MOST_NORTHERN), min(north, MOST_NORTHERN)
    if south >= north:
        place = f"a scene on Earth within {MOST_NORTHERN:.2f} degrees of the equator"
        raise OutputError(name, expected=place, got=grid.describe(), do=do)
    return west, south, east if east > west else east + 360, north


def on_one_world(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return bounds from -180 to 180 degrees: from edge to edge of the world for what crosses the antimeridian.

    >>> on_one_world((170.0, -20.0, 190.0, -10.0))
    (-180.0, -20.0, 180.0, -10.0)
    """
    _, south, east, north = bounds
    return bounds if east <= 180 else (-180.0, south, 180.0, north)


def check_place(path: Path, grid: Grid) -> None:
    """Raise OutputError where web tiles cannot show the grid: nowhere on Earth, or too near a pole."""
    map_bounds(f"output {path}", grid, "leave out output.tiles")


def finest_zoom(grid: Grid) -> int:
    """Return the zoom level at which the pixels of a tile of 256 are about as large as the grid's in its middle."""
    return zoom_of(_resolution(grid))


def _resolution(grid: Grid) -> float:
    """Return the side of a grid's pixel in its middle, in metres of web maps.

    Where web maps do not show the middle, near a pole, the grid's latitude nearest the equator counts.
    """
    if grid.crs == CRS_OF_WEB:
        return grid.metres_per_pixel
    _, south, _, north = map_bounds("web tiles", grid)
    middle = degrees(grid, np.array([grid.width / 2]), np.array([grid.height / 2]))
    latitude = 90.0 if middle is None else float(middle[1][0])
    if abs(latitude) > MOST_NORTHERN:
        latitude = min(south, north, key=abs)
    # Mercator enlarges what lies away from the equator.
    return grid.metres_per_pixel / math.cos(math.radians(latitude))


def parts(grid: Grid, side: int = SIDE) -> list[Part]:
    """Return the blocks of tiles of every zoom level, from the one at which a tile holds the whole map.

    `side` are the pixels along a side of a tile.
    """
    bounds = map_bounds("web tiles", grid)
    blocks: list[Part] = []
    finest = zoom_of(_resolution(grid) * side / SIDE)
    for zoom in range(finest, -1, -1):
        level = [replace(part, side=side) for part in tile_blocks(bounds, zoom)]
        blocks = [*level, *blocks]
        if sum(len(part.columns) * len(part.rows) for part in level) == 1:
            break
    return blocks


def pieces_around_the_earth(tif: Path, grid: Grid, folder: Path) -> tuple[Path, ...]:
    """Return `tif`, and a file in `folder` for each of its copies around the Earth, which reads its pixels."""
    pieces = [tif]
    for number, transform in enumerate(turned(grid)[1:], start=1):
        piece = folder / f"{tif.stem}.{number}.vrt"
        rasterio.shutil.copy(tif.absolute(), piece, driver="VRT")
        with rasterio.open(piece, "r+") as copy:
            copy.transform = transform
        pieces.append(piece)
    return tuple(pieces)


def write_tiles(path: Path, finished: FinishedMap) -> None:
    """Write the tiles of a finished map to `path`, which ends in the kind of archive."""
    with rasterio.open(finished.tif) as source:
        grid = Grid.of(source)
    wanted = finished.record["configuration"]["output"]
    blocks = parts(grid, wanted["tile_size"])
    with rasterio.Env(GDAL_CACHEMAX=cache_bytes(grid)), _Opened(finished.tif, grid, wanted["zooms"]) as opened:
        opening = _pmtiles if path.suffix == ".pmtiles" else _mbtiles
        with opening(path, _Summary.of(finished.tif.stem, grid, blocks, finished.record)) as archive:
            for place, tile in _tiles(opened, blocks):
                archive.add(place, tile)


_Place = tuple[int, int, int]
"""Zoom, column from the west, row from the north."""


class _Archive(Protocol):
    def add(self, place: _Place, tile: bytes) -> None:
        """Add a tile."""


@dataclass(frozen=True)
class _Summary:
    """The description of an archive: its name, zooms and bounds."""

    name: str
    description: str
    zooms: tuple[int, int]
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees, east beyond 180 across the antimeridian."""

    @classmethod
    def of(cls, name: str, grid: Grid, blocks: Sequence[Part], record: Mapping[str, Any]) -> "_Summary":
        styles = ", ".join(Path(path).name for path in paintings_of(record))
        zooms = blocks[0].zoom, blocks[-1].zoom
        return cls(name, f"In the style of {styles}", zooms, map_bounds("web tiles", grid))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north; from edge to edge of the world for what crosses the antimeridian."""
        return on_one_world(self.bounds)

    @property
    def center(self) -> tuple[float, float]:
        west, south, east, north = self.bounds
        longitude = (west + east) / 2
        return longitude - 360 * (longitude > 180), (south + north) / 2


def tile_blocks(bounds: Sequence[float], zoom: int) -> list[Part]:
    """Return the blocks of tiles of a zoom level that lie in `bounds`, as :func:`map_bounds` returns them."""
    west, south, east, north = bounds
    first = WORLD.tile(west, north, zoom, truncate=True)
    last = WORLD.tile(east if east <= 180 else east - 360, south, zoom, truncate=True)
    rows = range(first.y, last.y + 1)
    if east <= 180:
        return [Part(zoom, range(first.x, last.x + 1), rows)]
    world = WORLD.matrix(zoom).matrixWidth
    if last.x >= first.x:  # the two sides share a tile
        return [Part(zoom, range(world), rows)]
    return [Part(zoom, range(first.x, world), rows), Part(zoom, range(last.x + 1), rows)]


class _Opened:
    """A map that is open, and its overviews where they are pictures of their own."""

    def __init__(self, tif: Path, grid: Grid, zooms: str) -> None:
        self._tif, self._grid, self._styled = tif, grid, zooms == "styled"
        self._stack = ExitStack()

    def __enter__(self) -> "_Opened":
        self._map = self._stack.enter_context(rasterio.open(self._tif))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def on(self, part: Part) -> list[WarpedVRT]:
        """Open the map on a block's tiles, once for each of its copies around the Earth."""
        options = {
            "crs": CRS_OF_WEB,
            "transform": part.transform,
            "width": len(part.columns) * part.side,
            "height": len(part.rows) * part.side,
            "resampling": Resampling.bilinear,
            "add_alpha": True,
        }
        halved = self._halved(part)
        source, scale = self._map, Affine.scale(2**halved)
        if halved:
            source = self._stack.enter_context(rasterio.open(self._tif, overview_level=halved - 1))
        warped = []
        for place in (each @ scale for each in turned(self._grid)):
            # GDAL takes an overview to end where the map does; its last pixels reach beyond.
            moved = {} if place == source.transform else {"src_transform": place}
            warped.append(self._stack.enter_context(WarpedVRT(source, **moved, **options)))
        return warped

    def _halved(self, part: Part) -> int:
        """Return how often the picture is halved whose pixels are nearest in size to those of a block's tiles."""
        if not self._styled:
            return 0
        times = round(math.log2(part.resolution / _resolution(self._grid)))
        return min(max(0, times), len(self._map.overviews(1)))


def _tiles(map_: _Opened, blocks: Sequence[Part]) -> Iterator[tuple[_Place, bytes]]:
    """Return every tile that holds data, in the order in which PMTiles keeps them: by zoom, then along a curve."""
    opened = [(part, map_.on(part)) for part in blocks]
    places = [
        ((part.zoom, column, row), part, warped)
        for part, warped in opened
        for column in part.columns
        for row in part.rows
    ]
    for place, part, warped in sorted(places, key=lambda each: int(zxy_to_tileid(*each[0]))):
        rgba = _read(warped, part, place)
        if rgba[3].any():
            yield place, _encode(rgba)


def _read(warped: Sequence[WarpedVRT], part: Part, place: _Place) -> Any:
    """Return a tile, (4, side, side) RGBA bytes: of the first copy of the map that has data there, pixel by pixel."""
    _, column, row = place
    side = part.side
    window = Window((column - part.columns.start) * side, (row - part.rows.start) * side, side, side)
    rgba = warped[0].read(window=window)
    for copy in warped[1:]:
        rgba = np.where(rgba[3] > 0, rgba, copy.read(window=window))
    return rgba


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
        raise unwritable(f"output {path.name}", error) from error


def _check(path: Path, rendering: Rendering) -> None:
    check_place(path, rendering.scene.grid)


def _asset(path: Path) -> Asset:
    kind = {".pmtiles": "application/vnd.pmtiles", ".mbtiles": "application/vnd.sqlite3"}[path.suffix]
    return Asset(path.name, media_type=kind, roles=["visual"])


def _most_bytes(rendering: Rendering) -> int:
    """Return what may be needed: 2.8 times as many pixels of a byte or so each, which are copied into their file."""
    return 12 * block_pixels(rendering.scene.grid)


COMPANION = Companion(
    "tiles",
    ending=lambda output: None if output.tiles is None else f".{output.tiles}",
    endings=(".pmtiles", ".mbtiles"),
    write=write_tiles,
    check=_check,
    asset=_asset,
    most_bytes=_most_bytes,
)
