"""Configuration to network: the kernel, the objective with the styles' Gram matrices, this machine's rate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nst_rs.architecture import Trunk
from nst_rs.arrays import Array, Pixels
from nst_rs.canvas import Canvas
from nst_rs.config import RunConfig, trunk_of
from nst_rs.neural.device import Device, choose_device, limit_threads
from nst_rs.neural.kernel import Kernel
from nst_rs.neural.vgg import Encoder, load_convolutions
from nst_rs.objective import Objective
from nst_rs.problem import scene_moments
from nst_rs.style import Style
from nst_rs.tiling import make_level

_TRIAL_SIDE = 256


def build_kernel(config: RunConfig, device: Device) -> Kernel:
    """Load the network as far as it is needed; `config` names the precision. Raises ModelError."""
    with device.scope():
        convolutions = load_convolutions(config.model.weights)[: len(trunk_of(config).layers)]
        encoder = Encoder(convolutions, config.compute.precision, config.model.pooling)
    objective = config.objective
    return Kernel(encoder, list(objective.style_layers), list(objective.content_layers), device.name)


@dataclass(frozen=True)
class Recipe:
    """How a worker builds the network that this process would build, without being sent it."""

    config: str
    """What matters to the network, as JSON."""
    threads: int

    @classmethod
    def of(cls, config: RunConfig, threads: int) -> "Recipe":
        """Return the recipe for the network of `config`, whose precision is named; `threads`: of a worker."""
        return cls(
            config.model_dump_json(include={"model": True, "objective": True, "compute": {"device", "precision"}}),
            threads,
        )

    def __call__(self) -> Kernel:
        """Build it on this process's device. Raises ModelError or ResourceError."""
        limit_threads(self.threads)
        config = RunConfig.model_validate_json(self.config)
        return build_kernel(config, choose_device(config.compute.device))


def build_objective(config: RunConfig, kernel: Kernel, styles: Sequence[Style], tile: int) -> Objective:
    """Return the objective whose targets are the Gram matrices of `styles`, blended."""
    return _objective(config, blended_grams(kernel, styles, trunk_of(config), tile))


def blended_grams(kernel: Kernel, styles: Sequence[Style], trunk: Trunk, tile: int) -> dict[str, Array]:
    """Return layer → Σ share · Ĝ over `styles`: as if the picture's positions were divided among them."""
    grams = [style_grams(kernel, style.image, trunk, tile) for style in styles]
    return {
        name: np.sum([style.share * gram[name] for style, gram in zip(styles, grams, strict=True)], axis=0)
        for name in grams[0]
    }


def style_grams(kernel: Kernel, style: Pixels, trunk: Trunk, tile: int) -> dict[str, Array]:
    """Return layer → the style's Gram matrix per position. It is cut and its borders are mirrored as a scene's are."""
    height, width, _ = style.shape
    level = make_level((height, width), 1, tile, trunk)
    canvas = Canvas.around(level, style, np.ones(level.shape, np.float32))
    return scene_moments(kernel, canvas, canvas.image).grams


def measure_rate(config: RunConfig, device: Device) -> float:
    """Return the network's operations a second here, from one warm iteration over a small window."""
    kernel = build_kernel(config, device)
    window = np.full((_TRIAL_SIDE, _TRIAL_SIDE, 3), 128, np.float32)
    weight = np.ones((_TRIAL_SIDE, _TRIAL_SIDE), np.float32)
    moments = kernel.measure(window, weight)
    pull = _objective(config, moments.grams).pull(moments)
    content = kernel.content(window)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        kernel.backward(kernel.forward(window, weight, content).activations, weight, content, pull)
        seconds.append(time.perf_counter() - start)
    return 2 * _TRIAL_SIDE**2 * trunk_of(config).flops_per_pixel / min(seconds[1:])


def _objective(config: RunConfig, targets: Mapping[str, Array]) -> Objective:
    section = config.objective
    return Objective(
        config.level_alphas[-1],
        section.beta,
        section.content_layers,
        section.style_layers,
        section.content_normalization,
        targets,
        section.variation,
    )
