"""Tiles of `nst-rs serve` against titiler's own, unstyled ones of the same scene: how many a second, and the first."""

import tempfile
import time
import warnings
from collections.abc import Callable
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


def _figures(folder: Path, size: int) -> dict[str, float]:
    write_scene(folder / "scene.tif", (SIDE, SIDE))
    named = name_files(RunConfig(), [folder / "scene.tif"], [shipped_folder() / "harvest.style"], folder / "map.tif")
    job = prepare(named)
    if not isinstance(job, LearnedJob):
        raise TypeError("a learned style was named")
    with MapOnDemand(job) as map_, painted("scene", map_) as view, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Dataset has no geotransform")
        opening = _seconds(view.open)
        client, places = TestClient(application(view), base_url=f"http://{HOST}"), _places(view, size)

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


def _places(view: View, size: int) -> list[str]:
    """Return the tiles of a square in the map's middle."""
    west, south, east, north = view.bounds
    zoom, count = view.zoom - 1 - (size == 512), AROUND * 256 // size
    middle = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, zoom)
    query = f"?resampling=bilinear&reproject=bilinear&tilesize={size}"
    return [
        f"/tiles/WebMercatorQuad/{zoom}/{middle.x + x - count // 2}/{middle.y + y - count // 2}.png{query}"
        for y in range(count)
        for x in range(count)
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
