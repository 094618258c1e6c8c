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

_Shown = tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]
"""The lines of a window that lie in the border, and the lines that are mirrored there."""


def mirrored_in(level: Level, tile: Tile, window: Pixels) -> Pixels:
    """Return a tile's window, (H, W, 3), with the scene mirrored in what it holds of the canvas's border.

    A border pixel that mirrors one outside of the window is left as it is: no position that weighs anything sees it.
    The window itself is not changed.
    """
    places = _places(level, tile)
    if places == (None, None):
        return window
    mirrored = window.copy()
    for axis, shown in enumerate(places):
        if shown is not None:
            lines, (border, sources) = np.moveaxis(mirrored, axis, 0), shown
            lines[border] = lines[sources]
    return mirrored


def fold_back(level: Level, tile: Tile, gradient: Pixels) -> None:
    """Move a window's gradient, (H, W, 3), from every border pixel to the pixel that it mirrors, in place.

    This is the adjoint of :func:`mirrored_in`, which makes it the gradient with respect to the scene's own pixels.
    """
    for axis, shown in reversed(list(enumerate(_places(level, tile)))):
        if shown is None:
            continue
        lines, (border, sources) = np.moveaxis(gradient, axis, 0), shown
        for line, source in zip(border, sources, strict=True):
            lines[source] += lines[line]
        lines[border] = 0


def _places(level: Level, tile: Tile) -> tuple[_Shown | None, _Shown | None]:
    """Return, for the rows and the columns of a tile's window, which of them are border and what they show."""
    rows, columns = (_shown(axis, span) for axis, span in zip((level.rows, level.columns), tile.window, strict=True))
    return rows, columns


def _shown(axis: Axis, window: Span) -> _Shown | None:
    if axis.border <= window.start and window.stop <= axis.border + axis.scene:
        return None
    places = mirrored_places(window.start - axis.border, window.stop - axis.border, axis.scene)
    shown = places + axis.border - window.start
    moved = (shown != np.arange(window.size)) & (shown >= 0) & (shown < window.size)
    (border,) = np.nonzero(moved)
    return border, shown[border]
