"""How near the arithmetic comes to the machine, and what tiling costs and changes."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.files.storage import MemoryStorage
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.neural.device import Device
from nst_rs.neural.vgg16 import Convolution, Encoder, load_convolutions
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Objective
from nst_rs.objective.moments import total
from nst_rs.objective.problem import Problem
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import make_plan
from nst_rs.style.images import read_styles
from nst_rs.vgg16 import VGG16

CPU = Device("/CPU:0", 8 * 10**9)
STYLE = Path(__file__).parents[1] / "sample_data" / "styles" / "harvest.jpg"
STYLES = read_styles({STYLE: 1}, 256)
SIDE = 512
SIDES = (512, 768, 1152)


def shortest(work: Callable[[], Any], runs: int = 4) -> float:
    """Return the shortest of some runs in seconds, the first not counted."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def step_against_matrix_product() -> dict[str, float]:
    """A step's two passes over one window, as a rate over that of a 4096³ matrix product in the same process."""
    found = {}
    for precision in ("float32", "bfloat16"):
        product = 2 * 4096**3 / shortest(matrix_product(precision))
        found[f"{precision}: matrix product, GFLOP/s"] = product / 1e9
        config = RunConfig.model_validate({"compute": {"precision": precision}})
        kernel = build_kernel(config, CPU)
        objective = build_objective(config, kernel, STYLES, SIDE)
        for side in SIDES:
            flops = trunk_of(config).flops_per_pixel * side**2
            ahead, back = (flops / seconds / product for seconds in _passes(kernel, objective, side))
            step, products = 2 / (1 / ahead + 1 / back), 1 + _gram_flops_per_pixel(kernel) * side**2 / flops
            found[f"{precision}, {side} pixels: forward pass / matrix product"] = ahead
            found[f"{precision}, {side} pixels: backward pass / matrix product"] = back
            found[f"{precision}, {side} pixels: step / matrix product"] = step
            found[f"{precision}, {side} pixels: step, Gram products counted / matrix product"] = step * products
    return found


def _gram_flops_per_pixel(kernel: WindowModel) -> float:
    """Return the operations of F Fᵀ at all style layers; those of F times the pull, on the way back, are as many."""
    layers = [VGG16[name] for name in kernel.statistics.products]
    return sum(2 * layer.channels**2 / layer.stride**2 for layer in layers)


def _passes(kernel: WindowModel, objective: Objective, side: int) -> tuple[float, float]:
    """Return the seconds of a forward and of a backward pass over a window."""
    window, weight = np.full((side, side, 3), 99, np.float32), np.ones((side, side), np.float32)
    content = kernel.content(window)
    forward = kernel.forward(window, weight, content)
    pull = objective.pull(forward.moments)
    ahead = shortest(lambda: kernel.forward(window, weight, content))
    return ahead, shortest(lambda: kernel.backward(forward.activations, weight, content, pull))


def matrix_product(dtype: str) -> Callable[[], Any]:
    """Return a function that multiplies two matrices of 4096 × 4096 in `dtype`."""
    a = tf.cast(tf.random.normal((4096, 4096)), dtype)
    product = tf.function(lambda: tf.reduce_max(a @ a))
    return lambda: product().numpy()


def gradient_against_tensorflow() -> dict[str, float]:
    """Forward and backward pass of VGG16 to conv5_1: TensorFlow's own gradient's time over ours.

    With the weights as tensors, as we hold them, and as constants in the graph, of which every trace has its own copy.
    """
    convolutions = load_convolutions("packaged")[:11]
    encoder = Encoder(convolutions)
    kernels = {c.name: tf.constant(c.kernel) for c in convolutions}
    ours = shortest(_carry_back(encoder))
    as_tensors = shortest(_differentiate(lambda x: _plain(convolutions, kernels, x)))
    in_graph = shortest(_differentiate(lambda x: _plain(convolutions, {c.name: c.kernel for c in convolutions}, x)))
    return {
        "TensorFlow's own / ours, weights as tensors": as_tensors / ours,
        "TensorFlow's own / ours, its weights in the graph": in_graph / ours,
    }


def _plain(convolutions: list[Convolution], kernels: dict[str, Any], x: Any) -> Any:
    block = 1
    for c in convolutions:
        if c.block != block:
            x, block = tf.nn.max_pool2d(x, 2, 2, "VALID"), c.block
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernels[c.name], 1, "SAME"), c.bias))
    return x


def _carry_back(encoder: Encoder) -> Callable[[], Any]:
    @tf.function
    def carry_back(x: Any) -> Any:
        features = encoder.features(x)
        return encoder.carry_back(features, {"conv5_1": 2 * features["conv5_1"]})

    picture = tf.random.uniform((1, SIDE, SIDE, 3)) * 255
    return lambda: carry_back(picture).numpy()


def _differentiate(forward: Callable[[Any], Any]) -> Callable[[], Any]:
    @tf.function
    def differentiate(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(forward(x) ** 2)
        return tape.gradient(y, x)

    picture = tf.random.uniform((1, SIDE, SIDE, 3)) * 255
    return lambda: differentiate(picture).numpy()


def tiles_against_whole() -> dict[str, float]:
    """The gradient of a noise scene with nodata: error against the untiled one, and what is computed for it."""
    config = RunConfig.model_validate({"compute": {"precision": "float32"}})
    kernel = build_kernel(config, CPU)
    objective = build_objective(config, kernel, STYLES, SIDE)
    image = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[100:180, 300:] = 0
    found, whole = {}, None
    for tile in (4096, 128, 192, 288):
        (level,) = make_plan((SIDE, SIDE), levels=1, tile=tile, trunk=trunk_of(config)).levels
        problem = Problem.of(kernel, Canvas.around(level, image, weight), objective, MemoryStorage())
        gradient = _gradient(problem, np.random.default_rng(1).uniform(0, 255, (*level.canvas_shape, 3)))
        if whole is None:
            whole = gradient
            continue
        name = f"cores of {level.rows.cores[0].size} pixels"
        error = np.linalg.norm(gradient - whole) / np.linalg.norm(whole)
        found[f"{name}: relative error of the gradient"] = float(error)
        found[f"{name}: pixels computed / pixels of the scene"] = level.computed_pixels / SIDE**2
    return found


def _gradient(problem: Problem, picture: Any) -> Any:
    """Return the scene's gradient, tile by tile."""
    views = [problem.view(tile, picture[tile.window_slices].astype(np.float32)) for tile in problem.canvas.tiles]
    forwards = [problem.forward(view) for view in views]
    pull = problem.objective.pull(total(forward.moments for forward in forwards))
    gradient = np.zeros(picture.shape)
    for view, forward in zip(views, forwards, strict=True):
        gradient[view.tile.window_slices] += problem.share(view, forward.activations, pull)
    return gradient
