"""Halving and doubling of pictures between levels, and mirroring at their borders, strip by strip."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from nst_rs.arrays import Pixels
from nst_rs.files.storage import STRIP_ROWS, PixelArray, strips
from nst_rs.pyramid.tiling import Axis, Level, Span

_CUBIC_REACH = 3
"""Rows on either side, at least, that cubic interpolation takes into account."""


def halve_into(image: PixelArray, weight: PixelArray, half_image: PixelArray, half_weight: PixelArray) -> None:
    """Halve `image` and `weight`, as :func:`halve` does, into `half_image` and `half_weight`."""
    for rows in strips(half_weight.shape[0], STRIP_ROWS // 2):
        # An odd last row is the last strip's, so that strips are halved as the whole is.
        source = slice(2 * rows.start, min(2 * rows.stop, weight.shape[0]))
        half_image[rows], half_weight[rows] = halve(image[source], weight[source])


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
    mean: Pixels = (array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]) / np.float32(4)
    return mean


def continued(image: Pixels, weight: Pixels) -> Pixels:
    """Return an image, (H, W, 3), whose pixels of weight 0 continue the others smoothly, near and far.

    They are taken from the halved image, which is continued first. Where no pixel weighs anything the image stays.
    """
    if weight.all() or not weight.any():
        return image
    height, width = weight.shape
    coarse = enlarge(continued(*halve(image, weight)))[:height, :width]
    return np.where(weight[..., np.newaxis] > 0, image, coarse)


def enlarge(picture: Pixels) -> Pixels:
    """Double a picture, (H, W, 3) in [0, 255], by cubic interpolation; pixel i becomes pixels 2i and 2i + 1."""
    height, width, channels = picture.shape
    planes = [
        np.asarray(Image.fromarray(picture[..., c]).resize((2 * width, 2 * height), Image.Resampling.BICUBIC))
        for c in range(channels)
    ]
    doubled: Pixels = np.clip(np.stack(planes, axis=-1), 0.0, 255.0)
    return doubled


def enlarged_rows(picture: PixelArray, start: int, stop: int) -> Pixels:
    """Return the rows [start, stop) of the doubled `picture`, the same as :func:`enlarge` makes them."""
    first = max(0, start // 2 - _CUBIC_REACH)
    last = min(picture.shape[0], -(-stop // 2) + _CUBIC_REACH)
    return enlarge(picture[first:last])[start - 2 * first : stop - 2 * first]


def mirror(array: PixelArray, level: Level) -> None:
    """Mirror the scene in an array of a level's canvas, (H, W) or (H, W, C), into the border around it.

    It is mirrored again where the scene is narrower than its border, as in NumPy's pad mode ``symmetric``.
    """
    for side in _border(level.columns):
        source = _mirrored(side, level.columns)
        for rows in strips(array.shape[0]):
            part = array[rows, source.min() : source.max() + 1]
            array[rows, side] = part[:, source - source.min()]
    for side in _border(level.rows):
        source = _mirrored(side, level.rows)
        array[side] = array[source.min() : source.max() + 1][source - source.min()]


def _border(axis: Axis) -> tuple[slice, slice]:
    return slice(0, axis.scene_slice.start), slice(axis.scene_slice.stop, axis.canvas)


def _mirrored(side: slice, axis: Axis) -> npt.NDArray[np.int_]:
    """Return the pixels of the scene, as indices into the canvas, that are mirrored to `side` of its border."""
    return axis.border + mirrored_places(side.start - axis.border, side.stop - axis.border, axis.scene)


def mirrored_places(start: int, stop: int, size: int) -> npt.NDArray[np.int_]:
    """Return for every place from `start` to `stop` which of the `size` places from 0 is mirrored to it.

    >>> mirrored_places(-2, 6, 4).tolist()
    [1, 0, 0, 1, 2, 3, 3, 2]
    """
    once = np.arange(start, stop) % (2 * size)
    places: npt.NDArray[np.int_] = np.minimum(once, 2 * size - 1 - once)
    return places


def mirrored_window(array: PixelArray, rows: Span, columns: Span) -> Pixels:
    """Return a window of an array, (H, W) or (H, W, C), which is mirrored where the window leaves it."""
    row_places, column_places = (
        mirrored_places(span.start, span.stop, size) for span, size in zip((rows, columns), array.shape, strict=False)
    )
    corner = row_places.min(), column_places.min()
    part = array[corner[0] : row_places.max() + 1, corner[1] : column_places.max() + 1]
    window: Pixels = part[np.ix_(row_places - corner[0], column_places - corner[1])]
    return window
