"""The optimiser on one small window, in memory: a learned style is measured against the picture it makes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.files.storage import MemoryStorage
from nst_rs.objective.losses import Objective
from nst_rs.objective.problem import Kernel, Problem
from nst_rs.objective.terms.content import Content
from nst_rs.optimise.descent import Descent, Point, Step, descend
from nst_rs.optimise.rounds import Exact
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.canvas import Canvas, first_picture, next_picture
from nst_rs.pyramid.resample import halve
from nst_rs.pyramid.tiling import Plan, make_plan

Listener = Callable[[Step], None]


@dataclass(frozen=True)
class Reference:
    """Measures the objective on windows of scenes, and optimises pictures of them."""

    kernel: Kernel
    objective: Objective
    """The objective at the finest level."""
    config: RunConfig

    def total(self, scene: Pixels, picture: Pixels) -> float:
        """Return the total objective at the finest level of `picture`, both (H, W, 3) RGB in [0, 255].

        Both are mirrored around, and measured as a run's own pictures are.
        """
        plan = _plan(self.config, scene)
        canvas = _canvases(plan, scene)[-1]
        problem = Problem.of(self.kernel, canvas, self._objective(self.config.schedule.levels - 1), MemoryStorage())
        padded = Canvas.around(canvas.level, picture, canvas.scene_weight[:, :]).image
        (tile,) = canvas.tiles
        return problem.objective.losses(problem.measure(problem.view(tile, padded[tile.window_slices]))).total

    def optimise(self, scene: Pixels, listener: Listener) -> Pixels:
        """Return the picture, (H, W, 3), that a run so configured makes of a scene that is only this window."""
        canvases = _canvases(_plan(self.config, scene), scene)
        point = self._start(canvases[0])
        for index, canvas in enumerate(canvases):
            if index > 0:
                above = _first_point(canvas)
                next_picture((point.now.picture, canvases[index - 1].level), (above.now.picture, canvas.level))
                point = above
            point = self.descend(canvas, index, point, listener)
        rows, columns = canvases[-1].level.scene_slices
        picture: Pixels = point.now.picture[rows, columns]
        return picture

    def _start(self, canvas: Canvas) -> Point[State]:
        point, schedule = _first_point(canvas), self.config.schedule
        first_picture(canvas, "noise" if schedule.init == "noise" else "content", schedule.seed, point.now.picture)
        return point

    def descend(self, canvas: Canvas, index: int, start: Point[State], listener: Listener) -> Point[State]:
        """Go down one level from `start`; return where it ends, with the losses on the way."""
        schedule, ends = self.config.schedule, [start]
        problem = Problem.of(self.kernel, canvas, self._objective(index), MemoryStorage())
        descent = Descent(
            schedule.level_iterations[index], schedule.step_size, schedule.last_step, optimizer=self.config.optimizer
        )
        descend(Exact(problem, kept=1), start, descent, listener, ends.append)
        return ends[-1]

    def _objective(self, index: int) -> Objective:
        return self.objective.weighted(Content.name, self.config.level_alphas[index])


def _plan(config: RunConfig, scene: Pixels) -> Plan:
    """Return a plan that has the whole window as one tile at every level."""
    return make_plan(scene.shape[:2], levels=config.schedule.levels, tile=max(scene.shape) * 2, trunk=trunk_of(config))


def _canvases(plan: Plan, scene: Pixels) -> list[Canvas]:
    image, weight = scene, np.ones(scene.shape[:2], np.float32)
    canvases = []
    for level in reversed(plan.levels):
        canvases.append(Canvas.around(level, image, weight))
        image, weight = halve(image, weight)
    return canvases[::-1]


def _first_point(canvas: Canvas) -> Point[State]:
    now, spare = (Form(canvas.level, False, None).create(MemoryStorage(), "state") for _ in range(2))
    return Point(now, spare)
