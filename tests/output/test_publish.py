import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

import nst_rs.output.rasters.cog as optimising
from nst_rs.errors import OutputError
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs, check_output
from nst_rs.output.pictures.preview import PREVIEW_SIDE, preview
from nst_rs.output.publish import disk_bytes
from nst_rs.output.rasters.cog import check_profile
from nst_rs.output.rasters.geotiff import LOSSY, StyledMap, to_bytes
from tests.full_disk import files_of_at_most
from tests.published import publish_alone, writing
from tests.rasters import NORTH_UP, ROTATED, SOUTH_UP, UTM

RECORD = {"record": 1, "place": "São Paulo"}


def record() -> Mapping[str, Any]:
    return RECORD


def publish_picture(
    tif: Path, shape: tuple[int, int] = (30, 40), transform: Affine = NORTH_UP, seed: int = 0, make_record: Any = record
) -> tuple[np.ndarray, np.ndarray]:
    """Publish noise with a hole; return the picture and its mask."""
    height, width = shape
    rgb, valid = np.random.default_rng(seed).integers(1, 256, (*shape, 3), dtype=np.uint8), np.ones(shape, bool)
    valid[2:9, 5:20] = False
    rgb[~valid] = 0
    grid = Grid(CRS.from_string(UTM), transform, width, height)
    publish_alone(Outputs(tif), StyledMap(rgb.astype(np.float32), valid, grid), make_record)
    return rgb, valid


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_the_map_has_the_grid_the_pixels_and_the_mask(tmp_path: Path, transform: Affine) -> None:
    rgb, valid = publish_picture(tmp_path / "map.tif", transform=transform)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert (found.crs, found.transform, found.shape) == (CRS.from_string(UTM), transform, valid.shape)
        np.testing.assert_array_equal(np.moveaxis(found.read(), 0, -1), rgb)
        np.testing.assert_array_equal(found.dataset_mask() > 0, valid)
        assert found.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert found.mask_flag_enums == ([MaskFlags.per_dataset],) * 3
        assert found.nodata is None


@pytest.mark.parametrize(
    ("shape", "overviews"),
    [
        ((30, 40), []),
        ((512, 512), []),
        ((700, 600), [2]),
        ((1025, 520), [2, 4]),
        ((40, 513), [2]),
        ((2000, 21), [2, 4]),
    ],
)
def test_the_map_is_a_strictly_valid_cloud_optimised_geotiff(
    tmp_path: Path, shape: tuple[int, int], overviews: list[int]
) -> None:
    publish_picture(tmp_path / "map.tif", shape)
    assert cog_validate(tmp_path / "map.tif", strict=True) == (True, [], [])
    with rasterio.open(tmp_path / "map.tif") as found:
        assert [found.overviews(band) for band in (1, 2, 3)] == [overviews] * 3


@pytest.mark.parametrize(("shape", "overviews"), [((1100, 512), 2), ((1100, 1024), 2), ((600, 512), 1)])
def test_a_map_as_wide_as_its_blocks_is_tiled_too(tmp_path: Path, shape: tuple[int, int], overviews: int) -> None:
    publish_picture(tmp_path / "map.tif", shape)
    for options in ({}, *({"overview_level": level} for level in range(overviews))):
        with rasterio.open(tmp_path / "map.tif", **options) as found:
            assert found.block_shapes == [(512, 512)] * 3


def smooth_map(profile: Any, **options: Any) -> tuple[StyledMap, np.ndarray]:
    """A picture as strokes are, and a mask with a slanting edge."""
    y, x = np.mgrid[:600, :520].astype(np.float32)
    picture = np.stack([128 + 100 * np.sin(x / a + y / b) for a, b in ((9, 14), (17, -11), (-23, 31))], axis=-1)
    valid = x + 0.3 * y > 150
    return StyledMap(picture, valid, Grid(CRS.from_string(UTM), NORTH_UP, 520, 600), profile, **options), valid


@pytest.mark.parametrize("profile", ["deflate", "lzw", "jpeg", "webp"])
def test_every_profile_is_a_cog_of_its_compression_with_the_exact_mask(tmp_path: Path, profile: Any) -> None:
    styled, valid = smooth_map(profile)
    publish_alone(Outputs(tmp_path / "map.tif"), styled, record)
    assert cog_validate(tmp_path / "map.tif", strict=True) == (True, [], [])
    expected = to_bytes(styled.picture[:, :], valid)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert found.profile["compress"] == profile
        assert found.mask_flag_enums == ([MaskFlags.per_dataset],) * 3
        assert found.overviews(1) == [2]
        with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
            assert overview.compression == found.compression
        np.testing.assert_array_equal(found.dataset_mask() > 0, valid)
        difference = np.abs(np.moveaxis(found.read(), 0, -1)[valid].astype(int) - expected[valid])
    # Measured: 1.6 on average and 14 at most for JPEG, 1.8 and 47 for WebP; both halve the colours' resolution.
    mean, most = (2.5, 60) if profile in LOSSY else (0.0, 0)
    assert difference.mean() <= mean
    assert difference.max() <= most


@pytest.mark.parametrize("profile", ["jpeg", "webp"])
def test_black_does_not_bleed_into_the_edge_of_the_data_under_a_lossy_profile(tmp_path: Path, profile: Any) -> None:
    styled, valid = smooth_map(profile)
    publish_alone(Outputs(tmp_path / "map.tif"), styled, record)
    edge = valid & ~np.roll(valid, 3, axis=1)
    with rasterio.open(tmp_path / "map.tif") as found:
        error = np.abs(np.moveaxis(found.read(), 0, -1) - styled.picture[:, :]).mean(axis=-1)
    assert error[edge].mean() < 1.2 * error[valid].mean()


def test_lossy_profiles_are_smaller(tmp_path: Path) -> None:
    sizes = {}
    for profile in ("deflate", "jpeg", "webp"):
        publish_alone(Outputs(tmp_path / f"{profile}.tif"), smooth_map(profile)[0], record)
        sizes[profile] = (tmp_path / f"{profile}.tif").stat().st_size
    assert sizes["webp"] < sizes["jpeg"] < sizes["deflate"]


def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    tags = {"TIFFTAG_SOFTWARE": "nst-rs 1", "NST_RS_STYLE": "Café, <b>.jpg", "NST_RS_INPUTS": "a.tif sha256:0"}
    publish_alone(Outputs(tmp_path / "map.tif"), smooth_map("jpeg", tags=tags)[0], record)
    with rasterio.open(tmp_path / "map.tif") as found:
        assert tags.items() <= found.tags().items()


def test_a_profile_that_gdal_was_built_without_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile in ("deflate", "lzw", "jpeg", "webp"):
        check_profile(profile)
    monkeypatch.setattr(
        "nst_rs.output.rasters.cog._creation_options",
        lambda _: {"driver": "GTiff", "photometric": "YCbCr", "compress": "WEBP"},
    )
    with pytest.raises(OutputError, match=r"output.profile: expected one that GDAL can write, got .*; choose deflate"):
        check_profile("webp")


def test_overviews_are_averages(tmp_path: Path) -> None:
    rgb = np.zeros((600, 600, 3), np.uint8)
    rgb[:, ::2], rgb[:, 1::2] = 100, 200
    grid = Grid(CRS.from_string(UTM), NORTH_UP, 600, 600)
    publish_alone(Outputs(tmp_path / "map.tif"), StyledMap(rgb, np.ones((600, 600), bool), grid), record)
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert (overview.read() == 150).all()


def test_nodata_does_not_darken_the_overviews(tmp_path: Path) -> None:
    valid = np.random.default_rng(0).random((600, 600)) < 0.5
    rgb = np.where(valid[..., np.newaxis], np.uint8([200, 100, 50]), np.uint8(0))
    grid = Grid(CRS.from_string(UTM), NORTH_UP, 600, 600)
    publish_alone(Outputs(tmp_path / "map.tif"), StyledMap(rgb, valid, grid), record)
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert overview.shape == (300, 300)
        shown = np.moveaxis(overview.read(), 0, -1)[overview.dataset_mask() > 0]
    assert len(shown) > 0
    np.testing.assert_array_equal(shown, np.broadcast_to([200, 100, 50], shown.shape))


def test_the_preview_is_the_picture_and_transparent_where_there_is_no_data(tmp_path: Path) -> None:
    rgb, valid = publish_picture(tmp_path / "map.tif")
    with Image.open(tmp_path / "map.png") as preview:
        assert (preview.format, preview.mode) == ("PNG", "RGBA")
        pixels = np.asarray(preview)
    np.testing.assert_array_equal(pixels[..., 3], np.where(valid, 255, 0))
    np.testing.assert_array_equal(pixels[..., :3], rgb)


def test_a_large_preview_is_scaled_to_its_longer_side(tmp_path: Path) -> None:
    publish_picture(tmp_path / "map.tif", (PREVIEW_SIDE * 2, 60))
    with Image.open(tmp_path / "map.png") as preview:
        assert preview.size == (30, PREVIEW_SIDE)


@pytest.mark.parametrize("shape", [(2048, 60), (3072, 1100), (1500, 2500), (1025, 3), (40, 5000)])
def test_a_large_preview_looks_like_the_whole_map_scaled_down(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (*shape, 3)).astype(np.float32)
    weight = (rng.random(shape) < 0.7).astype(np.float32)
    weight[: shape[0] // 3, : shape[1] // 2] = 0
    rgba = np.dstack([to_bytes(picture, weight > 0), np.where(weight > 0, 255, 0).astype(np.uint8)])
    found = preview(picture, weight)
    # Box filter over colours weighted by what is opaque, as Pillow does it.
    whole = Image.fromarray(rgba).resize(found.size, Image.Resampling.BOX)
    assert max(found.size) == PREVIEW_SIDE
    assert found.size[0] / found.size[1] == pytest.approx(shape[1] / shape[0], rel=0.5 / min(found.size))
    one, other = (np.asarray(image.convert("RGBa")).astype(int) for image in (found, whole))
    # Bytes are rounded twice, along rows and along columns, in the order that Pillow finds faster. Where pixels do not
    # divide evenly, a row may count to one pixel or to its neighbour.
    assert (np.abs(one - other).max(axis=-1) <= 2).mean() > 0.995


def test_a_map_of_many_bands_of_rows_has_its_pixels_and_its_mask(tmp_path: Path) -> None:
    rgb, valid = publish_picture(tmp_path / "map.tif", (1300, 30))
    with rasterio.open(tmp_path / "map.tif") as found:
        np.testing.assert_array_equal(np.moveaxis(found.read(), 0, -1), rgb)
        np.testing.assert_array_equal(found.dataset_mask() > 0, valid)


@pytest.mark.parametrize("shape", [(1100, 900), (30, 40)])
def test_publishing_takes_no_more_disk_than_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    def taken() -> int:
        return sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())

    # Where the most is there: the plain map with overviews, and the finished map.
    sizes, copy = [], optimising.copy
    monkeypatch.setattr(optimising, "copy", lambda *a, **k: (copy(*a, **k), sizes.append(taken()))[0])
    publish_picture(tmp_path / "map.tif", shape)
    needed = disk_bytes(Grid(CRS.from_string(UTM), NORTH_UP, shape[1], shape[0]))
    assert taken() < sizes[0] < needed


def test_the_record_is_written_as_json(tmp_path: Path) -> None:
    publish_picture(tmp_path / "map.tif")
    assert json.loads((tmp_path / "map.run.json").read_text(encoding="utf-8")) == RECORD


@pytest.mark.parametrize("name", ["map.tif", "map.tiff", "my.map.v2.TIF"])
def test_a_run_leaves_its_files_and_nothing_else(tmp_path: Path, name: str) -> None:
    publish_picture(tmp_path / name)
    stem = Path(name).stem
    assert set(contents(tmp_path)) == {name, *(f"{stem}{end}" for end in (".png", ".run.json", ".stac.json", ".html"))}
    assert {path.name for path in Outputs(tmp_path / name)} == set(contents(tmp_path))


def test_a_later_run_replaces_an_earlier_one(tmp_path: Path) -> None:
    publish_picture(tmp_path / "map.tif", seed=1)
    rgb, _ = publish_picture(tmp_path / "map.tif", seed=2)
    with rasterio.open(tmp_path / "map.tif") as found:
        np.testing.assert_array_equal(np.moveaxis(found.read(), 0, -1), rgb)
    assert len(contents(tmp_path)) == 5


def test_the_map_is_moved_into_place_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (moved.append(target.name), replace(source, target)))
    publish_picture(tmp_path / "map.tif")
    assert moved == ["map.png", "map.run.json", "map.html", "map.stac.json", "map.tif"]


def refuse(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "step",
    [
        "rasters.cog.write_geotiff",
        "rasters.cog.copy",
        "rasters.cog.cog_validate",
        "publish.preview",
        "publish.os.replace",
    ],
)
@pytest.mark.parametrize("earlier", [True, False])
def test_a_step_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, earlier: bool
) -> None:
    if earlier:
        publish_picture(tmp_path / "map.tif", seed=1)
    before = contents(tmp_path)
    monkeypatch.setattr(f"nst_rs.output.{step}", refuse)
    complaint = f"output {tmp_path}/map.tif: expected room and leave to write, got .*No space left on device"
    with pytest.raises(OutputError, match=complaint):
        publish_picture(tmp_path / "map.tif", seed=2)
    assert contents(tmp_path) == before


# GDAL reports it in different ways: when the first block, a later one, or only the file's end cannot be written.
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.85, 0.95, 0.999])
def test_a_disk_that_fills_up_leaves_everything_as_it_was(tmp_path: Path, share: float) -> None:
    publish_picture(tmp_path / "map.tif", (600, 520), seed=1)
    before = contents(tmp_path)
    complaint = f"output {tmp_path}/map.tif: expected room and leave to write, got .*free some space, then try again"
    with files_of_at_most(int(share * len(before["map.tif"]))), pytest.raises(OutputError, match=complaint):
        publish_picture(tmp_path / "map.tif", (600, 520), seed=2)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [OutputError("no record"), KeyboardInterrupt("no record")])
def test_a_record_that_cannot_be_made_leaves_everything_as_it_was(tmp_path: Path, error: BaseException) -> None:
    def fail() -> Mapping[str, Any]:
        raise error

    publish_picture(tmp_path / "map.tif", seed=1)
    before = contents(tmp_path)
    with pytest.raises(type(error), match=r"^no record$"):
        publish_picture(tmp_path / "map.tif", seed=2, make_record=fail)
    assert contents(tmp_path) == before


def test_a_companion_that_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    publish_picture(tmp_path / "map.tif", seed=1)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="No space left on device"):
        publish_alone(Outputs(tmp_path / "map.tif"), smooth_map("deflate")[0], record, writing("report", refuse))
    assert contents(tmp_path) == before


def test_the_map_stands_without_a_companion_that_fails_otherwise_and_it_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path, _: Any) -> None:
        path.write_text("half a page")
        raise ZeroDivisionError("division by zero")

    publish_picture(tmp_path / "map.tif", seed=1)
    publish_alone(Outputs(tmp_path / "map.tif"), smooth_map("deflate")[0], record, writing("report", fail))
    assert set(contents(tmp_path)) == {"map.tif", "map.png", "map.run.json", "map.stac.json"}
    said = "the map stands without its report, which failed: ZeroDivisionError: division by zero"
    assert [entry.message for entry in caplog.records] == [said]


SIDECARS = ("map.tif.aux.xml", "map.tif.ovr", "map.tif.msk")


@pytest.mark.parametrize("name", [*SIDECARS, "map.pmtiles", "map.mbtiles", "map.bands.tif"])
def test_what_belonged_to_an_earlier_map_goes_with_it(tmp_path: Path, name: str) -> None:
    publish_picture(tmp_path / "map.tif", seed=1)
    (tmp_path / name).write_bytes(b"of the earlier map")
    publish_picture(tmp_path / "map.tif", seed=2)
    assert set(contents(tmp_path)) == {"map.tif", "map.png", "map.run.json", "map.stac.json", "map.html"}


@pytest.mark.parametrize("name", ["map.pmtiles", "map.bands.tif", "map2.tif.ovr", "map.shp"])
def test_what_is_someone_elses_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"someone else's")
    publish_picture(tmp_path / "map.tif", seed=2)
    assert contents(tmp_path)[name] == b"someone else's"


def test_overviews_are_the_new_maps_where_an_earlier_one_had_some_beside_it(tmp_path: Path) -> None:
    publish_picture(tmp_path / "map.tif", (600, 520), seed=1)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(tmp_path / "map.tif") as earlier:
        profile = {**earlier.profile, "width": 260, "height": 300}
        with rasterio.open(tmp_path / "map.tif.ovr", "w", **profile) as stale:
            stale.write(np.full((3, 300, 260), 200, np.uint8))
    rgb, _ = publish_picture(tmp_path / "map.tif", (600, 520), seed=2)
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert np.abs(overview.read().mean() - rgb[rgb.any(axis=-1)].mean()) < 10


@pytest.mark.parametrize("flaws", [(["not tiled"], []), ([], ["not tiled"])])
def test_a_map_that_is_not_cloud_optimised_is_not_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flaws: tuple[list[str], list[str]]
) -> None:
    monkeypatch.setattr("nst_rs.output.rasters.cog.cog_validate", lambda *_, **__: (False, *flaws))
    complaint = r"output map.tif: expected a valid cloud-optimised GeoTIFF, got \['not tiled'\]"
    with pytest.raises(OutputError, match=complaint):
        publish_picture(tmp_path / "map.tif")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["map.tif", "map.tiff", "map.TIF"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_new_map_or_an_earlier_runs_is_a_fine_output(tmp_path: Path, name: str, exists: bool) -> None:
    if exists:
        (tmp_path / name).touch()
    check_output(Outputs(tmp_path / name), [tmp_path / "scene.tif", tmp_path / "style.png"])


@pytest.mark.parametrize(("name", "ending"), [("map.png", ".png"), ("map", "no ending"), ("map.tif.gz", ".gz")])
def test_an_output_that_is_no_geotiff_by_name_is_refused(tmp_path: Path, name: str, ending: str) -> None:
    with pytest.raises(OutputError, match=f"output {tmp_path}/{name}: expected a name ending in .tif, got {ending}$"):
        check_output(Outputs(tmp_path / name), [])


@pytest.mark.parametrize("name", ["a" * 252 + ".tif", "a" * 246 + ".tif", "a\0b.tif", "d" * 300 + "/map.tif"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    # 246 letters leave no room for .stac.json; a file system takes 255 bytes.
    with pytest.raises(OutputError, match=r"output .*: expected a name that a file can have, got "):
        check_output(Outputs(tmp_path / name), [])


def test_an_output_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"output folder {tmp_path}/no: expected an existing folder, got none"):
        check_output(Outputs(tmp_path / "no" / "map.tif"), [])


def test_an_output_in_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To root, as whom tests may run, every folder can be written.
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    with pytest.raises(OutputError, match=f"output folder {tmp_path}: expected leave to write, got none"):
        check_output(Outputs(tmp_path / "map.tif"), [])


@pytest.mark.parametrize("name", ["map.tif", "map.png", "map.run.json", "map.stac.json", "map.html"])
def test_an_output_that_is_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"output {tmp_path}/{name}: expected a file's name, got a folder"):
        check_output(Outputs(tmp_path / "map.tif"), [])


@pytest.mark.parametrize("name", ["map.tif", "map.png", "map.run.json", "map.stac.json", "map.html"])
def test_no_output_may_overwrite_an_input(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(OutputError, match=f"output {tmp_path}/{name}: expected a new file, got an input of this run"):
        check_output(Outputs(tmp_path / "map.tif"), [tmp_path / "scene.tif", tmp_path / name])


@pytest.mark.parametrize(("output", "given"), [("link.tif", "scene.tif"), ("scene.tif", "link.tif")])
def test_an_input_is_recognised_through_a_symbolic_link(tmp_path: Path, output: str, given: str) -> None:
    (tmp_path / "scene.tif").touch()
    (tmp_path / "link.tif").symlink_to("scene.tif")
    with pytest.raises(OutputError, match=f"output {tmp_path}/{output}: expected a new file, got an input"):
        check_output(Outputs(tmp_path / output), [tmp_path / given])


@pytest.mark.parametrize("output", ["scene.tif", "./scene.tif", "sub/../scene.tif"])
def test_an_input_is_recognised_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    (tmp_path / "scene.tif").touch()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"output .*scene.tif: expected a new file, got an input of this run"):
        check_output(Outputs(Path(output)), [tmp_path / "scene.tif"])


def test_a_map_in_the_scenes_own_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"map\.tif: expected a place outside the scene's folder"):
        check_output(Outputs(tmp_path / "map.tif"), [], [tmp_path])
    check_output(Outputs(tmp_path / "map.tif"), [], [tmp_path / "scene"])


def test_a_map_may_have_any_name(tmp_path: Path) -> None:
    rgb, valid = np.full((20, 30, 3), 9, np.uint8), np.ones((20, 30), bool)
    grid = Grid(CRS.from_user_input(UTM), NORTH_UP, 30, 20)
    publish_alone(Outputs(tmp_path / "plain.tif"), StyledMap(rgb, valid, grid), dict)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "plain.html",
        "plain.png",
        "plain.run.json",
        "plain.stac.json",
        "plain.tif",
    ]
