"""The style images: reading and scaling. What is computed from them is in :mod:`nst_rs.neural.build`."""

import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from nst_rs.arrays import Pixels
from nst_rs.errors import StyleError

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "PPM", "TGA")
"""What a style image may be. Pillow knows more, some of which it hands to other programs: PostScript would be run."""

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
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow's readers raise for what is damaged or hostile in a file."""


@dataclass(frozen=True)
class Style:
    """One of the images whose style is taken."""

    image: Pixels  # (H, W, 3) RGB in [0, 255]
    share: float = 1.0
    """Of the blend: all images' add up to one."""


def read_styles(shares: Mapping[Path, float], size: int) -> tuple[Style, ...]:
    """Read the images that `shares` names, each scaled to a longer side of `size`. Raises StyleError."""
    return tuple(Style(read_style(path, size), share) for path, share in shares.items())


def read_style(path: Path, size: int) -> Pixels:
    """Read an image and scale its longer side to `size`; return (H, W, 3) RGB float32 in [0, 255].

    Raises StyleError when the file is missing or not an image that Pillow can read, eight bits a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow can read over is no news
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                rgb = _to_rgb(path, ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise StyleError(f"style {path}", expected="an image", got="no such file") from error
    except _FAILURES as error:
        said = str(error) or type(error).__name__
        raise StyleError(f"style {path}", expected="an image that Pillow can read", got=said) from error
    scale = size / max(rgb.size)
    width, height = (max(1, round(side * scale)) for side in rgb.size)
    return np.asarray(rgb.resize((width, height), Image.Resampling.LANCZOS), np.float32)


def _to_rgb(path: Path, image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # Pillow would saturate them, to a white picture.
        raise StyleError(f"style {path}", expected="eight bits a channel", got=f"mode {image.mode}", do="convert it")
    # Pillow warns when a palette that holds transparency is not read by way of RGBA.
    return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")
