"""Grids in every kind of place that a map can lie in on the globe."""

from rasterio.crs import CRS
from rasterio.transform import Affine

from nst_rs.geo.grid import Grid

WIDTH, HEIGHT = 300, 200


def _north_up(crs: int, left: float, top: float, pixel: float, height: float = 0) -> Grid:
    return Grid(CRS.from_epsg(crs), Affine(pixel, 0, left, 0, -(height or pixel), top), WIDTH, HEIGHT)


_EDGE = 20_037_508.342789244
"""Metres from the middle of EPSG:3857 to its eastern edge."""

ORDINARY = {
    "UTM": _north_up(32621, 500_000, 5_000_000, 30),
    "degrees": _north_up(4326, 12, 48, 0.01),
    "EPSG:3857": _north_up(3857, 1_000_000, 6_000_000, 100),
}
ACROSS = {
    "UTM zone 1 across 180°": _north_up(32601, 100_000, 1_200_000, 500),
    "UTM zone 60 across 180°": _north_up(32660, 750_000, 1_200_000, 500),
    "UTM zone 60 across 180°, rotated": Grid(
        CRS.from_epsg(32760), Affine(500, 0, 780_000, 0, -500, 8_000_000) @ Affine.rotation(30), WIDTH, HEIGHT
    ),
    "degrees, 178 to 182": _north_up(4326, 178, 10, 4 / WIDTH),
    "degrees, -182 to -178": _north_up(4326, -182, 10, 4 / WIDTH),
    "degrees of GDA2020, 178 to 182": _north_up(7844, 178, -10, 4 / WIDTH),
    "EPSG:3857 across its eastern edge": _north_up(3857, _EDGE - 100_000, 1_000_000, 1000),
    "EPSG:3857 across its western edge": _north_up(3857, -_EDGE - 250_000, -1_000_000, 1000),
    "EPSG:3832, of the Pacific": _north_up(3832, 3_000_000, 1_000_000, 2000),
}
AROUND = {
    "degrees, 0 to 360": _north_up(4326, 0, 90, 360 / WIDTH, 180 / HEIGHT),
    "degrees, -180 to 180": _north_up(4326, -180, 90, 360 / WIDTH, 180 / HEIGHT),
    "degrees, half a pixel beyond the globe": _north_up(4326, -180.6, 90.45, 360 / WIDTH, 181 / HEIGHT),
    "degrees, -190 to 190": _north_up(4326, -190, 80, 380 / WIDTH, 160 / HEIGHT),
    "EPSG:3857, the world": _north_up(3857, -_EDGE, _EDGE, 2 * _EDGE / WIDTH, 2 * _EDGE / HEIGHT),
    "EPSG:3857, from Greenwich": _north_up(3857, 0, _EDGE, 2 * _EDGE / WIDTH, 2 * _EDGE / HEIGHT),
}
BEYOND = {
    "degrees, 190 to 192": _north_up(4326, 190, 10, 2 / WIDTH),
    "degrees, -192 to -190": _north_up(4326, -192, 10, 2 / WIDTH),
}
NORTH_POLE = {
    "EPSG:3413 around the pole": _north_up(3413, -1_500_000, 1_000_000, 10_000),
    "EPSG:3413, rotated, the pole off its middle": Grid(
        CRS.from_epsg(3413), Affine(10_000, 0, -900_000, 0, -10_000, 900_000) @ Affine.rotation(30), WIDTH, HEIGHT
    ),
    "EPSG:6931, more than the northern half": _north_up(6931, -9_000_000, 9_000_000, 60_000, 90_000),
}
SOUTH_POLE = {
    "EPSG:3031 around the pole": _north_up(3031, -1_500_000, 1_000_000, 10_000),
    "EPSG:3031, the pole a pixel from the edge": _north_up(3031, -1_495_000, 10_000, 10_000),
}
POLE_ON_THE_EDGE = {
    "EPSG:3413, the pole in the corner": _north_up(3413, 0, 0, 10_000),
    "EPSG:3413, the pole on the edge": _north_up(3413, -1_500_000, 0, 10_000),
    "EPSG:3031, the pole on the edge": _north_up(3031, -1_500_000, 0, 10_000),
}
EVERYWHERE = ORDINARY | ACROSS | AROUND | BEYOND | NORTH_POLE | SOUTH_POLE | POLE_ON_THE_EDGE
