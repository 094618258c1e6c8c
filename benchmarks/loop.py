"""What the loop itself takes, with a network that costs nothing: slicing, shares, sums, and the optimiser's step."""

import time
from typing import Any

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import MemoryStorage
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import Moments, Pull
from nst_rs.objective.problem import Features, Forward, Problem
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.optimise.iterate import Move, Optimizer
from nst_rs.optimise.rounds import Exact
from nst_rs.optimise.state import Form
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_plan
from nst_rs.vgg16 import VGG16, Trunk

SIDE = 2048
TILES = (512, 1024)
ROUNDS = 6
_STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


class FreeKernel:
    """A network whose features and gradients are there already."""

    def __init__(self, window: tuple[int, int]) -> None:
        """Have everything for windows of one shape."""
        rng = np.random.default_rng(0)
        counts = dict.fromkeys((*_STYLE_LAYERS, "conv4_2"), 1.0)
        products = {name: np.eye(VGG16[name].channels) for name in _STYLE_LAYERS}
        self._moments = Moments(counts, products, {"conv4_2": 1.0})
        self._gradient: Pixels = rng.normal(size=(*window, 3)).astype(np.float32)

    def measure(self, window: Pixels, weight: Pixels, content: Features | None = None) -> Moments:  # noqa: ARG002
        """Return what there is."""
        return self._moments

    def content(self, window: Pixels) -> Features:  # noqa: ARG002
        """Return no features."""
        return {}

    def forward(self, window: Pixels, weight: Pixels, content: Features) -> Forward:
        """Return what there is."""
        return Forward(self.measure(window, weight, content), None)

    def backward(self, activations: Any, weight: Pixels, content: Features, pull: Pull) -> Pixels:  # noqa: ARG002
        """Return the gradient that there is."""
        return self._gradient


def of_nothing() -> dict[str, float]:
    """Seconds of processor time per megapixel and iteration of the loop itself, in memory, all activations kept."""
    optimizers: tuple[Optimizer, ...] = ("bfgs", "adam")
    found = {}
    for tile in TILES:
        for optimizer in optimizers:
            name = f"seconds_per_megapixel_iteration: tiles of {tile}, {optimizer}"
            found[name] = _seconds_per_megapixel(tile, optimizer)
    return found


def _seconds_per_megapixel(tile: int, optimizer: Optimizer) -> float:
    (level,) = make_plan((SIDE, SIDE), levels=1, tile=tile, trunk=Trunk.reaching(["conv5_1"])).levels
    image = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    canvas = Canvas.around(level, image, np.ones((SIDE, SIDE), np.float32))
    objective = Objective(
        (
            Content(0.2, {"conv4_2": 6e-5}, "mean"),
            Gram(1.0, dict.fromkeys(_STYLE_LAYERS, 1e-9), {n: np.eye(VGG16[n].channels) for n in _STYLE_LAYERS}),
        )
    )
    kind = Exact(Problem.of(FreeKernel(level.window_shape), canvas, objective, MemoryStorage()), kept=len(level.tiles))
    now, after = (Form(level, averaged=False, layers=None).create(MemoryStorage(), name) for name in "ab")
    now.picture[:, :] = canvas.image
    seconds = []
    for number in range(1, ROUNDS + 1):
        started = time.process_time()
        kind(now, after, [Move(number, 5.0, optimizer=optimizer)], lambda _: None)
        seconds.append(time.process_time() - started)
        now, after = after, now
    return min(seconds[1:]) / (SIDE**2 / 1e6)
