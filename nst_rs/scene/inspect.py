"""What can be said of a scene without composing it."""

from dataclasses import dataclass

import numpy as np

from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import guess_nodata


@dataclass(frozen=True)
class SceneReport:
    """What can be said of a scene without composing it."""

    scene: Scene
    valid_shares: tuple[float, ...]
    """One a band: the share of the grid's pixels that hold data."""
    corners: float | None = None
    """What the corners hold, where that is likely to mean no data and no file says so."""


def report(scene: Scene) -> SceneReport:
    """Read every band once and return the report. Raises SceneError when a file cannot be read."""
    pixels = scene.grid.width * scene.grid.height
    counts = np.zeros(len(scene.labels), np.int64)
    for window in scene.blocks():
        counts += scene.coverage(window).sum(axis=(1, 2))
    guessed = guess_nodata([tile.product for tile in scene.tiles])
    return SceneReport(scene, tuple(float(count / pixels) for count in counts), guessed)
