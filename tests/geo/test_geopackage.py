import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform_geom

from nst_rs.files.documents import DocumentError
from nst_rs.geo.geopackage import read_geopackage

ZONES = Path(__file__).parent / "zones.gpkg"
"""Written by GDAL 3.12 through pyogrio: a lake, a town of two parts, and a feature without geometry, in EPSG:32621."""


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    return Path(shutil.copy(ZONES, tmp_path / "zones of # 100 %.gpkg"))


def changed(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        # What GDAL has set up for an index of places calls functions of its own.
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            database.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            database.execute(statement)
    return path


def test_geometries_come_in_degrees_where_they_are_in_their_own_crs(zones: Path) -> None:
    (lake,) = read_geopackage(zones, "kind", ["lake"])
    metres = shapely.geometry.shape(transform_geom("EPSG:4326", CRS.from_epsg(32621), lake))
    assert metres.area == pytest.approx(10 * 20 * 30**2, rel=1e-6)
    assert metres.bounds == pytest.approx((500300, 8999550, 500900, 8999850), abs=0.01)
    assert len(read_geopackage(zones, None, ())) == 2  # a feature without geometry is none


def test_reading_leaves_the_file_and_its_folder_as_they_are(zones: Path) -> None:
    before = zones.read_bytes()
    read_geopackage(zones, None, ())
    assert zones.read_bytes() == before
    assert list(zones.parent.iterdir()) == [zones]


def test_values_are_told_apart_as_in_geojson(zones: Path) -> None:
    assert len(read_geopackage(zones, "kind", ["lake", "town", 3])) == 2
    assert len(read_geopackage(zones, 'code "x"', [2])) == 1
    assert read_geopackage(zones, 'code "x"', ["2"]) == []
    assert read_geopackage(zones, "kind", ["lake' OR 1=1 --"]) == []
    assert read_geopackage(zones, "no such", ["lake"]) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE gpkg_contents", "no such table: gpkg_contents"),
        ("UPDATE gpkg_geometry_columns SET geometry_type_name = 'POINT'", "no layer of polygons"),
        ("UPDATE gpkg_spatial_ref_sys SET organization = 'NONE', definition = 'undefined'", "no CRS, in the layer"),
        ("UPDATE \"land use\" SET geom = x'4750'", "damaged"),
        ("UPDATE \"land use\" SET geom = CAST(x'00' || geom AS BLOB)", "none of a GeoPackage"),
        ('UPDATE "land use" SET geom = CAST(substr(geom, 1, length(geom) - 9) AS BLOB)', "damaged"),
    ],
)
def test_a_damaged_or_another_file_is_told_of(zones: Path, statement: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read_geopackage(changed(zones, statement), None, ())
    assert said in str(raised.value)


def test_of_several_layers_of_polygons_none_is_guessed(zones: Path) -> None:
    copies = (
        "INSERT INTO gpkg_contents SELECT 'other', data_type, 'other', description, last_change, 0, 0, 0, 0, srs_id "
        "FROM gpkg_contents",
        "INSERT INTO gpkg_geometry_columns SELECT 'other', column_name, geometry_type_name, srs_id, z, m "
        "FROM gpkg_geometry_columns",
    )
    with pytest.raises(DocumentError) as raised:
        read_geopackage(changed(zones, *copies), None, ())
    assert "several layers of polygons, land use, other: write the one" in str(raised.value)


def test_polygons_of_arcs_are_told_of(zones: Path) -> None:
    curved = shapely.to_wkb(shapely.Point(0, 0), byte_order=1).replace(b"\x01\x00\x00\x00", b"\x0a\x00\x00\x00", 1)
    header = b"GP\x00\x01" + (32621).to_bytes(4, "little")
    with closing(sqlite3.connect(changed(zones))) as database, database:
        database.execute('UPDATE "land use" SET geom = ?', (header + curved,))
    with pytest.raises(DocumentError) as raised:
        read_geopackage(zones, None, ())
    assert "of arcs" in str(raised.value)
