"""Recipes by which another process builds a network: VGG16, or a network that learned a style."""

from dataclasses import dataclass, replace
from typing import Any

from nst_rs.config.sections import RunConfig
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.learned.style_file import LearnedStyle
from nst_rs.learned.windows import Network
from nst_rs.objective.problem import Kernel


@dataclass(frozen=True)
class KernelRecipe:
    """The recipe for VGG16. It is small, and a worker imports TensorFlow only when it builds the network."""

    config: str
    """The part of the configuration that matters to the network, as JSON."""
    threads: int | None = None
    """The number of threads that the process may use; None: as many as it likes."""

    @classmethod
    def of(cls, config: RunConfig) -> "KernelRecipe":
        """Return the recipe for the network of `config`, whose precision is decided."""
        matters: dict[str, Any] = {"model": True, "objective": True, "compute": {"device", "precision"}}
        return cls(config.model_dump_json(include=matters))

    def with_threads(self, threads: int) -> "KernelRecipe":
        """Return the recipe for a process that may use `threads` threads."""
        return replace(self, threads=threads)

    def __call__(self) -> Kernel:
        """Build the network on this process's device. Raises ModelError or ResourceError."""
        config = RunConfig.model_validate_json(self.config)
        with native_notes_hidden():
            from nst_rs.neural.build import build_kernel
            from nst_rs.neural.device import choose_device, limit_threads

            if self.threads is not None:
                limit_threads(self.threads)
            return build_kernel(config, choose_device(config.compute.device))


@dataclass(frozen=True)
class PaintingRecipe:
    """The recipe for a network that learned a style. A worker imports TensorFlow only when it builds the network."""

    style: LearnedStyle
    device: str
    """The value of ``compute.device``: every process looks for its own."""
    precision: str
    threads: int | None = None
    """The number of threads that the process may use; None: as many as it likes."""

    def with_threads(self, threads: int) -> "PaintingRecipe":
        """Return the recipe for a process that may use `threads` threads."""
        return replace(self, threads=threads)

    def __call__(self) -> Network:
        """Build the network on this process's device. Raises ResourceError."""
        with native_notes_hidden():
            from nst_rs.neural.device import choose_device, limit_threads
            from nst_rs.neural.generator import GeneratorNetwork

            if self.threads is not None:
                limit_threads(self.threads)
            device = choose_device(self.device)
            return GeneratorNetwork(self.style.facts.architecture, self.style.weights, device.name, self.precision)
