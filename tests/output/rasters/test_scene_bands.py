"""The scene's bands beside its map, from real files and from products written to their specification."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import MaskFlags
from rasterio.transform import Affine
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from nst_rs.composite.rendering import Rendering, open_rendering
from nst_rs.config.loading import override
from nst_rs.config.sections import OutputSection, RunConfig
from nst_rs.errors import ConfigError, OutputError, SceneError
from nst_rs.output.files import Outputs, check_output
from nst_rs.output.publish import disk_bytes
from nst_rs.output.rasters import scene_bands
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.scene_bands import SceneBands, write_bands
from tests.products import write_landsat_level2, write_safe
from tests.published import publish_alone, writing
from tests.rasters import NORTH_UP, random_values, write_raster

WITH_BANDS = OutputSection(bands="all")
TAGS = {"TIFFTAG_SOFTWARE": "nst-rs 1", "NST_RS_STYLE": "harvest.jpg", "NST_RS_INPUTS": "a.tif sha256:0"}


def bands_of(*paths: Path, bands: Any, **settings: Any) -> SceneBands:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    scene = {"scene.paths": tuple(map(str, paths)), "output.bands": bands}
    config = override(RunConfig(), {**scene, **named})
    return SceneBands(open_rendering(config), config.output.profile, TAGS)


def published(tif: Path, bands: SceneBands) -> Path:
    """Publish a black map with the bands; return the bands' path."""
    grid = bands.scene.grid
    picture, weight = np.zeros((*grid.shape, 3), np.float32), np.ones(grid.shape, np.float32)
    companion = writing("bands", lambda path, _: write_bands(bands, path))
    publish_alone(Outputs(tif, WITH_BANDS), StyledMap(picture, weight, grid), dict, companion)
    return tif.with_suffix(".bands.tif")


def whole(rendering: Rendering, bands: Any) -> tuple[np.ndarray, np.ndarray]:
    scene = rendering.scene.in_type_of(bands)
    return scene.read(bands, Window(0, 0, scene.grid.width, scene.grid.height))


def test_a_real_scenes_bands_are_there_value_by_value_where_they_lie(tmp_path: Path, olinda: Path) -> None:
    path = published(tmp_path / "map.tif", bands_of(olinda, bands=["nir", 6]))
    with rasterio.open(path) as found, rasterio.open(tmp_path / "map.tif") as made:
        assert (found.crs, found.transform, found.shape) == (made.crs, made.transform, made.shape)
        assert found.dtypes == ("uint8", "uint8")
        assert found.descriptions == ("nir", "swir2")
        assert (found.dataset_mask() == 255).all()
        for tile in olinda.iterdir():
            with rasterio.open(tile) as source:
                window = rasterio.windows.from_bounds(*source.bounds, found.transform).round_offsets().round_lengths()
                np.testing.assert_array_equal(found.read(window=window), source.read([4, 6]))


def test_all_means_all_bands_in_their_order(tmp_path: Path, olinda: Path) -> None:
    with rasterio.open(published(tmp_path / "map.tif", bands_of(olinda, bands="all"))) as found:
        assert found.descriptions == ("blue", "green", "red", "nir", "swir1", "swir2")


def test_bands_without_names_are_called_by_their_numbers(tmp_path: Path) -> None:
    scene = write_raster(tmp_path / "scene.tif", random_values((5, 20, 30)))
    with rasterio.open(published(tmp_path / "map.tif", bands_of(scene, bands=[5, 4]))) as found:
        assert found.descriptions == ("band 5", "band 4")


def test_a_name_that_no_file_can_hold_is_left_out(tmp_path: Path) -> None:
    """A STAC item may call a band anything."""
    write_raster(tmp_path / "a.tif", random_values((3, 20, 30)))
    bands = [
        {"name": name, "common_name": color} for name, color in (("\ud800", "red"), ("a\0\nb", "nir"), ("Ω", "blue"))
    ]
    asset = {"href": "./a.tif", "type": "image/tiff", "roles": ["data"], "eo:bands": bands}
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "scene",
        "geometry": None,
        "properties": {"datetime": "2024-05-18T10:50:31Z"},
        "links": [],
        "assets": {"all": asset},
    }
    (tmp_path / "item.json").write_text(json.dumps(item))
    bands = bands_of(tmp_path / "item.json", bands="all", composite__bands=(1, 2, 3))
    with rasterio.open(published(tmp_path / "map.tif", bands)) as found:
        assert found.descriptions == ("band 1", "ab", "Ω")


def test_nodata_is_masked_and_nothing_else_is(tmp_path: Path) -> None:
    values = random_values((4, 20, 30), "int16") - np.int16(100)
    values[3, 2:9, 5:20] = -9999
    values[0, 15:] = -9999  # of another band: none of these bands' business
    scene = write_raster(tmp_path / "scene.tif", values, nodata=-9999)
    with rasterio.open(published(tmp_path / "map.tif", bands_of(scene, bands=[4, 3]))) as found:
        valid = values[3] != -9999
        assert found.mask_flag_enums == ([MaskFlags.per_dataset],) * 2
        assert found.nodata is None  # 0 is a value, as all others are
        np.testing.assert_array_equal(found.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(found.read(), np.where(valid, values[[3, 2]], 0))


def test_values_are_physical_where_the_product_says_what_they_mean(tmp_path: Path) -> None:
    bands = bands_of(write_landsat_level2(tmp_path), bands=["nir", "B2"])
    values, valid = whole(bands.rendering, bands.rendering.extra_bands)
    with rasterio.open(published(tmp_path / "map.tif", bands)) as found:
        assert found.dtypes == ("float32", "float32")
        assert found.descriptions == ("B5", "B2")
        np.testing.assert_array_equal(found.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(found.read(), values)
        assert 0 < found.read()[:, valid].mean() < 0.2


def test_the_type_is_that_of_the_bands_themselves(tmp_path: Path) -> None:
    """Though the composite's bands are as stored, others may be physical, and the other way round."""
    scene = write_raster(tmp_path / "scene.tif", random_values((4, 20, 30), "uint16"))
    with rasterio.open(scene, "r+") as source:
        source.scales, source.offsets = (1, 1, 1, 0.1), (0, 0, 0, 149)
    kelvin = bands_of(scene, bands=[4])
    assert (kelvin.rendering.scene.dtype, kelvin.scene.dtype) == ("uint16", "float32")
    with rasterio.open(published(tmp_path / "map.tif", kelvin)) as found:
        assert 149 < found.read().min() < found.read().max() <= 174
    assert bands_of(scene, bands=[1], composite__bands=(4, 4, 4)).scene.dtype == "uint16"


def test_a_coarser_band_lies_on_the_maps_grid(tmp_path: Path) -> None:
    bands = bands_of(write_safe(tmp_path, "2A"), bands=["swir1"])
    values, _ = whole(bands.rendering, bands.rendering.extra_bands)
    with rasterio.open(published(tmp_path / "map.tif", bands)) as found:
        assert found.shape == (36, 36)
        assert found.transform.a == pytest.approx(10)
        np.testing.assert_array_equal(found.read(), values)


def test_of_two_products_that_overlap_the_first_stands_as_in_the_map(tmp_path: Path) -> None:
    first, second = random_values((3, 20, 30), seed=1), random_values((3, 20, 30), seed=2)
    first[:, 5:8, 20:] = 0
    one = write_raster(tmp_path / "a.tif", first, nodata=0)
    right = NORTH_UP @ Affine.translation(20, 0)
    other = write_raster(tmp_path / "b.tif", second, nodata=0, transform=right)
    expected = np.concatenate([first[1:2], second[1:2, :, 10:]], axis=-1)
    expected[:, 5:8, 20:30] = second[1:2, 5:8, :10]
    with rasterio.open(published(tmp_path / "map.tif", bands_of(one, other, bands=[2]))) as found:
        np.testing.assert_array_equal(found.read(), expected)


@pytest.mark.parametrize(("masked", "cloud_is_data"), [("unstyled", True), ("nodata", False)])
def test_clouds_are_data_where_the_map_shows_them(tmp_path: Path, masked: str, cloud_is_data: bool) -> None:
    scene = write_landsat_level2(tmp_path)
    bands = bands_of(scene, bands=["nir"], composite__mask="clouds", composite__masked=masked)
    with rasterio.open(published(tmp_path / "map.tif", bands)) as found:
        assert (found.dataset_mask()[:6, :5] > 0).all() == cloud_is_data
        assert (found.dataset_mask()[:, -2:] == 0).all()


@pytest.mark.parametrize("shape", [(30, 40), (700, 600), (40, 1100)])
def test_the_file_is_a_strictly_valid_cloud_optimised_geotiff(tmp_path: Path, shape: tuple[int, int]) -> None:
    scene = write_raster(tmp_path / "scene.tif", random_values((4, *shape)))
    path = published(tmp_path / "map.tif", bands_of(scene, bands="all"))
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as found, rasterio.open(scene) as source:
        assert found.interleaving.name == "band"
        assert "alpha" not in {color.name for color in found.colorinterp}
        np.testing.assert_array_equal(found.read(), source.read())


def test_overviews_are_averages_of_what_is_data(tmp_path: Path) -> None:
    values = np.full((3, 600, 600), 4000, np.uint16)
    values[:, :, ::2] = 2000
    values[:, ::2] = 0
    scene = write_raster(tmp_path / "scene.tif", values, nodata=0)
    path = published(tmp_path / "map.tif", bands_of(scene, bands=[1]))
    with rasterio.open(path, overview_level=0) as overview:
        assert overview.shape == (300, 300)
        assert (overview.read() == 3000).all()


@pytest.mark.parametrize("profile", ["deflate", "lzw", "jpeg", "webp"])
def test_nothing_is_lost_under_any_profile(tmp_path: Path, olinda: Path, profile: str) -> None:
    bands = bands_of(olinda, bands=["nir"], output__profile=profile)
    with rasterio.open(published(tmp_path / "map.tif", bands)) as found:
        assert found.profile["compress"] == ("lzw" if profile == "lzw" else "deflate")
        np.testing.assert_array_equal(found.read(), whole(bands.rendering, [4])[0])


def test_the_file_says_where_it_comes_from(tmp_path: Path, olinda: Path) -> None:
    with rasterio.open(published(tmp_path / "map.tif", bands_of(olinda, bands=["nir"]))) as found:
        tags = found.tags()
    assert tags["TIFFTAG_IMAGEDESCRIPTION"] == "Bands of a satellite scene, with their own values"
    assert (tags["TIFFTAG_SOFTWARE"], tags["NST_RS_INPUTS"]) == (TAGS["TIFFTAG_SOFTWARE"], TAGS["NST_RS_INPUTS"])
    assert "NST_RS_STYLE" not in tags


@pytest.mark.parametrize("most", [3 * 512 * 100, 3 * 512 * 512])
def test_the_same_file_is_written_by_windows_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    values = random_values((3, 530, 1100), "uint16")
    values[:, 500:520, 500:530] = 0
    scene = write_raster(tmp_path / "scene.tif", values, nodata=0)
    bands = bands_of(scene, bands="all")
    expected = published(tmp_path / "expected.tif", bands).read_bytes()
    monkeypatch.setattr(scene_bands, "_MOST_VALUES", most)
    assert max(window.width * window.height for window in bands.windows()) * 3 <= most
    assert published(tmp_path / "map.tif", bands).read_bytes() == expected


@pytest.mark.parametrize(("bands", "got"), [(["nir", "b99"], "'b99'"), ([7], "7"), ([0], "0"), (["ndvi"], "'ndvi'")])
def test_what_is_no_band_is_refused_before_anything_is_read(olinda: Path, bands: Any, got: str) -> None:
    with pytest.raises(ConfigError, match=rf"output.bands: expected bands of 1 \(blue\), .*6 \(swir2\), got {got}"):
        bands_of(olinda, bands=bands)


def test_the_file_must_not_overwrite_an_input(tmp_path: Path) -> None:
    scene = tmp_path / "map.bands.tif"
    scene.touch()
    check_output(Outputs(tmp_path / "map.tif"), [scene])
    with pytest.raises(OutputError, match=r"map\.bands\.tif: expected a new file, got an input of this run"):
        check_output(Outputs(tmp_path / "map.tif", WITH_BANDS), [scene])


def test_publishing_takes_no_more_disk_than_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(1, 2**16, (5, 1100, 900)).astype(np.uint16)
    bands = bands_of(write_raster(tmp_path / "scene.tif", noise), bands="all")
    sizes: list[int] = []
    optimise = scene_bands.optimise

    def optimising(plain: Path, path: Path, *others: Any) -> None:
        held = plain.read_bytes()
        optimise(plain, path, *others)
        plain.write_bytes(held)  # which is there, with overviews, until the copy is
        sizes.append(sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) + len(held) // 3)
        plain.unlink()

    (out := tmp_path / "out").mkdir()
    monkeypatch.setattr(scene_bands, "optimise", optimising)
    published(out / "map.tif", bands)
    assert bands.rendering.extra_band_bytes == 10
    assert (
        disk_bytes(bands.scene.grid)
        < sizes[0]
        < disk_bytes(bands.scene.grid, bands.rendering, Outputs(tmp_path, WITH_BANDS))
    )


def test_a_scene_that_cannot_be_read_any_more_leaves_everything_as_it_was(tmp_path: Path) -> None:
    scene = write_raster(tmp_path / "scene.tif", random_values((3, 30, 40)))
    bands = bands_of(scene, bands=[1])
    (out := tmp_path / "out").mkdir()
    published(out / "map.tif", bands)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {path.name for path in Outputs(out / "map.tif", WITH_BANDS)}
    scene.unlink()
    with pytest.raises(SceneError, match=r"scene\.tif"):
        published(out / "map.tif", bands)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
