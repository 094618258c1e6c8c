"""Halving and doubling of pictures between levels."""

import numpy as np
from PIL import Image

from nst_rs.arrays import Pixels


def halve(image: Pixels, weight: Pixels) -> tuple[Pixels, Pixels]:
    """Average 2 × 2 pixels by weight; return the image, (⌈H/2⌉, ⌈W/2⌉, 3), and the mean weights, (⌈H/2⌉, ⌈W/2⌉).

    An odd last row or column counts half. Where all four pixels weigh nothing their plain mean stands.
    """
    pad = [(0, size % 2) for size in weight.shape]
    image = np.pad(image, [*pad, (0, 0)], mode="edge")
    weight = np.pad(weight, pad)
    mean_weight = _mean_of_four(weight)
    weighted = _mean_of_four(image * weight[..., np.newaxis])
    plain = _mean_of_four(image)
    heavy = mean_weight[..., np.newaxis] > 0
    return np.where(heavy, weighted / np.where(heavy, mean_weight[..., np.newaxis], 1), plain), mean_weight


def _mean_of_four(array: Pixels) -> Pixels:
    found: Pixels = (array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]) / np.float32(4)
    return found


def enlarge(picture: Pixels) -> Pixels:
    """Double a picture, (H, W, 3) in [0, 255], by cubic interpolation; pixel i becomes pixels 2i and 2i + 1."""
    height, width, channels = picture.shape
    planes = [
        np.asarray(Image.fromarray(picture[..., c]).resize((2 * width, 2 * height), Image.Resampling.BICUBIC))
        for c in range(channels)
    ]
    doubled: Pixels = np.clip(np.stack(planes, axis=-1), 0.0, 255.0)
    return doubled
