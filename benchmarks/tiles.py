"""Tiles of `nst-rs serve` against titiler's own, unstyled ones of the same scene: how many a second, and the first."""

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import morecantile
from fastapi.testclient import TestClient

from benchmarks.scenes import write_scene
from nst_rs.config.loading import name_files
from nst_rs.config.named_styles import shipped_folder
from nst_rs.config.sections import RunConfig
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.on_demand import MapOnDemand
from nst_rs.runs.prepare import prepare
from nst_rs.view.painted import painted
from nst_rs.view.server import HOST, View, application

SIDE = 4096
"""Pixels along the scene's sides."""
AROUND = 8
"""Tiles of 256 along the sides of the square that is looked at; half as many of 512."""


def of_served_maps() -> dict[str, float]:
    """Tiles of 256 and of 512 pixels at the map's own zoom, asked for one after the other: styled and unstyled."""
    figures = {}
    for size in (256, 512):
        with tempfile.TemporaryDirectory() as folder:
            for name, value in _figures(Path(folder), size).items():
                figures[f"{size} pixels: {name}"] = value
    return figures


def at_once() -> dict[str, float]:
    """Twelve neighbouring tiles of 256 pixels, asked for at the same time: processor time, and who waits how long."""
    with tempfile.TemporaryDirectory() as folder, _shown(Path(folder), SIDE // 2) as (view, client):
        wanted, ended = _places(view, 256, (4, 3)), []

        def fetch(path: str) -> None:
            client.get(f"/map{path}").raise_for_status()
            ended.append(time.perf_counter())

        client.get(f"/scene{wanted[0]}")  # what is imported late
        figures = {}
        for state in ("while they are painted", "once they are painted"):
            ended.clear()
            started, spent = time.perf_counter(), time.process_time()
            with ThreadPoolExecutor(len(wanted)) as pool:
                list(pool.map(fetch, wanted))
            figures[f"processor seconds a tile {state}"] = (time.process_time() - spent) / len(wanted)
            figures[f"the first of them {state}, seconds"] = ended[0] - started
            figures[f"the last of them {state}, seconds"] = ended[-1] - started
    return figures


def _figures(folder: Path, size: int) -> dict[str, float]:
    with _shown(folder, SIDE) as (view, client):
        opening = _seconds(view.open)
        places = _places(view, size, (AROUND * 256 // size,) * 2)

        def fetch(layer: str, wanted: list[str]) -> float:
            return _seconds(lambda: [client.get(f"/{layer}{path}").raise_for_status() for path in wanted])

        first = {layer: fetch(layer, places[:1]) for layer in ("scene", "map")}
        new = fetch("map", places[1:])
        again, unstyled = (fetch(layer, places) for layer in ("map", "scene"))
    return {
        "reading the scene before the first, seconds": opening,
        "the first tile, seconds": first["map"],
        "the first tile unstyled, seconds": first["scene"],
        "tiles a second while they are painted": (len(places) - 1) / new,
        "tiles a second once they are painted": len(places) / again,
        "tiles a second unstyled": len(places) / unstyled,
    }


@contextmanager
def _shown(folder: Path, side: int) -> Iterator[tuple[View, TestClient]]:
    """Show a scene of `side` pixels along its sides, of which nothing is painted yet."""
    write_scene(folder / "scene.tif", (side, side))
    named = name_files(RunConfig(), [folder / "scene.tif"], [shipped_folder() / "harvest.style"], folder / "map.tif")
    job = prepare(named)
    if not isinstance(job, LearnedJob):
        raise TypeError("a learned style was named")
    with MapOnDemand(job) as map_, painted("scene", map_) as view, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Dataset has no geotransform")
        yield view, TestClient(application(view), base_url=f"http://{HOST}")


def _places(view: View, size: int, count: tuple[int, int]) -> list[str]:
    """Return so many columns and rows of tiles in the map's middle."""
    west, south, east, north = view.bounds
    (columns, rows), zoom = count, view.zoom - 1 - (size == 512)
    middle = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, zoom)
    query = f"?resampling=bilinear&reproject=bilinear&tilesize={size}"
    return [
        f"/tiles/WebMercatorQuad/{zoom}/{middle.x + x - columns // 2}/{middle.y + y - rows // 2}.png{query}"
        for y in range(rows)
        for x in range(columns)
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
