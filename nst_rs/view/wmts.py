"""The layers of a map server as WMTS describes them, for QGIS, GDAL and others that ask for such a document."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2

from nst_rs.geo.webgrid import WORLD
from nst_rs.output.rasters.webtiles import on_one_world, tile_blocks


@dataclass(frozen=True)
class Layer:
    """Tiles that are served under one path."""

    path: str
    title: str
    bounds: tuple[float, float, float, float]
    """West, south, east, north in degrees; east may be beyond 180."""
    zooms: tuple[int, int]
    """The coarsest and the finest zoom level."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north; from edge to edge of the world for what crosses the antimeridian."""
        return on_one_world(self.bounds)

    @property
    def limits(self) -> list[dict[str, Any]]:
        """The tiles that there are at every zoom level: one range of rows, one of columns."""
        limits = []
        for zoom in range(self.zooms[0], self.zooms[1] + 1):
            blocks = tile_blocks(self.bounds, zoom)
            columns = [column for block in blocks for column in (block.columns.start, block.columns.stop - 1)]
            rows = blocks[0].rows
            limits.append({"zoom": zoom, "rows": (rows.start, rows.stop - 1), "columns": (min(columns), max(columns))})
        return limits


def capabilities(title: str, layers: Sequence[Layer], address: str) -> str:
    """Return the capabilities document, XML, of layers whose tiles lie under `address`, which ends in a slash."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("nst_rs").joinpath("data", "wmts.xml").read_text(encoding="utf-8")
    matrices = [WORLD.matrix(zoom) for zoom in range(max(layer.zooms[1] for layer in layers) + 1)]
    return environment.from_string(text).render(title=title, layers=layers, address=address, matrices=matrices)
