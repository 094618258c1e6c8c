"""Peak memory against what `nst-rs plan` says it will be, each run in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.scenes import STYLE, write_scene
from nst_rs.config.loading import load_config, name_files
from nst_rs.runs.prepare import prepare

RUNS = [(512, 512), (1024, 1024), (1536, 512)]
"""(side of the scene, tile)"""


def against_estimate() -> dict[str, float]:
    """One iteration a level: bytes measured over bytes estimated."""
    found = {}
    for side, tile in RUNS:
        settings = [f"tiling.tile={tile}", "schedule.iterations=1", "compute.precision=float32"]
        peak, estimated = _measured_and_estimated(side, 1, settings)
        name = f"{side} pixels in tiles of {tile}"
        found[f"{name}: GB"] = peak / 1e9
        found[f"{name}: measured / estimated"] = peak / estimated
    return found


def of_large_scenes() -> dict[str, float]:
    """One iteration at each of two levels, of scenes larger than the memory allowed: resident GiB at the peak.

    Most of them is nodata, which is read, halved, enlarged, stepped and written as all else is, but does not go through
    the network: the network's memory is that of one window, however many there are.
    """
    found = {}
    for side in (2048, 4096, 8192, 16384):
        settings = ["tiling.tile=512", "schedule.levels=2", "schedule.iterations=1", "compute.memory=3GB"]
        peak, estimated = _measured_and_estimated(side, 3 * side // 2048, settings)
        name = f"{side**2 / 1e6:.0f} megapixels"
        found[f"{name}: GiB"] = peak / 2**30
        found[f"{name}: measured / estimated"] = peak / estimated
    return found


def _measured_and_estimated(side: int, every: int, settings: list[str]) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        scene, output = Path(folder) / "scene.tif", Path(folder) / "map.tif"
        write_scene(scene, (side, side), every)
        command = ["stylize", scene, "--style", STYLE, "--output", output, *(f"--set={s}" for s in settings)]
        subprocess.run([Path(sys.executable).with_name("nst-rs"), *command], check=True, capture_output=True)
        peak = json.loads(output.with_suffix(".run.json").read_text())["peak_memory_bytes"]
        return peak, _estimated(scene, settings)


def _estimated(scene: Path, settings: list[str]) -> float:
    config = name_files(load_config(None, settings), [scene], STYLE, None)
    job = prepare(config, to_write=False)
    return job.memory.host + job.kept_bytes
