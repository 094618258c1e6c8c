"""What a GPU is kept busy with: the step against its matrix product, the host's share, memory; and the CPU's maps."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rasterio
import tensorflow as tf

from benchmarks.engine import CPU, STYLES, matrix_product, shortest
from benchmarks.scenes import SAMPLES
from nst_rs.arrays import Pixels
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.files.storage import MemoryStorage
from nst_rs.neural import resident_step
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.neural.device import Device, choose_device
from nst_rs.neural.resident import DeviceRound
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.problem import Problem
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.rounds import Exact, Round
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_level

NAME = "a GPU"
SAMPLE = SAMPLES / "olinda_centre.tif"
PRECISIONS = ("float32", "bfloat16")
SIDES = (512, 1024)
TILE = 1024
ROUNDS = 5
STEPS = 12
"""Iterations after which GPU and CPU are compared. Every step is as long as inner products say, so rounding is
enlarged: after 12 iterations of the sample two runs on a CPU that differ in their tiles agree to 0.03 %, after 40 to
9 %."""


def main(words: list[str]) -> dict[str, float]:
    """Measure ``gpu:0``, or the device that is named, on a level of 2048 pixels, or of as many as are named.

    ``python -m benchmarks gpu cpu 512`` tries it out where there is no GPU. Raises ResourceError without the device.
    """
    name, side = (*words, *("gpu:0", "2048")[len(words) :])
    device = choose_device(name)
    return {**_steps(device), **_descent(device, int(side)), **_xla(device, int(side)), **_agreement(device)}


def _network(device: Device, precision: str) -> tuple[WindowModel, Objective]:
    config = _config(precision)
    with device.scope():
        kernel = build_kernel(config, device)
        return kernel, build_objective(config, kernel, STYLES, TILE)


def _config(precision: str) -> RunConfig:
    return RunConfig.model_validate({"compute": {"precision": precision}})


def _steps(device: Device) -> dict[str, float]:
    """A step's two passes over one window, as a rate over that of a 4096³ matrix product."""
    found = {}
    for precision in PRECISIONS:
        with device.scope():
            product = 2 * 4096**3 / shortest(matrix_product(precision))
        found[f"{precision}: matrix product, GFLOP/s"] = product / 1e9
        kernel, objective = _network(device, precision)
        for side in SIDES:
            seconds = shortest(_step(kernel, objective, side))
            flops = 2 * trunk_of(_config(precision)).flops_per_pixel * side**2
            found[f"{precision}, {side} pixels: step / matrix product"] = flops / seconds / product
            found[f"{precision}, {side} pixels: megapixels a second"] = side**2 / 1e6 / seconds
    return found


def _step(kernel: WindowModel, objective: Objective, side: int) -> Callable[[], Any]:
    """Return a function that goes forward and back in a window that is there, and waits for it."""
    window = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    weight = np.ones((side, side), np.float32)
    content = kernel.content(window)
    pull = objective.pull(kernel.measure(window, weight, content))
    with kernel.computing():
        there = tf.constant(window), *kernel.on_device(weight, content)
        pulled = kernel.pull_on_device(pull)

    def work() -> Any:
        with kernel.computing():
            activations, _ = kernel.ahead(*there, keep=True)
            return tf.reduce_sum(kernel.back(activations, *there[1:], pulled)).numpy()

    return work


def _descent(device: Device, side: int) -> dict[str, float]:
    """Rounds of a level that the device holds: what it does in a second, and what the host keeps it waiting for."""
    found = {}
    for precision in PRECISIONS:
        kernel, objective = _network(device, precision)
        noise = np.random.default_rng(1).uniform(0, 255, (side, side, 3)).astype(np.float32)
        problem = _problem(kernel, objective, noise)
        kind = DeviceRound(kernel, problem, kept=len(problem.canvas.tiles))
        _reset_peak(device)
        processor = time.process_time()
        times = _rounds(kind, ROUNDS)[2]
        processor, seconds = (time.process_time() - processor) / ROUNDS, min(times[1:])
        window = problem.canvas.level.window_shape
        alone = len(problem.canvas.tiles) * shortest(_step(kernel, objective, max(window)))
        found[f"{precision}, level of {side} pixels: megapixels and iterations a second"] = side**2 / 1e6 / seconds
        found[f"{precision}, level of {side} pixels: share of the time beside the network"] = 1 - alone / seconds
        if device.is_gpu:  # else the processor's time is the network's
            host = f"{precision}, level of {side} pixels: the host's seconds per megapixel and iteration"
            found[host] = processor / (side**2 / 1e6)
            found[f"{precision}, level of {side} pixels: peak device memory, GB"] = _peak(device) / 1e9
    return found


def _problem(kernel: WindowModel, objective: Objective, scene: Pixels) -> Problem:
    level = make_level(scene.shape[:2], 1, TILE, trunk_of(_config("float32")))
    canvas = Canvas.around(level, scene, np.ones(scene.shape[:2], np.float32))
    return Problem.of(kernel, canvas, objective, MemoryStorage())


def _rounds(kind: Round[State], count: int) -> tuple[Pixels, list[Losses], list[float]]:
    """Return the picture after some rounds from the scene, the losses, and the seconds of each round."""
    canvas = kind.problem.canvas
    now, after = (Form(canvas.level, averaged=False, layers=None).create(MemoryStorage(), name) for name in "ab")
    now.picture[:, :] = canvas.image[:, :]
    if isinstance(kind, DeviceRound):
        now, after = kind.take(now), kind.take(after)
    losses, seconds = [], []
    for number in range(1, count + 1):
        started = time.perf_counter()
        losses.append(kind(now, after, [Move(number, 5.0)], lambda _: None))
        after.picture[0:1, 0:1]  # waits for the step
        seconds.append(time.perf_counter() - started)
        now, after = after, now
    return now.picture[canvas.level.scene_slices], losses, seconds


def _reset_peak(device: Device) -> None:
    if device.is_gpu:
        tf.config.experimental.reset_memory_stats(device.name.removeprefix("/"))


def _peak(device: Device) -> float:
    return float(tf.config.experimental.get_memory_info(device.name.removeprefix("/"))["peak"])


def _xla(device: Device, side: int) -> dict[str, float]:
    """The step of all pixels, compiled by XLA over as it is."""
    rng = np.random.default_rng(2)
    with device.scope():
        part = tuple(tf.constant(rng.uniform(0, 255, (side, side, 3)), tf.float32) for _ in range(3))
        gradient, factors = tf.constant(rng.normal(size=(side, side, 3)), tf.float32), tf.constant([1e-3, 1e-3, 1e-3])

        def work(compiled: bool) -> Callable[[], Any]:
            measure, move = (
                tf.function(trace, autograph=False, jit_compile=compiled)
                for trace in (resident_step.curvature, resident_step.bfgs_step)
            )

            def step() -> Any:
                measure(part, gradient).numpy()
                return tf.reduce_sum(move(part, gradient, factors, tf.constant(40.0))[0]).numpy()

            return step

        plain, compiled = shortest(work(compiled=False)), shortest(work(compiled=True))
    megapixels = side**2 / 1e6
    return {
        "the step of all pixels: seconds per megapixel": plain / megapixels,
        "the step of all pixels: with XLA / without": compiled / plain,
    }


def _agreement(device: Device) -> dict[str, float]:
    """The gradient there against the CPU's, in float32, and the last loss of a descent over the CPU's."""
    with rasterio.open(SAMPLE) as source:
        scene = np.moveaxis(source.read([3, 2, 1]), 0, -1).astype(np.float32)
    gradients, totals = [], []
    for each in (CPU, device):
        kernel, objective = _network(each, "float32")
        problem = _problem(kernel, objective, scene)
        gradients.append(_gradient(problem))
        kind = DeviceRound(kernel, problem, 99) if each is device else Exact(problem, 99)
        totals.append(_rounds(kind, STEPS)[1][-1].total)
    error = np.linalg.norm(gradients[1] - gradients[0]) / np.linalg.norm(gradients[0])
    return {
        "float32: relative error of the gradient to the CPU's": float(error),
        f"float32: total after {STEPS} iterations / the CPU's": totals[1] / totals[0],
    }


def _gradient(problem: Problem) -> Pixels:
    (tile,) = problem.canvas.tiles
    view = problem.view(tile, problem.canvas.image[tile.window_slices][:, ::-1])
    forward = problem.forward(view)
    return problem.share(view, forward.activations, problem.objective.pull(forward.moments))
