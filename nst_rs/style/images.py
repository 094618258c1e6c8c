"""The style images: reading and scaling. What is computed from them is in :mod:`nst_rs.neural.build`."""

import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageOps

from nst_rs.arrays import Pixels
from nst_rs.config.named_styles import names_in_words
from nst_rs.errors import StyleError
from nst_rs.geo.validity import validity
from nst_rs.pyramid.resample import continued
from nst_rs.style.picture import Style

log = logging.getLogger(__name__)

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "PPM", "TGA")
"""What a style image may be. Pillow knows more, some of which it hands to other programs: PostScript would be run."""

MOST_PIXELS = 300_000_000
"""How many pixels are read at most: 1.2 GB in memory."""

_WHOLE_PIXELS = 2**30 // 12
"""A JPEG of more pixels is scaled down while it is read."""

_FILLED_SIDE = 2048
"""Pixels along the longer side in which transparent parts are filled, at least."""

_FRAME_SHARE = 0.01
"""The share of a picture from which on a frame of one colour is told of."""

_FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise for what is damaged or hostile in a file."""


def read_styles(shares: Mapping[Path, float], size: int) -> tuple[Style, ...]:
    """Read the images that `shares` names, each scaled to a longer side of `size`. Raises StyleError."""
    return tuple(read_style(path, size, share) for path, share in shares.items())


def read_style(path: Path, size: int, share: float = 1.0) -> Style:
    """Read an image and scale its longer side to `size`; it makes up `share` of the blend.

    Raises StyleError when the file is missing, too large, or transparent throughout, or when it is not an image that
    Pillow can read, with eight bits per channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow can read over is no news
            rgb, alpha = _read(path, size)
    except FileNotFoundError as error:
        by_name = "" if path.suffix else f"name an image, or one of the learned styles: {names_in_words()}"
        raise StyleError(f"style {path}", expected="an image", got="no such file", do=by_name) from error
    except _FAILURES as error:
        said = str(error) or type(error).__name__
        raise StyleError(f"style {path}", expected="an image that Pillow can read", got=said) from error
    shape = _scaled_to(rgb.size, size)
    if alpha is None:
        image = np.asarray(rgb.resize(shape, Image.Resampling.LANCZOS), np.float32)
        _warn_of_frame(path, image)
        return Style.opaque(image, share)
    image, weight = _scale_by_weight(rgb, alpha, shape)
    if not weight.any():
        raise StyleError(
            f"style {path}",
            expected="a picture",
            got="one that is transparent, or without data, throughout",
            do="save it without its alpha channel, mask or nodata value",
        )
    return Style(image, weight, share)


def _read(path: Path, size: int) -> tuple[Image.Image, Image.Image | None]:
    """Return an image, upright, as RGB, and its alpha; None where all of it is opaque."""
    with _opened(path) as image:
        if image.mode.startswith(("I", "F")):
            # Pillow would saturate them, to a white picture.
            raise StyleError(
                f"style {path}", expected="eight bits a channel", got=f"mode {image.mode}", do="convert it"
            )
        _limit(path, image, size)
        marked = _marked(path, image) if image.format == "TIFF" else None
        ImageOps.exif_transpose(image, in_place=True)
        rgb, alpha = _rgb_and_alpha(image)
    partly = [part for part in (alpha, marked) if part is not None and part.getextrema() != (255, 255)]
    return rgb, ImageChops.darker(partly[0], partly[-1]) if partly else None


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image without Pillow's guard against large ones, which knows nothing of :func:`_limit`."""
    guard = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = guard


def _limit(path: Path, image: Image.Image, size: int) -> None:
    """Have a large JPEG scaled down while it is read. Raises StyleError for what is still too large."""
    if math.prod(image.size) > _WHOLE_PIXELS:
        image.draft(None, _scaled_to(image.size, 2 * size))
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise StyleError(
            f"style {path}",
            expected=f"at most {MOST_PIXELS // 10**6} megapixels",
            got=f"{width} × {height} pixels",
            do="scale it down, or save it as a JPEG, which is scaled while it is read",
        )


def _marked(path: Path, image: Image.Image) -> Image.Image | None:
    """Return what a TIFF's nodata value, mask and alpha say of its pixels, upright; None where they say nothing."""
    valid = validity(path)
    if valid is None:
        return None
    marked = Image.fromarray(valid)
    marked.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(marked)


def _rgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    # Pillow warns when a palette that holds transparency is not read by way of RGBA.
    if image.mode != "P" and not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), None
    rgba = image.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def _scaled_to(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Return (width, height) scaled to a longer side of `size`.

    >>> _scaled_to((4000, 1000), 512)
    (512, 128)
    """
    scale = size / max(shape)
    width, height = (max(1, round(side * scale)) for side in shape)
    return width, height


def _scale_by_weight(rgb: Image.Image, alpha: Image.Image, shape: tuple[int, int]) -> tuple[Pixels, Pixels]:
    """Return a picture that is transparent in part and its weight, both scaled to `shape`, (width, height).

    The picture is continued into what is transparent before it is scaled, so that none of what lies there shines
    through. The float32 copies that this needs are made of a picture that is not much larger than the result.
    """
    factor = max(1, max(rgb.size) // max(2 * max(shape), _FILLED_SIDE))
    box = 0.0, 0.0, rgb.width / factor, rgb.height / factor
    rgb.putalpha(alpha)  # makes it RGBA: alpha then weighs the colours that are averaged
    small = rgb.reduce(factor)
    alpha = small.getchannel("A")
    pixels = continued(np.asarray(small.convert("RGB"), np.float32), _share(alpha))
    filled = Image.fromarray(np.rint(pixels).astype(np.uint8))
    image = np.asarray(filled.resize(shape, Image.Resampling.LANCZOS, box), np.float32)
    # Averaged over its own pixels: Lanczos's negative lobes would let transparent pixels weigh something.
    return image, _share(alpha.resize(shape, Image.Resampling.BOX, box))


def _share(alpha: Image.Image) -> Pixels:
    """Return alpha as a weight, (H, W) float32 in [0, 1]."""
    weight: Pixels = np.asarray(alpha, np.float32) / np.float32(255)
    return weight


def _warn_of_frame(path: Path, image: Pixels) -> None:
    """Warn of a frame of one colour, such as the collar of a map whose nodata nothing marks: it is imitated too."""
    share = frame_share(image)
    if _FRAME_SHARE <= share < 1:  # a picture of nothing else has no frame
        red, green, blue = image[0, 0].astype(int)
        log.warning(
            "style %s: %.0f%% of it is a frame of the colour (%d, %d, %d), which is imitated too; "
            "crop it, or mark it with a nodata value or as transparent",
            *(path, 100 * share, red, green, blue),
        )


def frame_share(image: Pixels) -> float:
    """Return which share of an image, (H, W, 3), is a frame: reaches straight to an edge in the corners' one colour.

    >>> image = np.full((4, 4, 3), 9)
    >>> image[1:3, 1:3] = 0
    >>> frame_share(image)
    0.75
    """
    corners = image[:: max(1, len(image) - 1), :: max(1, image.shape[1] - 1)]
    if (corners != image[0, 0]).any():
        return 0.0
    same = (image == image[0, 0]).all(axis=-1)
    frame = np.zeros_like(same)
    for axis in (0, 1):
        frame |= np.logical_and.accumulate(same, axis=axis)
        frame |= np.flip(np.logical_and.accumulate(np.flip(same, axis), axis=axis), axis)
    return float(frame.mean())
