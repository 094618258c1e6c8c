"""What can be said of a scene without composing it."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten

import numpy as np
from rasterio.windows import Window

from nst_rs.files.storage import STRIP_ROWS
from nst_rs.files.text import counted
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import guess_nodata

_LONGEST_NAMES = 200


@dataclass(frozen=True, repr=False)
class SceneReport:
    """What can be said of a scene without composing it."""

    scene: Scene
    valid_shares: tuple[float, ...]
    """One per band: the share of the grid's pixels that hold data."""
    corners: float | None = None
    """What the corners hold, where that is likely to mean no data and no file says so."""

    def __repr__(self) -> str:
        """Return what matters of it, in a few lines however many bands there are."""
        scene, shares = self.scene, self.valid_shares
        names = ", ".join(str(label) or "-" for label in scene.labels)
        valid = " to ".join(dict.fromkeys(f"{share:.4g}%" for share in (100 * min(shares), 100 * max(shares))))
        parts = [
            scene.grid.describe(),
            f"{counted(len(shares), 'band')} of {scene.dtype}: {shorten(names, _LONGEST_NAMES, placeholder=' …')}",
            f"valid {valid}",
            *([f"sensor {scene.sensor.name}"] if scene.sensor else []),
            *([f"composites {', '.join(scene.composites)}"] if scene.composites else []),
        ]
        return f"SceneReport({'; '.join(parts)})"


def report(scene: Scene) -> SceneReport:
    """Read every band once and return the report. Raises SceneError when a file cannot be read."""
    pixels = scene.grid.width * scene.grid.height
    counts = np.zeros(len(scene.labels), np.int64)
    for window in _windows(scene):
        counts += scene.coverage(window).sum(axis=(1, 2))
    guessed = guess_nodata([tile.product for tile in scene.tiles])
    return SceneReport(scene, tuple(float(count / pixels) for count in counts), guessed)


_MOST_VALUES = 2**25
"""Of a window, in all bands together, where the files' blocks allow."""


def _windows(scene: Scene) -> Iterator[Window]:
    """Return windows over the whole scene that are whole blocks of its first file, so that each is decoded once."""
    height, width = scene.grid.shape
    rows, columns = scene.tiles[0].product.sources[0].header.block
    columns = min(width, columns)
    tall = max(1, min(STRIP_ROWS, _MOST_VALUES // (len(scene.labels) * columns)))
    rows *= max(1, tall // rows)
    columns *= max(1, _MOST_VALUES // (len(scene.labels) * rows * columns))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield Window(left, top, min(columns, width - left), min(rows, height - top))
