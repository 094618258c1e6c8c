import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from nst_rs.errors import StyleError
from nst_rs.style.images import read_style

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
    style = read_style(saved(tmp_path / "style.png", Image.fromarray(COLORS)), 80)
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
    style = read_style(path, size)
    assert max(style.shape[:2]) == size
    # To the nearest whole pixel, but at least one.
    assert abs(style.shape[0] - height * size / max(width, height)) <= 0.5 or style.shape[0] == 1
    assert abs(style.shape[1] - width * size / max(width, height)) <= 0.5 or style.shape[1] == 1
    assert (style == [9, 8, 7]).all()


@pytest.mark.parametrize("size", [64, 333])
def test_scaling_stays_within_0_and_255(tmp_path: Path, size: int) -> None:
    extremes = Image.fromarray(np.where(COLORS < 128, np.uint8(0), np.uint8(255)))
    style = read_style(saved(tmp_path / "style.png", extremes), size)
    assert (style.min(), style.max()) == (0, 255)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_gray_images_become_rgb(tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray(COLORS[..., 0]).convert(mode)
    style = read_style(saved(tmp_path / "style.png", gray), 80)
    np.testing.assert_array_equal(style, np.asarray(gray.convert("L"))[..., np.newaxis].repeat(3, axis=-1))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(16))])
def test_palette_images_become_rgb_without_a_warning(tmp_path: Path, transparency: int | bytes | None) -> None:
    palette = Image.fromarray(COLORS).quantize(16)
    path = saved(tmp_path / "style.png", palette, **({} if transparency is None else {"transparency": transparency}))
    np.testing.assert_array_equal(read_style(path, 80), np.asarray(palette.convert("RGB")))


def test_transparency_is_dropped(tmp_path: Path) -> None:
    rgba = Image.fromarray(np.concatenate([COLORS, COLORS[..., :1]], axis=-1))
    np.testing.assert_array_equal(read_style(saved(tmp_path / "style.png", rgba), 80), COLORS)


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
        style = read_style(path, 64)
    except StyleError as error:
        assert re.match(f"style {path}: expected ", str(error))  # noqa: PT017 - either outcome is right
    else:
        assert max(style.shape[:2]) == 64


def test_an_image_too_large_to_be_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "style.png", Image.fromarray(COLORS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(
        StyleError, match=rf"style {path}: expected an image .*, got Image size \(4800 pixels\) exceeds"
    ):
        read_style(path, 64)


def test_a_photograph_is_turned_upright_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was held on its side
    upright = np.rot90(COLORS, -1)
    found = read_style(saved(tmp_path / "phone.png", Image.fromarray(COLORS), exif=exif), 80)
    np.testing.assert_array_equal(found, upright)


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
