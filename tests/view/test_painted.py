"""Maps painted as they are looked at, against the files of whole maps; and the real command."""

import io
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import pytest
import rasterio
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from rasterio.windows import from_bounds
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from starlette.types import Receive, Scope, Send

import nst_rs
from nst_rs.cli import app
from nst_rs.cli.serving import offers
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.geo.grid import Box, Grid
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.on_demand import MapOnDemand
from nst_rs.runs.prepare import prepare
from nst_rs.view import painted as module
from nst_rs.view.painted import painted
from nst_rs.view.server import HOST, View, application, viewing
from tests.browser import browsing, complaints, pixels
from tests.learned_styles import small_style
from tests.places import ORDINARY
from tests.rasters import random_values, write_raster

SHAPE = 1100, 1300
"""Four blocks of 1024, and two overviews."""
TILES = morecantile.tms.get("WebMercatorQuad")
NST_RS = Path(sys.executable).with_name("nst-rs")
SETTINGS: dict[str, Any] = {"compute.precision": "float32"}
STYLED_ZOOMS = {"output.zooms": "styled"}
QUERY = "resampling=bilinear&reproject=bilinear"

Bounds = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painted")
    place = ORDINARY["UTM"]
    named = {"names": ("red", "green", "blue"), "nodata": 0, "crs": place.crs, "transform": place.transform}
    write_raster(folder / "scene.tif", squares(SHAPE), **named)
    write_raster(folder / "part.tif", squares((520, 700)), **named)
    small_style(normalised=True, deep_blocks=1).save(folder / "small.style")
    return folder


def squares(shape: tuple[int, int]) -> np.ndarray:
    """Squares of random colours, (3, H, W) uint8, with a part without data."""
    values = np.kron(random_values((3, shape[0] // 10, shape[1] // 10)), np.ones((1, 10, 10), np.uint8))
    rows, columns = (slice(side // 7, side // 3) for side in shape)
    values[:, rows, columns] = 0
    return values


def job_of(folder: Path, output: Path, scene: str = "scene.tif", **settings: str) -> LearnedJob:
    config = override(RunConfig(), SETTINGS | settings)
    job = prepare(name_files(config, [str(folder / scene)], folder / "small.style", output))
    assert isinstance(job, LearnedJob)
    return job


@pytest.fixture(scope="module")
def whole(folder: Path) -> Iterator[TestClient]:
    """The pages of the whole map's file."""
    result = nst_rs.stylize(folder / "scene.tif", folder / "small.style", folder / "whole.tif", settings=SETTINGS)
    with viewing(result.output) as view:
        yield client(application(view))


@pytest.fixture(scope="module")
def view(folder: Path) -> Iterator[View]:
    with MapOnDemand(job_of(folder, folder / "map.tif")) as map_, painted("scene", map_) as found:
        yield found


def client(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=f"http://{HOST}")


def tiles_of(bounds: Bounds, zoom: int) -> list[str]:
    return [
        f"/map/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png?resampling=bilinear"
        for tile in TILES.tiles(*bounds, zoom)
    ]


def test_tiles_have_the_whole_maps_bytes(view: View, whole: TestClient) -> None:
    served = client(application(view))
    for zoom in range(view.zoom - 4, view.zoom + 1):
        for path in tiles_of(view.bounds, zoom)[::7]:
            found, wanted = served.get(path), whole.get(path)
            assert (found.status_code, found.content) == (wanted.status_code, wanted.content), path


def picture_of(pages: TestClient, path: str) -> Image.Image:
    return Image.open(io.BytesIO(pages.get(path).content))


def test_where_a_tile_shows_most_of_the_map_it_is_nearly_the_whole_maps(view: View, whole: TestClient) -> None:
    """GDAL divides 1100 × 1300 pixels among 138 × 163 otherwise than a part of them."""
    served = client(application(view))
    for path in tiles_of(view.bounds, view.zoom - 5):
        found, wanted = (np.asarray(picture_of(each, path)).astype(int) for each in (served, whole))
        assert np.abs(found - wanted).mean() < 1  # of a scene of random squares


@pytest.mark.parametrize(("crs", "differ"), [("", 0.0), ("web", 0.005)])  # on its grid GDAL cuts the edge's pixels anew
def test_with_pictures_of_their_own_coarse_tiles_have_the_whole_maps_pixels_too(
    folder: Path, tmp_path: Path, crs: str, differ: float
) -> None:
    settings = STYLED_ZOOMS | ({"scene.crs": crs} if crs else {})
    scene, style = folder / "part.tif", folder / "small.style"
    made = nst_rs.stylize(scene, style, tmp_path / "whole.tif", settings=SETTINGS | settings)
    with (
        viewing(made.output) as expected,
        MapOnDemand(job_of(folder, tmp_path / "map.tif", "part.tif", **settings)) as map_,
        painted("scene", map_) as view,
    ):
        assert (map_.zooms, view.least_zoom) == (2, 1)
        whole, served = client(application(expected)), client(application(view))
        for path in itertools.chain(*(tiles_of(view.bounds, zoom)[:4] for zoom in range(view.zoom - 3, view.zoom + 1))):
            found, wanted = (np.asarray(picture_of(each, path)) for each in (served, whole))
            assert (found != wanted).any(axis=-1).mean() <= differ, path


def test_tiles_painted_at_several_zooms_in_turn_are_all_kept(folder: Path, tmp_path: Path) -> None:
    painted_before = []
    for _ in range(2):
        with MapOnDemand(job_of(folder, tmp_path / "map.tif", "part.tif", **STYLED_ZOOMS)) as map_:
            painted_before += [len(map_.begun(zoom).tiles) - len(map_.begun(zoom).left) for zoom in (0, 1, 2)]
            for zoom in (1, 0):
                map_.paint((0, 0, 9, 9), zoom)
    assert painted_before == [0, 0, 0, 1, 1, 0]


def test_no_more_is_painted_than_what_is_looked_at(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PIXELS", 1100**2)
    with MapOnDemand(job_of(folder, tmp_path / "map.tif")) as map_, painted("scene", map_) as view:
        assert len(map_.begun().left) == len(map_.begun().tiles) > 6
        served = client(application(view))
        assert served.get(tiles_of(view.bounds, view.zoom)[0]).status_code == 200
        left = len(map_.begun().left)
        assert 1 <= len(map_.begun().tiles) - left <= 4  # the tile's own pixels meet four at most
        west, south, east, north = view.bounds
        tile = TILES.tile((west + east) / 2, (south + north) / 2, view.zoom - 5)
        refused = served.get(f"/map/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png")
        assert refused.status_code == 400
        assert "zoom in" in refused.json()["detail"]
        assert len(map_.begun().left) == left


def test_what_is_painted_stays_for_the_next_time(folder: Path, tmp_path: Path) -> None:
    for expected in (0, 1):
        with MapOnDemand(job_of(folder, tmp_path / "map.tif")) as map_:
            assert len(map_.begun().tiles) - len(map_.begun().left) == expected
            map_.paint((0, 0, 10, 10))


def test_many_requests_for_one_place_paint_it_once(view: View) -> None:
    served, path = client(application(view)), tiles_of(view.bounds, view.zoom)[0]
    # The server hides this about rio-tiler's PNGs, but a thread's filters are any other's too.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: served.get(path).content, range(16)))
    assert len(set(found)) == 1


class Blocks:
    """A map of blocks that do not begin where a file's do; what is painted has its place's colour."""

    zooms = 0

    def __init__(self, side: int = 1024) -> None:
        place = ORDINARY["UTM"]
        self.grid = Grid(place.crs, place.transform, side, side)
        self.painted: list[tuple[int, int]] = []
        self.read: list[Box] = []
        self.fails: set[tuple[int, int]] = set()
        self.go_on = threading.Event()
        self.go_on.set()
        self._result = np.zeros((side, side, 3), np.uint8)
        rows, columns = np.mgrid[:side, :side]
        self._colors = np.stack([rows % 251, columns % 241, (rows + columns) % 239], axis=-1)

    @property
    def scene(self) -> StyledMap:
        return StyledMap(255 - self._colors, np.ones(self.grid.shape, bool), self.grid)

    def paint(self, box: Box, zoom: int = 0) -> Box:
        assert zoom == 0
        for corner in self._met(box):
            if corner not in self.painted:
                assert self.go_on.wait(60)
                if corner in self.fails:
                    raise OutputError("workspace", expected="room", got="none")
                self._result[self._place(corner)] = self._colors[self._place(corner)]
                self.painted.append(corner)
        first, last = self._place(self._met(box)[0]), self._place(self._met(box)[-1])
        return first[0].start, first[1].start, last[0].stop, last[1].stop

    def is_painted(self, box: Box, zoom: int = 0) -> bool:
        return zoom == 0 and set(self._met(box)) <= set(self.painted)

    def pixels(self, box: Box, zoom: int = 0) -> StyledMap:
        assert zoom == 0
        self.read.append(box)
        top, left, bottom, right = box
        picture = self._result[top:bottom, left:right].copy()
        return StyledMap(picture, np.ones(picture.shape[:2], bool), self.grid.cut(box))

    def _met(self, box: Box) -> list[tuple[int, int]]:
        """The corners of the blocks that a box meets: of 512 pixels, the first 4 before the map's first pixel."""
        tops, lefts = (range((box[axis] + 4) // 512 * 512 - 4, box[axis + 2], 512) for axis in (0, 1))
        return list(itertools.product(tops, lefts))

    def _place(self, corner: tuple[int, int]) -> tuple[slice, slice]:
        sides = zip(corner, self.grid.shape, strict=True)
        rows, columns = (slice(max(0, start), min(size, start + 512)) for start, size in sides)
        return rows, columns


@dataclass(frozen=True)
class Listening:
    """A map that is served over HTTP by this process."""

    port: int
    asked: list[str]
    """The paths that were asked for so far."""

    def fetched(self, path: str) -> tuple[int, bytes]:
        asked = f"http://{HOST}:{self.port}{path}"
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come, and have had time to queue."""
        until = time.monotonic() + 60
        while len(self.asked) < count and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.3)


@contextmanager
def listening(view: View) -> Iterator[Listening]:
    # The command hides this about rio-tiler's PNGs, but a thread's filters are any other's too.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    app, asked = application(view), []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await app(scope, receive, send)

    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(noting, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield Listening(listener.getsockname()[1], asked)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[int, bytes]]:
    """Path → the answer with a tile of the whole map of blocks, painted before anything was asked for."""
    map_ = Blocks()
    map_.paint((0, 0, *map_.grid.shape))
    with painted("blocks", map_) as view, listening(view) as server:
        return {
            path: server.fetched(path)
            for zoom in (view.zoom - 1, view.zoom - 2)
            for path in tiles_of(view.bounds, zoom)
        }


def test_tiles_asked_for_at_once_are_painted_once_and_read_together(alone: dict[str, tuple[int, bytes]]) -> None:
    map_ = Blocks()
    map_.go_on.clear()
    with painted("blocks", map_) as view, listening(view) as server, ThreadPoolExecutor(24) as pool:
        paths = list(alone)[:12] * 2
        answers = [pool.submit(server.fetched, path) for path in paths]
        server.wait_for(len(paths))
        map_.go_on.set()
        assert [answer.result() for answer in answers] == [alone[path] for path in paths]
    assert len(map_.painted) == len(set(map_.painted))
    assert len(map_.read) <= 6


def test_no_block_is_painted_that_a_tile_does_not_show(alone: dict[str, tuple[int, bytes]]) -> None:
    """Its file has a block of 512 pixels, the last of which are of four other blocks of the map."""
    map_, path = Blocks(), next(iter(alone))
    with painted("blocks", map_) as view, listening(view) as server:
        assert server.fetched(path) == alone[path]
        assert map_.painted == [(-4, -4)]
        assert [server.fetched(path) for path in alone] == list(alone.values())


def test_what_is_painted_is_sent_while_more_is_painted(alone: dict[str, tuple[int, bytes]]) -> None:
    map_, (first, *_, last) = Blocks(), list(alone)
    with painted("blocks", map_) as view, listening(view) as server, ThreadPoolExecutor(1) as pool:
        assert server.fetched(first) == alone[first]
        map_.go_on.clear()
        coming = pool.submit(server.fetched, last)
        server.wait_for(2)
        assert server.fetched(first) == alone[first]
        assert not coming.done()
        map_.go_on.set()
        assert coming.result() == alone[last]


def test_a_client_that_goes_away_or_is_failed_stops_nothing_for_others(alone: dict[str, tuple[int, bytes]]) -> None:
    map_, paths = Blocks(), list(alone)[:8]
    map_.go_on.clear()
    map_.fails = {(-4, -4)}
    with painted("blocks", map_) as view, listening(view) as server, ThreadPoolExecutor(8) as pool:
        for path in paths:
            with socket.create_connection((HOST, server.port)) as gone:
                gone.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        answers = [pool.submit(server.fetched, path) for path in paths]
        server.wait_for(2 * len(paths))
        map_.go_on.set()
        found = dict(zip(paths, (answer.result() for answer in answers), strict=True))
        failed = {path for path, (status, _) in found.items() if status == 500}
        assert 0 < len(failed) < len(paths)
        assert all(found[path] == alone[path] for path in set(paths) - failed)
        map_.fails.clear()
        assert all(server.fetched(path) == alone[path] for path in failed)
    assert len(map_.painted) == len(set(map_.painted))


def test_tiles_asked_for_at_once_have_the_whole_maps_bytes(folder: Path, tmp_path: Path, whole: TestClient) -> None:
    with MapOnDemand(job_of(folder, tmp_path / "map.tif")) as map_, painted("scene", map_) as view:
        paths = tiles_of(view.bounds, view.zoom - 1)[:12]
        with listening(view) as server, ThreadPoolExecutor(12) as pool:
            found = list(pool.map(server.fetched, paths))
        assert found == [(answer.status_code, answer.content) for answer in map(whole.get, paths)]


def test_what_was_cleared_from_the_temporary_folder_is_made_anew(alone: dict[str, tuple[int, bytes]]) -> None:
    path = next(iter(alone))
    with painted("blocks", Blocks()) as view, listening(view) as server:
        scene = server.fetched(path.replace("/map/", "/scene/"))
        for clear in (lambda file: file.unlink(), lambda file: shutil.rmtree(file.parent, ignore_errors=True)):
            assert server.fetched(path) == alone[path]
            for file in list(view.map[0].parent.iterdir()):
                clear(file)
            assert server.fetched(path) == alone[path]
            assert server.fetched(path.replace("/map/", "/scene/")) == scene


def told(server: Listening, path: str) -> str:
    """The reason of a failure, a line."""
    status, body = server.fetched(path)
    assert status == 500
    reason = json.loads(body)["detail"]
    assert "\n" not in reason
    return str(reason)


def test_inputs_that_are_gone_or_others_before_they_are_read_are_told_and_read_when_they_are_back(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("part.tif", "small.style"):
        shutil.copy(folder / name, tmp_path)
    kept = tmp_path / "kept"
    with MapOnDemand(job_of(tmp_path, tmp_path / "map.tif", "part.tif")) as map_, painted("part", map_) as view:
        first, *others = tiles_of(view.bounds, view.zoom - 1)
        with listening(view) as server:
            for file in (tmp_path / "part.tif", tmp_path / "small.style"):
                file.rename(kept)
                assert "got nothing of that name; give the command again" in told(server, first)
                file.write_bytes(kept.read_bytes()[:-9])
                assert "got another one than at the start; give the command again" in told(server, first)
                kept.rename(file)
            shown = server.fetched(first)
            assert shown[0] == 200
            (tmp_path / "part.tif").unlink()  # it was read
            assert {server.fetched(each)[0] for each in others} <= {200, 404}
            assert server.fetched(first) == shown


def test_a_cache_that_is_gone_or_another_is_told_and_not_written_to(folder: Path, tmp_path: Path) -> None:
    cache, kept = tmp_path / "cache", tmp_path / "kept"
    cache.mkdir()
    with MapOnDemand(job_of(folder, cache / "map.tif", "part.tif")) as map_, painted("part", map_) as view:
        (west, south, east, north), first = view.bounds, tiles_of(view.bounds, view.zoom)[0]
        x, y = west + 0.8 * (east - west), south + 0.2 * (north - south)
        (other,) = tiles_of((x, y, x, y), view.zoom)
        with listening(view) as server:
            shown = server.fetched(first)
            cache.rename(kept)
            assert "got nothing of that name; put it back, or give the command again" in told(server, other)
            assert server.fetched(first) == shown
            shutil.copytree(kept, cache)
            before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
            assert "got another one than at the start; put it back" in told(server, other)
            assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
            shutil.rmtree(cache)
            kept.rename(cache)
            assert server.fetched(other)[0] == 200


def test_nothing_is_served_but_tiles_their_description_and_the_scene(view: View) -> None:
    served = client(application(view))
    described = served.get("/map/WebMercatorQuad/tilejson.json").json()
    assert described["bounds"] == pytest.approx(view.bounds, abs=1e-6)
    assert "/map/tiles/WebMercatorQuad/{z}/{x}/{y}" in described["tiles"][0]
    for path in ("/map/info", "/map/statistics", "/map/point/0,0", "/elsewhere"):
        assert served.get(path).status_code == 404


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        *((f"tiles/WebMercatorQuad/{zoom}/0/0.png", 404) for zoom in ("-1", "-99", "100", "9" * 30, "1e3", "a")),
        *((f"tiles/WebMercatorQuad/9/{place}.png", 404) for place in ("-1/0", "0/-1", f"{'9' * 30}/0", "511/511")),
        *((f"tiles/WebMercatorQuad/9/{place}.png", 422) for place in ("a/0", "1.5/0", "0/0%00")),
        *((f"tiles/WebMercatorQuad/1/0/0.png?tilesize={side}", 422) for side in ("-1", "0", "4096", "9" * 30, "a")),
        *((f"tiles/WebMercatorQuad/1/0/0.png?buffer={side}", 422) for side in ("-1", "1e9", "a")),
        ("tiles/Nonsense/1/0/0.png", 422),
    ],
)
def test_what_is_no_tile_or_too_large_a_one_is_refused_and_not_failed_at(view: View, asked: str, status: int) -> None:
    assert client(application(view)).get(f"/map/{asked}").status_code == status


def test_what_can_be_had_can_be_asked_about(view: View) -> None:
    served = client(application(view))
    for path in ("/", "/leaflet.js", "/WMTSCapabilities.xml", "/map/WebMercatorQuad/tilejson.json"):
        got, asked = served.get(path), served.head(path)
        assert (asked.status_code, asked.headers["content-type"]) == (200, got.headers["content-type"])
        assert asked.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("styles", [[], ["small.style"]])
def test_classes_of_ground_are_told_for_what_they_are(tmp_path: Path, styles: list[str]) -> None:
    regions = "style.regions=[{name: sea, where: ndwi > 0, images: harvest}, {name: land}]"
    config = load_config(None, ["scene.paths=[scene.tif]", regions])
    with pytest.raises(ConfigError, match=r"style.regions: expected a learned style.*, got classes of ground; leave"):
        offers(config, [Path(style) for style in styles], [], tmp_path)


@dataclass(frozen=True)
class Served:
    """The command, running."""

    process: "subprocess.Popen[str]"
    address: str

    def fetched(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north in degrees."""
        west, south, east, north = json.loads(self.fetched("small_true_color/map/WebMercatorQuad/tilejson.json"))[
            "bounds"
        ]
        return west, south, east, north


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two styles and two composites of a small scene. In the end nothing was said, and nothing is left."""
    temporary = tmp_path_factory.mktemp("temporary")
    small_style(normalised=True, deep_blocks=1, seed=9).save(folder / "other.style")
    command = [NST_RS, "serve", folder / "part.tif", "--set", "compute.precision=float32"]
    for style in ("small", "other"):
        command += ["--style", folder / f"{style}.style"]
    for composite in ("true_color", "[blue, green, red]"):
        command += ["--composite", composite]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    yield Served(process, process.stdout.readline().split()[0])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "starting the map server\n")
    assert [path.name for path in temporary.iterdir() if path.name.startswith("nst-rs")] == []


def test_a_reader_chooses_style_and_composite_on_the_page(served: Served) -> None:
    with browsing() as browser:
        browser.get(served.address)
        assert browser.find_element(By.ID, "title").text == "part"
        shown = {}
        for style in ("small", "other"):
            for composite in ("true_color", "[blue, green, red]"):
                Select(browser.find_element(By.ID, "style")).select_by_visible_text(style)
                Select(browser.find_element(By.ID, "composite")).select_by_visible_text(composite)
                WebDriverWait(browser, 120).until(_loaded)
                page = pixels(browser.find_element(By.ID, "map"))
                middle = page.shape[1] // 2
                shown[style, composite] = page[200:700, 100 : middle - 50], page[200:700, middle + 50 : -100]
        assert all(part.std() > 5 for parts in shown.values() for part in parts)
        scenes, maps = zip(*shown.values(), strict=True)
        (true, false, again, _), differ = scenes, [(a != b).mean() > 0.1 for a, b in itertools.combinations(maps, 2)]
        assert (true == again).all()  # the scene under the slider is the composite's, whatever the style is
        assert (true != false).mean() > 0.1
        assert all(differ)
        assert complaints(browser) == []


def _loaded(browser: webdriver.Chrome) -> bool:
    """Whether all tiles are there; those of an earlier choice are gone."""
    ready = """const images = [...document.querySelectorAll('img.leaflet-tile')];
        return images.length > 0 && images.every(image => image.complete && getComputedStyle(image).opacity === '1')"""
    return bool(browser.execute_script(ready))


def test_gdal_reads_its_tiles_by_wmts(served: Served, view: View) -> None:
    described = f"WMTS:{served.address}WMTSCapabilities.xml"
    with rasterio.Env(GDAL_ENABLE_WMS_CACHE=False), rasterio.open(described) as listed:
        layers = listed.subdatasets
    assert len(layers) == 8
    for path in ("small_true_color/map", "other_blue_green_red_/scene"):
        (name,) = (layer for layer in layers if f"layer={path}" in layer)
        with rasterio.Env(GDAL_ENABLE_WMS_CACHE=False), rasterio.open(name) as found:
            west, south, east, north = served.bounds
            tile = TILES.tile((west + east) / 2, (south + north) / 2, view.zoom)
            window = from_bounds(*TILES.xy_bounds(tile), transform=found.transform).round_offsets().round_lengths()
            read = np.moveaxis(found.read(window=window), 0, -1)
        wanted = served.fetched(f"{path}/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png?{QUERY}")
        np.testing.assert_array_equal(read, np.asarray(Image.open(io.BytesIO(wanted)).convert("RGBA")))


def test_a_server_that_is_killed_while_it_paints_has_the_same_bytes_from_its_cache_again(
    folder: Path, tmp_path: Path
) -> None:
    with MapOnDemand(job_of(folder, tmp_path / "whole.tif", "part.tif")) as map_, painted("part", map_) as view:
        paths = tiles_of(view.bounds, view.zoom)[::5]
        whole = client(application(view))
        wanted = [whole.get(path).content for path in paths]
    command = [NST_RS, "serve", folder / "part.tif", "--style", folder / "small.style", "--cache", tmp_path / "cache"]
    command += ["--set", "compute.precision=float32"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    server = Served(process, process.stdout.readline().split()[0])
    assert server.fetched(paths[0].removeprefix("/")) == wanted[0]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(server.fetched, path.removeprefix("/")) for path in paths]
        process.kill()
        process.communicate(timeout=60)
        assert any(answer.exception() for answer in answers)
    kept = tmp_path / "cache" / "map.tif"
    with MapOnDemand(job_of(folder, kept, "part.tif")) as map_, painted("part", map_) as view:
        assert len(map_.begun().left) < len(map_.begun().tiles)
        again = client(application(view))
        assert [again.get(path).content for path in paths] == wanted
    with MapOnDemand(job_of(folder, kept, "part.tif", **{"style.strength": "0.5"})) as map_:
        assert len(map_.begun().left) == len(map_.begun().tiles)  # painted in another manner: nothing of it is mixed in


def test_a_client_that_goes_away_is_no_error(served: Served, view: View) -> None:
    """The fixture holds that nothing is written to the terminal."""
    paths = [path.replace("/map/", "/small_true_color/map/") for path in tiles_of(served.bounds, view.zoom)[:20]]
    place = urllib.parse.urlsplit(served.address)
    for number, path in enumerate(paths):
        with socket.create_connection((place.hostname, place.port)) as gone:
            gone.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))  # half of them reset
    assert served.fetched(paths[0].removeprefix("/")).startswith(b"\x89PNG")


def test_tiles_of_512_pixels_have_the_whole_maps_bytes(view: View, whole: TestClient) -> None:
    found = client(application(view))
    for zoom in range(view.zoom - 3, view.zoom):
        for path in tiles_of(view.bounds, zoom)[::5]:
            ours, wanted = (each.get(f"{path}&tilesize=512") for each in (found, whole))
            assert (ours.status_code, ours.content) == (wanted.status_code, wanted.content), path
            assert ours.status_code != 200 or Image.open(io.BytesIO(ours.content)).size == (512, 512)


@pytest.mark.parametrize(
    ("scene", "style", "further", "complaint"),
    [
        ("scene.tif", "harvest.jpg", (), "expected a learned style: no other is painted in parts"),
        ("none.tif", "small.style", (), "expected a file or folder, got nothing"),
        ("scene.tif", "small.style", ("--composite", "color_infrared"), "composite.bands"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(
    folder: Path,
    harvest: Path,
    capfd: pytest.CaptureFixture[str],
    scene: str,
    style: str,
    further: tuple[str, ...],
    complaint: str,
) -> None:
    named = harvest if style == harvest.name else folder / style
    with pytest.raises(SystemExit) as ended:
        app(["serve", str(folder / scene), "--style", str(named), *further])
    assert ended.value.code == 2
    printed = capfd.readouterr().err
    assert complaint in printed
    assert "Traceback" not in printed
