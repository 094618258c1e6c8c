"""Web tiles, read back by the libraries that others read them with."""

import io
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import TileType, zxy_to_tileid
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from nst_rs.config.sections import OutputSection
from nst_rs.errors import OutputError
from nst_rs.geo.footprint import degrees
from nst_rs.geo.grid import Grid
from nst_rs.geo.webgrid import CRS_OF_WEB, SIDE, halvings, on_whole_pixels, pixel_side
from nst_rs.output.files import Outputs
from nst_rs.output.rasters import webtiles
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.webtiles import COMPANION as TILES
from nst_rs.output.rasters.webtiles import check_place, parts
from tests.finished_runs import record_of
from tests.places import ACROSS, AROUND, BEYOND, EVERYWHERE, NORTH_POLE, POLE_ON_THE_EDGE, SOUTH_POLE
from tests.published import map_with_zooms, publish_alone
from tests.rasters import UTM

PLACE = Affine(30, 0, 500_000, 0, -30, 5_000_000)
SITE = CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')


def tiled(folder: Path, archive: Any, grid: Grid) -> tuple[Path, np.ndarray]:
    """Publish a map whose colours tell row and column, with a hole; return its tiles' file and its mask."""
    rows, columns = np.mgrid[: grid.height, : grid.width]
    picture = np.stack([255 * rows / grid.height, 255 * columns / grid.width, np.full(grid.shape, 90)], axis=-1)
    valid = np.ones(grid.shape, bool)
    valid[grid.height // 4 : grid.height // 2, grid.width // 4 : grid.width // 2] = False
    outputs = Outputs(folder / "map.tif", OutputSection(tiles=archive))
    styled = StyledMap(picture.astype(np.float32), valid, grid)
    publish_alone(outputs, styled, record_of, TILES)
    assert set(folder.iterdir()) == set(outputs)
    return outputs.companions["tiles"], valid


def read_tiles(path: Path) -> dict[tuple[int, int, int], np.ndarray]:
    """(zoom, column, row from the north) → RGBA."""
    if path.suffix == ".mbtiles":
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles").fetchall()
        tiles = {(z, x, 2**z - 1 - y): data for z, x, y, data in found}
    else:
        with path.open("rb") as file:
            reader = Reader(MmapSource(file))
            header = reader.header()
            zooms = range(header["min_zoom"], header["max_zoom"] + 1)
            places = [(z, x, y) for z in zooms for x in range(2**z) for y in range(2**z)] if zooms[-1] < 9 else None
            grid = places or _near(header)
            tiles = {place: data for place in grid if (data := reader.get(*place)) is not None}
    return {place: np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")) for place, data in tiles.items()}


def _near(header: dict[str, Any]) -> list[tuple[int, int, int]]:
    """All places at or beside the archive's box."""
    found = []
    for zoom in range(header["min_zoom"], header["max_zoom"] + 1):
        spans = []
        for low, high, place in (
            (header["min_lon_e7"], header["max_lon_e7"], lambda lon, n: (lon + 180) / 360 * n),
            (
                header["max_lat_e7"],
                header["min_lat_e7"],
                lambda lat, n: (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n,
            ),
        ):
            first, last = (math.floor(place(value / 1e7, 2**zoom)) for value in (low, high))
            spans.append(range(max(0, first - 1), min(2**zoom, last + 2)))
        found += [(zoom, x, y) for x in spans[0] for y in spans[1]]
    return found


GRID = Grid(CRS.from_string(UTM), PLACE, 600, 400)


@pytest.fixture(scope="module", params=["pmtiles", "mbtiles"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    return tiled(tmp_path_factory.mktemp("tiles"), request.param, GRID)


def test_tiles_lie_where_the_map_lies_to_a_pixel(archive: tuple[Path, np.ndarray]) -> None:
    path, valid = archive
    tiles = read_tiles(path)
    finest = max(zoom for zoom, _, _ in tiles)
    rng, compared = np.random.default_rng(0), 0
    for (zoom, column, row), rgba in tiles.items():
        if zoom != finest:
            continue
        x, y = rng.integers(2, SIDE - 2, (2, 120))
        step = 2 * math.pi * 6378137 / 2**zoom
        east = (column + (x + 0.5) / SIDE) * step - math.pi * 6378137
        north = math.pi * 6378137 - (row + (y + 0.5) / SIDE) * step
        back = transform("EPSG:3857", GRID.crs, list(east), list(north))
        columns, rows = ~GRID.transform @ (np.array(back[0]), np.array(back[1]))
        inside = (rows > 2) & (rows < 397) & (columns > 2) & (columns < 597)
        near = [
            valid[int(r) - 2 : int(r) + 3, int(c) - 2 : int(c) + 3]
            for r, c in zip(rows[inside], columns[inside], strict=True)
        ]
        for (r, c), seen, around in zip(
            zip(rows[inside], columns[inside], strict=True), rgba[y[inside], x[inside]], near, strict=True
        ):
            if around.all():
                # The colours rise by 255 over 400 rows and 600 columns; WebP changes them by a few.
                assert seen[3] == 255
                assert abs(int(seen[0]) / 255 * 400 - r) < 9
                assert abs(int(seen[1]) / 255 * 600 - c) < 14
                compared += 1
            elif not around.any():
                assert seen[3] == 0
                compared += 1
    assert compared > 200


def test_a_tile_of_the_coarsest_level_holds_the_whole_map(archive: tuple[Path, np.ndarray]) -> None:
    tiles = read_tiles(archive[0])
    zooms = sorted({zoom for zoom, _, _ in tiles})
    assert zooms == list(range(zooms[0], zooms[-1] + 1))
    assert sum(zoom == zooms[0] for zoom, _, _ in tiles) == 1
    resolution = 2 * math.pi * 6378137 / SIDE / 2 ** zooms[-1] * math.cos(math.radians(45.15))
    assert 15 <= resolution <= 30 * 2**0.25


def test_what_lies_outside_the_map_is_transparent_and_no_tile_is_empty(archive: tuple[Path, np.ndarray]) -> None:
    tiles = read_tiles(archive[0])
    assert all(rgba[..., 3].any() for rgba in tiles.values())
    assert any((rgba[..., 3] == 0).any() for rgba in tiles.values())


@pytest.mark.parametrize("archive", ["pmtiles"], indirect=True)
def test_pmtiles_say_what_they_are(archive: tuple[Path, np.ndarray]) -> None:
    with archive[0].open("rb") as file:
        reader = Reader(MmapSource(file))
        header, facts = reader.header(), reader.metadata()
    assert header["tile_type"] == TileType.WEBP
    assert header["clustered"]
    assert header["min_lon_e7"] == pytest.approx(-57e7, abs=10)
    assert facts == {"name": "map", "description": "In the style of the painting.jpg", "type": "overlay"}


@pytest.mark.parametrize("archive", ["mbtiles"], indirect=True)
def test_mbtiles_are_read_by_gdal(archive: tuple[Path, np.ndarray]) -> None:
    with rasterio.open(archive[0]) as found:
        assert found.crs == CRS.from_epsg(3857)
        assert found.count == 4
        assert found.read(4).max() == 255


class OnTheMap:
    """Where points of a grid, given in pixels, lie in the tiles of a zoom level."""

    def __init__(self, grid: Grid, zoom: int, columns: np.ndarray, rows: np.ndarray) -> None:
        place = degrees(grid, columns.astype(float), rows.astype(float))
        assert place is not None
        side = 2**zoom
        self.shown = np.abs(place[1]) < 85.05
        x = (place[0] + 180) % 360 / 360 * side
        y = (1 - np.arcsinh(np.tan(np.radians(np.clip(place[1], -85.05, 85.05)))) / np.pi) / 2 * side
        self.tile = np.floor(x).astype(int), np.floor(y).astype(int)
        self.pixel = np.floor((x % 1) * SIDE).astype(int), np.floor((y % 1) * SIDE).astype(int)

    @property
    def tiles(self) -> set[tuple[int, int]]:
        return set(zip(self.tile[0][self.shown].tolist(), self.tile[1][self.shown].tolist(), strict=True))


@pytest.mark.parametrize("name", ACROSS | AROUND | BEYOND | NORTH_POLE | SOUTH_POLE | POLE_ON_THE_EDGE)
def test_every_pixel_is_in_the_tiles_where_it_lies_on_the_globe(tmp_path: Path, name: str) -> None:
    grid = EVERYWHERE[name]
    path, valid = tiled(tmp_path, "mbtiles", grid)
    tiles = read_tiles(path)
    finest = max(zoom for zoom, _, _ in tiles)
    rows, columns = (part.ravel() for part in np.mgrid[2 : grid.height - 2, 2 : grid.width - 2])
    deep = np.lib.stride_tricks.sliding_window_view(valid, (5, 5)).all(axis=(2, 3)).ravel()
    if name == "degrees, -190 to 190":
        deep &= (columns > 18) & (columns < grid.width - 18)  # elsewhere two of its pixels lie on one place
    rows, columns = rows[deep], columns[deep]
    centres = OnTheMap(grid, finest, columns + 0.5, rows + 0.5)
    corners = OnTheMap(grid, finest, *(part.ravel() for part in np.mgrid[: grid.width + 1, : grid.height + 1]))
    written = {(column, row) for zoom, column, row in tiles if zoom == finest}
    assert centres.tiles <= written <= corners.tiles
    off = []
    for k in np.flatnonzero(centres.shown)[::3]:
        rgba = tiles[finest, centres.tile[0][k], centres.tile[1][k]][centres.pixel[1][k], centres.pixel[0][k]]
        assert rgba[3] == 255
        off.append((rgba[0] / 255 * grid.height - rows[k], rgba[1] / 255 * grid.width - columns[k]))
    # The colours rise by 255 over the rows and the columns; WebP changes them, most where the map ends.
    assert (np.abs(off) < [[9, 14]]).all(axis=1).mean() > 0.995


@pytest.mark.parametrize("name", ACROSS)
def test_a_map_over_the_antimeridian_has_tiles_on_both_edges_of_the_world(tmp_path: Path, name: str) -> None:
    path, _ = tiled(tmp_path, "mbtiles", ACROSS[name])
    tiles = read_tiles(path)
    finest = max(zoom for zoom, _, _ in tiles)
    columns = {column for zoom, column, _ in tiles if zoom == finest}
    assert {0, 2**finest - 1} <= columns
    assert len(columns) < 6
    assert {zoom for zoom, _, _ in tiles} == set(range(finest + 1))


def test_an_archive_over_the_antimeridian_spans_the_world_and_opens_where_the_map_is(tmp_path: Path) -> None:
    with tiled(tmp_path, "pmtiles", ACROSS["degrees, 178 to 182"])[0].open("rb") as file:
        header = Reader(MmapSource(file)).header()
    assert (header["min_lon_e7"], header["max_lon_e7"]) == (-180e7, 180e7)
    assert abs(header["center_lon_e7"]) == 180e7


def test_there_are_few_tiles_even_for_a_large_map() -> None:
    grid = Grid(CRS.from_string("EPSG:32633"), Affine(10, 0, 399_960, 0, -10, 5_000_040), 10980, 10980)
    finest = [part for part in parts(grid) if part.zoom == parts(grid)[-1].zoom]
    pixels = sum(len(part.columns) * len(part.rows) for part in finest) * SIDE**2
    assert 1 <= pixels / (10980 * 10980) < 4.5
    assert len({zxy_to_tileid(part.zoom, part.columns.start, part.rows.start) for part in parts(grid)}) == len(
        parts(grid)
    )


@pytest.mark.parametrize(
    "grid",
    [
        Grid(SITE, PLACE, 10, 10),
        Grid(CRS.from_epsg(3031), Affine(30, 0, 1000, 0, -30, 1000), 10, 10),
    ],
    ids=["not on Earth", "at the pole"],
)
def test_a_place_that_web_maps_do_not_show_is_refused_at_once(grid: Grid) -> None:
    with pytest.raises(OutputError, match=r"output map.pmtiles: expected a scene on Earth within 85.05 degrees"):
        check_place(Path("map.pmtiles"), grid)
    check_place(Path("map.pmtiles"), GRID)


def test_a_run_without_them_writes_no_tiles(tmp_path: Path) -> None:
    assert "tiles" not in Outputs(tmp_path / "map.tif").companions


def png(rgba: np.ndarray) -> bytes:
    """A tile without loss, in place of WebP."""
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(rgba, 0, -1)).save(file, "png")
    return file.getvalue()


def tiled_with_zooms(folder: Path, styled: StyledMap, tile_size: int = SIDE) -> dict[tuple[int, int, int], np.ndarray]:
    """Publish a map with pictures for its zooms; return its tiles."""
    settings = {"output.zooms": "styled", "output.tiles": "mbtiles", "output.tile_size": tile_size}
    outputs = Outputs(folder / "map.tif", OutputSection(tiles="mbtiles"))
    publish_alone(outputs, styled, lambda: record_of(settings), TILES)
    return read_tiles(outputs.companions["tiles"])


@pytest.mark.parametrize("tile_size", [256, 512])
def test_tiles_of_a_map_on_their_own_grid_are_its_pixels_at_every_zoom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tile_size: int
) -> None:
    monkeypatch.setattr(webtiles, "_encode", png)
    finest = 14
    side = pixel_side(finest)
    start = Grid(CRS_OF_WEB, Affine(side, 0, 17_001 * side, 0, -side, 61_003 * side), 1, 1)
    grid = start.cut(on_whole_pixels((0, 0, 700, 900), start))
    styled = map_with_zooms(grid, halvings(grid.shape))
    tiles = tiled_with_zooms(tmp_path, styled, tile_size)
    top, left = grid.first_pixel
    half = 2 ** (finest - 1) * SIDE  # pixels from the world's middle to its edge
    zooms = sorted({zoom for zoom, _, _ in tiles})
    assert zooms[-1] == finest - (tile_size == 512)
    for number, wanted in enumerate((styled, *styled.zooms)):
        zoom, factor = zooms[-1] - number, 2**number
        shown = np.zeros((*wanted.grid.shape, 4), np.uint8)
        row, column = (top + half) // factor, (left + half) // factor
        for (of, x, y), rgba in tiles.items():
            if of == zoom:
                y0, x0 = y * tile_size - row, x * tile_size - column
                rows, columns = (slice(max(0, at), max(0, at + tile_size)) for at in (y0, x0))
                part = shown[rows, columns]
                part[:] = rgba[max(0, -y0) :, max(0, -x0) :][: part.shape[0], : part.shape[1]]
        valid = wanted.weight > 0
        np.testing.assert_array_equal(shown[..., 3] > 0, valid)
        np.testing.assert_array_equal(shown[..., :3][valid], wanted.picture[valid])


@pytest.mark.parametrize("tile_size", [256, 512])
def test_tiles_of_another_grid_show_the_picture_whose_pixels_are_nearest_in_size(
    tmp_path: Path, tile_size: int
) -> None:
    colors = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]
    pictures = [
        StyledMap(np.full((*shape, 3), color, np.float32), np.ones(shape, np.float32), GRID.reduced(2**number))
        for number, color in enumerate(colors)
        for shape in [GRID.reduced(2**number).shape]
    ]
    tiles = tiled_with_zooms(tmp_path, replace(pictures[0], zooms=tuple(pictures[1:])), tile_size)
    ground = GRID.metres_per_pixel / math.cos(math.radians(45.1))
    for (zoom, _, _), rgba in tiles.items():
        times = round(math.log2(pixel_side(zoom) * SIDE / tile_size / ground))
        wanted = colors[min(max(0, times), 3)]
        assert rgba.shape == (tile_size, tile_size, 4)
        shown = np.median(rgba[rgba[..., 3] == 255][:, :3], axis=0)
        np.testing.assert_allclose(shown, wanted, atol=6)  # WebP
