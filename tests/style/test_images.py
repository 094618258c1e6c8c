import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from nst_rs.errors import StyleError
from nst_rs.style import images
from nst_rs.style.images import read_style
from tests.conftest import SAMPLES
from tests.rasters import write_raster

# Files take their time on a busy disk.
with_files = settings(max_examples=40, deadline=None)
COLORS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def encoded(fmt: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLORS).save(buffer, fmt)
    return buffer.getvalue()


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_an_image_of_the_wanted_size_is_read_as_it_is(tmp_path: Path) -> None:
    style = read_style(saved(tmp_path / "style.png", Image.fromarray(COLORS)), 80).image
    assert style.dtype == np.float32
    np.testing.assert_array_equal(style, COLORS)


@with_files
@given(width=st.integers(1, 200), height=st.integers(1, 200), size=st.integers(64, 300))
@example(width=1, height=200, size=64)
@example(width=200, height=1, size=64)
def test_the_longer_side_is_scaled_to_the_size_and_the_other_in_proportion(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, size: int
) -> None:
    path = saved(tmp_path_factory.mktemp("style") / "style.bmp", Image.new("RGB", (width, height), (9, 8, 7)))
    style = read_style(path, size).image
    assert max(style.shape[:2]) == size
    # To the nearest whole pixel, but at least one.
    assert abs(style.shape[0] - height * size / max(width, height)) <= 0.5 or style.shape[0] == 1
    assert abs(style.shape[1] - width * size / max(width, height)) <= 0.5 or style.shape[1] == 1
    assert (style == [9, 8, 7]).all()


@pytest.mark.parametrize("size", [64, 333])
def test_scaling_stays_within_0_and_255(tmp_path: Path, size: int) -> None:
    extremes = Image.fromarray(np.where(COLORS < 128, np.uint8(0), np.uint8(255)))
    style = read_style(saved(tmp_path / "style.png", extremes), size).image
    assert (style.min(), style.max()) == (0, 255)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_gray_images_become_rgb(tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray(COLORS[..., 0]).convert(mode)
    style = read_style(saved(tmp_path / "style.png", gray), 80).image
    np.testing.assert_array_equal(style, np.asarray(gray.convert("L"))[..., np.newaxis].repeat(3, axis=-1))


def test_an_alpha_channel_that_is_opaque_throughout_changes_nothing(tmp_path: Path) -> None:
    opaque = Image.fromarray(COLORS)
    plain, with_alpha = (
        read_style(saved(tmp_path / f"{image.mode}.png", image), 50) for image in (opaque, opaque.convert("RGBA"))
    )
    np.testing.assert_array_equal(with_alpha.image, plain.image)
    assert (with_alpha.weight == 1).all()


def test_a_palette_becomes_rgb_without_a_warning(tmp_path: Path) -> None:
    palette = Image.fromarray(COLORS).quantize(16)
    style = read_style(saved(tmp_path / "style.png", palette), 80)
    np.testing.assert_array_equal(style.image, np.asarray(palette.convert("RGB")))
    assert (style.weight == 1).all()


@pytest.mark.parametrize(("dtype", "mode"), [("uint16", "I;16"), ("int32", "I"), ("float32", "F")])
def test_images_that_would_saturate_are_refused(tmp_path: Path, dtype: str, mode: str) -> None:
    path = saved(tmp_path / "style.tif", Image.fromarray(np.full((4, 4), 1000, dtype)))
    with pytest.raises(StyleError, match=f"style {path}: expected eight bits a channel, got mode {mode}; convert it"):
        read_style(path, 64)


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match=f"style {tmp_path}/no.png: expected an image, got no such file"):
        read_style(tmp_path / "no.png", 64)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match=f"style {tmp_path}: expected an image that Pillow can read, got .*directory"):
        read_style(tmp_path, 64)


@pytest.mark.parametrize("content", [b"", b"not an image", encoded("PNG")[:200], encoded("JPEG")[:-200]])
def test_what_is_not_a_whole_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "style.png"
    path.write_bytes(content)
    with pytest.raises(StyleError, match=f"style {path}: expected an image that Pillow can read, got .+"):
        read_style(path, 64)


@with_files
@given(fmt=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), data=st.data())
def test_a_damaged_image_is_read_or_refused_but_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, fmt: str, data: st.DataObject
) -> None:
    content = bytearray(encoded(fmt))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("style") / "style.img"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        style = read_style(path, 64).image
    except StyleError as error:
        assert re.match(f"style {path}: expected ", str(error))  # noqa: PT017 - either outcome is right
    else:
        assert max(style.shape[:2]) == 64


def test_a_photograph_is_turned_upright_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was held on its side
    upright = np.rot90(COLORS, -1)
    style = read_style(saved(tmp_path / "phone.png", Image.fromarray(COLORS), exif=exif), 80)
    np.testing.assert_array_equal(style.image, upright)


HIDDEN = np.hypot(*np.mgrid[-25:35, -30:50]) < 22
"""(60, 80): a disc in which the pictures below show nothing."""


def rgba(under: tuple[int, int, int]) -> Image.Image:
    """COLORS, transparent in the disc, where `under` lies unseen."""
    colors = np.where(HIDDEN[..., np.newaxis], np.uint8(under), COLORS)
    return Image.fromarray(np.dstack([colors, np.where(HIDDEN, np.uint8(0), np.uint8(255))]))


def with_colour_key(path: Path, under: tuple[int, int, int]) -> Path:
    return saved(path.with_suffix(".png"), rgba(under).convert("RGB"), transparency=under)


def geotiff(path: Path, under: tuple[int, int, int], **marked: Any) -> Path:
    """COLORS as a GeoTIFF that marks the disc by a nodata value, or by a mask."""
    bands = np.moveaxis(np.where(HIDDEN[..., np.newaxis], np.uint8(under), COLORS), -1, 0)
    return write_raster(path.with_suffix(".tif"), bands, photometric="RGB", **marked)


WAYS_TO_HIDE: dict[str, Callable[[Path, tuple[int, int, int]], Path]] = {
    "PNG's alpha": lambda path, under: saved(path.with_suffix(".png"), rgba(under)),
    "PNG's colour key": with_colour_key,
    "WebP's alpha": lambda path, under: saved(path.with_suffix(".webp"), rgba(under), lossless=True, exact=True),
    "TIFF's alpha": lambda path, under: saved(path.with_suffix(".tif"), rgba(under)),
    "GeoTIFF's mask": lambda path, under: geotiff(path, under, mask=~HIDDEN),
    "mask beside a GeoTIFF": lambda path, under: geotiff(path, under, mask=~HIDDEN, internal_mask=False),
    "GeoTIFF's nodata": lambda path, under: geotiff(path, (under[0],) * 3, nodata=under[0]),
}


@pytest.mark.parametrize("size", [64, 80, 200])
@pytest.mark.parametrize("way", WAYS_TO_HIDE)
def test_what_a_picture_hides_weighs_nothing_and_does_not_shine_through(tmp_path: Path, way: str, size: int) -> None:
    black, white = (
        read_style(WAYS_TO_HIDE[way](tmp_path / name, (value,) * 3), size)
        for name, value in (("black", 0), ("white", 255))
    )
    np.testing.assert_array_equal(black.image, white.image)
    np.testing.assert_array_equal(black.weight, white.weight)
    # Shares are stored in 255 steps; the picture's size is rounded to whole pixels.
    assert black.weight.mean() == pytest.approx(1 - HIDDEN.mean(), abs=0.005)
    assert (black.weight.min(), black.weight.max()) == (0, 1)


@pytest.mark.parametrize("way", WAYS_TO_HIDE)
def test_what_a_picture_shows_is_taken_as_from_an_opaque_one(tmp_path: Path, way: str) -> None:
    style = read_style(WAYS_TO_HIDE[way](tmp_path / "style", (0, 0, 0)), 80)
    np.testing.assert_array_equal(style.weight, ~HIDDEN)
    np.testing.assert_array_equal(style.image[~HIDDEN], COLORS[~HIDDEN])


@pytest.mark.parametrize("mode", ["P", "LA"])
def test_shades_of_transparency_are_shares_of_a_pixel(tmp_path: Path, mode: str) -> None:
    shades = Image.fromarray(np.dstack([COLORS, COLORS[..., :1]]))
    image, options = (
        (Image.fromarray(COLORS).quantize(16), {"transparency": bytes(range(0, 256, 16))})
        if mode == "P"
        else (shades.convert("LA"), {})
    )
    path = saved(tmp_path / "style.png", image, **options)
    alpha = np.asarray(image.getchannel("A") if mode == "LA" else np.asarray(image) * np.uint8(16))
    np.testing.assert_array_equal(read_style(path, 80).weight, alpha / np.float32(255))


def test_a_mask_is_turned_upright_with_its_picture(tmp_path: Path) -> None:
    with Image.open(geotiff(tmp_path / "lying", (0, 0, 0), nodata=0)) as lying:
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[274], info[42113] = 6, "0"  # the orientation, and GDAL's nodata value
        path = saved(tmp_path / "upright.tif", Image.fromarray(np.asarray(lying)), tiffinfo=info)
    style = read_style(path, 80)
    np.testing.assert_array_equal(style.weight, np.rot90(~HIDDEN, -1))
    np.testing.assert_array_equal(style.image[style.weight > 0], np.rot90(COLORS, -1)[np.rot90(~HIDDEN, -1)])


def test_a_large_picture_with_transparent_parts_is_weighed_like_a_small_one(tmp_path: Path) -> None:
    large = rgba((255, 0, 255)).resize((80 * 60, 60 * 60), Image.Resampling.NEAREST)
    opaque = Image.fromarray(COLORS).resize(large.size, Image.Resampling.NEAREST)
    style, whole = (
        read_style(saved(tmp_path / f"{image.mode}.png", image, compress_level=1), 80) for image in (large, opaque)
    )
    np.testing.assert_array_equal(style.weight, ~HIDDEN)
    # Lanczos's lobes reach three pixels; what is far from the disc is rounded once more, where it is halved before.
    far = np.hypot(*np.mgrid[-25:35, -30:50]) > 22 + 4
    np.testing.assert_allclose(style.image[far], whole.image[far], atol=1)


@pytest.mark.parametrize("way", ["alpha", "nodata", "mask"])
def test_a_picture_that_shows_nothing_is_refused(tmp_path: Path, way: str) -> None:
    path = tmp_path / "clear.tif"
    if way == "alpha":
        Image.new("RGBA", (64, 64), (9, 9, 9, 0)).save(path)
    else:
        marked = {"nodata": 9} if way == "nodata" else {"mask": np.zeros((64, 64), bool)}
        write_raster(path, np.full((3, 64, 64), 9, np.uint8), photometric="RGB", **marked)
    with pytest.raises(
        StyleError, match=f"style {path}: expected a picture, got one that is transparent, .* throughout"
    ):
        read_style(path, 64)


def test_pixels_of_which_a_single_band_is_nodata_count(tmp_path: Path) -> None:
    bands = np.zeros((3, 64, 64), np.uint8)
    bands[2] = 200  # a blue of no red and no green
    style = read_style(write_raster(tmp_path / "blue.tif", bands, photometric="RGB", nodata=0), 64)
    assert (style.weight == 1).all()


@pytest.mark.parametrize("colour", [(0, 0, 255), (255, 255, 255)])
def test_a_frame_of_one_colour_is_told_of_and_imitated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, colour: tuple[int, int, int]
) -> None:
    framed = np.pad(COLORS, ((5, 5), (5, 5), (0, 0)))
    framed[HIDDEN.shape[0] :, :] = framed[:, :5] = framed[:5] = framed[:, -5:] = colour
    style = read_style(saved(tmp_path / "framed.png", Image.fromarray(framed)), 90)
    np.testing.assert_array_equal(style.image, framed)
    assert (style.weight == 1).all()
    told = f"style {tmp_path}/framed.png: 30% of it is a frame of the colour {colour}, which is imitated too"
    assert [record.getMessage()[: len(told)] for record in caplog.records] == [told]


def test_a_picture_of_one_colour_has_no_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_style(saved(tmp_path / "red.png", Image.new("RGB", (80, 60), "red")), 80)
    assert not caplog.records


@pytest.mark.parametrize("name", ["harvest", "night_cafe", "cafe_terrace", "church_at_auvers", "langlois_bridge"])
def test_a_painting_has_no_frame(name: str, caplog: pytest.LogCaptureFixture) -> None:
    read_style(SAMPLES / "styles" / f"{name}.jpg", 512)
    assert not caplog.records


def test_a_jpeg_too_large_to_be_read_whole_is_scaled_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = Image.fromarray(COLORS).resize((640, 480), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "scan.jpg", smooth, quality=95)
    whole = read_style(path, 80)
    monkeypatch.setattr(images, "_WHOLE_PIXELS", 1000)
    monkeypatch.setattr(images, "MOST_PIXELS", 320 * 240)
    scaled = read_style(path, 80)
    assert scaled.image.shape == whole.image.shape
    # A half by the mean of four pixels, then Lanczos, instead of Lanczos alone.
    np.testing.assert_allclose(scaled.image, whole.image, atol=12)


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_an_image_too_large_to_read_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = saved(tmp_path / f"scan.{kind}", Image.new("RGB", (2000, 1500)))
    monkeypatch.setattr(images, "_WHOLE_PIXELS", 1000)
    monkeypatch.setattr(images, "MOST_PIXELS", 1000)
    with pytest.raises(StyleError, match=f"style {path}: expected at most 0 megapixels, got .* pixels; scale it down"):
        read_style(path, 800)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def black_png(side: int, *chunks: bytes) -> bytes:
    """A square of black pixels, which packs a thousandfold."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side * 3 + 1)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_text_or_profile_that_would_unpack_to_gigabytes_is_refused(tmp_path: Path, kind: bytes) -> None:
    prefix = b"a\0\1\0\0\0" if kind == b"iTXt" else b"a\0\0"
    path = tmp_path / "bomb.png"
    path.write_bytes(black_png(4, chunk(kind, prefix + zlib.compress(bytes(100_000_000), 9))))
    with pytest.raises(StyleError, match=f"style {path}: expected an image that Pillow can read, got .*too large"):
        read_style(path, 64)


@pytest.mark.parametrize(
    "content",
    [
        b"P6\n8\xff 60\n255\n" + bytes(100),
        black_png(4)[:20],
        black_png(4).replace(b"IDAT", b"I\xffAT"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    ],
    ids=["PPM's size", "PNG's header", "PNG's chunk", "a program to run"],
)
def test_what_pillow_stumbles_over_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "style.img"
    path.write_bytes(content)
    with pytest.raises(StyleError, match=f"style {path}: expected an image that Pillow can read, got .+"):
        read_style(path, 64)
