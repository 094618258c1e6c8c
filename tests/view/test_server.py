"""The map server as a person meets it: the real command on loopback, and a real browser."""

import asyncio
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import morecantile
import numpy as np
import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from nst_rs.cli import app
from nst_rs.files.fingerprint import fingerprint
from nst_rs.geo.grid import Grid
from nst_rs.geo.webgrid import CRS_OF_WEB, SIDE, pixel_side
from nst_rs.output.files import Outputs
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.webtiles import parts, write_tiles
from nst_rs.view.server import HOST, _page, _Server, application, viewing
from tests.browser import browsing, complaints, pixels
from tests.finished_runs import MAP, record_of
from tests.places import EVERYWHERE
from tests.published import publish_alone
from tests.rasters import NORTH_UP, UTM, write_raster

NST_RS = Path(sys.executable).with_name("nst-rs")
SHAPE = (200, 300)
GRAY = 128
"""Of the scene's every pixel, once it is stretched: half is 0, half 255."""


HERE = Grid(CRS.from_string(UTM), NORTH_UP, SHAPE[1], SHAPE[0])


def map_of(folder: Path, grid: Grid = HERE) -> Path:
    """A finished run: a scene of black and white rows, and a map of one colour."""
    values = np.full((3, *SHAPE), 10, np.uint8)
    values[:, 1::2] = 250
    scene = write_raster(folder / "scene.tif", values, crs=grid.crs, transform=grid.transform)
    record: dict[str, Any] = record_of({"scene.paths": (str(scene),), "composite.bands": (1, 2, 3)})
    record["inputs"][0] = fingerprint(scene)
    styled = np.broadcast_to(np.float32(MAP), (*SHAPE, 3))
    made = folder / "map.tif"
    publish_alone(Outputs(made), StyledMap(styled, np.ones(SHAPE, bool), grid), lambda: record)
    return made


class Server:
    """The command, running."""

    def __init__(self, *arguments: object, temporary: Path | None = None) -> None:
        command = [NST_RS, "view", *map(str, arguments)]
        environment = os.environ | ({} if temporary is None else {"TMPDIR": str(temporary)})
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "starting the map server\n"
        self.said = self.process.stdout.readline()
        self.address = self.said.split()[0] if self.said else ""

    def interrupt(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code, and what was written to the terminal since it started."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def status(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask for a path; return the answer's status and text."""
        asked = urllib.request.Request(self.address + path, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return map_of(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="module")
def server(made: Path) -> Iterator[Server]:
    found = Server(made)
    yield found
    assert found.interrupt() == (0, "")


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """One for all tests."""
    with browsing() as found:
        yield found


def opened(browser: webdriver.Chrome, address: str) -> None:
    browser.get("about:blank")
    complaints(browser)  # the page of another test, whose server is gone, may have had some
    browser.get(address)
    loaded = """const images = [...document.querySelectorAll('img.leaflet-tile')];
        return images.length > 0 && images.every(image => image.complete)
            && images.every(image => getComputedStyle(image).opacity === '1')"""
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(loaded))


def beside_the_middle(browser: webdriver.Chrome) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours of two squares, left and right of the window's middle."""
    seen = pixels(browser.find_element(By.ID, "map")).astype(float)
    row, column = (side // 2 for side in seen.shape[:2])
    left, right = (seen[row + 40 : row + 90, column + shift : column + shift + 40] for shift in (-100, 60))
    return left.mean(axis=(0, 1)), right.mean(axis=(0, 1))


def test_scene_and_map_lie_under_a_slider(server: Server, browser: webdriver.Chrome) -> None:
    opened(browser, server.address)
    left, right = beside_the_middle(browser)
    np.testing.assert_allclose(left, [GRAY] * 3, atol=25)
    np.testing.assert_allclose(right, MAP, atol=3)
    slider = browser.find_element(By.ID, "slider")
    slider.send_keys(Keys.HOME)
    np.testing.assert_allclose(beside_the_middle(browser), [MAP, MAP], atol=3)
    slider.send_keys(Keys.END)
    np.testing.assert_allclose(beside_the_middle(browser), [[GRAY] * 3] * 2, atol=25)
    assert slider.get_attribute("aria-valuetext") == "100 % scene, 0 % map"
    assert complaints(browser) == []
    asked = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert all(name.startswith((server.address, "data:")) for name in browser.execute_script(asked))


def test_it_listens_on_loopback_alone_and_says_where(server: Server) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)\n", server.said)
    connections = psutil.Process(server.process.pid).net_connections(kind="inet")
    listening = [connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN]
    assert [f"http://{ip}:{port}/" for ip, port in listening] == [server.address]


def test_many_tiles_at_once_are_served_without_a_word(server: Server, made: Path) -> None:
    """The fixture holds that nothing is written to the terminal; of three such runs one did before it was mended."""
    with viewing(made) as found:
        (west, south, east, north), zoom = found.bounds, found.zoom
    tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, zoom)
    path = f"tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"

    def fetched(layer: str) -> bytes:
        with urllib.request.urlopen(f"{server.address}{layer}/{path}", timeout=60) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())

    with ThreadPoolExecutor(16) as pool:
        images = list(pool.map(fetched, ["map", "scene"] * 100))
    assert len(set(images)) == 2


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {"Host": "evil.example"}, 400),
        ("map/info?url=/etc/passwd", {}, 200),
        ("elsewhere/info", {}, 404),
        ("map/tiles/WebMercatorQuad/3/0/0.png", {}, 404),
        ("../../etc/passwd", {}, 404),
        ("openapi.json", {}, 404),
    ],
)
def test_nothing_but_the_map_and_its_scene_is_served(
    server: Server, made: Path, path: str, headers: dict[str, str], status: int
) -> None:
    found, text = server.status(path, **headers)
    assert found == status
    assert "root:" not in text
    if status == 200:
        assert json.loads(text)["width"] == SHAPE[1]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        *((f"TILE?{query}", 400) for query in ("bidx=9", "bidx=0", "bidx=-1", "expression=b9", "expression=b1;b9")),
        *((f"TILE?{query}", 400) for query in ("buffer=0.3", "nodata=nan", "nodata=inf", "nodata=-1", "nodata=256")),
        *((f"statistics?{query}", 400) for query in ("bidx=9", "expression=b9", "p=500", "p=-1", "p=2&p=nan")),
        *((f"point/{place}", 404) for place in ("0,0", "999,0", "0,999", "inf,0")),
    ],
)
@pytest.mark.parametrize("layer", ["map", "scene"])
def test_what_there_is_not_in_a_map_is_refused_with_a_reason(
    server: Server, layer: str, asked: str, status: int
) -> None:
    """The fixture holds that nothing is written to the terminal."""
    west, south, east, north = json.loads(server.status(f"{layer}/WebMercatorQuad/tilejson.json")[1])["bounds"]
    tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, 12)
    place = f"tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"
    told, text = server.status(f"{layer}/{asked.replace('TILE', place)}")
    assert told == status
    assert len(json.loads(text)["detail"]) > 10


def test_a_fault_of_the_program_is_not_taken_for_the_requests(made: Path) -> None:
    def fault() -> None:
        raise IndexError("list index out of range")

    with viewing(made) as view, pytest.raises(IndexError):
        asked(application(replace(view, open=fault)), "/map/info", "")


def test_a_map_that_is_removed_while_it_is_shown_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = map_of(tmp_path)
    with viewing(made) as view:
        (west, south, east, north), app = view.bounds, application(view)
        tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, view.zoom)
        made.unlink()
        status, body = asked(app, f"/map/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png", "")
    assert status == 500
    assert f"{made}: No such file" in json.loads(body)["detail"]
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("layer", ["map", "scene"])
def test_the_description_of_tiles_leads_to_them(server: Server, layer: str) -> None:
    status, text = server.status(f"{layer}/WebMercatorQuad/tilejson.json")
    assert status == 200
    assert json.loads(text)["tiles"][0].startswith(f"{server.address}{layer}/tiles/WebMercatorQuad/")


def test_the_scene_is_shown_though_the_picture_that_the_map_was_started_from_is_gone(tmp_path: Path) -> None:
    made = map_of(tmp_path)
    record = json.loads(Outputs(made).record.read_text())
    record["configuration"]["schedule"]["init"] = "/nowhere/start.tif"
    record["inputs"].insert(1, {"path": "/nowhere/start.tif", "bytes": 3, "sha256": "ab" * 32})
    Outputs(made).record.write_text(json.dumps(record))
    with viewing(made) as found:
        assert found.scene is not None


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("gone", "expected the file that the run read, got nothing"),
        ("changed", "expected the file that the run read, got another"),
        ("no record", "expected the map's run record, got no key 'configuration'"),
    ],
)
def test_a_map_whose_scene_is_not_there_is_shown_alone_and_the_reason_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, reason: str
) -> None:
    made, scene = map_of(tmp_path), tmp_path / "scene.tif"
    if how == "gone":
        scene.unlink()
    elif how == "changed":
        scene.write_bytes(scene.read_bytes() + b" ")
    else:
        made.with_suffix(".run.json").write_text("{}")
    with viewing(made) as found:
        assert found.scene is None
        paths = {getattr(route, "path", "") for route in application(found).routes}
        page = _page(found)
    assert not any(path.startswith("/scene") for path in paths)
    assert 'id="slider"' not in page
    assert "the map is shown without its scene" in caplog.text
    assert reason in caplog.text


def test_what_cannot_be_viewed_is_told_in_one_line(
    tmp_path: Path, server: Server, made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nowhere = map_of(tmp_path, replace(HERE, crs=CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')))
    (tmp_path / "pole").mkdir()
    at_the_pole = map_of(tmp_path / "pole", Grid(CRS.from_epsg(3031), Affine(30, 0, 1000, 0, -30, 1000), 300, 200))
    (tmp_path / "no.tif").write_bytes(b"no raster")
    port = server.address.split(":")[-1].strip("/")
    for arguments, complaint in (
        ((nowhere,), "expected a scene on Earth within 85.05 degrees of the equator, got 300 × 200 pixels"),
        ((at_the_pole,), "expected a scene on Earth within 85.05 degrees of the equator, got 300 × 200 pixels"),
        ((tmp_path / "no.tif",), "expected a raster that GDAL can read"),
        ((tmp_path / "none.tif",), "expected a file or folder, got nothing of that name"),
        ((made, "--port", port), f"error: port {port}: expected a free port"),
    ):
        with pytest.raises(SystemExit) as ended:
            app(["view", *map(str, arguments)])
        assert ended.value.code == 2
        said = capfd.readouterr()
        started, error = said.err.splitlines()
        assert (said.out, started) == ("", "starting the map server")
        assert complaint in error


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_ctrl_c_does_and_nothing_temporary_is_left(
    tmp_path: Path, made: Path, how: signal.Signals
) -> None:
    server = Server(made, temporary=tmp_path)
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["nst-rs-view"]
    server.status("")
    assert server.interrupt(how) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_nothing_until_the_loop_has_ended(how: signal.Signals) -> None:
    """An exception out of a destructor is lost: SIGHUP once left the server running so."""
    server = _Server(uvicorn.Config(FastAPI()))
    heard: list[int] = []
    earlier = signal.signal(how, lambda number, _: heard.append(number))
    try:
        with server.capture_signals():
            signal.raise_signal(how)
            assert (heard, server.should_exit) == ([], True)
        assert heard == [how]
    finally:
        signal.signal(how, earlier)


def test_hanging_up_is_ignored_where_nohup_has_asked_for_it() -> None:
    server = _Server(uvicorn.Config(FastAPI()))
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with server.capture_signals():
            signal.raise_signal(signal.SIGHUP)
        assert not server.should_exit
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, earlier)


def asked(app: FastAPI, path: str, query: str) -> tuple[int, bytes]:
    """Ask an application for a path, without a socket; return the answer's status and body."""
    answer: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "http_version": "1.1"}
    asyncio.run(app({**scope, "headers": [(b"host", HOST.encode())]}, receive, send))
    return answer[0]["status"], b"".join(part.get("body", b"") for part in answer)


@pytest.mark.filterwarnings("ignore:Adjusting dataset latitudes")  # which the command hides
@pytest.mark.parametrize(
    "name",
    [
        "UTM",
        "UTM zone 1 across 180°",
        "UTM zone 60 across 180°, rotated",
        "degrees, 178 to 182",
        "degrees, 190 to 192",
        "degrees, 0 to 360",
        "degrees, half a pixel beyond the globe",
        "EPSG:3857 across its eastern edge",
        "EPSG:3832, of the Pacific",
        "EPSG:3413 around the pole",
        "EPSG:3031 around the pole",
    ],
)
def test_map_and_scene_are_served_wherever_the_map_has_web_tiles(tmp_path: Path, name: str) -> None:
    grid = EVERYWHERE[name]
    made = map_of(tmp_path, grid)
    finest = parts(grid)[-1].zoom
    places = [(x, y) for part in parts(grid) if part.zoom == finest for x in part.columns for y in part.rows]
    write_tiles(tmp_path / "map.mbtiles", SimpleNamespace(tif=made, record=record_of()))
    with closing(sqlite3.connect(tmp_path / "map.mbtiles")) as database:
        rows = database.execute("SELECT tile_column, tile_row, tile_data FROM tiles WHERE zoom_level = ?", (finest,))
        written = {
            (x, 2**finest - 1 - y): np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")) for x, y, data in rows
        }
    with viewing(made) as shown:
        app = application(shown)
        assert shown.scene is not None
        for layer in ("map", "scene"):
            for x, y in places:
                path = f"/{layer}/tiles/WebMercatorQuad/{finest}/{x}/{y}.png"
                status, body = asked(app, path, "resampling=bilinear&reproject=bilinear")
                empty = np.zeros((SIDE, SIDE, 4), np.uint8)
                rgba = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")) if status == 200 else empty
                # Only along the map's edges a pixel may be in one and not in the other.
                assert (rgba[..., 3] != written.get((x, y), empty)[..., 3]).mean() < 0.02
                if layer == "map":
                    assert (np.abs(rgba[rgba[..., 3] == 255][:, :3] - np.float32(MAP)) <= 1).all()


@pytest.mark.parametrize("name", ["degrees, 178 to 182", "UTM zone 60 across 180°", "degrees, 0 to 360"])
def test_a_map_over_the_antimeridian_is_one_piece(tmp_path: Path, browser: webdriver.Chrome, name: str) -> None:
    made = map_of(tmp_path, EVERYWHERE[name])
    server = Server(made)
    try:
        opened(browser, server.address)
        slider = browser.find_element(By.ID, "slider")
        slider.send_keys(Keys.HOME)
        np.testing.assert_allclose(beside_the_middle(browser), [MAP, MAP], atol=3)
        asked_for = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        columns = {int(part.split("/")[-2]) for part in asked_for if "/map/tiles/" in part}
        zoom = next(int(part.split("/")[-3]) for part in asked_for if "/map/tiles/" in part)
        assert {0, 2**zoom - 1} <= columns
        assert complaints(browser) == []
    finally:
        assert server.interrupt() == (0, "")


AFAR = [(40, 170, 60), (40, 80, 200), (210, 190, 40)]
"""The colours of a map's pictures for zooms."""
FINEST = 12


@pytest.fixture(scope="module")
def made_with_zooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of one colour on the grid of web tiles, whose zooms have other colours."""
    side = pixel_side(FINEST)
    grid = Grid(CRS_OF_WEB, Affine(side, 0, 1600 * side, 0, -side, 8000 * side), 400, 240)
    full, *zooms = (
        StyledMap(np.broadcast_to(np.float32(color), (*of.shape, 3)), np.ones(of.shape, bool), of)
        for of, color in ((grid.reduced(2**number), color) for number, color in enumerate([MAP, *AFAR]))
    )
    made = tmp_path_factory.mktemp("zooms") / "map.tif"
    publish_alone(Outputs(made), replace(full, zooms=tuple(zooms)))
    return made


@pytest.mark.parametrize("size", [256, 512])
def test_every_zoom_of_a_map_with_pictures_for_zooms_is_its_own_picture(made_with_zooms: Path, size: int) -> None:
    with viewing(made_with_zooms) as shown:
        app, (west, south, east, north) = application(shown), shown.bounds
        for number, color in enumerate([MAP, *AFAR]):
            zoom = FINEST - number - (size == 512)
            tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, zoom)
            path = f"/map/tiles/WebMercatorQuad/{tile.z}/{tile.x}/{tile.y}.png"
            status, body = asked(app, path, f"resampling=bilinear&reproject=bilinear&tilesize={size}")
            assert status == 200
            rgba = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))
            assert rgba.shape == (size, size, 4)
            assert (rgba[rgba[..., 3] == 255][:, :3] == color).all()


def test_a_reader_who_zooms_out_sees_the_pictures_for_zooms(made_with_zooms: Path, browser: webdriver.Chrome) -> None:
    server = Server(made_with_zooms)
    try:
        opened(browser, server.address)
        seen: set[tuple[int, ...]] = set()
        while seen != {MAP, *AFAR}:
            tiles = browser.find_elements(By.CSS_SELECTOR, "img.leaflet-tile")
            (zoom,) = {int(str(image.get_attribute("src")).split("/")[-3]) for image in tiles}
            wanted = [MAP, *AFAR][min(max(0, FINEST - zoom), len(AFAR))]
            page = pixels(browser.find_element(By.ID, "map"))
            row, column = (side // 2 for side in page.shape[:2])
            middle = page[row - 3 : row + 3, column - 3 : column + 3].mean(axis=(0, 1))
            np.testing.assert_allclose(middle, wanted, atol=3)
            seen.add(wanted)
            scale = browser.find_element(By.CLASS_NAME, "leaflet-control-scale-line").text
            browser.find_element(By.CLASS_NAME, "leaflet-control-zoom-out").click()
            WebDriverWait(browser, 60).until(lambda b, before=scale: _at_another_scale(b, before))
        assert complaints(browser) == []
    finally:
        code, said = server.interrupt()
        assert code == 0
        assert "without its scene" in said


def _at_another_scale(browser: webdriver.Chrome, before: str) -> bool:
    """Whether the scale bar has another length, and all tiles are there."""
    ready = """const images = [...document.querySelectorAll('img.leaflet-tile')];
        return document.querySelector('.leaflet-control-scale-line').textContent !== arguments[0]
            && !document.querySelector('.leaflet-zoom-anim')
            && new Set(images.map(image => image.src.split('/').at(-3))).size === 1  // the other zoom's are gone
            && images.every(image => image.complete && getComputedStyle(image).opacity === '1')"""
    return bool(browser.execute_script(ready, before))
