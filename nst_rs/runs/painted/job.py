"""A run whose picture a learned style paints: its blocks and tiles, and what they take."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from nst_rs.composite.rendering import Rendering
from nst_rs.config.loading import Decisions, override
from nst_rs.config.sections import Color, RunConfig
from nst_rs.errors import ConfigError, ResourceError
from nst_rs.executors.recipes import PaintingRecipe
from nst_rs.geo.grid import Grid
from nst_rs.learned.architecture import GRAIN_CHANNELS
from nst_rs.learned.ignored import ignored_settings
from nst_rs.learned.normalising import adapted, sampled_pixels
from nst_rs.learned.style_file import Facts, LearnedStyle, is_learned, read_learned
from nst_rs.learned.windows import Corner, best_block
from nst_rs.neural.device import Device
from nst_rs.output.files import Outputs
from nst_rs.runs.earlier_maps import EarlierMap, described, limits_to_share, open_earlier_maps
from nst_rs.runs.estimate import Kept, Memory, rows_bytes
from nst_rs.runs.inputs import Inputs
from nst_rs.runs.job import Job
from nst_rs.runs.painted.scene_statistics import Recorded, moments_of, read_statistics
from nst_rs.runs.zooms import zoom_shapes
from nst_rs.style.picture import Style

log = logging.getLogger(__name__)

_TRIALS = 3
_SECONDS_PER_PIXEL_AROUND = 7e-7
"""Seconds in which a pixel is read, composed, measured and written; measured with benchmarks/learned.py."""
_BYTES_PER_NETWORK_PIXEL = 240.0
"""Bytes per pixel of a block that the network holds at its peak, in float32; measured with benchmarks/learned.py."""

_BYTES_PER_SAMPLED_PIXEL = 170.0
"""Bytes per pixel that statistics are taken of, at the peak."""
_TIMES_A_PASS = 1.5
"""How many times as long it takes to find a pixel's part of the statistics as to paint one."""


def learned_style_of(config: RunConfig) -> Path | None:
    """Return the learned style that a configuration names, if it does. Raises ConfigError for one among images."""
    learned = [path for path in config.style.images if is_learned(path)]
    if not learned:
        return None
    if len(config.style.images) > 1:
        raise ConfigError(
            "style.images", expected="images, or one learned style", got=", ".join(map(str, config.style.images))
        )
    return learned[0]


@dataclass(frozen=True)
class PaintedCanvas:
    """The geometry of a picture that is painted: its blocks and tiles."""

    grid: Grid
    style: Facts
    configured: int | Literal["auto"]
    """The side of a tile that the configuration asks for."""

    @property
    def corner(self) -> Corner:
        """Where the network has the picture's first pixel: neighbouring scenes are painted as parts of one."""
        return self.grid.first_pixel if self.style.normalised else (0, 0)

    @property
    def before(self) -> Corner:
        """The rows and columns by which the first block begins before the picture: at a multiple of the stride."""
        row, column = self.corner
        stride = self.style.architecture.stride
        return row % stride, column % stride

    @property
    def block(self) -> int:
        """The side, in pixels, of the blocks that are painted at once."""
        return best_block(self.grid.shape, self.style.architecture.margin)

    @property
    def tile(self) -> int:
        """The side of a tile in pixels: as configured, in whole blocks."""
        return self.block if self.configured == "auto" else -(-self.configured // self.block) * self.block

    @property
    def tiles(self) -> int:
        """The number of tiles."""
        return self._count(self.tile)

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return self._count(self.block)

    def _count(self, side: int) -> int:
        """Return how many squares cover the picture, and the rows and columns before it."""
        sizes = zip(self.grid.shape, self.before, strict=True)
        return math.prod(-(-(size + before) // side) for size, before in sizes)


@dataclass(frozen=True)
class LearnedJob(Job):
    """A run whose picture a learned style paints."""

    style: LearnedStyle
    color: Color
    """The source of the map's colours: the style's own choice, unless the configuration wants the scene's colours."""
    shared: tuple[Recorded, ...] = ()
    """The statistics of an earlier run by which the style is normalised: the map's, then those of every zoom that it
    has pictures for. Where there are none, they are the scene's own."""
    earlier: tuple[EarlierMap, ...] = ()
    """The maps to agree with."""

    @property
    def margin(self) -> int:
        """The pixels that the network sees around a block, on every side."""
        return self.style.facts.architecture.margin

    def canvas(self, zoom: int) -> "PaintedCanvas":
        """Return the geometry of the map, at zoom 0, or of what it shows where it is halved `zoom` times."""
        return PaintedCanvas(self.inputs.scene.grid.reduced(2**zoom), self.style.facts, self.config.tiling.tile)

    @property
    def block(self) -> int:
        """The side, in pixels, of the blocks that are painted at once."""
        return self.canvas(0).block

    @property
    def tile(self) -> int:
        """The side of a tile in pixels: as configured, in whole blocks."""
        return self.canvas(0).tile

    @property
    def recipe(self) -> PaintingRecipe:
        """The recipe by which a process builds the network, as it was learned."""
        return PaintingRecipe(self.style, self.config.compute.device, self.config.compute.precision)

    def recipe_with(self, statistics: Recorded | None) -> PaintingRecipe:
        """Return the recipe for the network that is normalised by a scene's statistics."""
        if statistics is None:
            return self.recipe
        weights = adapted(self.style.weights, moments_of(statistics))
        return replace(self.recipe, style=replace(self.style, weights=weights))

    @property
    def stages(self) -> tuple[str, ...]:
        """Painting the map is one stage, and every coarser zoom that has a picture of its own is another."""
        return ("apply", *(f"zoom 1:{2**zoom}" for zoom in range(1, self.zooms + 1)))

    @property
    def outline(self) -> tuple[Mapping[str, str], ...]:
        """One row per picture: its size, its tiles, and the window that the network sees at once."""
        canvases = [self.canvas(zoom) for zoom in range(self.zooms + 1)]
        rows = [
            {
                "pixels": f"{canvas.grid.width} × {canvas.grid.height}",
                "tiles": str(canvas.tiles),
                "window": f"{canvas.block + 2 * self.margin} × {canvas.block + 2 * self.margin}",
            }
            for canvas in canvases
        ]
        if not self.zooms:
            return tuple(rows)
        return tuple({"zoom": f"1:{2**zoom}", **row} for zoom, row in enumerate(rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each map to agree with."""
        return described(self.earlier)

    @property
    def tiles(self) -> int:
        """The number of the scene's tiles. Those without any valid pixel are not painted."""
        return self.canvas(0).tiles

    @property
    def _blocks_sides(self) -> list[tuple[int, int]]:
        """The number of blocks, and their sides with margins, of the map and of every zoom's picture."""
        canvases = [self.canvas(zoom) for zoom in range(self.zooms + 1)]
        return [(canvas.blocks, canvas.block + 2 * self.margin) for canvas in canvases]

    @property
    def memory(self) -> Memory:
        """The memory that the run holds at its peak. It hardly grows with the scene, whose arrays lie on disk."""
        rows = rows_bytes(*self.inputs.scene.grid.shape)
        windows = max(self._painting_bytes, self._sampled_pixels * _BYTES_PER_SAMPLED_PIXEL)
        return Memory(float(self.kept.memory_bytes), windows, rows, on_disk=True)

    @property
    def kept(self) -> Kept:
        """The composite, its weight, the map, and the clouds where the map shows them as they are."""
        shape = self.inputs.scene.grid.shape
        arrays = [((*shape, 3), "float32"), (shape, "float32"), ((*shape, 3), "uint8")]
        if self.inputs.rendering.keeps_clouds:
            arrays.append(((*shape, 4), "uint8"))
        for zoomed in zoom_shapes(shape, self.zooms):
            arrays += [((*zoomed, 3), "float32"), (zoomed, "float32")]
        return Kept(tuple(arrays), ())

    @property
    def kept_bytes(self) -> float:
        """Nothing is kept to save time."""
        return 0.0

    @property
    def worker_bytes(self) -> float:
        """The bytes that each worker of a cluster holds at its peak."""
        return self.memory.process + self._painting_bytes

    @property
    def flops(self) -> float:
        """The operations of the convolutions, over all blocks with their margins."""
        pixels = sum(blocks * side**2 for blocks, side in self._blocks_sides)
        return pixels * self.style.facts.architecture.flops_per_pixel

    def measure_seconds(self) -> float:
        """Estimate the time of the whole run from a few blocks."""
        started = time.perf_counter()
        network = self.recipe()
        side = self.block + 2 * self.margin
        block = np.full((side, side, 3), 128, np.float32), np.zeros((side, side, GRAIN_CHANNELS), np.float32)
        network(*block)  # builds the graph
        first = time.perf_counter() - started
        each = min(_seconds_of(lambda: network(*block)) for _ in range(_TRIALS))
        pixels = math.prod(self.inputs.scene.grid.shape)
        blocks = sum(count * (own / side) ** 2 for count, own in self._blocks_sides)
        statistics = each * _TIMES_A_PASS * self._sampled_pixels / side**2
        return first + statistics + each * blocks / self.workers + pixels * _SECONDS_PER_PIXEL_AROUND

    def shortages(self, folder: Path | None) -> Iterator[ResourceError]:
        """Yield what any run is refused for, and a ``compute.memory`` that is less than a block and its tile need."""
        yield from super().shortages(folder)
        yield from self.too_little_memory()

    def too_little_memory(self) -> Iterator[ResourceError]:
        """Yield the reason to refuse a ``compute.memory`` that is less than a block and its tile need."""
        need = max(self.memory.host, 0.0 if self.traits.in_process else self.worker_bytes)
        if self.config.compute.memory != "auto" and need > self.budget:
            smaller = ", or a smaller tiling.tile" if self.tile > self.block else ""
            yield ResourceError(
                "compute.memory for this plan",
                expected=f"at least {need / 1e9:.1f} GB",
                got=f"{self.budget / 1e9:.1f} GB",
                do=f"set a larger compute.memory{smaller}",
            )

    @property
    def _sampled_pixels(self) -> int:
        """The pixels, with their margins, that this scene's statistics are taken of."""
        if not self.style.facts.normalised or self.shared:
            return 0
        return sampled_pixels(self.inputs.scene.grid.shape, self.margin)

    @property
    def _painting_bytes(self) -> float:
        """The bytes that a block in the network, a tile and the next one, and a painted tile take."""
        value_bytes = 2 if self.config.compute.precision == "bfloat16" else 4
        block = (self.block + 2 * self.margin) ** 2 * _BYTES_PER_NETWORK_PIXEL * value_bytes / 4
        tile = (self.tile + 2 * self.margin) ** 2 * 4 * (3 + GRAIN_CHANNELS)
        return block + 2 * tile + self.tile**2 * 3


@dataclass(frozen=True)
class LearnedKind:
    """The kind of run whose picture a learned style paints; see :class:`nst_rs.runs.job.Kind`."""

    path: Path
    style: LearnedStyle

    @classmethod
    def read(cls, path: Path) -> "LearnedKind":
        """Read the style. Raises StyleError."""
        return cls(path, read_learned(path))

    def completed(self, config: RunConfig) -> RunConfig:
        """Return `config` with the bands that the style was learned on, where it names none.

        It also has the stretch and the statistics of the map to agree with, where there is one.
        """
        shared = limits_to_share(config)
        if config.style.agree and config.style.statistics is None and self.style.facts.normalised:
            shared = {**shared, "style.statistics": Outputs(config.style.agree[0]).record}
        if config.composite.bands is None:
            shared = {**shared, "composite.bands": _learned_bands(self.style)}
        return override(config, shared)

    def files(self, config: RunConfig) -> tuple[str, ...]:
        """Return the record whose statistics are used, where there is one, the maps to agree with, and the style."""
        earlier = config.style.statistics
        return (*([] if earlier is None else [str(earlier)]), *map(str, config.style.agree), str(self.path))

    def decided_by(self, rendering: Rendering, config: RunConfig) -> Decisions:  # noqa: ARG002 - the scene decides
        """Return the channels by number."""
        return rendering.settled()

    def styles(self, config: RunConfig) -> tuple[Style, ...]:  # noqa: ARG002 - the style is read already
        """Return the picture that the style carries."""
        image = Image.open(BytesIO(self.style.preview)).convert("RGB")
        return (Style.opaque(np.asarray(image, np.float32)),)

    def job(self, config: RunConfig, inputs: Inputs, device: Device, budget: float) -> LearnedJob:
        """Return the job, and warn of settings that change nothing.

        Raises ConfigError for colours that the style cannot be shown in, for statistics that are not its own, and for
        a map that it cannot agree with.
        """
        ignored = ignored_settings(config)
        if ignored:
            log.warning(
                "%s was learned already: %s, set or of a preset, change nothing", self.path.name, ", ".join(ignored)
            )
        earlier, color = open_earlier_maps(config, inputs.rendering), _color(config, self.style)
        return LearnedJob(config, inputs, device, budget, self.style, color, self._shared(config), earlier)

    def _shared(self, config: RunConfig) -> tuple[Recorded, ...]:
        """Return the statistics of an earlier run that this one is to use. Raises ConfigError."""
        path = config.style.statistics
        if path is None:
            return ()
        if not self.style.facts.normalised:
            raise ConfigError(
                "style.statistics",
                expected="a learned style that is normalised by its scene",
                got=f"{self.path.name}, an older one, which is the same on every scene",
                do="leave the setting out",
            )
        return read_statistics(path, self.style)


def _color(config: RunConfig, style: LearnedStyle) -> Color:
    """Return the source of the map's colours. The colours of a painting were matched when its style was learned."""
    wanted, learned = config.style.color, style.facts.color
    if wanted in ("style", learned):
        return learned
    if wanted == "histogram":
        raise ConfigError(
            "style.color histogram", expected="a style that was learned so", got=f"one of color {learned}"
        )
    return wanted


def _learned_bands(style: LearnedStyle) -> tuple[str, ...] | None:
    """Return the bands that a style was learned on, where they were named: numbers differ from scene to scene."""
    bands = style.facts.configuration.get("composite", {}).get("bands") or ()
    return tuple(bands) if bands and all(isinstance(band, str) for band in bands) else None


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
