"""How a process builds a network, without being sent it: VGG16, or one that has learned a style."""

from dataclasses import dataclass
from typing import Any

from nst_rs.config.sections import RunConfig
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.learned.style_file import LearnedStyle
from nst_rs.learned.windows import Network
from nst_rs.objective.problem import Kernel


@dataclass(frozen=True)
class NetworkRecipe:
    """What the network is made of. Small, and without TensorFlow, which a worker imports only in building it."""

    config: str
    """What matters to it, as JSON."""
    threads: int
    """Of a worker."""

    @classmethod
    def of(cls, config: RunConfig, threads: int) -> "NetworkRecipe":
        """Return the recipe for the network of `config`, whose precision is named."""
        matters: dict[str, Any] = {"model": True, "objective": True, "compute": {"device", "precision"}}
        return cls(config.model_dump_json(include=matters), threads)

    def __call__(self) -> Kernel:
        """Build it on this process's device. Raises ModelError or ResourceError."""
        config = RunConfig.model_validate_json(self.config)
        with native_notes_hidden():
            from nst_rs.neural.build import build_kernel
            from nst_rs.neural.device import choose_device, limit_threads

            limit_threads(self.threads)
            return build_kernel(config, choose_device(config.compute.device))


@dataclass(frozen=True)
class StylizerRecipe:
    """What a learned network is made of; without TensorFlow, which a worker imports only in building it."""

    style: LearnedStyle
    device: str
    """As ``compute.device`` has it: every process looks for its own."""
    precision: str
    threads: int | None = None
    """Of a worker; None in a process of its own."""

    def __call__(self) -> Network:
        """Build it on this process's device. Raises ResourceError."""
        with native_notes_hidden():
            from nst_rs.neural.device import choose_device, limit_threads
            from nst_rs.neural.generator import GeneratorNetwork

            if self.threads is not None:
                limit_threads(self.threads)
            device = choose_device(self.device)
            return GeneratorNetwork(self.style.facts.architecture, self.style.weights, device.name, self.precision)
