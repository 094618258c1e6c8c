"""The map as a STAC item: where it lies, what its pixels are, where it comes from."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import rasterio
from pystac import Asset, Item, MediaType
from pystac.utils import datetime_to_str
from rasterio.enums import WktVersion
from rio_stac import create_stac_item

from nst_rs.geo.footprint import bounding_box, corners, footprint
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.provenance import paintings_of

PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"


def write_item(path: Path, finished: FinishedMap) -> None:
    """Write the STAC item of a finished map, which names all companions that are written before it.

    Assets are named relative to the item, so that the files can be moved together.
    """
    record = finished.record
    with rasterio.open(finished.tif) as source:
        grid = Grid.of(source)
        item = create_stac_item(
            source,
            id=finished.tif.stem,
            input_datetime=datetime.fromisoformat(record["finished"]),
            asset_name="map",
            asset_href=finished.tif.name,
            asset_media_type=MediaType.COG,
            asset_roles=["data", "visual"],
            with_raster=True,
            geographic_crs=grid.crs,  # the footprint is our own, for CRSs without one and across the antimeridian
            extensions=[PROJECTION, PROCESSING],
            properties=_properties(grid, finished.tif.stem, record) | _projected(grid),
        )
    item.geometry = footprint(grid)
    item.bbox = None if item.geometry is None else bounding_box(item.geometry)
    _set_time(item, record["scene"]["acquired"])
    for name, asset in _beside(finished).items():
        item.add_asset(name, asset)
    said = item.to_dict(include_self_link=False, transform_hrefs=False)
    path.write_text(json.dumps(said, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _set_time(item: Item, acquired: Sequence[str] | None) -> None:
    """Give an item the time at which its scene was taken, or between which its scenes were; else it keeps the run's."""
    if acquired is None:
        return
    start, end = map(datetime.fromisoformat, acquired)
    item.datetime = start if start == end else None
    if start != end:
        item.properties |= {"start_datetime": datetime_to_str(start), "end_datetime": datetime_to_str(end)}


def _properties(grid: Grid, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    images = paintings_of(record)
    styles = ", ".join(Path(path).name for path in images)
    return {
        "title": f"{name}, in the style of {styles}",
        "created": record["finished"],
        "gsd": round(grid.metres_per_pixel, 6),
        "processing:software": {"nst-rs": record["versions"]["nst-rs"]},
        "processing:lineage": f"A satellite scene in the style of {styles}, by neural style transfer",
        "nst_rs:style": [Path(path).name for path in images],
        "nst_rs:settings_sha256": record["settings_sha256"],
        "nst_rs:inputs": [{"name": Path(file["path"]).name, "sha256": file["sha256"]} for file in record["inputs"]],
        "nst_rs:figures": record["figures"],
    }


def _projected(grid: Grid) -> dict[str, Any]:
    """Return the projection extension's properties; rio-stac writes its version 1, and a rotated grid's bounds."""
    authority = grid.crs.to_authority()
    ring = corners(grid)
    x, y = zip(*ring, strict=True)
    return {
        "proj:code": ":".join(authority) if authority else None,
        **({} if authority else {"proj:wkt2": grid.crs.to_wkt(version=WktVersion.WKT2_2019)}),
        "proj:geometry": {"type": "Polygon", "coordinates": [ring]},
        "proj:bbox": [min(x), min(y), max(x), max(y)],
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform),
    }


def _beside(finished: FinishedMap) -> dict[str, Asset]:
    """Return the assets besides the map."""
    return {
        **finished.assets,
        "thumbnail": Asset(finished.preview.name, media_type=MediaType.PNG, roles=["thumbnail"]),
        "record": Asset(finished.record_path.name, media_type=MediaType.JSON, roles=["metadata"]),
    }


COMPANION = Companion("item", ending=lambda _: ".stac.json", endings=(".stac.json",), write=write_item)
