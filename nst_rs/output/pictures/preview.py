"""A small picture of a large one."""

import base64
import io
import math

import numpy as np
from PIL import Image

from nst_rs.files.storage import STRIP_ROWS, PixelArray, strips
from nst_rs.output.rasters.geotiff import to_bytes

PREVIEW_SIDE = 1024
_QUALITY = 88


def preview(picture: PixelArray, weight: PixelArray, side: int = PREVIEW_SIDE) -> Image.Image:
    """Return `picture`, (H, W, 3) in [0, 255], at most `side` pixels wide and high, as RGBA; strip by strip.

    Where `weight`, (H, W), is 0 there is no data, and the preview is transparent.
    """
    height, width, _ = picture.shape
    scale = max(1.0, max(height, width) / side)
    size = max(1, round(width / scale)), max(1, round(height / scale))
    shown = Image.new("RGBA", size)
    for rows in strips(size[1], max(1, int(STRIP_ROWS / scale))):
        top, bottom = (edge * height / size[1] for edge in (rows.start, rows.stop))
        first = math.floor(top)
        source = slice(first, math.ceil(bottom))
        valid = weight[source] > 0
        alpha = valid.astype(np.uint8)[..., np.newaxis] * np.uint8(255)
        strip = Image.fromarray(np.concatenate([to_bytes(picture[source], valid), alpha], axis=-1))
        box = (0, top - first, width, bottom - first)
        shown.paste(strip.resize((size[0], rows.stop - rows.start), Image.Resampling.BOX, box), (0, rows.start))
    return shown


def as_webp(image: Image.Image) -> bytes:
    """Return a picture as a WebP file."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()


def webp_uri(webp: bytes) -> str:
    """Return a WebP file as a URI that holds it."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode()
