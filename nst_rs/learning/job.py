"""The inputs of learning a style, opened and checked before anything is computed."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil

from nst_rs.composite.rendering import Rendering, open_rendering
from nst_rs.config.loading import Decisions, override
from nst_rs.config.named_styles import SUFFIX
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.errors import ConfigError, OutputError
from nst_rs.files import lock
from nst_rs.files.locations import absolute
from nst_rs.files.workspace import Workspace
from nst_rs.learned.architecture import Architecture
from nst_rs.learned.style_file import LearnedStyle, is_learned, read_learned
from nst_rs.neural.device import Device, choose_device, choose_precision
from nst_rs.neural.trainer import refuse_untaught
from nst_rs.objective.terms.registry import chosen_terms
from nst_rs.pyramid.tiling import make_plan
from nst_rs.style.images import read_styles
from nst_rs.style.picture import Style
from nst_rs.style.stroke import settle_learned_stroke

_SAME_RESOLUTION = 1.25
"""The largest ratio of the coarsest resolution to the finest, where the stroke is given in metres."""


@dataclass(frozen=True)
class LearningJob:
    """A style to learn, checked."""

    config: RunConfig
    """The configuration, with every choice made that was left open."""
    scenes: tuple[Rendering, ...]
    """The scenes to learn from."""
    held_out: tuple[Rendering, ...]
    """The scenes to judge by. Where there are none, windows of the scenes to learn from are held out."""
    styles: tuple[Style, ...]
    start: LearnedStyle | None
    """The style whose weights learning starts from."""
    device: Device
    output: Path

    @property
    def architecture(self) -> Architecture:
        """The size of the network that learns."""
        return _architecture(self.config)

    @property
    def preview(self) -> Path:
        """The sheet that shows how far learning is."""
        return self.output.with_suffix(".png")

    @property
    def workspace(self) -> Workspace:
        """The folder that keeps the state of learning until the style is written."""
        return Workspace(self.output)

    @property
    def budget(self) -> float:
        """Bytes of memory that the run may take."""
        memory = self.config.compute.memory
        return psutil.virtual_memory().available / 2 if memory == "auto" else memory

    def alone(self) -> AbstractContextManager[None]:
        """Hold the output against other runs; raises LockedError where one has it."""
        return lock.alone(lock.path_for(self.output), f"output {self.output}")


def prepare(config: RunConfig) -> LearningJob:
    """Check a configuration against its files and the machine, and settle what it leaves open. Raises NstError."""
    output = _checked_output(config)
    if not config.scene.paths:
        raise ConfigError("scene.paths", expected="at least one scene to learn from", got="none")
    if config.style.regions:
        do = "leave the classes out, and name an image with --style"
        raise ConfigError("style.regions", expected="a style for all ground", got="classes of ground", do=do)
    if not any(config.style.images.values()) or any(is_learned(path) for path in config.style.images):
        raise ConfigError("style.images", expected="an image to learn the style of", do="name one with --style")
    refuse_untaught(chosen_terms(config.objective))
    scenes, held_out = (
        tuple(open_rendering(override(config, {"scene.paths": (path,)})) for path in paths)
        for paths in (config.scene.paths, config.learn.held_out)
    )
    decisions = _decided_by(scenes, config)
    start = None
    if config.learn.start is not None:
        start = _start(config.learn.start)
        config = _sized_as(start, config)
    device = choose_device(config.compute.device)
    precision = choose_precision(config.compute.precision, device)
    config = override(config, {**decisions, "compute.precision": precision}, place=absolute)
    _check_levels(config, held_out or scenes)
    styles = read_styles(config.style.shares, config.style.size)
    return LearningJob(config, scenes, held_out, styles, start, device, output)


def held_out_side(config: RunConfig, shape: tuple[int, int]) -> int:
    """Return the side in pixels of a window that is held out of a scene of `shape`, by which the style is judged."""
    side = min(config.learn.held_out_size, *(size // 16 * 16 for size in shape))
    if config.learn.held_out:
        return side
    return min(side, max(16, min(shape) // 3 // 16 * 16))  # the rest is to be learned from


def _check_levels(config: RunConfig, scenes: Sequence[Rendering]) -> None:
    """Refuse levels that the windows held out have not: at the end `stylize` is measured on them.

    Raises ConfigError, before hours of learning.
    """
    for rendering in scenes:
        side = held_out_side(config, rendering.scene.grid.shape)
        make_plan((side, side), levels=config.schedule.levels, tile=2 * side, trunk=trunk_of(config))


def _checked_output(config: RunConfig) -> Path:
    if config.output.path is None:
        raise ConfigError("output.path", expected="the style to write", got="none", do="name it with --output")
    output = Path(os.path.abspath(config.output.path))
    if output.suffix.lower() != SUFFIX:
        raise OutputError(f"output {output}", expected=f"a name ending in {SUFFIX}", got=output.suffix or "no ending")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise OutputError(f"output folder {output.parent}", expected="a folder with leave to write", do="create it")
    return output


def _decided_by(scenes: Sequence[Rendering], config: RunConfig) -> Decisions:
    """Return the style's size for these scenes where the configuration has a stroke. Raises ConfigError."""
    decisions = settle_learned_stroke(config, scenes[0].scene.grid)
    sizes = [rendering.scene.grid.metres_per_pixel for rendering in scenes]
    if config.style.stroke is not None and max(sizes) > _SAME_RESOLUTION * min(sizes):
        raise ConfigError(
            f"style.stroke {config.style.stroke:g}",
            expected="scenes of about one resolution",
            got=f"{min(sizes):g} to {max(sizes):g} metres a pixel",
            do="learn one style a resolution, or leave the stroke out",
        )
    return decisions


def _start(path: Path) -> LearnedStyle:
    start = read_learned(path)
    if not start.facts.normalised:
        raise ConfigError(
            f"learn.start {path}",
            expected="a style of version 3 of the format",
            got="an older one, which is not normalised by its scene",
            do="learn from nothing",
        )
    return start


def _sized_as(start: LearnedStyle, config: RunConfig) -> RunConfig:
    """Return `config` with the network's size of `start`. Raises ConfigError where another one is set."""
    network = start.facts.architecture
    sizes = {"widths": network.widths, "blocks": network.blocks, "deep_blocks": network.deep_blocks}
    unset = {f"learn.{key}": size for key, size in sizes.items() if key not in config.learn.model_fields_set}
    sized = override(config, unset)
    if _architecture(sized) != network:
        raise ConfigError(
            "learn.start",
            expected=_told(_architecture(sized)),
            got=_told(network),
            do="leave learn.widths, learn.blocks and learn.deep_blocks out",
        )
    return sized


def _architecture(config: RunConfig) -> Architecture:
    return Architecture(config.learn.widths, config.learn.blocks, config.learn.deep_blocks)


def _told(network: Architecture) -> str:
    return f"a network of widths {list(network.widths)}, {network.blocks} blocks and {network.deep_blocks} deep ones"
