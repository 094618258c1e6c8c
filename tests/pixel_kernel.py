"""A stand-in for the network with pixels for features: fast, and exact to reason about."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from nst_rs.files.storage import MemoryStorage, Storage
from nst_rs.objective.losses import ClassObjective, Objective
from nst_rs.objective.moments import Moments, Pull, in_class, total
from nst_rs.objective.problem import Features, Forward, Problem
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.variation import Variation
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import Level, make_plan
from nst_rs.vgg16 import Trunk

TRUNK = Trunk.reaching(["conv3_1"])
CHANNELS = 64
Array = np.ndarray


def _widened(gram: Array) -> Array:
    """Return a 3 × 3 matrix as one of conv1_1's 64 channels, of which the pixels are the first three."""
    return np.pad(gram, (0, CHANNELS - 3))


_TARGET = _widened(np.diag([9e3, 4e3, 1e3]))
_LAYER = {"conv1_1": 1.0}
OBJECTIVE = Objective((Content(1e-3, _LAYER, "mean"), Gram(1.0, _LAYER, {"conv1_1": _TARGET})))


def _class_of(number: int, name: str, share: float, legibility: float = 1.0) -> ClassObjective:
    content, gram = OBJECTIVE.terms
    target = {"conv1_1": (1 + number) * _TARGET}
    part = ClassObjective(name, number, share, (content, replace(gram, targets=target)), {"content": legibility})
    return part.weighted("content", content.weight)


DIVIDED = Objective((Variation(0.01),), (_class_of(0, "water", 0.3), _class_of(1, "land", 0.5, legibility=3.0)))
"""Of two classes of ground."""


@dataclass
class PixelKernel:
    """Takes the pixels themselves for the features of the one layer there is."""

    measured: int = 0
    gone_forward: int = 0
    seconds: float = 0.0

    def measure(self, window: Array, weight: Array, content: Features | None = None) -> Moments:
        self.measured += 1
        return self._moments(window, weight, content)

    def content(self, window: Array) -> Features:
        return {"conv1_1": window.copy()}

    def forward(self, window: Array, weight: Array, content: Features) -> Forward:
        self.gone_forward += 1
        return Forward(self._moments(window, weight, content), window.copy())

    def backward(self, activations: Any, weight: Array, content: Features, pull: Pull) -> Array:
        difference = activations - content["conv1_1"]
        share = np.zeros(activations.shape)
        for name, plane in _planes(weight).items():
            gradient = 2 * activations @ pull.products[name][:3, :3] + pull.half_squares[name] * difference
            share += plane[..., np.newaxis] * gradient
        return share.astype(np.float32)

    def _moments(self, window: Array, weight: Array, content: Features | None) -> Moments:
        flat = window.reshape(-1, 3).astype(np.float64)
        planes = _planes(weight)
        counts = {name: float(plane.sum()) for name, plane in planes.items()}
        products = {name: _widened((flat * plane.reshape(-1, 1)).T @ flat) for name, plane in planes.items()}
        half_squares = {}
        if content is not None:
            squares = (window - content["conv1_1"]) ** 2
            half_squares = {name: float((plane[..., np.newaxis] * squares).sum() / 2) for name, plane in planes.items()}
        return Moments(counts, products, half_squares)


def _planes(weight: Array) -> dict[str, Array]:
    """Name of a sum → the weights of its pixels, (H, W), of weights (H, W), or (H, W, classes and a depth)."""
    if weight.ndim == 2:
        return {"conv1_1": weight}
    return {in_class("conv1_1", number): weight[..., number] for number in range(weight.shape[-1] - 1)}


@dataclass(frozen=True)
class PixelRecipe:
    """Builds the stand-in in another process."""

    def with_threads(self, threads: int) -> "PixelRecipe":  # noqa: ARG002
        return self

    def __call__(self) -> PixelKernel:
        return PixelKernel()


def level_of(shape: tuple[int, int], tile: int) -> Level:
    return make_plan(shape, levels=1, tile=tile, trunk=TRUNK).levels[0]


def canvas_of(shape: tuple[int, int], tile: int, seed: int = 0, nodata: bool = False) -> Canvas:
    rng = np.random.default_rng(seed)
    weight = np.ones(shape, np.float32)
    if nodata:
        weight[: shape[0] // 2] = 0
    return Canvas.around(level_of(shape, tile), rng.uniform(0, 255, (*shape, 3)).astype(np.float32), weight)


def divided_canvas(shape: tuple[int, int], tile: int, classes: int = 2, seed: int = 5) -> Canvas:
    """A canvas of classes with soft shares, which leave a part of every pixel to none of them."""
    canvas = canvas_of(shape, tile)
    shares = np.zeros((*canvas.level.canvas_shape, classes), np.float32)
    drawn = np.random.default_rng(seed).dirichlet(np.ones(classes + 1), shape)[..., :classes]
    shares[canvas.level.scene_slices] = drawn.astype(np.float32)
    return replace(canvas, classes=shares)


def problem_of(canvas: Canvas, objective: Objective = OBJECTIVE, kernel: PixelKernel | None = None) -> Problem:
    return Problem.of(kernel or PixelKernel(), canvas, objective, MemoryStorage())


LAYERS = ("conv1_1",), ("conv1_1",)


def state_of(
    canvas: Canvas,
    storage: Storage | None = None,
    name: str = "state",
    layers: tuple[tuple[str, ...], tuple[str, ...]] = LAYERS,
) -> State:
    """A level's state at its start, at the scene itself."""
    form = Form(canvas.level, averaged=False, layers=layers)
    state = form.create(storage or MemoryStorage(), name)
    state.picture[:, :] = canvas.image[:, :]
    return state


def scene_gradient(problem: Problem, picture: Array) -> tuple[Array, float]:
    """The scene's gradient, tile by tile, and its loss."""
    views = [problem.view(tile, picture[tile.window_slices]) for tile in problem.canvas.tiles]
    forwards = [problem.forward(view) for view in views]
    moments = total(forward.moments for forward in forwards)
    pull = problem.objective.pull(moments)
    found = np.zeros(picture.shape)
    for view, forward in zip(views, forwards, strict=True):
        found[view.tile.window_slices] += problem.share(view, forward.activations, pull)
    return found, problem.objective.losses(moments).total


def check_the_gradient_is_the_losss_derivative(problem: Problem) -> None:
    """Along a random direction, by a central difference."""
    rng = np.random.default_rng(2)
    picture = rng.uniform(50, 200, problem.canvas.image.shape).astype(np.float32)
    step = rng.normal(size=picture.shape).astype(np.float32)
    slope = float(np.sum(scene_gradient(problem, picture)[0] * step))
    after, before = (scene_gradient(problem, picture + sign * np.float32(0.01) * step)[1] for sign in (1, -1))
    # float32 pixels near 200 round a step of 0.01 to a thousandth part.
    assert (after - before) / 0.02 == pytest.approx(slope, rel=1e-2)
