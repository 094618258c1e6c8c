"""A finished map in the browser: tiles read from its GeoTIFF as they are asked for, served on loopback only."""

import json
import logging
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jinja2
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from rio_tiler.io import Reader
from starlette.middleware.trustedhost import TrustedHostMiddleware
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import TilerFactory

from nst_rs.composite.recompose import check_unchanged, compose_anew
from nst_rs.config.sections import RunConfig
from nst_rs.errors import NstError, OutputError, ResourceError, SceneError
from nst_rs.files.storage import DiskStorage
from nst_rs.geo.footprint import bounding_box, footprint
from nst_rs.geo.grid import Grid
from nst_rs.output.cog import write_cog
from nst_rs.output.files import Outputs
from nst_rs.output.geotiff import StyledMap
from nst_rs.scene.opening import open_scene

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Nobody but this machine's own users is served."""


@dataclass(frozen=True)
class View:
    """What is shown."""

    map: Path
    scene: Path | None
    """The scene before styling, on the map's grid; none where it is not to be had."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees; east may be beyond 180."""

    @property
    def zooms(self) -> tuple[int, int]:
        """Of web tiles: where the map is small, and where its pixels are as large as a tile's."""
        with Reader(str(self.map)) as reader:
            return int(reader.minzoom), int(reader.maxzoom)


@contextmanager
def viewing(tif: Path) -> Iterator[View]:
    """Open a map for viewing, and compose its scene anew in a temporary folder where the files are still there.

    Raises NstError where `tif` is no map, or lies nowhere on Earth.
    """
    grid = open_scene([str(tif)]).grid
    bounds = _bounds(tif, grid)
    with tempfile.TemporaryDirectory(prefix="nst-rs-view.") as folder:
        scene: Path | None = Path(folder) / "scene.tif"
        try:
            _write_scene(tif, grid, Path(folder) / "scene.tif")
        except NstError as error:
            log.warning("the map is shown without its scene: %s", error)
            scene = None
        yield View(tif, scene, bounds)


def application(view: View) -> FastAPI:
    """Return the pages and tiles of `view` as a web application."""
    app = FastAPI(title="nst-rs", docs_url=None, redoc_url=None, openapi_url=None)
    # A page from elsewhere whose name was made to point here is not served either.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    add_exception_handlers(app, DEFAULT_STATUS_CODES)
    for name, path in (("map", view.map), ("scene", view.scene)):
        if path is not None:
            app.include_router(_tiles(path).router, prefix=f"/{name}")
    page = _page(view)
    app.add_api_route("/", lambda: HTMLResponse(page))
    for name, kind in (("leaflet.js", "text/javascript"), ("leaflet.css", "text/css")):
        app.add_api_route(f"/{name}", _file(name, kind))
    app.add_api_route("/favicon.ico", lambda: Response(status_code=204))
    return app


def serve(view: View, port: int, ready: Callable[[str], None]) -> None:
    """Serve `view` until KeyboardInterrupt, which is passed on; `port` 0 is any free one. `ready` is told the address.

    Raises ResourceError where the port cannot be had.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()  # whoever comes before the server is up waits
        except (OSError, OverflowError) as error:
            raise ResourceError(f"port {port}", expected="a free port", got=str(error), do="choose another") from error
        ready(f"http://{HOST}:{listening.getsockname()[1]}/")
        with warnings.catch_warnings():
            # rio-tiler hides this about its PNGs, which lie nowhere, but a thread's filters are any other's too.
            warnings.filterwarnings("ignore", message="Dataset has no geotransform")
            uvicorn.Server(uvicorn.Config(application(view), log_level="warning", lifespan="off")).run(
                sockets=[listening]
            )


def _bounds(tif: Path, grid: Grid) -> tuple[float, float, float, float]:
    found = footprint(grid)
    if found is None:
        raise OutputError(f"map {tif}", expected="a CRS that says where on Earth it lies", got="none")
    west, south, east, north = bounding_box(found)
    return west, south, east if east > west else east + 360, north


def _write_scene(tif: Path, grid: Grid, path: Path) -> None:
    """Write the composite of the scene that `tif` was made from. Raises NstError where it is not to be had."""
    record = Outputs(tif).record
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
        config, inputs = RunConfig.model_validate(read["configuration"]), read["inputs"]
        scenes = inputs[: len(inputs) - len(config.style.images)]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise OutputError(f"record {record}", expected="the map's run record", got=f"{error!r:.200}") from error
    check_unchanged(scenes)
    image, weight, found = compose_anew(config, DiskStorage(path.parent))
    if found != grid:
        raise SceneError(f"scene of {tif}", expected=grid.describe(), got=found.describe())
    write_cog(path, StyledMap(image, weight, grid))


def _tiles(path: Path) -> TilerFactory:
    """Return titiler's routes for one file: no request can name another."""
    return TilerFactory(path_dependency=lambda: str(path), add_preview=False, add_part=False, add_viewer=False)


def _file(name: str, kind: str) -> Callable[[], Response]:
    content = _data(name)
    return lambda: Response(content, media_type=kind, headers={"Cache-Control": "max-age=86400"})


def _page(view: View) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_data("view.html")).render(
        name=view.map.stem, bounds=view.bounds, zooms=view.zooms, has_scene=view.scene is not None
    )


def _data(name: str) -> str:
    return files("nst_rs").joinpath("data", name).read_text(encoding="utf-8")
