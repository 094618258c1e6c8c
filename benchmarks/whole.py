"""A whole run from the command line: where its time goes, and what `nst-rs plan` had said it would take."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.scenes import STYLE, write_scene
from nst_rs.config.loading import load_config, name_files
from nst_rs.runs.prepare import forecast

LANDSAT = (1860, 2041)
"""(H, W) of a scene of 3.8 megapixels."""
SMALL = (512, 512)
ITERATIONS = "[10,6,3]"
"""A tenth of the default schedule: what is around the steps weighs ten times as much."""


def of_the_command() -> dict[str, float]:
    """Few iterations of two scenes: seconds in the network over all, from start to end; planned over taken."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for shape, iterations in ((SMALL, "[50,30,15]"), (LANDSAT, ITERATIONS)):
            scene, output = Path(folder) / "scene.tif", Path(folder) / "map.tif"
            write_scene(scene, shape)
            settings = [f"schedule.iterations={iterations}"]
            planned = forecast(name_files(load_config(None, settings), [scene], STYLE, None)).seconds
            effort, taken = stylize(scene, output, settings)
            name = f"{shape[1]} × {shape[0]} pixels, {iterations} iterations"
            found[f"{name}: seconds in the network / all"] = effort["seconds_in_network"] / taken
            found[f"{name}: pixels computed / pixels of the scene"] = effort["computed_over_scene"]
            found[f"{name}: seconds planned / taken"] = planned / taken
    return found


def stylize(scene: Path, output: Path, settings: list[str]) -> tuple[dict[str, Any], float]:
    """Run `nst-rs stylize` in a process of its own; return its record's effort and the seconds from start to end."""
    command = ["stylize", scene, "--style", STYLE, "--output", output, *(f"--set={s}" for s in settings)]
    started = time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("nst-rs"), *command], check=True, capture_output=True)
    taken = time.perf_counter() - started
    effort: dict[str, Any] = json.loads(output.with_suffix(".run.json").read_text())["effort"]
    return effort, taken
