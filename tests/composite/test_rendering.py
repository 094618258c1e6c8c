"""Products, real and written to their specification, as the scenes and pictures that a configuration makes of them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from nst_rs.composite.rendering import Rendering, open_rendering
from nst_rs.composite.stretch import Limits
from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, NstError, SceneError
from nst_rs.scene.mosaic import Scene
from tests.products import stored, write_landsat_level2, write_old_safe, write_safe
from tests.rasters import NORTH_UP, random_values, write_raster

LANDSAT = Path(__file__).parents[2] / "sample_data" / "landsat"
REAL = {
    "LC08_L1TP_195025_20130707_20170503_01_T1": ("landsat-oli-l1", 2e-5, -0.1, "B4"),
    "LE07_L1TP_195025_20010730_20170204_01_T1": ("landsat-etm-l1", 1.3198e-3, -0.011935, "B3"),
    "LT05_L1TP_167055_20000309_20161214_01_T1": ("landsat-tm-l1", 2.1704e-3, -0.004603, "B3"),
}


def rendering_of(*paths: Path | str, **settings: Any) -> Rendering:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return open_rendering(override(RunConfig(), {"scene.paths": tuple(map(str, paths)), **named}))


def read_all(scene: Scene, bands: Any) -> tuple[np.ndarray, np.ndarray]:
    return scene.read(bands, Window(0, 0, scene.grid.width, scene.grid.height))


@pytest.mark.parametrize(("product", "expected"), REAL.items())
def test_a_real_landsat_product_is_known_and_read_as_reflectance(
    product: str, expected: tuple[str, float, float, str]
) -> None:
    import rasterio

    name, scale, offset, red = expected
    rendering = rendering_of(LANDSAT / product, composite__bands="true_color")
    scene = rendering.scene
    assert scene.sensor is not None
    assert scene.sensor.name == name
    assert [scene.labels[band - 1].common for band in rendering.channels] == ["red", "green", "blue"]
    assert abs(scene.grid.transform.a) == 30  # the panchromatic band's 15 m are nobody's choice here
    values, valid = read_all(scene, rendering.channels)
    with rasterio.open(LANDSAT / product / f"{product}_{red}.TIF") as source:
        raw = source.read(1)
    np.testing.assert_allclose(
        values[0][valid], (raw * np.float32(scale) + np.float32(offset))[valid], rtol=1e-5, atol=1e-7
    )
    assert valid.mean() > 0.9
    assert 0 < values[:, valid].mean() < 0.5


@pytest.mark.parametrize(("level", "offset", "added"), [("1C", -1000, -0.1), ("2A", -1000, -0.1), ("2A", None, 0.0)])
def test_a_safe_folder_is_a_scene_of_reflectances(tmp_path: Path, level: str, offset: int | None, added: float) -> None:
    rendering = rendering_of(write_safe(tmp_path, level, offset=offset), composite__bands="true_color")
    scene = rendering.scene
    assert scene.sensor is not None
    assert scene.sensor.name == f"sentinel2-l{level.lower()}"
    assert len(scene.labels) == (13 if level == "1C" else 12)
    assert scene.grid.shape == (36, 36)
    values, valid = read_all(scene, rendering.channels)
    expected = np.concatenate([stored(band, (36, 36)) for band in ("B04", "B03", "B02")]) * 1e-4 + added
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-7)
    assert valid.all()


@pytest.mark.parametrize(
    ("form", "options"),
    [("jp2", {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES"}), ("tif", {"driver": "GTiff"})],
)
def test_single_bands_of_sentinel_2_are_one_product_as_stored_without_metadata(
    tmp_path: Path, form: str, options: dict[str, Any]
) -> None:
    safe = write_safe(tmp_path, "1C")
    bands = [tmp_path / f"{band.stem}.{form}" for band in sorted(safe.rglob("*_B0[234].jp2"))]
    for band in bands:
        with rasterio.open(next(safe.rglob(f"{band.stem}.jp2"))) as source:
            copy(source, band, **options)
    rendering = rendering_of(*bands)
    assert [str(label) for label in rendering.scene.labels] == ["B02 blue", "B03 green", "B04 red"]
    assert rendering.channels == (3, 2, 1)
    assert rendering.scene.dtype == "uint16"
    np.testing.assert_array_equal(read_all(rendering.scene, [1])[0], stored("B02", (36, 36)))


def test_what_the_metadata_say_can_be_overridden(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, "1C")
    rendering = rendering_of(safe, scene__scale=2e-4, scene__offset=0.5)
    expected = stored("B04", (36, 36)) * 2e-4 + 0.5
    np.testing.assert_allclose(read_all(rendering.scene, rendering.channels[:1])[0], expected, rtol=1e-5, atol=1e-7)


def test_a_safe_folder_of_before_december_2016_is_a_scene_of_reflectances(tmp_path: Path) -> None:
    rendering = rendering_of(write_old_safe(tmp_path), composite__bands="true_color")
    assert rendering.scene.sensor is not None
    assert rendering.scene.sensor.name == "sentinel2-l1c"
    assert [rendering.scene.labels[band - 1].name for band in rendering.channels] == ["B04", "B03", "B02"]
    assert rendering.scene.grid.shape == (36, 36)
    np.testing.assert_allclose(
        read_all(rendering.scene, rendering.channels)[0][0], stored("B04", (36, 36))[0] * 1e-4, rtol=1e-5
    )
    assert str(rendering.scene.acquired) == "2024-05-18T10:50:31.024000+00:00"


@pytest.mark.parametrize(
    ("bands", "shape"), [("true_color", (36, 36)), (["B12", "B11", "B8A"], (18, 18)), ("swir", (36, 36))]
)
def test_the_grid_is_that_of_the_finest_chosen_band(tmp_path: Path, bands: Any, shape: tuple[int, int]) -> None:
    assert rendering_of(write_safe(tmp_path, "2A"), composite__bands=bands).scene.grid.shape == shape


def test_a_coarser_band_lies_where_it_lay(tmp_path: Path) -> None:
    rendering = rendering_of(
        write_safe(tmp_path, "1C"), composite__bands=["B04", "B11", "B02"], scene__resampling="nearest"
    )
    values, valid = read_all(rendering.scene, rendering.channels)
    expected = stored("B11", (18, 18))[0].repeat(2, axis=0).repeat(2, axis=1) * 1e-4 - 0.1
    np.testing.assert_allclose(values[1], expected, rtol=1e-5, atol=1e-7)
    assert valid.all()


@pytest.mark.parametrize(
    ("resolution", "shape"), [("coarsest", (6, 6)), (20, (18, 18)), (30, (12, 12)), (15, (24, 24))]
)
def test_the_resolution_can_be_asked_for(tmp_path: Path, resolution: Any, shape: tuple[int, int]) -> None:
    safe = write_safe(tmp_path, "1C")
    rendering = rendering_of(safe, composite__bands=["B04", "B11", "B01"], scene__resolution=resolution)
    assert rendering.scene.grid.shape == shape
    assert read_all(rendering.scene, rendering.channels)[1].all()


@pytest.mark.parametrize("satellite", ["LC08", "LC09", "LE07", "LT05", "LT04"])
def test_a_landsat_level_2_product_is_surface_reflectance(tmp_path: Path, satellite: str) -> None:
    rendering = rendering_of(write_landsat_level2(tmp_path, satellite))
    assert rendering.scene.sensor is not None
    assert rendering.scene.sensor.name == ("landsat-oli-l2" if satellite.startswith("LC") else "landsat-tm-l2")
    red = "B4" if satellite.startswith("LC") else "B3"
    values, valid = read_all(rendering.scene, [[label.name for label in rendering.scene.labels].index(red) + 1])
    assert not valid[:, -2:].any()  # fill, though no tag says so
    assert valid[:, :-2].all()
    expected = (stored(red, (20, 24))[0] + 8000.0) * 2.75e-5 - 0.2
    np.testing.assert_allclose(values[0][valid], expected[valid], rtol=1e-5, atol=1e-7)


PLAIN = {
    "naip": ("m_3811554_se_11_060_20190830.tif", "uint8", ("", "", "", ""), (1, 2, 3), (4, 1, 2)),
    "planetscope-4": ("20200518_130404_1014_3B_AnalyticMS_SR.tif", "uint16", ("", "", "", ""), (3, 2, 1), (4, 3, 2)),
    "planetscope-8": (
        "20220518_130404_14_2414_3B_AnalyticMS_SR_8b.tif",
        "uint16",
        ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"),
        (6, 4, 2),
        (8, 6, 4),
    ),
    "worldview-8": ("WV03_20160612_M2AS.tif", "uint16", ("",) * 8, (5, 3, 2), (7, 5, 3)),
}


@pytest.mark.parametrize(("name", "product"), PLAIN.items())
def test_a_file_of_several_bands_is_known_by_its_name(tmp_path: Path, name: str, product: Any) -> None:
    file, dtype, names, true_color, color_infrared = product
    path = write_raster(tmp_path / file, random_values((len(names), 6, 6), dtype), names=names if names[0] else ())
    for composite, expected in (("true_color", true_color), ("color_infrared", color_infrared)):
        rendering = rendering_of(path, composite__bands=composite)
        assert rendering.scene.sensor is not None
        assert rendering.scene.sensor.name == name
        assert rendering.channels == expected


def test_a_file_without_names_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "stack.tif", random_values((12, 6, 6), "uint16"))
    assert rendering_of(path, composite__bands=[4, 3, 2]).scene.sensor is None
    rendering = rendering_of(path, scene__sensor="sentinel2-l2a", composite__bands=["red", "nir", "B11"])
    assert rendering.channels == (4, 8, 11)
    with pytest.raises(
        SceneError, match="as sentinel2-l1c: expected at least 13 bands, or bands that are named, got 12"
    ):
        rendering_of(path, scene__sensor="sentinel2-l1c")


def test_bands_that_are_named_are_found_in_any_order(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "stack.tif", random_values((3, 6, 6), "uint16"), names=("B11", "B4", "B8"))
    rendering = rendering_of(path, scene__sensor="sentinel2-l2a", composite__bands="natural")
    assert rendering.channels == (1, 3, 2)


def test_detection_can_be_switched_off(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "m_3811554_se_11_060_20190830.tif", random_values((4, 6, 6)))
    assert rendering_of(path, scene__sensor="none", composite__bands=[1, 2, 3]).scene.sensor is None


def test_a_composite_that_a_scene_cannot_make_is_refused_naming_those_it_can(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "m_3811554_se_11_060_20190830.tif", random_values((4, 6, 6)))
    complaint = "expected a composite that the scene can make (true_color, color_infrared), or three bands, got 'urban'"
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        rendering_of(path, composite__bands="urban")


@pytest.mark.parametrize("maker", ["sentinel2", "landsat"])
def test_clouds_are_masked_by_the_products_own_quality_band(tmp_path: Path, maker: str) -> None:
    if maker == "sentinel2":
        path, cloud = write_safe(tmp_path, "2A"), np.s_[:10, :8]
    else:
        path, cloud = write_landsat_level2(tmp_path), np.s_[:6, :5]
    rendering = rendering_of(path, composite__mask="clouds", composite__masked="nodata")
    _, valid = read_all(rendering.scene, rendering.channels)
    _, without = read_all(rendering_of(path).scene, rendering.channels)
    expected = without.copy()
    expected[cloud] = False
    np.testing.assert_array_equal(valid, expected)
    assert without[cloud].all()
    assert not rendering.keeps_clouds


def test_clouds_cannot_be_masked_without_a_quality_band(olinda: Path) -> None:
    with pytest.raises(SceneError, match=r"expected a product with a quality band \(QA_PIXEL, BQA or SCL\)"):
        rendering_of(olinda, composite__mask="clouds")


def test_saturated_pixels_are_data_unless_said_otherwise(tmp_path: Path) -> None:
    values = stored("B4", (6, 6))
    values[0, 2, 3] = 65535
    path = write_raster(tmp_path / "LC08_L1TP_224078_20200518_20200518_02_T1_B4.TIF", values)
    assert read_all(rendering_of(path).scene, [1])[1].all()
    valid = read_all(rendering_of(path, scene__saturated="nodata").scene, [1])[1]
    assert np.argwhere(~valid).tolist() == [[2, 3]]


def test_nodata_that_no_tag_names_is_guessed_only_when_told_to(tmp_path: Path) -> None:
    values = random_values((3, 8, 8), "uint16")
    values[:, :3] = 0
    path = write_raster(tmp_path / "scene.tif", values)
    assert read_all(rendering_of(path).scene, [1])[1].all()
    valid = read_all(rendering_of(path, scene__nodata="guess").scene, [1])[1]
    np.testing.assert_array_equal(valid, values[0] > 0)


def test_several_scenes_of_different_extents_and_crs_become_one_mosaic_when_asked(tmp_path: Path) -> None:
    # The same ground, a plane that rises to the east, in two UTM zones; each covers a part.
    from rasterio.warp import transform as project

    def plane(path: Path, crs: str, west: float, top: float) -> Path:
        transform = Affine(30, 0, west, 0, -30, top)
        rows, columns = np.mgrid[0:60, 0:60] + 0.5
        xs, ys = transform @ (columns.ravel(), rows.ravel())
        longitudes, _ = project(crs, "EPSG:4326", list(xs), list(ys))
        values = ((np.array(longitudes) + 55) * 5000 + 1000).reshape(1, 60, 60).astype("float32")
        return write_raster(path, values.repeat(3, axis=0), crs=crs, transform=transform)

    west = plane(tmp_path / "west.tif", "EPSG:32621", 829_000, 7_233_000)
    (x,), (y,) = project("EPSG:32621", "EPSG:32622", [830_000.0], [7_232_800.0])
    east = plane(tmp_path / "east.tif", "EPSG:32622", round(x), round(y))
    with pytest.raises(SceneError, match=r"CRS: expected EPSG:32621, got EPSG:32622; .*set scene.crs"):
        rendering_of(west, east)
    scene = rendering_of(west, east, scene__crs="EPSG:32621").scene
    values, valid = read_all(scene, [1])
    assert scene.grid.width > 90
    assert 0.5 < valid.mean() < 1
    # One plane, without a step where the scenes meet: a pixel is 3.2 of these units. In a scene's outermost half pixel
    # the last value is held, and warping errs by an eighth of a pixel.
    steps = np.diff(values[0], axis=1)[valid[:, 1:] & valid[:, :-1]]
    assert np.abs(steps - np.median(steps)).max() < 2.0


def test_an_unknown_crs_is_refused(olinda: Path) -> None:
    with pytest.raises(ConfigError, match=r"scene.crs: expected a CRS such as EPSG:32621, or web, got EPSG:0"):
        rendering_of(olinda, scene__crs="EPSG:0")


@pytest.mark.parametrize("rows", [3, 7, 60])
def test_reprojected_pixels_do_not_depend_on_the_window(tmp_path: Path, rows: int) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 60, 60), "uint16"), nodata=17)
    scene = rendering_of(path, scene__crs="EPSG:3857", composite__bands=[1, 1, 1]).scene
    whole, whole_valid = read_all(scene, [1])
    parts = [scene.read([1], window) for window in scene.blocks(rows)]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts], axis=1), whole)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), whole_valid)


def test_limits_are_taken_from_an_earlier_runs_record(tmp_path: Path, olinda: Path) -> None:
    record = tmp_path / "a.run.json"
    record.write_text(json.dumps({"scene": {"limits": [[1, 2], [3, 4.5], [5, 6]]}}))
    rendering = rendering_of(olinda, composite__limits=record)
    assert rendering.stretch.limits == (Limits(1, 2), Limits(3, 4.5), Limits(5, 6))
    settled = override(RunConfig(), rendering.settled())
    assert settled.composite.limits == ((1, 2), (3, 4.5), (5, 6))


@pytest.mark.parametrize("text", ["{}", "[]", '{"scene": {"limits": [[2, 1], [3, 4], [5, 6]]}}', "no JSON"])
def test_a_record_without_limits_is_refused(tmp_path: Path, olinda: Path, text: str) -> None:
    (tmp_path / "a.run.json").write_text(text)
    with pytest.raises(NstError, match="expected the record of an earlier run, with its limits"):
        rendering_of(olinda, composite__limits=tmp_path / "a.run.json")


def test_a_scene_on_both_sides_of_the_antimeridian_is_one(tmp_path: Path) -> None:
    values = random_values((1, 4, 20))
    west = write_raster(
        tmp_path / "a.tif", values[..., :8], crs="EPSG:4326", transform=Affine(0.1, 0, 179.2, 0, -0.1, 1.0)
    )
    east = write_raster(
        tmp_path / "b.tif", values[..., 8:], crs="EPSG:4326", transform=Affine(0.1, 0, -180.0, 0, -0.1, 1.0)
    )
    scene = rendering_of(west, east, composite__bands=[1, 1, 1]).scene
    assert scene.grid.shape == (4, 20)
    found, valid = read_all(scene, [1])
    np.testing.assert_array_equal(found, values)
    assert valid.all()
    cut = rendering_of(west, east, composite__bands=[1, 1, 1], scene__area=[179.8, 0.6, -179.7, 1.0]).scene
    np.testing.assert_array_equal(read_all(cut, [1])[0], values[..., 6:11])


def test_files_in_an_archive_are_read_where_they_are(tmp_path: Path) -> None:
    import zipfile

    values = random_values((3, 6, 6))
    path = write_raster(tmp_path / "scene.tif", values)
    with zipfile.ZipFile(tmp_path / "scene.zip", "w") as archive:
        archive.write(path, "inside/scene.tif")
    rendering = rendering_of(f"/vsizip/{tmp_path}/scene.zip/inside/scene.tif")
    np.testing.assert_array_equal(read_all(rendering.scene, [1, 2, 3])[0], values)


def test_pixels_of_a_coarser_band_keep_its_mask(tmp_path: Path) -> None:
    product = "LC08_L2SP_224078_20200518_20200820_02_T1_SR_"
    write_raster(tmp_path / f"{product}B4.TIF", stored("B4", (8, 8)))
    mask = np.ones((4, 4), np.bool_)
    mask[1, 2] = False
    coarse = NORTH_UP @ Affine.scale(2)
    write_raster(tmp_path / f"{product}B5.TIF", stored("B5", (4, 4)), transform=coarse, nodata=0)
    write_raster(tmp_path / f"{product}B6.TIF", stored("B6", (4, 4)), transform=coarse, mask=mask)
    scene = rendering_of(tmp_path, composite__bands=["B4", "B5", "B6"], scene__nodata=0).scene
    assert scene.grid.shape == (8, 8)
    assert read_all(scene, [1, 2])[1].all()


def day(text: str) -> str:
    return f"{text}T00:00:00+00:00 to {text}T23:59:59+00:00"


def test_a_scene_was_taken_when_its_metadata_say_else_when_its_files_names_do(tmp_path: Path) -> None:
    product = "LC08_L1TP_195025_20130707_20170503_01_T1"
    assert str(rendering_of(LANDSAT / product).scene.acquired) == "2013-07-07T10:17:42.166196+00:00"
    assert str(rendering_of(write_landsat_level2(tmp_path)).scene.acquired) == day("2020-05-18")  # its MTL has no time
    safe = write_safe(tmp_path, "2A")
    assert str(rendering_of(safe).scene.acquired) == "2024-05-18T10:50:31.024000+00:00"
    (safe / "MTD_MSIL2A.xml").unlink()
    assert str(rendering_of(safe).scene.acquired) == "2024-05-18T10:50:31+00:00"


@pytest.mark.parametrize(
    ("name", "bands", "expected"),
    [
        ("20200518_132211_98_2277_3B_AnalyticMS_SR_8b.tif", 8, "2020-05-18T13:22:11+00:00"),
        ("20200518_132211_1003_3B_AnalyticMS.tif", 4, "2020-05-18T13:22:11+00:00"),
        ("20201332_132211_1003_3B_AnalyticMS.tif", 4, "None"),
        ("m_3510055_ne_14_060_20210917.tif", 4, day("2021-09-17")),
        ("m_3510055_ne_14_1_20150919_20151207.tif", 4, day("2015-09-19")),
        ("m_3510055_ne_14_h.tif", 4, "None"),
        ("scene.tif", 4, "None"),
    ],
)
def test_a_file_of_several_bands_was_taken_when_its_name_says(
    tmp_path: Path, name: str, bands: int, expected: str
) -> None:
    scene = write_raster(tmp_path / name, random_values((bands, 20, 24), "uint8" if name[0] == "m" else "uint16"))
    assert str(rendering_of(scene).scene.acquired) == expected


def test_several_scenes_were_taken_between_the_first_and_the_last_of_those_that_meet_the_area(tmp_path: Path) -> None:
    names = ("20200520_132211", "20200518_132211", "20200519_132211")
    paths = [
        write_raster(
            tmp_path / f"{name}_1003_3B_AnalyticMS.tif",
            random_values((4, 20, 24), "uint16"),
            transform=NORTH_UP @ Affine.translation(24 * place, 0),
        )
        for place, name in enumerate(names)
    ]
    assert str(rendering_of(*paths).scene.acquired) == "2020-05-18T13:22:11+00:00 to 2020-05-20T13:22:11+00:00"
    first = bounds_in_degrees(paths[0])
    assert str(rendering_of(*paths, scene__area=first).scene.acquired) == "2020-05-20T13:22:11+00:00"
    other = write_raster(tmp_path / "other.tif", random_values((4, 20, 24), "uint16"), nodata=0)
    named = [write_raster(tmp_path / f"{names[0]}_2_3B_AnalyticMS.tif", random_values((4, 20, 24), "uint16"))]
    assert rendering_of(other, *named, scene__sensor="none", scene__nodata=0).scene.acquired is None


def bounds_in_degrees(path: Path) -> tuple[float, float, float, float]:
    """Of the middle of a raster."""
    with rasterio.open(path) as source:
        west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    inset = (east - west) / 4
    return west + inset, south + inset / 4, east - inset, north - inset / 4
