"""A style picture that is in memory, written as a file that is read like any other."""

from pathlib import Path

from PIL import Image, ImageOps

from nst_rs.errors import StyleError

_AS_THEY_ARE = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Modes that a PNG keeps."""


def write_picture(path: Path, image: Image.Image) -> None:
    """Write `image`, upright, as a PNG, which loses nothing. Raises StyleError for more than eight bits a channel."""
    if image.mode.startswith(("I", "F")):
        raise StyleError("style image", expected="eight bits a channel", got=f"mode {image.mode}", do="convert it")
    upright = ImageOps.exif_transpose(image)
    (upright if upright.mode in _AS_THEY_ARE else upright.convert("RGB")).save(path, "PNG")
