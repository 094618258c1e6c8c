"""A run whose picture the optimiser finds: its levels, tiles and passes, and what they take."""

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nst_rs.composite.land_cover import Rule, open_rules
from nst_rs.composite.rendering import Rendering
from nst_rs.composite.starting_picture import StartingPicture
from nst_rs.config.loading import Decisions, override
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.errors import ConfigError
from nst_rs.learned.style_file import LearnedStyle
from nst_rs.neural.build import measure_pace
from nst_rs.neural.device import Device
from nst_rs.objective.terms.base import PixelTerm
from nst_rs.objective.terms.registry import chosen_terms, needed_statistics
from nst_rs.optimise.descent import Descent
from nst_rs.optimise.rounds import MEASURED
from nst_rs.optimise.tile_moments import TileMoments
from nst_rs.pyramid.tiling import Plan, make_plan
from nst_rs.runs import estimate
from nst_rs.runs.earlier_maps import EarlierMap, described, limits_to_share, open_earlier_maps
from nst_rs.runs.ground import LEAST_POSITIONS, sketched
from nst_rs.runs.inputs import Inputs
from nst_rs.runs.job import Job
from nst_rs.runs.optimised.learned_start import LearnedStart, learned_start
from nst_rs.runs.zooms import zooms_of
from nst_rs.style.images import read_styles
from nst_rs.style.picture import Style
from nst_rs.style.stroke import settle_stroke
from nst_rs.vgg16 import VGG16, Trunk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OptimisedJob(Job):
    """A run whose picture the optimiser finds."""

    plan: Plan
    first_picture: LearnedStyle | StartingPicture | None = None
    """The picture from which the descent starts, or the learned style that paints it; None where it starts from the
    scene or from noise."""
    rules: tuple[Rule, ...] = ()
    """Where the classes of ground are, where it is divided."""
    earlier: tuple[EarlierMap, ...] = ()
    """The maps to agree with."""

    @property
    def least_pixels(self) -> int:
        """The pixels that a class of ground needs for statistics of its own."""
        return LEAST_POSITIONS * Trunk.reaching(self.config.objective.style_layers or VGG16).stride ** 2

    @property
    def ground(self) -> tuple[Mapping[str, str], ...]:
        """One row per class of ground."""
        return tuple(sketched(self.inputs.rendering, self.config.style.regions, self.rules) if self.rules else ())

    @property
    def stages(self) -> tuple[str, ...]:
        """One stage per level, from the coarsest."""
        return tuple(f"level {number}" for number in range(1, len(self.plan.levels) + 1))

    @property
    def outline(self) -> tuple[Mapping[str, str], ...]:
        """One row per level: its size, its tiles and their windows, and its iterations."""
        return tuple(
            {
                "level": str(index + 1),
                "pixels": _sides(level.shape),
                "tiles": str(len(level.tiles)),
                "window": _sides(level.window_shape),
                "iterations": str(self.iterations(index)),
            }
            for index, level in enumerate(self.plan.levels)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What classes of ground cost besides, and one line for each map to agree with."""
        return (*self._cost_of_classes, *described(self.earlier))

    @property
    def _cost_of_classes(self) -> Iterator[str]:
        count = self._special.classes
        if count:
            share = self._product_flops / self.flops
            yield f"Gram matrices for each of {count} styled classes: {share:.0%} of the operations"

    @property
    def further(self) -> int:
        """How many levels there are below the schedule's, each for the map as it is seen from afar alone."""
        return len(self.plan.levels) - self.config.schedule.levels

    def scheduled(self, index: int) -> int:
        """Return the schedule's level whose settings hold for level `index`: for those below all, its coarsest."""
        return max(0, index - self.further)

    def iterations(self, index: int) -> int:
        """Return the most iterations that level `index` takes."""
        return self.config.schedule.level_iterations[self.scheduled(index)]

    def is_zoom(self, index: int) -> bool:
        """Whether the picture of level `index` is what the map shows at a coarser zoom."""
        factor = self.plan.levels[index].factor
        return factor > 1 and factor.bit_length() - 1 <= self.zooms

    @property
    def tiles(self) -> int:
        """The number of tiles at the finest level."""
        return len(self.plan.levels[-1].tiles)

    @property
    def worker_bytes(self) -> float:
        """The bytes that each worker of a cluster holds at its peak, without the activations that it keeps."""
        return self.memory.process + self.memory.windows + self.kept.memory_bytes / self.workers

    @property
    def memory(self) -> estimate.Memory:
        """The memory that the run holds at its peak, without the activations that it keeps where there is room."""
        styles = [(len(style.image), style.image.shape[1]) for style in self.inputs.styles]
        budget = self.budget if self.traits.in_process else 0  # workers reach only what is on disk
        return estimate.memory(self.plan, self.kept, styles, _value_bytes(self.config), budget, self._special)

    @property
    def disk_bytes(self) -> int:
        """The bytes on disk; the scenes of earlier maps are composed anew there, on grids of their own."""
        grids = [each.picture.sources[0].header.grid for each in self.earlier if each.run]
        return super().disk_bytes + sum(estimate.composed_bytes(grid.shape) for grid in grids)

    @property
    def kept(self) -> estimate.Kept:
        """The arrays that the run keeps of its scene."""
        layers, precision = needed_statistics(self.config.objective).half_squares, self.config.compute.precision
        kept = estimate.Kept.by(self.plan, layers, precision, self._arrays, self.traits.writes_cores)
        if self.config.tiling.statistics == "predicted":
            kept = replace(kept, states=(*kept.states, *self._kept_moments))
        arrays = list(self._class_arrays)
        if self.earlier:
            shapes = [level.canvas_shape for level in self.plan.levels]
            arrays += [(each, "float32") for shape in shapes for each in ((*shape, 3), shape, shape)]
        if self.config.style.color == "scene":  # its own colours are set aside, at every level that is published
            published = self.plan.levels if self.zooms else self.plan.levels[-1:]
            arrays += [((*level.shape, 3), "float32") for level in published]
        if self.inputs.rendering.keeps_clouds:
            arrays.append(((*self.inputs.scene.grid.shape, 4), "uint8"))
        return replace(kept, canvases=(*kept.canvases, *arrays))

    @property
    def _class_arrays(self) -> Iterator[tuple[tuple[int, ...], str]]:
        """The number of every pixel's class, and its depth and the shares of the styled classes at every level."""
        count = self._special.classes
        if count:
            yield self.inputs.scene.grid.shape, "uint8"
            yield from (((*level.canvas_shape, count + 1), "float32") for level in self.plan.levels)

    @property
    def _arrays(self) -> int:
        """The arrays of a state that are of the picture's size."""
        return 4 if self.config.schedule.averaged else 3

    @property
    def kept_layers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The layers whose counts, and whose products, are kept of every tile where statistics are predicted."""
        statistics = needed_statistics(self.config.objective)
        return statistics.counted, statistics.products

    @property
    def _kept_moments(self) -> list[tuple[tuple[int, int], str]]:
        """The tiles' moments, in the two states of each of the two finest levels."""
        tiles = [len(level.tiles) for level in self.plan.levels[-2:]]
        return [(TileMoments.shape(count, *self.kept_layers), "float32") for count in tiles for _ in range(2)]

    @property
    def flops(self) -> float:
        """The operations of the convolutions, and of the classes' feature products, over the whole run."""
        levels = enumerate(self.plan.levels)
        convolutions = sum(estimate.flops(level, self.plan.trunk, self.passes(index)) for index, level in levels)
        return convolutions + self._product_flops

    @property
    def _product_flops(self) -> float:
        """The operations of the feature products of all classes of ground; the scene's features take none."""
        layers = needed_statistics(self.config.objective).products
        levels = enumerate(self.plan.levels)
        each = sum(estimate.product_flops(level, layers, self.passes(index) - 1) for index, level in levels)
        return self._special.classes * each

    @property
    def _special(self) -> estimate.Special:
        """What takes work of its own."""
        return estimate.Special(sum(region.is_styled for region in self.config.style.regions), len(self.earlier))

    def measure_seconds(self) -> float:
        """Estimate the time of the whole run from iterations over two trial windows."""
        windows = [math.prod(level.window_shape) for level in self.plan.levels]
        pace = measure_pace(self.config, self.device, windows[-1], self._special.classes)
        iterations = (
            len(level.tiles) * self.passes(index) / 2 * pace.iteration(windows[index])
            for index, level in enumerate(self.plan.levels)
        )
        pixels = math.prod(self.plan.shape)
        around = estimate.SECONDS_PER_PIXEL_AROUND * pixels + self._special.seconds(pixels)
        return pace.start + pace.building * len(set(windows)) + sum(iterations) + around

    def descent(self, index: int) -> Descent:
        """Return the schedule of level `index`: its iterations and the size of its steps."""
        schedule = self.config.schedule
        return Descent(
            self.iterations(index),
            schedule.step_size,
            schedule.last_step,
            self.config.tiling.steps_per_round,
            schedule.averaged,
            schedule.tolerance,
            self.config.optimizer,
        )

    def passes(self, index: int) -> float:
        """Return how often a level goes through the network, forward or back, on average over its windows.

        Once for the content's features; forward and back in every iteration; forward once more in every iteration where
        activations are not kept, or in the first ones where statistics are predicted.
        """
        iterations = self.iterations(index)
        if self.is_predicted(index):
            again: float = -(-min(MEASURED, iterations) // self.config.tiling.steps_per_round)
        else:
            again = iterations * (1 - self.kept_windows(index) / len(self.plan.levels[index].tiles))
        return 1 + 2 * iterations + again

    def is_predicted(self, index: int) -> bool:
        """Whether level `index` is computed at predicted moments: not where all go forward before one goes back."""
        tiling = self.config.tiling
        all_met = self.kept_windows(index) == len(self.plan.levels[index].tiles) and tiling.steps_per_round == 1
        return tiling.statistics == "predicted" and not all_met

    def is_resident(self, index: int) -> bool:
        """Whether the device holds the descent of level `index`: on a GPU that has room for it.

        A CPU's memory is the host's in any case. Predicted statistics, and terms that measure pixels in the host's
        arithmetic, such as the agreement with earlier maps, are computed window by window.
        """
        if self.earlier:
            return False
        if not self.device.is_gpu or not self.traits.in_process or self.memory.on_disk or self.is_predicted(index):
            return False
        if any(isinstance(term, PixelTerm) for term in chosen_terms(self.config.objective)):
            return False
        layers = needed_statistics(self.config.objective).half_squares
        taken = estimate.resident_bytes(self.plan.levels[index], self._arrays, layers)
        return taken <= self.device.free_bytes - _window_budget(self.device, self.budget)

    def kept_windows(self, index: int) -> int:
        """Return the number of windows of level `index` that keep their activations at a time."""
        tiling = self.config.tiling
        if tiling.statistics == "predicted" and tiling.tiles_at_once != "auto":
            return min(tiling.tiles_at_once, len(self.plan.levels[index].tiles))
        return self.windows_with_room(index)

    def windows_with_room(self, index: int) -> int:
        """Return the number of windows of level `index` whose activations the budget has room for."""
        memory, level = self.memory, self.plan.levels[index]
        in_process = memory.host if self.traits.in_process else self.worker_bytes
        taken = memory.windows if self.device.is_gpu else in_process
        each = estimate.activation_bytes(level, self.plan.trunk, _value_bytes(self.config))
        room = max(0, int((_window_budget(self.device, self.budget) - taken) / each))
        return min(len(level.tiles), room * self.workers)

    @property
    def kept_bytes(self) -> float:
        """The most that kept activations take, beyond :attr:`memory`."""
        sizes = [estimate.activation_bytes(x, self.plan.trunk, _value_bytes(self.config)) for x in self.plan.levels]
        # One window's are in the estimate of the passes over a window.
        return max(max(0, self.kept_windows(index) - 1) * size for index, size in enumerate(sizes))


@dataclass(frozen=True)
class OptimisedKind:
    """The kind of run whose picture the optimiser finds; see :class:`nst_rs.runs.job.Kind`."""

    start: LearnedStart | None
    """The learned style that makes the picture the descent starts from, where it is to start from one."""

    @classmethod
    def of(cls, config: RunConfig) -> "OptimisedKind":
        """Return the kind, with the learned style to start from read once. Raises NstError."""
        return cls(learned_start(config))

    def completed(self, config: RunConfig) -> RunConfig:
        """Return `config` with the learned style to start from, and the stretch of the map to agree with, if any."""
        started = {} if self.start is None else {"style.learned": self.start.path}
        return override(config, {**started, **limits_to_share(config)})

    def files(self, config: RunConfig) -> tuple[str, ...]:
        """Return the files that the picture starts from or agrees with, and those of the style."""
        return (*map(str, config.earlier), *map(str, config.style.files))

    def decided_by(self, rendering: Rendering, config: RunConfig) -> Decisions:
        """Return the channels by number, what follows from a stroke in metres, and the optimiser.

        Raises ConfigError for zooms whose strokes would not be of one size.
        """
        if config.output.zooms == "styled" and config.style.scaling == "level":
            expected = "style.scaling: fixed, whose strokes are of one size in pixels at every level"
            raise ConfigError("output.zooms styled", expected=expected, got="style.scaling: level")
        optimizer = {"schedule.optimizer": config.optimizer}
        return {**settle_stroke(config, rendering.scene.grid), **optimizer, **rendering.settled()}

    def styles(self, config: RunConfig) -> tuple[Style, ...]:
        """Return the style pictures, scaled. Raises StyleError."""
        styles, size = config.style, config.style.size
        by_class = [read_styles(region.shares, size) for region in styles.regions]
        return (*read_styles(styles.shares, size), *(style for each in by_class for style in each))

    def job(self, config: RunConfig, inputs: Inputs, device: Device, budget: float) -> OptimisedJob:
        """Return the job with its tiles cut, and with the kind of statistics decided.

        Raises ConfigError for a picture that the descent cannot start from, or a map that it cannot agree with.
        """
        if config.style.learned is not None and config.schedule.init != "learned":
            log.warning("style.learned changes nothing without schedule.init: learned, which starts from its picture")
        plan = _plan(config, inputs.scene.grid.shape, device, budget)
        rules, earlier = open_rules(inputs.scene, config.style.regions), open_earlier_maps(config, inputs.rendering)
        job = OptimisedJob(config, inputs, device, budget, plan, self._first_picture(config, inputs), rules, earlier)
        statistics = _statistics(job) if config.tiling.statistics == "auto" else config.tiling.statistics
        decisions = {"tiling.tile": plan.tile, "tiling.statistics": statistics}
        job = replace(job, config=override(config, decisions))
        if job.config.tiling.statistics == "predicted" and config.tiling.tiles_at_once == "auto":
            alone = job.config.tiling.steps_per_round > 1
            at_once = 1 if alone else max(1, job.windows_with_room(len(job.plan.levels) - 1))
            job = replace(job, config=override(job.config, {"tiling.tiles_at_once": at_once}))
        return job

    def _first_picture(self, config: RunConfig, inputs: Inputs) -> LearnedStyle | StartingPicture | None:
        """Return what the descent starts from, where it is neither the scene nor noise. Raises ConfigError."""
        if isinstance(config.schedule.init, Path):
            return StartingPicture.open(config.schedule.init, inputs.scene.grid, config.scene.resampling)
        return None if self.start is None else self.start.style


def _window_budget(device: Device, budget: float) -> float:
    """Return the bytes that windows may take where they are computed."""
    return device.free_bytes / 2 if device.is_gpu else budget


def _plan(config: RunConfig, shape: tuple[int, int], device: Device, budget: float) -> Plan:
    trunk, tile = trunk_of(config), config.tiling.tile
    if tile == "auto":
        room = _window_budget(device, budget)
        room = room if device.is_gpu else estimate.left_for_windows(shape, trunk, room)
        tile = estimate.best_tile(shape, trunk, _value_bytes(config), room, config.compute.workers or 1)
    levels = config.schedule.levels
    further = max(0, zooms_of(config, shape) + 1 - levels)
    return make_plan(shape, levels=levels, tile=tile, trunk=trunk, further=further)


def _statistics(job: OptimisedJob) -> Literal["exact", "predicted"]:
    """Return the kind of statistics for ``auto``: exact where they cost no more than predicted ones."""
    if not job.traits.predicts or job.config.style.regions:
        return "exact"
    all_kept = all(job.windows_with_room(index) == len(level.tiles) for index, level in enumerate(job.plan.levels))
    return "exact" if all_kept and job.config.tiling.steps_per_round == 1 else "predicted"


def _sides(shape: tuple[int, int]) -> str:
    height, width = shape
    return f"{width} × {height}"


def _value_bytes(config: RunConfig) -> int:
    return 2 if config.compute.precision == "bfloat16" else 4
