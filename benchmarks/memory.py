"""Peak memory against what `nst-rs plan` says it will be, each run in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio

from nst_rs.config import load_config, name_files
from nst_rs.job import prepare

STYLE = Path(__file__).parents[1] / "sample_data" / "styles" / "harvest.jpg"
RUNS = [(512, 512), (1024, 1024), (1536, 512)]
"""(side of the scene, tile)"""


def against_estimate() -> dict[str, float]:
    """One iteration a level on noise scenes: bytes measured over bytes estimated."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for side, tile in RUNS:
            scene, output = Path(folder) / f"{side}.tif", Path(folder) / "map.tif"
            _write_noise(scene, side)
            settings = [f"tiling.tile={tile}", "schedule.iterations=1", "compute.precision=float32"]
            command = ["stylize", scene, "--style", STYLE, "--output", output, *(f"--set={s}" for s in settings)]
            subprocess.run([Path(sys.executable).with_name("nst-rs"), *command], check=True, capture_output=True)
            peak = json.loads(output.with_suffix(".run.json").read_text())["peak_memory_bytes"]
            name = f"{side} pixels in tiles of {tile}"
            found[f"{name}: GB"] = peak / 1e9
            found[f"{name}: measured / estimated"] = peak / _estimated(scene, settings)
    return found


def _estimated(scene: Path, settings: list[str]) -> float:
    config = name_files(load_config(None, settings), [scene], STYLE, None)
    job = prepare(config, to_write=False)
    return job.memory.host + job.kept_bytes


def _write_noise(path: Path, side: int) -> None:
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:32621"}
    transform = rasterio.transform.from_origin(500000, 4000000, 30, 30)
    with rasterio.open(path, "w", **profile, transform=transform) as target:
        target.write(np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8))
