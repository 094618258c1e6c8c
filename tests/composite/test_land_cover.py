"""Classes of ground on real files: by an index, by the product itself, by a raster of classes, by polygons."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform_geom
from rasterio.windows import Window

from nst_rs.composite.land_cover import number_classes, open_rules
from nst_rs.config.loading import load_config
from nst_rs.errors import ConfigError
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene, open_scene_of
from tests.products import write_safe
from tests.rasters import NORTH_UP, UTM, write_raster

SHAPE = 40, 60
NIR, RED, GREEN = 3, 2, 1
Array = np.ndarray


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Water in the left third, wood in the right one; a strip of pixels without data across all."""
    values = np.full((3, *SHAPE), 100, np.uint8)
    values[NIR - 1, :, :20], values[GREEN - 1, :, :20] = 20, 90
    values[NIR - 1, :, 40:], values[RED - 1, :, 40:] = 220, 40
    values[:, 30:32] = 0
    names = ("green", "red", "nir")
    return open_scene([write_raster(tmp_path_factory.mktemp("cover") / "scene.tif", values, names=names, nodata=0)])


def numbers_of(scene: Scene, *where: Any, window: Window | None = None) -> Array:
    """The numbers of the classes that are where `where` says, in order, with a rest."""
    classes: list[dict[str, Any]] = [{"name": f"class {n}", "where": each} for n, each in enumerate(where)]
    classes = [*classes, {"name": "rest", "images": "a.jpg"}]
    regions = load_config(None, [f"style.regions={json.dumps(classes)}"]).style.regions
    whole = window or Window(0, 0, scene.grid.width, scene.grid.height)
    return number_classes(open_rules(scene, regions), whole)


def refused(scene: Scene, where: Any) -> str:
    with pytest.raises(ConfigError) as error:
        numbers_of(scene, where)
    message = str(error.value)
    assert message.startswith("style.regions class 0")
    assert "\n" not in message
    return message


def test_thresholds_are_tried_in_order_and_the_rest_comes_last(scene: Scene) -> None:
    numbers = numbers_of(scene, "ndwi > 0", "ndvi > 0.4")
    expected = np.full(SHAPE, 2)
    expected[:, :20], expected[:, 40:] = 0, 1
    expected[30:32] = 2  # where there is no data no index says anything
    assert (numbers == expected).all()


def test_an_earlier_class_keeps_what_a_later_one_would_take(scene: Scene) -> None:
    assert set(numbers_of(scene, "nir >= 0", "ndvi > 0.4").ravel()) == {0, 2}


@pytest.mark.parametrize(
    ("where", "left"), [("nir < 50", 0), ("nir <= 20", 0), ("nir < 20", 1), ("NDVI<-0.5", 0), ("NIR > 2e1", 1)]
)
def test_bands_and_indices_are_compared_as_written(scene: Scene, where: str, left: int) -> None:
    assert numbers_of(scene, where)[0, 0] == left


def test_the_numbers_of_a_part_are_those_of_the_whole(scene: Scene) -> None:
    whole = numbers_of(scene, "ndwi > 0", "ndvi > 0.4")
    assert (numbers_of(scene, "ndwi > 0", "ndvi > 0.4", window=Window(10, 25, 40, 9)) == whole[25:34, 10:50]).all()


def test_an_index_that_the_scene_has_no_bands_for_is_refused(scene: Scene) -> None:
    assert "expected bands" in refused(scene, "ndsi > 0.4")
    assert "expected bands of 1 (green), 2 (red), 3 (nir), got 'wetness'" in refused(scene, "wetness > 0")


def test_the_product_tells_classes_by_its_own_quality_band(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, "2A")
    scene = open_scene_of(load_config(None, [f"scene.paths=[{safe}]", "scene.resolution=10"]).scene)
    numbers = numbers_of(scene, {"product": "cloud"}, {"product": ["vegetation", "water"]})
    assert (numbers[:10, :8] == 0).all()  # written as cloud, at twice the pixel
    assert (numbers[10:] == 1).all()
    assert (numbers[:, 8:] == 1).all()


def test_what_a_product_does_not_tell_is_refused_with_what_it_does(scene: Scene) -> None:
    assert "expected a product with a quality band" in refused(scene, {"product": "water"})
    landsat = Path(__file__).parents[2] / "sample_data" / "landsat" / "LT05_L1TP_167055_20000309_20161214_01_T1"
    message = refused(open_scene([landsat]), {"product": "water"})
    assert "tells: snow, cloud, got water; tell it by an index, such as 'ndwi > 0'" in message


def write_cover(path: Path, values: Array, transform: Affine = NORTH_UP, crs: str = UTM) -> Path:
    return write_raster(path, values[np.newaxis].astype(np.uint8), transform=transform, crs=crs, nodata=0)


def test_a_raster_of_classes_may_lie_on_another_grid(scene: Scene, tmp_path: Path) -> None:
    cover = np.full((8, 12), 10)
    cover[:, :4], cover[2, 6] = 80, 0
    path = write_cover(tmp_path / "cover.tif", cover, NORTH_UP @ Affine.scale(5))
    numbers = numbers_of(scene, {"raster": str(path), "values": "water"}, {"raster": str(path), "values": [10, 20]})
    expected = np.where(np.arange(60) < 20, 0, 1)[np.newaxis].repeat(40, 0)
    expected[10:15, 30:35] = 2  # no data in the raster
    assert (numbers == expected).all()


def test_beyond_a_raster_of_classes_is_the_rest(scene: Scene, tmp_path: Path) -> None:
    path = write_cover(tmp_path / "cover.tif", np.full((10, 10), 80))
    numbers = numbers_of(scene, {"raster": str(path), "values": "water"})
    assert (numbers[:10, :10] == 0).all()
    assert (numbers == 0).sum() == 100


def test_a_raster_of_classes_may_be_in_degrees(tmp_path: Path) -> None:
    values = np.full((1, 40, 60), 9, np.uint8)
    scene = open_scene([write_raster(tmp_path / "scene.tif", values)])
    west, south, east, north = rasterio.warp.transform_bounds(UTM, "EPSG:4326", *bounds_of(scene))
    degrees = Affine((east - west) / 50, 0, west, 0, (south - north) / 50, north)
    cover = np.where(np.arange(50) < 25, 80, 10)[np.newaxis].repeat(50, 0)
    path = write_cover(tmp_path / "cover.tif", cover, degrees, "EPSG:4326")
    numbers = numbers_of(scene, {"raster": str(path), "values": [80]})
    assert (numbers[:, :28] == 0).all()
    assert (numbers[:, 32:] == 1).all()


def bounds_of(scene: Scene) -> tuple[float, float, float, float]:
    left, top = scene.grid.transform @ (0, 0)
    right, bottom = scene.grid.transform @ (scene.grid.width, scene.grid.height)
    return left, bottom, right, top


def test_a_wrong_raster_of_classes_is_refused(scene: Scene, tmp_path: Path) -> None:
    cover = write_cover(tmp_path / "cover.tif", np.full((4, 4), 80))
    floats = write_raster(tmp_path / "floats.tif", np.zeros((1, 4, 4), np.float32))
    bands = write_raster(tmp_path / "bands.tif", np.ones((3, 4, 4), np.uint8))
    (tmp_path / "text.tif").write_text("no raster")
    assert "no such file" in refused(scene, {"raster": str(tmp_path / "gone.tif"), "values": 1})
    assert "expected a raster that GDAL can read" in refused(scene, {"raster": str(tmp_path / "text.tif"), "values": 1})
    assert "got 1 bands of float32" in refused(scene, {"raster": str(floats), "values": 1})
    assert "got 3 bands of uint8" in refused(scene, {"raster": str(bands), "values": 1})
    assert "names of trees, shrubland" in refused(scene, {"raster": str(cover), "values": "forest"})
    for place, crs in ((NORTH_UP @ Affine.translation(500, 0), UTM), (Affine(0.1, 0, 10, 0, -0.1, 50), "EPSG:4326")):
        elsewhere = write_cover(tmp_path / "elsewhere.tif", np.full((4, 4), 80), place, crs)
        said = refused(scene, {"raster": str(elsewhere), "values": 80})
        assert "elsewhere.tif: expected a raster of the scene's place: 60 × 40 pixels" in said
        assert "got one of another place: 4 × 4 pixels" in said


ZONES = Path(__file__).parents[1] / "geo" / "zones.gpkg"


def write_polygons(path: Path, boxes: dict[str, tuple[int, int, int, int]]) -> Path:
    """Write boxes of the scene's rows and columns (top, left, bottom, right) as GeoJSON, in degrees."""
    features = []
    for kind, (top, left, bottom, right) in boxes.items():
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        shape = {"type": "Polygon", "coordinates": [[tuple(NORTH_UP @ corner) for corner in corners]]}
        geometry = transform_geom(CRS.from_string(UTM), "EPSG:4326", shape)
        features.append({"type": "Feature", "properties": {"kind": kind}, "geometry": geometry})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_polygons_are_classes_by_their_attribute(scene: Scene, tmp_path: Path) -> None:
    boxes = {"lake": (5, 10, 15, 30), "town": (20, 40, 28, 50)}
    path = str(write_polygons(tmp_path / "zones.geojson", boxes))
    numbers = numbers_of(
        scene,
        {"polygons": path, "attribute": "kind", "values": "lake"},
        {"polygons": path, "attribute": "kind", "values": ["town", "village"]},
    )
    expected = np.full(SHAPE, 2)
    expected[5:15, 10:30], expected[20:28, 40:50] = 0, 1
    assert (numbers == expected).all()
    assert (numbers_of(scene, {"polygons": path}) == np.where(expected < 2, 0, 1)).all()


def test_a_geopackages_polygons_are_classes_as_a_geojsons_are(scene: Scene) -> None:
    path = str(ZONES)  # the boxes of the test above, written by GDAL in the scene's CRS
    numbers = numbers_of(
        scene,
        {"polygons": path, "attribute": "kind", "values": "lake"},
        {"polygons": path, "attribute": 'code "x"', "values": [2, 9]},
    )
    expected = np.full(SHAPE, 2)
    expected[5:15, 10:30], expected[20:28, 40:50] = 0, 1
    assert (numbers == expected).all()
    assert (numbers_of(scene, {"polygons": path}) == np.where(expected < 2, 0, 1)).all()
    for attribute in ("kind", "no such"):
        message = refused(scene, {"polygons": path, "attribute": attribute, "values": "sea"})
        assert f"expected a polygon whose {attribute} is sea, got none in zones.gpkg" in message


def test_wrong_polygons_are_refused(scene: Scene, tmp_path: Path) -> None:
    path = str(write_polygons(tmp_path / "zones.geojson", {"lake": (5, 10, 15, 30)}))
    (tmp_path / "text.geojson").write_text("{")
    message = refused(scene, {"polygons": path, "attribute": "kind", "values": ["sea", 7]})
    assert "expected a polygon whose kind is sea or 7, got none in zones.geojson" in message
    assert "expected a GeoJSON file of polygons" in refused(scene, {"polygons": str(tmp_path / "text.geojson")})
    assert "GeoJSON file of polygons, got no such file, " in refused(
        scene, {"polygons": str(tmp_path / "gone.geojson")}
    )
    assert "GeoJSON file of polygons, got a folder, " in refused(scene, {"polygons": str(tmp_path)})
    (tmp_path / "raster.geojson").write_bytes(b"II*\x00\x80")
    assert "raster.geojson: bytes that are no UTF-8 text" in refused(
        scene, {"polygons": str(tmp_path / "raster.geojson")}
    )
    (tmp_path / "text.gpkg").write_text("no database")
    assert "GeoPackage of polygons, got text.gpkg: " in refused(scene, {"polygons": str(tmp_path / "text.gpkg")})
    assert "got no such file, " in refused(scene, {"polygons": str(tmp_path / "gone.gpkg")})
