"""Configuration to network: the window model, the objective with the styles for its target, this machine's rate."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Array, Pixels
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.neural.device import Device
from nst_rs.neural.vgg16 import Encoder, load_convolutions
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import ClassObjective, Objective
from nst_rs.objective.moments import Moments
from nst_rs.objective.problem import scene_moments
from nst_rs.objective.terms.base import PixelTerm
from nst_rs.objective.terms.registry import chosen_terms, needed_statistics
from nst_rs.optimise import bfgs
from nst_rs.optimise.iterate import Iterate, Move
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_level
from nst_rs.style.picture import Style
from nst_rs.vgg16 import Trunk

_SMALL_TRIAL, _TRIAL = 160, 448
"""Sides of the windows by which a plan's time is estimated: seconds to measure, and far enough apart."""
_TRIALS = 3


@dataclass(frozen=True)
class Pace:
    """This machine's speed, in seconds."""

    start: float
    """The time to load the network."""
    building: float
    """The time to build the network's graph for windows of another shape."""
    fixed: float
    """The part of an iteration over a window that does not depend on its size."""
    per_pixel: float
    """The time per pixel of an iteration over a window: a pass forward, one back, and a step."""

    def iteration(self, pixels: int) -> float:
        """Return the seconds of one iteration over a window of so many pixels."""
        return self.fixed + self.per_pixel * pixels


def build_kernel(config: RunConfig, device: Device) -> WindowModel:
    """Load the network as far as it is needed; `config` names the precision. Raises ModelError."""
    with device.scope():
        convolutions = load_convolutions(config.model.weights)[: len(trunk_of(config).layers)]
        encoder = Encoder(convolutions, config.compute.precision, config.model.pooling)
    return WindowModel(encoder, needed_statistics(config.objective), device.name)


def build_objective(config: RunConfig, kernel: WindowModel, styles: Sequence[Style], tile: int) -> Objective:
    """Return the objective whose target is the blend of `styles`. Raises ConfigError."""
    blend = blended_moments(kernel, styles, trunk_of(config), tile)
    return Objective(chosen_terms(config.objective)).towards(blend)


def build_objectives(
    config: RunConfig, kernel: WindowModel, levels: Sequence[Sequence[Style]], tile: int
) -> list[Objective]:
    """Return the objective of every level. Levels whose styles are one sequence share theirs. Raises ConfigError."""
    different = {id(styles): styles for styles in levels}
    built = {key: build_objective(config, kernel, styles, tile) for key, styles in different.items()}
    return [built[id(styles)] for styles in levels]


def blended_moments(kernel: WindowModel, styles: Sequence[Style], trunk: Trunk, tile: int) -> Moments:
    """Return the styles' moments per position, Σ share · Ĝ: as if the picture's positions were divided among them."""
    grams = [style_grams(kernel, style, trunk, tile) for style in styles]
    blend: dict[str, Array] = {
        name: np.sum([style.share * gram[name] for style, gram in zip(styles, grams, strict=True)], axis=0)
        for name in grams[0]
    }
    return Moments(dict.fromkeys(kernel.statistics.counted, 1.0), blend)


def style_grams(kernel: WindowModel, style: Style, trunk: Trunk, tile: int) -> dict[str, Array]:
    """Return layer → the style's Gram matrix per position. It is cut and its borders are mirrored as a scene's are."""
    height, width = style.weight.shape
    level = make_level((height, width), 1, tile, trunk)
    canvas = Canvas.around(level, style.image, style.weight)
    return scene_moments(kernel, canvas, canvas.image).grams


def measure_pace(config: RunConfig, device: Device, pixels: int, classes: int = 0) -> Pace:
    """Time a few warm iterations here, over a small window and over one of about `pixels`, but no very large one.

    Where the ground is divided there are `classes` with a style, and all of them are measured in every window.
    """
    started = time.perf_counter()
    kernel = build_kernel(config, device)
    start = time.perf_counter() - started
    stride = trunk_of(config).stride
    sides = [
        _round_to(side, stride) for side in (_SMALL_TRIAL, min(max(math.sqrt(pixels), 1.5 * _SMALL_TRIAL), _TRIAL))
    ]
    (small, _), (large, building) = (_time_iteration(config, kernel, side, classes) for side in sides)
    small_area, large_area = (side**2 for side in sides)
    per_pixel = max(large - small, 0.0) / (large_area - small_area)
    # On a noisy machine the small window may seem the slower one.
    fixed = min(max(small - per_pixel * small_area, 0.0), small)
    return Pace(start, building, fixed, per_pixel if per_pixel else large / large_area)


def _time_iteration(config: RunConfig, kernel: WindowModel, side: int, classes: int) -> tuple[float, float]:
    """Return the seconds of a forward and backward pass and Adam's step, and what the first one takes beyond them."""
    window = np.full((side, side, 3), 128, np.float32)
    weight, zeros = _trial_weight(side, classes), np.zeros_like(window)
    content = kernel.content(window)
    objective = _trial_objective(config, kernel.measure(window, weight), classes)
    seconds = []
    for number in range(1, _TRIALS + 2):
        started = time.perf_counter()
        forward = kernel.forward(window, weight, content)
        gradient = kernel.backward(forward.activations, weight, content, objective.pull(forward.moments))
        part = Iterate(window, zeros.copy(), zeros.copy())
        curvature = bfgs.Curvature.of([bfgs.measure(part, gradient)])
        move = Move(number, 1.0)
        bfgs.step(part, gradient, move, curvature.factors(move, gradient.size), Iterate.like(part))
        seconds.append(time.perf_counter() - started)
    warm = statistics.median(seconds[1:])
    return warm, max(0.0, seconds[0] - warm)


def _trial_weight(side: int, classes: int) -> Pixels:
    """Return the weights of a window, (side, side), or (side, side, classes + 1) with each class an even share."""
    if not classes:
        return np.ones((side, side), np.float32)
    weight = np.full((side, side, classes + 1), 1 / classes, np.float32)
    weight[..., -1] = side  # the depth: every position sees its own class alone
    return weight


def _trial_objective(config: RunConfig, moments: Moments, classes: int) -> Objective:
    """Return the objective towards what was measured, of every class where there are some."""
    terms = chosen_terms(config.objective)
    if not classes:
        return Objective(terms).towards(moments)
    own = Objective(tuple(term for term in terms if not isinstance(term, PixelTerm)))
    parts = [own.towards(moments.of_class(number)).terms for number in range(classes)]
    return Objective((), tuple(ClassObjective(str(n), n, 1 / classes, part, {}) for n, part in enumerate(parts)))


def _round_to(size: float, stride: int) -> int:
    return round(size / stride) * stride
