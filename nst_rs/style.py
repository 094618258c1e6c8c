"""The style image: reading and scaling. What is computed from it is in :mod:`nst_rs.pipeline`."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nst_rs.errors import StyleError

Pixels = npt.NDArray[np.float32]


def read_style(path: Path, size: int) -> Pixels:
    """Read an image and scale its longer side to `size`; return (H, W, 3) RGB float32 in [0, 255].

    Raises StyleError when the file is missing or not an image that Pillow can read.
    """
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except FileNotFoundError as error:
        raise StyleError(f"style {path}", expected="an image", got="no such file") from error
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise StyleError(f"style {path}", expected="an image that Pillow can read", got=str(error)) from error
    scale = size / max(rgb.size)
    width, height = (max(1, round(side * scale)) for side in rgb.size)
    return np.asarray(rgb.resize((width, height), Image.Resampling.LANCZOS), np.float32)
