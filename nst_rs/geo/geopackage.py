"""Polygons of a GeoPackage (OGC 12-128r19), read by SQLite and Shapely: packages with GDAL's reader weigh 100 MB."""

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_geom
from shapely.errors import ShapelyError

from nst_rs.files.documents import DocumentError

SUFFIX = ".gpkg"
_HEADER = 8
"""Bytes of a geometry before its envelope: GP, version, flags, CRS."""
_ENVELOPES = (0, 32, 48, 48, 64)
"""Bytes of the envelope, by the number that the flags hold (section 2.1.3)."""
_POLYGONS = ("POLYGON", "MULTIPOLYGON", "CURVEPOLYGON", "MULTISURFACE", "GEOMETRY", "GEOMETRYCOLLECTION")


@dataclass(frozen=True)
class _Layer:
    """A table of features."""

    name: str
    column: str
    """The column of geometries."""
    crs: CRS


def read_geopackage(path: Path, attribute: str | None, values: Sequence[int | str]) -> list[Mapping[str, Any]]:
    """Return a GeoPackage's polygons as GeoJSON geometries in degrees: all, or those whose `attribute` is of `values`.

    Raises DocumentError for another file, for one without CRS, and where not just one of its layers can hold polygons.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            layer = _layer(database)
            geometries = list(_geometries(database, layer, attribute, values))
    except sqlite3.Error as error:
        raise DocumentError(str(error)) from error
    return [transform_geom(layer.crs, CRS.from_epsg(4326), _decoded(each)) for each in geometries]


def _layer(database: sqlite3.Connection) -> _Layer:
    """Return the layer that can hold polygons."""
    layers = database.execute(
        "SELECT c.table_name, g.column_name, s.organization, s.organization_coordsys_id, s.definition, "
        "g.geometry_type_name FROM gpkg_contents c JOIN gpkg_geometry_columns g ON g.table_name = c.table_name "
        "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id ORDER BY c.table_name"
    )
    rows = [row for *row, kind in layers if str(kind).upper() in _POLYGONS]
    if not rows:
        raise DocumentError("no layer of polygons")
    if len(rows) > 1:
        names = ", ".join(row[0] for row in rows)
        raise DocumentError(f"several layers of polygons, {names}: write the one that is meant with ogr2ogr")
    ((name, column, organization, code, definition),) = rows
    try:
        crs = CRS.from_epsg(code) if str(organization).upper() == "EPSG" else CRS.from_wkt(definition)
    except CRSError as error:
        raise DocumentError(f"no CRS, in the layer {name}") from error
    return _Layer(name, column, crs)


def _geometries(
    database: sqlite3.Connection, layer: _Layer, attribute: str | None, values: Sequence[int | str]
) -> Iterator[bytes]:
    """Yield the chosen features' geometries as the file holds them. A layer without the attribute has none."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info({_quoted(layer.name)})")]
    if attribute is not None and attribute not in columns:
        return
    value = "NULL" if attribute is None else _quoted(attribute)
    rows = database.execute(f"SELECT {_quoted(layer.column)}, {value} FROM {_quoted(layer.name)}")  # noqa: S608 - quoted
    # SQLite would take '2' for 2, as GeoJSON does not.
    yield from (geometry for geometry, held in rows if geometry is not None and (attribute is None or held in values))


def _quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _decoded(geometry: bytes) -> Mapping[str, Any]:
    """Return a geometry, which is a header and well-known binary, as GeoJSON."""
    try:
        magic, _, flags = struct.unpack_from("2sBB", geometry)
        envelope = _ENVELOPES[flags >> 1 & 7]
        if magic != b"GP":
            raise DocumentError("geometries that are none of a GeoPackage")
        shape = shapely.force_2d(shapely.from_wkb(geometry[_HEADER + envelope :]))
        return dict(shapely.geometry.mapping(shape))
    except (struct.error, IndexError, TypeError, NotImplementedError, ShapelyError) as error:
        said = "geometries that are damaged, or of arcs, which ogr2ogr -nlt CONVERT_TO_LINEAR makes lines of"
        raise DocumentError(said) from error
