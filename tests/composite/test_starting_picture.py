"""The picture that the descent starts from, from real files of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from nst_rs.composite.starting_picture import StartingPicture
from nst_rs.errors import ConfigError
from nst_rs.geo.grid import Grid
from tests.rasters import NORTH_UP, ROTATED, UTM, random_values, write_raster

HEIGHT, WIDTH = SHAPE = 40, 60
SCENE = Grid(CRS.from_string(UTM), NORTH_UP, WIDTH, HEIGHT)
VALUES = random_values((3, *SHAPE))
RGB = np.moveaxis(VALUES, 0, -1)
PALETTE = [(200, 10, 20), (0, 90, 250), (7, 7, 7)]


def whole(path: Path, grid: Grid = SCENE) -> tuple[np.ndarray, np.ndarray]:
    """The picture and where it has data, all rows at once."""
    return StartingPicture.open(path, grid, "bilinear").read(slice(0, grid.height))


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def test_a_map_on_the_scenes_grid_is_taken_pixel_for_pixel_where_it_has_data(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random(SHAPE) > 0.3
    pixels, held = whole(write_raster(tmp_path / "map.tif", VALUES, mask=mask, photometric="RGB"))
    assert (held == mask).all()
    assert (pixels[mask] == RGB[mask]).all()
    assert pixels.dtype == np.float32


def test_a_nodata_value_marks_where_all_of_the_colours_hold_it(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[:, 5:10], values[1, 20:25] = 0, 0  # black, and a colour without green
    _, held = whole(write_raster(tmp_path / "map.tif", values, nodata=0))
    assert not held[5:10].any()
    assert held[:5].all()
    assert held[10:].all()


def test_a_map_that_covers_the_scene_in_part_has_no_data_elsewhere(tmp_path: Path) -> None:
    there = NORTH_UP @ Affine.translation(-20, 10)
    pixels, held = whole(write_raster(tmp_path / "map.tif", VALUES, transform=there))
    assert held[10:, : WIDTH - 20].all()
    assert held.sum() == 30 * 40
    assert (pixels[10:, : WIDTH - 20] == RGB[:-10, 20:]).all()


def test_strips_of_rows_are_those_of_the_whole(tmp_path: Path) -> None:
    finer = NORTH_UP @ Affine.scale(0.7) @ Affine.rotation(3)
    path = write_raster(tmp_path / "map.tif", random_values((3, 90, 90)), transform=finer)
    start = StartingPicture.open(path, SCENE, "bilinear")
    parts = [start.read(slice(top, top + 13)) for top in (0, 13, 26)] + [start.read(slice(39, 40))]
    pixels, held = whole(path)
    assert (np.concatenate([part for part, _ in parts]) == pixels).all()
    assert (np.concatenate([part for _, part in parts]) == held).all()
    assert 0 < held.sum() < held.size


@pytest.mark.parametrize("scene", [SCENE, Grid(CRS.from_string(UTM), ROTATED, WIDTH, HEIGHT)], ids=["UTM", "rotated"])
def test_a_picture_of_another_crs_and_resolution_is_warped_to_where_it_lies(tmp_path: Path, scene: Grid) -> None:
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    xs, ys = scene.transform @ (columns, rows)
    longitudes, latitudes = (
        np.array(each).reshape(SHAPE) for each in transform(UTM, "EPSG:4326", xs.ravel(), ys.ravel())
    )
    west, north = longitudes.min() - 0.01, latitudes.max() + 0.01
    across, down = ((np.ptp(each) + 0.02) / 120 for each in (longitudes, latitudes))  # degrees of a pixel
    ramps = np.zeros((3, 120, 120), np.uint8)
    ramps[0], ramps[1] = np.arange(120), np.arange(120)[:, np.newaxis]  # numbers of its own pixels
    grid = {"crs": "EPSG:4326", "transform": Affine(across, 0, west, 0, -down, north)}
    pixels, held = whole(write_raster(tmp_path / "picture.tif", ramps, **grid), scene)
    assert held.all()
    expected = np.stack([(longitudes - west) / across, (north - latitudes) / down], axis=-1) - 0.5
    # Half a grey value of rounding, and as much for GDAL's approximate transformer, an eighth of a pixel.
    np.testing.assert_allclose(pixels[..., :2], expected, atol=1)


def ordinary(folder: Path) -> dict[str, Path]:
    """Pictures of the scene's size that do not say where they lie."""
    image = Image.fromarray(RGB)
    return {
        "PNG": saved(folder / "a.png", image),
        "BMP": saved(folder / "a.bmp", image),
        "TIFF": saved(folder / "a.tif", image),
        "WEBP": saved(folder / "a.webp", image, lossless=True),
    }


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_an_ordinary_picture_of_the_scenes_size_is_taken_pixel_for_pixel(tmp_path: Path, kind: str) -> None:
    pixels, held = whole(ordinary(tmp_path)[kind])
    assert (pixels == RGB).all()
    assert held.all()


def test_a_jpeg_of_the_scenes_size_is_taken(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(WIDTH, dtype=np.uint8)[:, np.newaxis], (HEIGHT, WIDTH, 3))
    pixels, held = whole(saved(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95))
    np.testing.assert_allclose(pixels, smooth, atol=4)  # JPEG's own error
    assert held.all()


def test_what_an_ordinary_picture_hides_has_no_data(tmp_path: Path) -> None:
    alpha = np.full(SHAPE, 255, np.uint8)
    alpha[:, 50:] = 0
    image = Image.fromarray(np.dstack([RGB, alpha]))
    pixels, held = whole(saved(tmp_path / "a.png", image))
    assert (held == (alpha > 0)).all()
    assert (pixels[held] == RGB[held]).all()


def test_a_palettes_colours_are_taken_and_a_grey_picture_is_grey(tmp_path: Path) -> None:
    numbers = np.random.default_rng(2).integers(0, 3, SHAPE).astype(np.uint8)
    image = Image.fromarray(numbers, "P")
    image.putpalette([value for color in PALETTE for value in color])
    assert (whole(saved(tmp_path / "palette.png", image))[0] == np.array(PALETTE)[numbers]).all()
    grey, _ = whole(saved(tmp_path / "grey.png", Image.fromarray(VALUES[0])))
    assert (grey == VALUES[0][..., np.newaxis]).all()


def test_bands_that_are_named_are_taken_by_their_names(tmp_path: Path) -> None:
    pixels, _ = whole(write_raster(tmp_path / "map.tif", VALUES[::-1], names=("blue", "green", "red")))
    assert (pixels == RGB).all()


def _turned(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(path, Image.fromarray(RGB), exif=exif)


def _with_control_points(path: Path) -> Path:
    points = [GroundControlPoint(row, col, 5e5 + col, 9e6 - row) for row, col in ((0, 0), (0, 9), (9, 0))]
    return write_raster(path, VALUES, transform=None, gcps=points)


def _text(path: Path) -> Path:
    path.write_text("no picture")
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _truncated(path: Path) -> Path:
    write_raster(path, VALUES, compress="deflate")
    path.write_bytes(path.read_bytes()[:-4000])
    return path


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda path: path, "expected content, noise, learned, or a picture's path, got no such file"),
    "a folder": (_folder, "expected content, noise, learned, or a picture's path, got a folder"),
    "text": (_text, "expected a raster that GDAL can read, got .*not recognized.*; formats read are GTiff, .*PNG"),
    "another size": (
        lambda path: saved(path, Image.new("RGB", (30, 20)), format="PNG"),
        r"expected the scene's size, 60 × 40 pixels, as it does not say where it lies, got 30 × 20 pixels; "
        "scale it to that size, or georeference it",
    ),
    "turned": (
        lambda path: _turned(path.with_suffix(".jpg")),
        "expected a picture that is stored upright, got one that its camera has turned; open it",
    ),
    "16 bits": (
        lambda path: write_raster(path, VALUES.astype("uint16")),
        "expected a picture of eight bits per channel, got pixels of uint16; convert it",
    ),
    "complex": (
        lambda path: write_raster(path, VALUES.astype("complex64")),
        "expected bands of one type of uint8, .* got complex64",
    ),
    "six bands": (
        lambda path: write_raster(path, random_values((6, *SHAPE))),
        "expected a picture in red, green and blue, or in grey, got 6 bands; choose three",
    ),
    "another place": (
        lambda path: write_raster(path, VALUES, transform=NORTH_UP @ Affine.translation(5000, 0)),
        r"expected a picture of the scene's place: 60 × 40 .* EPSG:32621, at \[.*\], got one of another place: 60 .*"
        r" EPSG:32621, at \[",
    ),
    "another place in degrees": (
        lambda path: write_raster(path, VALUES, crs="EPSG:4326", transform=Affine(0.01, 0, 10, 0, -0.01, 50)),
        "expected a picture of the scene's place: .* got one of another place: .* EPSG:4326",
    ),
    "no CRS": (lambda path: write_raster(path, VALUES, crs=None), "expected a CRS, got none; assign one"),
    "control points": (_with_control_points, "expected a geotransform, got ground control points; rectify it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_picture_that_is_wrong_is_told_in_one_line_that_names_the_setting(tmp_path: Path, name: str) -> None:
    make, expected = WRONG[name]
    path = make(tmp_path / "start.tif")
    with pytest.raises(ConfigError, match=rf"^schedule\.init {path}: {expected}") as raised:
        StartingPicture.open(path, SCENE, "bilinear")
    assert "\n" not in str(raised.value)


def test_a_damaged_picture_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = _truncated(tmp_path / "start.tif")
    with pytest.raises(ConfigError, match=rf"^schedule\.init {path}: expected readable pixels"):
        whole(path)
