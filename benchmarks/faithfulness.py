"""How much the map depends on how the scene was cut, and on how its statistics were had."""

import json
import tempfile
from pathlib import Path
from typing import Any

import nst_rs

SAMPLES = Path(__file__).parents[1] / "sample_data"
SETTINGS = {"schedule.iterations": (60, 30, 15)}
CUTS = [("exact", 1152), ("exact", 192), ("exact", 128), ("predicted", 192), ("predicted", 128)]


def of_tiles_and_statistics() -> dict[str, float]:
    """The sample scene: the total at the end over the untiled one's, and the seam ratio with its standard error."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = {cut: _figures(Path(folder) / "map.tif", *cut) for cut in CUTS}
    (_, whole), *others = ((cut, total) for cut, (total, _) in runs.items())
    for cut, total in others:
        statistics, tile = cut
        name = f"{statistics}, tiles of {tile}"
        seams = runs[cut][1]["seams"]
        found[f"{name}: total / untiled"] = total / whole
        found[f"{name}: seam ratio"] = seams["result"]
        found[f"{name}: its standard error"] = seams["standard_error"]
    return found


def _figures(output: Path, statistics: str, tile: int) -> tuple[float, dict[str, Any]]:
    settings = {**SETTINGS, "tiling.tile": tile, "tiling.statistics": statistics}
    made = nst_rs.stylize(SAMPLES / "olinda", SAMPLES / "styles" / "harvest.jpg", output, settings=settings)
    return made.losses[-1], json.loads(made.record.read_text())["figures"]
