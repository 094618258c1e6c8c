"""The map server as a person meets it: the real command on loopback, and a real browser."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import psutil
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from nst_rs.cli import app
from nst_rs.files.fingerprint import fingerprint
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs
from nst_rs.output.geotiff import StyledMap
from nst_rs.view.server import _bounds, _page, application, viewing
from tests.browser import browsing, complaints, pixels
from tests.published import publish_alone
from tests.rasters import NORTH_UP, UTM, write_raster
from tests.runs import MAP, record_of

NST_RS = Path(sys.executable).with_name("nst-rs")
SHAPE = (200, 300)
GRAY = 128
"""Of the scene's every pixel, once it is stretched: half is 0, half 255."""


def map_of(folder: Path, crs: str = UTM) -> Path:
    """A finished run: a scene of black and white rows, and a map of one colour."""
    values = np.full((3, *SHAPE), 10, np.uint8)
    values[:, 1::2] = 250
    scene = write_raster(folder / "scene.tif", values, crs=crs)
    record: dict[str, Any] = record_of({"scene.paths": (str(scene),), "composite.bands": (1, 2, 3)})
    record["inputs"][0] = fingerprint(scene)
    styled = np.broadcast_to(np.float32(MAP), (*SHAPE, 3))
    grid = Grid(CRS.from_user_input(crs), NORTH_UP, SHAPE[1], SHAPE[0])
    made = folder / "map.tif"
    publish_alone(Outputs(made), StyledMap(styled, np.ones(SHAPE, bool), grid), lambda: record)
    return made


class Server:
    """The command, running."""

    def __init__(self, *arguments: object) -> None:
        command = [NST_RS, "view", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        self.address = self.said.split()[0] if self.said else ""

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code, and what was written to the terminal besides the address."""
        self.process.send_signal(signal.SIGINT)
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


def opened(browser: webdriver.Chrome, address: str) -> None:
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


def test_scene_and_map_lie_under_a_slider(server: Server) -> None:
    with browsing() as browser:
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
        (west, south, east, north), (_, zoom) = found.bounds, found.zooms
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
    ("how", "reason"),
    [
        ("gone", "expected the file that the run read, got nothing"),
        ("changed", "expected the file that the run read, got another"),
        ("no record", "expected the map's run record"),
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
    nowhere = map_of(tmp_path, 'LOCAL_CS["Site",UNIT["metre",1]]')
    (tmp_path / "no.tif").write_bytes(b"no raster")
    port = server.address.split(":")[-1].strip("/")
    for arguments, complaint in (
        ((nowhere,), "expected a CRS that says where on Earth it lies, got none"),
        ((tmp_path / "no.tif",), "expected a raster that GDAL can read"),
        ((tmp_path / "none.tif",), "expected a file or folder, got nothing of that name"),
        ((made, "--port", port), f"error: port {port}: expected a free port"),
    ):
        with pytest.raises(SystemExit) as ended:
            app(["view", *map(str, arguments)])
        assert ended.value.code == 2
        said = capfd.readouterr()
        assert (said.out, len(said.err.splitlines())) == ("", 1)
        assert complaint in said.err


def test_a_map_over_the_antimeridian_is_one_piece(tmp_path: Path) -> None:
    grid = Grid(CRS.from_epsg(32760), Affine(100, 0, 800_000, 0, -100, 8_000_000), 2000, 1000)
    west, _, east, _ = _bounds(tmp_path / "map.tif", grid)
    assert 179 < west < 180 < east < 182
