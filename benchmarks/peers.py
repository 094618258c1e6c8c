"""The default descent against what other programs do: one level, L-BFGS, 300 evaluations (neural-style-pt's way).

Under this program's own objective and kernel, both maps as they are published: rounded, mirrored around, measured anew.
Needs SciPy, which the program does not: pip install scipy.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio

from benchmarks.engine import CPU
from benchmarks.scenes import SAMPLES, STYLE
from nst_rs.arrays import Pixels
from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.errors import ResourceError
from nst_rs.files.storage import MemoryStorage
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.objective.problem import Problem
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_level
from nst_rs.runs.optimised.levels import compose_levels
from nst_rs.runs.prepare import prepare
from nst_rs.runs.session import run
from nst_rs.style.images import read_styles

SCENE = SAMPLES / "olinda_centre.tif"
EVALUATIONS = 300
_SIZE = 256
_SCALE = 1e5
"""What SciPy's stopping rules take for nothing is much here: a pixel's gradient is about 1e-6."""


def against_l_bfgs() -> dict[str, float]:
    """The totals of the two maps, and what each cost in passes of the finest level, forward and back."""
    minimise = _scipys()
    with TemporaryDirectory() as folder:
        config = _config(Path(folder) / "map.tif")
        job = prepare(config)
        problem, scene = _problem(job.config, np.asarray(compose_levels(job, MemoryStorage()).scene.image[:, :]))
        run(job)
        with rasterio.open(Path(folder) / "map.tif") as made:
            ours = np.moveaxis(made.read(), 0, -1).astype(np.float32)
    theirs = _l_bfgs(minimise, problem, scene)
    totals = {"the default": _total(problem, ours), "L-BFGS, one level": _total(problem, np.rint(theirs))}
    areas = [np.prod(level.canvas_shape) for level in job.plan.levels]
    iterations = job.config.schedule.level_iterations
    cost = sum(n * area for n, area in zip(iterations, areas, strict=True)) / areas[-1]
    return {
        **{f"{name}: total of the published map": value for name, value in totals.items()},
        "the default: passes of the finest level": float(cost),
        "L-BFGS, one level: passes": float(EVALUATIONS),
        "total of the default / L-BFGS": totals["the default"] / totals["L-BFGS, one level"],
    }


def _config(output: Path) -> RunConfig:
    settings: dict[str, Any] = {
        "scene.paths": [str(SCENE)],
        "style.images": {str(STYLE): 1},
        "style.size": _SIZE,
        "compute.precision": "float32",
        "output.path": str(output),
    }
    return override(RunConfig(), settings)


def _problem(config: RunConfig, scene: Pixels) -> tuple[Problem, Pixels]:
    """Return the finest level as one tile, and the scene."""
    level = make_level(scene.shape[:2], 1, 4096, trunk_of(config))
    kernel = build_kernel(config, CPU)
    objective = build_objective(config, kernel, read_styles({STYLE: 1}, _SIZE), 4096)
    canvas = Canvas.around(level, scene, np.ones(scene.shape[:2], np.float32))
    return Problem.of(kernel, canvas, objective, MemoryStorage()), scene


def _scipys() -> Callable[..., Any]:
    try:
        from scipy.optimize import fmin_l_bfgs_b
    except ImportError as error:
        raise ResourceError("the peers' L-BFGS", expected="SciPy", do="pip install scipy") from error
    minimise: Callable[..., Any] = fmin_l_bfgs_b
    return minimise


def _l_bfgs(minimise: Callable[..., Any], problem: Problem, start: Pixels) -> Pixels:
    def evaluate(x: Any) -> tuple[float, Any]:
        total, gradient = _evaluated(problem, x.reshape(start.shape).astype(np.float32))
        return _SCALE * total, _SCALE * gradient.astype(np.float64).ravel()

    bounds = [(0.0, 255.0)] * start.size
    options: dict[str, Any] = {"m": 20, "maxfun": EVALUATIONS, "maxiter": EVALUATIONS, "factr": 0, "pgtol": 0}
    found, _, _ = minimise(evaluate, start.astype(np.float64).ravel(), bounds=bounds, **options)
    picture: Pixels = found.reshape(start.shape).astype(np.float32)
    return picture


def _evaluated(problem: Problem, picture: Pixels) -> tuple[float, Pixels]:
    canvas = problem.canvas
    (tile,) = canvas.tiles
    view = problem.view(tile, Canvas.around(canvas.level, picture, canvas.scene_weight[:, :]).image)
    forward = problem.forward(view)
    share = problem.share(view, forward.activations, problem.objective.pull(forward.moments))
    return problem.objective.losses(forward.moments).total, share[canvas.level.scene_slices]


def _total(problem: Problem, picture: Pixels) -> float:
    return _evaluated(problem, picture)[0]
