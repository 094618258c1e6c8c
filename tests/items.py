"""STAC items of maps that nobody made."""

from typing import Any


def item_of(name: str) -> dict[str, Any]:
    """The least that is an item with a map and a place."""
    ring = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [0.0, 0.0, 1.0, 1.0],
        "properties": {"datetime": "2026-01-02T03:04:05Z", "title": "a map"},
        "links": [],
        "assets": {"map": {"href": f"{name}.tif"}},
    }
