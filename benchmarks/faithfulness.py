"""How much the map depends on how the scene was cut, and on how its statistics were had."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

import nst_rs
from benchmarks.scenes import SAMPLES, STYLE
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.output.figures.edges import measure
from nst_rs.pyramid.tiling import make_level

SETTINGS = {"schedule.iterations": (60, 30, 15)}


@dataclass(frozen=True)
class Cut:
    """How a run goes through its scene."""

    tile: int
    at_once: int | None = None
    """How many tiles go forward before they go back, at predicted statistics; none: exact ones."""

    def __str__(self) -> str:
        kind = f"predicted, {self.at_once} at once" if self.at_once else "exact"
        return f"{kind}, tiles of {self.tile}"

    @property
    def settings(self) -> dict[str, int | str]:
        """Those of the run."""
        if self.at_once is None:
            return {"tiling.tile": self.tile, "tiling.statistics": "exact"}
        return {"tiling.tile": self.tile, "tiling.statistics": "predicted", "tiling.tiles_at_once": self.at_once}


UNTILED = Cut(1152)
CUTS = [Cut(192), Cut(128), Cut(128, 3), Cut(128, 1)]


def of_tiles_and_statistics() -> dict[str, float]:
    """The sample scene: the total at the end over the untiled one's, and the seam ratio, at the same lines in both."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        whole, untiled = _run(Path(folder), UNTILED)
        for cut in CUTS:
            total, picture = _run(Path(folder), cut)
            seams = _seams(picture, cut)
            found[f"{cut}: total / untiled"] = total / whole
            found[f"{cut}: seam ratio"] = seams["result"]
            found[f"{cut}: untiled there"] = _seams(untiled, cut)["result"]
            found[f"{cut}: standard error"] = seams["standard_error"]
    return found


def _run(folder: Path, cut: Cut) -> tuple[float, np.ndarray]:
    """Return the last total and the map, (H, W, 3)."""
    settings = {**SETTINGS, **cut.settings}
    made = nst_rs.stylize(SAMPLES / "olinda", STYLE, folder / "map.tif", settings=settings)
    with rasterio.open(made.output) as source:
        return made.losses[-1], np.moveaxis(source.read(), 0, -1)


def _seams(picture: np.ndarray, cut: Cut) -> dict[str, float]:
    """Return what stands at the borders that the tiles of `cut` have."""
    level = make_level(picture.shape[:2], 1, cut.tile, trunk_of(RunConfig()))
    valid = np.ones(picture.shape[:2], np.bool_)
    found: dict[str, float] = measure(picture, picture, valid, (level.rows.seams, level.columns.seams))["seams"]
    return found
