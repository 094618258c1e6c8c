"""Run every benchmark, print a table, and keep the figures as JSON in benchmarks/results/."""

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import (
    agreement,
    engine,
    faithfulness,
    gallery,
    gpu,
    land_cover,
    learned,
    loop,
    memory,
    peers,
    publishing,
    quality,
    scaling,
    soak,
    tiles,
    whole,
)
from nst_rs.errors import NstError

BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {
    "the step against the matrix product": engine.step_against_matrix_product,
    "the gradient as a convolution against TensorFlow's own": engine.gradient_against_tensorflow,
    "the loop with a network that costs nothing": loop.of_nothing,
    "tiles against the whole scene": engine.tiles_against_whole,
    "the map against how the scene was cut": faithfulness.of_tiles_and_statistics,
    "maps of two dates that agree": agreement.of_two_dates,
    "maps of neighbours that agree": agreement.of_neighbours,
    "a whole run": whole.of_the_command,
    "two processes against one": scaling.of_processes_and_bytes,
    "the scheduler": scaling.of_the_scheduler,
    "memory against its estimate": memory.against_estimate,
    "memory at 4 to 268 megapixels": memory.of_large_scenes,
    "publishing's memory against rows": publishing.memory_of_rows,
    "a learned style against the matrix product": learned.against_matrix_product,
    "a learned picture to start from": learned.iterations_saved,
    "a learned style's memory at 4 and 120 megapixels": learned.memory,
    "colours over the borders of land cover": land_cover.of_classes,
    "tiles painted as they are asked for": tiles.of_served_maps,
    "tiles asked for at once": tiles.at_once,
}
NAMED: dict[str, Callable[[], dict[str, float]]] = {"peers: L-BFGS at one level": peers.against_l_bfgs}
"""Those that run only where they are named: they need what the program does not."""


def main(wanted: Sequence[str]) -> None:
    """Run and report the benchmarks whose names hold one of the words `wanted`; all where there is none.

    ``soak``, ``gpu``, ``quality`` and ``gallery``, with their options, run where they are named first and only there:
    the first takes most of an hour, the second needs a GPU, the third judges the maps that it is given, the fourth
    makes pictures of the shipped styles.
    """
    if wanted[:1] == ["gallery"]:
        gallery.main(wanted[1:])
        return
    if wanted[:1] == ["quality"]:
        _keep(*quality.main(wanted[1:]))
        return
    if wanted[:1] == ["gpu"]:
        _report(gpu.NAME, gpu.main(list(wanted[1:])))
        return
    if wanted[:1] == ["soak"]:
        figures, wrong = soak.main(wanted[1:])
        _report(soak.NAME, figures)
        sys.exit("\n".join(wrong) or 0)
    for name, benchmark in (BENCHMARKS | NAMED if wanted else BENCHMARKS).items():
        if not wanted or any(word in name for word in wanted):
            _report(name, benchmark())


def _report(name: str, figures: dict[str, float]) -> None:
    """Print a benchmark's figures, and keep them with those of the others."""
    print(name)
    for figure, value in figures.items():
        print(f"    {figure:<64} {value:10.4g}", flush=True)
    _keep(name, figures)


def _keep(name: str, figures: Mapping[str, Any]) -> None:
    target = Path(__file__).parent / "results" / f"{platform.node() or 'here'}.json"
    kept = json.loads(target.read_text()) if target.exists() else {}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({**kept, name: figures}, indent=1) + "\n")
    print(f"kept in {target.relative_to(Path.cwd())}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except NstError as error:  # what a benchmark needs is not there, or not as it must be
        sys.exit(str(error))
