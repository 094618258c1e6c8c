"""A finished map in the browser: tiles read from its GeoTIFF as they are asked for, served on loopback only."""

import logging
import re
import signal
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import jinja2
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from rio_tiler.errors import EmptyMosaicError, PointOutsideBounds, RioTilerError, TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.mosaic import mosaic_reader
from starlette.datastructures import QueryParams
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import TilerFactory

from nst_rs.errors import NstError, ResourceError, SceneError
from nst_rs.files.storage import DiskStorage
from nst_rs.geo.grid import Grid
from nst_rs.geo.webgrid import SIDE
from nst_rs.output.finished_run import FinishedRun
from nst_rs.output.rasters.cog import write_cog
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.webtiles import finest_zoom, map_bounds, pieces_around_the_earth
from nst_rs.scene.opening import open_scene
from nst_rs.view.wmts import Layer, capabilities

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Nobody but this machine's own users is served."""

MOST_SIDE = 2048
"""The most pixels along a side of what is sent at once."""

Pieces = tuple[Path, ...]
"""A raster, and files that stand for its copies around the Earth."""


@dataclass(frozen=True)
class Choice:
    """What a reader of the page chooses a map by, where there are several of one scene."""

    path: str
    """What the addresses of its tiles begin with: a part that ends in a slash."""
    style: str
    composite: str


def _nothing_to_open() -> None:
    """Open nothing."""


@dataclass(frozen=True)
class View:
    """What is shown."""

    name: str
    map: Pieces
    scene: Pieces | None
    """The scene before styling, on the map's grid; none where it is not to be had."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees; east may be beyond 180."""
    zoom: int
    """The zoom level of web tiles whose pixels are as large as the map's, or smaller."""
    reader: type[Reader] | None = None
    """What reads the map's tiles where they are not in its file yet; it is opened on the file all the same."""
    least_zoom: int = 1
    """The coarsest zoom level that is shown."""
    choice: Choice | None = None
    """What it is chosen by."""
    open: Callable[[], None] = _nothing_to_open
    """Makes its files where they are not there yet; called before they are read. Raises NstError."""

    @property
    def path(self) -> str:
        """What the addresses of its tiles begin with."""
        return self.choice.path if self.choice else ""

    @property
    def layers(self) -> list[Layer]:
        """Its tiles, for the capabilities."""
        words = f" in {self.choice.style}, {self.choice.composite}" if self.choice else ""
        layers = [Layer(f"{self.path}map", f"{self.name}{words}", self.bounds, (self.least_zoom, self.zoom))]
        if self.scene is not None:
            named = f", {self.choice.composite}" if self.choice else ""
            layers.append(Layer(f"{self.path}scene", f"{self.name}, the scene{named}", self.bounds, (1, self.zoom)))
        return layers


@contextmanager
def viewing(tif: Path) -> Iterator[View]:
    """Open a map for viewing, and compose its scene anew in a temporary folder where the files are still there.

    Raises NstError where `tif` is no map, or web maps do not show where it lies.
    """
    grid = open_scene([str(tif)]).grid
    bounds = map_bounds(f"map {tif}", grid)
    # One level more than web tiles have: Mercator's scale differs from the middle to the edges.
    zoom = finest_zoom(grid) + 1
    with tempfile.TemporaryDirectory(prefix="nst-rs-view.") as folder:
        scene: Pieces | None = None
        try:
            path = Path(folder) / "scene.tif"
            _write_scene(tif, grid, path)
            scene = pieces_around_the_earth(path, grid, Path(folder))
        except NstError as error:
            log.warning("the map is shown without its scene: %s", error)
        yield View(tif.stem, pieces_around_the_earth(tif, grid, Path(folder)), scene, bounds, zoom)


def application(*views: View) -> FastAPI:
    """Return the page and the tiles of a view, or of several of one scene, as a web application."""
    app = FastAPI(title="nst-rs", docs_url=None, redoc_url=None, openapi_url=None)
    # A page from elsewhere whose name was made to point here is not served either.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_middleware(_HeadsToo)
    # What rio-tiler complains about is the request: the files are ours, and what GDAL complains about is one of them.
    add_exception_handlers(app, {**DEFAULT_STATUS_CODES, RioTilerError: 400, PointOutsideBounds: 404})
    gdals = [error for error in DEFAULT_STATUS_CODES if error.__module__.startswith("rasterio.")]
    for error in (NstError, OSError, *gdals):  # a disk that is full, a file that is gone
        app.add_exception_handler(error, _as_a_line)
    for view in views:
        for name, router in _routers(view).items():
            app.include_router(router, prefix=f"/{name}", dependencies=[Depends(_check_request)])
    page = _page(*views)
    app.add_api_route("/", lambda: HTMLResponse(page))
    app.add_api_route("/WMTSCapabilities.xml", partial(_capabilities, views))
    for name, kind in (("leaflet.js", "text/javascript"), ("leaflet.css", "text/css")):
        app.add_api_route(f"/{name}", _file(name, kind))
    app.add_api_route("/favicon.ico", lambda: Response(status_code=204))
    return app


class _HeadsToo:
    """Answers HEAD as GET, which FastAPI does not by itself; the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope
        await self._app(asked, receive, send)


def _check_request(
    request: Request,
    _tilesize: Annotated[int, Query(alias="tilesize", le=MOST_SIDE)] = SIDE,
    _buffer: Annotated[float, Query(alias="buffer", le=MOST_SIDE)] = 0,
    _max_size: Annotated[int, Query(alias="max_size", le=MOST_SIDE)] = MOST_SIDE,
) -> None:
    """Refuse a picture larger than any page asks for, and a zoom level, a place or a value that there is none of."""
    zoom = request.path_params.get("z", "0")
    if not re.fullmatch(r"\d\d?", zoom, re.ASCII):
        raise HTTPException(404, f"there is no zoom level {zoom:.20}")
    for name, most in (("lon", 360), ("lat", 90)):
        degrees = request.path_params.get(name, "0")
        if abs(_number(degrees)) > most:
            raise HTTPException(404, f"there is no place at {name} {degrees:.20}")
    nodata = request.query_params.get("nodata", "0")
    if not 0 <= _number(nodata) <= 255:  # not a number neither
        raise HTTPException(400, f"nodata: expected a value from 0 to 255, got {nodata:.20}")
    _check_counted(request.query_params)


def _check_counted(asked: QueryParams) -> None:
    """Refuse a band or a percentile beyond what there is, which rio-tiler takes for any other IndexError."""
    bands = [*asked.getlist("bidx"), *re.findall(r"\bb(\d+)\b", asked.get("expression", ""), re.IGNORECASE)]
    for name, least, most, counted in (("band", 1, 3, bands), ("percentile", 0, 100, asked.getlist("p"))):
        for text in counted:
            if not least <= _number(text, otherwise=least) <= most:
                there_are = "bands are 1, red, 2, green, and 3, blue; percentiles are 0 to 100"
                raise HTTPException(400, f"there is no {name} {text:.20}: {there_are}")


def _number(text: str, otherwise: float = 0.0) -> float:
    """Return what a request says, or something else for what is no number, which others refuse."""
    try:
        return float(text)
    except ValueError:
        return otherwise


def serve(views: Sequence[View], port: int, ready: Callable[[str], None]) -> None:
    """Serve `views` until KeyboardInterrupt, which is passed on; `port` 0 is any free one. `ready` is told the address.

    Raises ResourceError where the port cannot be had.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()  # whoever comes before the server is up waits
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ResourceError(f"port {port}", expected="a free port", got=reason, do="choose another") from error
        ready(f"http://{HOST}:{listening.getsockname()[1]}/")
        with warnings.catch_warnings():
            # rio-tiler hides this about its PNGs, which lie nowhere, but a thread's filters are any other's too.
            warnings.filterwarnings("ignore", message="Dataset has no geotransform")
            warnings.filterwarnings("ignore", message="Adjusting dataset latitudes")  # web maps end at 85 degrees
            _Server(uvicorn.Config(application(*views), log_level="warning", lifespan="off")).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that SIGHUP, too, ends between two steps of its event loop.

    uvicorn does so with SIGINT and SIGTERM. A handler that raises wherever the loop happens to be would not do: an
    exception out of a destructor is lost, and the server goes on.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Note signals while the context lasts, and send them to whoever handled them before when it ends."""
        with super().capture_signals():
            earlier = signal.getsignal(signal.SIGHUP)
            if earlier is not signal.SIG_IGN:  # nohup's wish
                signal.signal(signal.SIGHUP, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, earlier)


def _write_scene(tif: Path, grid: Grid, path: Path) -> None:
    """Write the composite of the scene that `tif` was made from. Raises NstError where it is not to be had."""
    image, weight, scene_grid = FinishedRun.of(tif).compose(DiskStorage(path.parent), {})
    if scene_grid != grid:
        raise SceneError(f"scene of {tif}", expected=grid.describe(), got=scene_grid.describe())
    write_cog(path, StyledMap(image, weight, grid))


def _routers(view: View) -> dict[str, APIRouter]:
    """Return the routes of a view's rasters by the path that they lie under."""
    routers = {}
    for name, pieces in (("map", view.map), ("scene", view.scene)):
        if pieces is not None:
            path = f"{view.path}{name}"
            is_painted = name == "map" and view.reader is not None
            routers[path] = _painted(path, view) if is_painted else _tiles(path, pieces, view.open)
    return routers


def _tiles(name: str, pieces: Pieces, open_: Callable[[], None]) -> APIRouter:
    """Return the routes of one raster, under its name: no request can name another."""

    class PiecesReader(Reader):
        """A reader of the raster whose tiles show its copies too."""

        def tile(self, *place: Any, **options: Any) -> ImageData:
            """Return a tile: of the first piece that has data there, pixel by pixel."""
            try:
                image, _ = mosaic_reader(pieces, _tile_of, *place, threads=1, **options)
            except EmptyMosaicError as error:
                raise TileOutsideBounds(str(error)) from error
            return image

    return _routes(name, pieces[0], Reader if len(pieces) == 1 else PiecesReader, open_)


def _painted(name: str, view: View) -> APIRouter:
    """Return the routes of the map's tiles alone: the others would tell of the file that the reader is opened on."""
    router = APIRouter()
    every = _routes(name, view.map[0], view.reader or Reader, view.open).routes
    router.routes += [route for route in every if "{tileMatrixSetId}/" in getattr(route, "path", "")]
    return router


def _routes(name: str, path: Path, reader: type[Reader], open_: Callable[[], None]) -> APIRouter:
    """Return titiler's routes for one raster, as they are found under its name."""

    def opened() -> str:
        open_()
        return str(path)

    tiler = TilerFactory(
        reader=reader,
        path_dependency=opened,
        router_prefix=f"/{name}",
        add_preview=False,
        add_part=False,
        add_viewer=False,
    )
    router: APIRouter = tiler.router
    return router


def _tile_of(piece: Path, *place: Any, **options: Any) -> ImageData:
    with Reader(str(piece)) as reader:
        image: ImageData = reader.tile(*place, **options)
    return image


def _capabilities(views: Sequence[View], request: Request) -> Response:
    """Return the description of all tiles that QGIS and others ask for."""
    layers = [layer for view in views for layer in view.layers]
    return Response(capabilities(views[0].name, layers, str(request.base_url)), media_type="application/xml")


def _as_a_line(_: Request, error: Exception) -> Response:
    """Return what went wrong with a map that was to be opened or read, and tell it on the terminal too."""
    log.error("%s", error)
    return JSONResponse({"detail": str(error)}, status_code=500)


def _file(name: str, kind: str) -> Callable[[], Response]:
    content = _data(name)
    return lambda: Response(content, media_type=kind, headers={"Cache-Control": "max-age=86400"})


def _page(*views: View) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    first, choices = views[0], [view.choice for view in views if view.choice]
    return environment.from_string(_data("view.html")).render(
        name=first.name,
        bounds=first.bounds,
        has_scene=first.scene is not None,
        maps=[{"path": view.path, "zoom": view.zoom, "least": view.least_zoom} for view in views],
        choices=[{"style": choice.style, "composite": choice.composite} for choice in choices],
        styles=list(dict.fromkeys(choice.style for choice in choices)),
        composites=list(dict.fromkeys(choice.composite for choice in choices)),
    )


def _data(name: str) -> str:
    return files("nst_rs").joinpath("data", name).read_text(encoding="utf-8")
