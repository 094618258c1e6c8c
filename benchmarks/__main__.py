"""Run every benchmark, print a table, and keep the figures as JSON in benchmarks/results/."""

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from benchmarks import engine, faithfulness, memory

BENCHMARKS: dict[str, Callable[[], dict[str, float]]] = {
    "the step against the matrix product": engine.step_against_matrix_product,
    "the gradient as a convolution against TensorFlow's own": engine.gradient_against_tensorflow,
    "tiles against the whole scene": engine.tiles_against_whole,
    "the map against how the scene was cut": faithfulness.of_tiles_and_statistics,
    "memory against its estimate": memory.against_estimate,
}


def main() -> None:
    """Run and report."""
    found = {}
    for name, benchmark in BENCHMARKS.items():
        found[name] = benchmark()
        print(name)
        for figure, value in found[name].items():
            print(f"    {figure:<64} {value:10.4g}", flush=True)
    target = Path(__file__).parent / "results" / f"{platform.node() or 'here'}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(f"kept in {target.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
