"""A raster's outline on the ground, as GeoJSON has it."""

from pathlib import Path
from typing import Any

import rasterio
from rasterio.warp import transform_geom

_STEPS = 16
"""Parts of each side, so that it stays with the pixels where it is no straight line in degrees."""


def footprint(path: Path) -> dict[str, Any]:
    """Return the outline of all pixels of a raster, in degrees of WGS 84, cut at the antimeridian.

    Raises rasterio's RasterioIOError for what is no raster.
    """
    with rasterio.open(path) as source:
        corners = [(0, 0), (0, source.height), (source.width, source.height), (source.width, 0)]
        ring = [
            source.transform @ (x + (to_x - x) * step / _STEPS, y + (to_y - y) * step / _STEPS)
            for (x, y), (to_x, to_y) in zip(corners, [*corners[1:], corners[0]], strict=True)
            for step in range(_STEPS)
        ]
        polygon = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        found: dict[str, Any] = transform_geom(source.crs, "EPSG:4326", polygon, precision=6)
    return found
