"""The progress of a run, as one value that a terminal, a log or a scheduler can show."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nst_rs.files.text import duration
from nst_rs.objective.losses import Losses
from nst_rs.optimise.descent import Step


@dataclass(frozen=True)
class Progress:
    """The state of an optimised run, sent to the listener after every window."""

    level: int
    """The level's number, from 1, the coarsest."""
    levels: int
    step: Step
    loss: float | None
    """The objective at the last iteration that ended."""
    fraction: float
    """The share of all the pixels to compute that is done, in [0, 1]."""
    seconds_left: float | None

    @property
    def stage_fraction(self) -> float:
        """The share of the level that is done, in [0, 1]."""
        step = self.step
        return step.iteration / step.iterations if step.losses is not None else step.before / step.iterations

    @property
    def ends_iteration(self) -> bool:
        """Whether an iteration ended with this window."""
        return self.step.losses is not None

    def __str__(self) -> str:
        """Return the state in one line."""
        loss = "" if self.loss is None else f", loss {self.loss:.4g}"
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        step = self.step
        return (
            f"level {self.level}/{self.levels}, iteration {step.iteration}/{step.iterations}, "
            f"tile {step.tile + 1}/{step.tiles}{loss}{left}"
        )


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaintingProgress:
    """The state of a learned style's run, sent to the listener after every tile that is painted."""

    tiles_done: int
    tiles: int
    """Those of one picture: of the map or, after it, of one of its coarser zooms."""
    seconds_left: float | None
    """For the picture's own tiles."""
    zoom: int = 0
    """How often the picture is halved."""
    zooms: int = 0
    """How many coarser zooms are painted after the map."""

    @property
    def fraction(self) -> float:
        """The share of all pictures' pixels that are painted, in [0, 1]; the tiles of one count alike."""
        pixels = [0.25**zoom for zoom in range(self.zooms + 1)]
        return (sum(pixels[: self.zoom]) + pixels[self.zoom] * self.stage_fraction) / sum(pixels)

    @property
    def stage_fraction(self) -> float:
        """The share of the stage that is done, in [0, 1]: every picture is one stage."""
        return self.tiles_done / self.tiles

    @property
    def ends_iteration(self) -> bool:
        """Always true: every tile is an end of its own."""
        return True

    def __str__(self) -> str:
        """Return the state in one line."""
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        zoom = f"zoom 1:{2**self.zoom}, " if self.zoom else ""
        return f"{zoom}tile {self.tiles_done}/{self.tiles}{left}"


Listener = Callable[[Progress | PaintingProgress], None]

_ITERATIONS_BEFORE_AN_ESTIMATE = 3


def ignore(progress: Progress | PaintingProgress) -> None:
    """Listen to nothing."""


@dataclass
class Tracker:
    """Turns the loop's steps into progress, and keeps the losses."""

    work: Sequence[float]
    """Level → pixels to compute in one iteration times iterations."""
    listener: Listener
    history: list[list[Losses]] = field(default_factory=list)
    _begun: tuple[float, float] | None = None
    """The time and the fraction at the first window: a run may go on from anywhere."""

    def restore(self, level: int, losses: Sequence[Losses]) -> None:
        """Replace all losses of `level` (from 0) and of the levels beyond by `losses`."""
        del self.history[level:]
        self.history.append(list(losses))

    def hear(self, level: int, step: Step) -> None:
        """Tell the listener of a step of `level`; :meth:`restore` comes first."""
        losses = self.history[level]
        if step.losses is not None:
            losses.append(step.losses)
        inside = (step.before + (step.iteration - step.before) * step.windows_done / step.windows) / step.iterations
        fraction = (sum(self.work[:level]) + self.work[level] * inside) / sum(self.work)
        now = time.perf_counter()
        begun, first = self._begun = self._begun or (now, fraction)
        # The first iterations build the network's graph and say nothing of those to come.
        settled = fraction > first and (level > 0 or step.iteration > _ITERATIONS_BEFORE_AN_ESTIMATE)
        left = (now - begun) * (1 - fraction) / (fraction - first) if settled else None
        loss = losses[-1].total if losses else None
        self.listener(Progress(level + 1, len(self.work), step, loss, fraction, left))


class Stopwatch:
    """The times that the stages of a run took. They add up to the run's."""

    def __init__(self) -> None:
        """Begin without any stage."""
        self.seconds: dict[str, float] = {}
        """Stage → seconds, in the order in which stages ended."""

    def start(self, stage: str, beside: str = "") -> Callable[[], None]:
        """Start a stage; return the function that ends it.

        Where it goes on beside another one, which ends first, it has taken only what it took longer.
        """
        started = time.perf_counter()

        def end() -> None:
            elapsed = time.perf_counter() - started
            self.note(stage, max(0.0, elapsed - self.seconds.get(beside, 0.0)))

        return end

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time the work in the context; a stage that fails is not noted."""
        end = self.start(stage)
        yield
        end()

    def note(self, stage: str, seconds: float) -> None:
        """Note the time that a stage took."""
        self.seconds[stage] = round(seconds, 3)
        log.debug("%s took %.1f s", stage, seconds)
