"""Files to a scene: what was named, understood as the configuration says."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from nst_rs.config.area import PixelsArea, UnitsArea
from nst_rs.config.sections import SceneSection
from nst_rs.geo.area import Area, Bounds, read_area, rectangle
from nst_rs.scene.layout import lay_out
from nst_rs.scene.mosaic import Scene, Target
from nst_rs.scene.products import Meaning, Product, find_products
from nst_rs.scene.raster_file import Header, opened
from nst_rs.scene.sensors import load_sensors
from nst_rs.scene.stac_items.items import is_stac, read_items

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How products are to be understood."""

    meaning: Meaning
    guesses_nodata: bool = False
    target: Target = field(default_factory=Target)


def open_scene(paths: Iterable[Path | str], nodata: float | None = None) -> Scene:
    """Open files, or folders of files, as one scene, on the grid of its finest band.

    `nodata` is the value that stands for no data, in place of what the files' tags say. Raises SceneError, naming
    the file, when one is missing, is not a raster, has no CRS, or does not belong on the first one's grid.
    """
    products = find_products([str(path) for path in paths], load_sensors(), sensor=None, detect=True)
    return understand(products, Reading(Meaning(nodata)))


def understand(products: Sequence[Product], reading: Reading) -> Scene:
    """Return the scene that `products` are, by what `reading` says. Raises SceneError like :func:`open_scene`."""
    meaning = reading.meaning
    if reading.guesses_nodata:
        guessed = guess_nodata(products)
        log.warning("nodata is guessed from the corners: %s", "none" if guessed is None else f"{guessed:g}")
        meaning = replace(meaning, nodata=guessed)
    return lay_out([_meant(product, meaning) for product in products], reading.target)


def _meant(product: Product, meaning: Meaning) -> Product:
    sources = tuple(meaning.applied(source, product.sensor) for source in product.sources)
    return replace(product, sources=sources)


def guess_nodata(products: Sequence[Product]) -> float | None:
    """Return what the corners of `products` hold in all bands, where that is a value that often means no data.

    None where a file, its product or the user says what means no data, or no corner looks like it.
    """
    for product in products:
        headers = {source.header for source in product.sources}
        said = any(header.masked or header.alpha is not None or header.in_colors for header in headers)
        if said or product.nodata is not None or not product.sources[0].tagged:
            continue
        for corner in zip(*map(_corners, headers), strict=True):
            values = set[float]().union(*corner)
            if len(values) == 1 and not values.isdisjoint(_FILLS):
                return values.pop()
    return None


_FILLS = frozenset({0.0, 255.0, 65535.0, -9999.0, -32768.0, float(np.finfo("float32").min)})


def _corners(header: Header) -> list[set[float]]:
    """Return the values that a file's bands hold in each of its four corners."""
    with opened(header.location, "readable pixels") as source:
        places = [(column, row) for row in (0, source.height - 1) for column in (0, source.width - 1)]
        corners = [source.read(window=Window(column, row, 1, 1)) for column, row in places]
    return [set(corner.astype(float).ravel().tolist()) for corner in corners]


def open_scene_of(section: SceneSection) -> Scene:
    """Open the files that a configuration names as one scene, on the grid of its finest band. Raises NstError."""
    reading = _reading(section)
    registry = load_sensors(section.sensors)
    sensor = None if section.sensor in ("auto", "none") else registry.named(section.sensor)
    products: list[Product] = []
    files: list[str] = []
    for path in section.paths:
        if is_stac(path):
            products += read_items(path, section.assets, registry)
        else:
            files.append(path)
    if files:
        products += find_products(files, registry, sensor, section.sensor == "auto")
    return understand(products, reading)


def _reading(section: SceneSection) -> Reading:
    nodata = None if section.nodata == "guess" else section.nodata
    return Reading(
        Meaning(nodata, section.nodata_in, section.scale, section.offset, section.saturated == "keep"),
        section.nodata == "guess",
        Target(section.crs, section.resolution, section.resampling, _area(section.area)),
    )


def _area(area: Bounds | UnitsArea | PixelsArea | Path | None) -> Area | None:
    if isinstance(area, UnitsArea):
        return rectangle(area.left, area.bottom, area.right, area.top, "units")
    if isinstance(area, PixelsArea):
        return rectangle(area.columns[0], area.rows[1], area.columns[1], area.rows[0], "pixels")
    return None if area is None else read_area(area)
