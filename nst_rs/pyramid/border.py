"""The border of a canvas, whose pixels are the scene's, mirrored: how they are shown, and what they pull.

A picture's border is no picture of its own. Were its pixels free, a descent would use them to please the statistics,
and its losses would be those of another picture than the map. So a window is shown with the scene mirrored in its
border, and the gradient that arrives at a mirrored pixel is added to that of the pixel it mirrors.
"""

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Pixels
from nst_rs.pyramid.resample import mirrored_places
from nst_rs.pyramid.tiling import Axis, Level, Span, Tile

Places = npt.NDArray[np.int_]


def mirrored_in(level: Level, tile: Tile, window: Pixels) -> Pixels:
    """Return a tile's window, (H, W, 3), with the scene mirrored in what it holds of the canvas's border.

    A border pixel that mirrors one outside of the window is left as it is: no position that weighs anything sees it.
    """
    rows, columns = _places(level, tile)
    if rows is not None:
        window = window[rows]
    return window if columns is None else window[:, columns]


def folded_back(level: Level, tile: Tile, gradient: Pixels) -> Pixels:
    """Return a window's gradient, (H, W, 3), with that of every border pixel moved to the pixel that it mirrors.

    This is the adjoint of :func:`mirrored_in`, which makes it the gradient with respect to the scene's own pixels.
    """
    for axis, places in enumerate(_places(level, tile)):
        if places is not None:
            gradient = _folded(gradient, places, axis)
    return gradient


def _folded(gradient: Pixels, places: Places, axis: int) -> Pixels:
    folded = gradient.copy()
    lines, sources = np.moveaxis(folded, axis, 0), np.moveaxis(gradient, axis, 0)
    (border,) = np.nonzero(places != np.arange(len(places)))
    lines[border] = 0
    for place in border:
        lines[places[place]] += sources[place]
    return folded


def _places(level: Level, tile: Tile) -> tuple[Places | None, Places | None]:
    """Return which rows, and which columns, of a tile's window its own ones show; None: all show themselves."""
    rows, columns = (_shown(axis, span) for axis, span in zip((level.rows, level.columns), tile.window, strict=True))
    return rows, columns


def _shown(axis: Axis, window: Span) -> Places | None:
    if axis.border <= window.start and window.stop <= axis.border + axis.scene:
        return None
    own = np.arange(window.size)
    places = mirrored_places(window.start - axis.border, window.stop - axis.border, axis.scene)
    shown = places + axis.border - window.start
    return np.where((shown >= 0) & (shown < window.size), shown, own)
