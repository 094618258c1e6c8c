"""Memory of publishing against a map's rows: GeoTIFF, overviews, preview, web tiles, each map in a process of its own.

The picture is computed as it is read: of what is as large as the map, only what publishing itself holds is in memory.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from nst_rs.config.sections import OutputSection, RunConfig
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import MapContents
from nst_rs.output.files import Outputs
from nst_rs.output.publish import publish
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.rasters.webtiles import COMPANION
from nst_rs.runs.record import peak_memory_bytes

WIDTH = 4096
ROWS = (2048, 8192, 16384)


def memory_of_rows() -> dict[str, float]:
    """Peak MB for maps of one width and ever more rows, JPEG with PMTiles; and the last one's over the first's."""
    found = {}
    for rows in ROWS:
        command = [sys.executable, "-m", "benchmarks.publishing", str(rows)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[f"{WIDTH} × {rows} pixels: MB"] = int(said) / 1e6
    first, *_, last = found.values()
    return {**found, f"{ROWS[-1]} rows / {ROWS[0]} rows": last / first}


class _Waves:
    """A picture, (H, W, 3) in [0, 255], or a weight, (H, W), computed by rows."""

    dtype = np.dtype(np.float32)

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def __getitem__(self, window: Any) -> Any:
        rows, *others = window if isinstance(window, tuple) else (window,)
        y = np.arange(*rows.indices(self.shape[0]), dtype=np.float32)[:, np.newaxis]
        x = np.arange(self.shape[1], dtype=np.float32)
        if len(self.shape) == 2:
            return np.ones((len(y), len(x)), np.float32)[:, *others]
        waves = [128 + 100 * np.sin(y / a) * np.cos(x / b) for a, b in ((9, 14), (17, 11), (23, 31))]
        return np.stack(waves, axis=-1)[:, *others]

    def __setitem__(self, window: Any, values: Any) -> None:
        raise TypeError("computed")


def _publish(rows: int) -> int:
    """Publish a map of so many rows; return this process's peak in bytes."""
    grid = Grid(CRS.from_epsg(32621), Affine(30, 0, 500_000, 0, -30, 9_000_000), WIDTH, rows)
    styled = StyledMap(_Waves(rows, WIDTH, 3), _Waves(rows, WIDTH), grid, "jpeg")
    with tempfile.TemporaryDirectory() as folder:
        outputs = Outputs(Path(folder) / "map.tif", OutputSection(tiles="pmtiles"))
        contents = MapContents(styled, styled.picture, None, [])
        publish(
            outputs, contents, lambda: {"configuration": RunConfig().model_dump(mode="json")}, companions=[COMPANION]
        )
    return peak_memory_bytes()


if __name__ == "__main__":
    print(_publish(int(sys.argv[1])))
