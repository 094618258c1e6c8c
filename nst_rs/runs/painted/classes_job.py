"""A run whose ground is divided into classes, each of which a learned style of its own paints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nst_rs.composite.land_cover import Rule, open_rules
from nst_rs.composite.rendering import Rendering
from nst_rs.config.loading import Decisions
from nst_rs.config.regions import Region
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, ResourceError
from nst_rs.learned.style_file import is_learned
from nst_rs.neural.device import Device
from nst_rs.runs.estimate import Kept, Memory
from nst_rs.runs.ground import sketched
from nst_rs.runs.inputs import Inputs
from nst_rs.runs.job import Job
from nst_rs.runs.painted.job import LearnedJob, LearnedKind
from nst_rs.runs.zooms import zoom_shapes
from nst_rs.style.picture import Style


@dataclass(frozen=True)
class LearnedClassesJob(Job):
    """A run whose ground is divided, every class painted by a learned style of its own."""

    parts: tuple[LearnedJob, ...]
    """The whole scene's job in the style of every styled class, in the order of the configuration."""
    rules: tuple[Rule, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """The classes that have a style."""
        return tuple(region for region in self.config.style.regions if region.is_styled)

    @property
    def stages(self) -> tuple[str, ...]:
        """One stage per styled class, and one more for each of its zooms that have pictures of their own."""
        parts = zip(self.regions, self.parts, strict=True)
        return tuple(f"{stage} {region.name}" for region, part in parts for stage in part.stages)

    @property
    def outline(self) -> tuple[Mapping[str, str], ...]:
        """One row per styled class and zoom, as if it were all of the scene."""
        parts = zip(self.regions, self.parts, strict=True)
        return tuple({"class": region.name, **row} for region, part in parts for row in part.outline)

    @property
    def ground(self) -> tuple[Mapping[str, str], ...]:
        """One row per class of ground."""
        return tuple(sketched(self.inputs.rendering, self.config.style.regions, self.rules))

    @property
    def tiles(self) -> int:
        """The most tiles that there are to paint: all of the scene, in every style."""
        return sum(part.tiles for part in self.parts)

    @property
    def memory(self) -> Memory:
        """The memory that the run holds at its peak: one style is at work at a time."""
        largest = self._largest.memory
        return replace(largest, canvases=float(self.kept.memory_bytes))

    @property
    def kept(self) -> Kept:
        """What one style's run keeps, a picture for each further one, and the classes and their shares."""
        (first, *others), shape = self.parts, self.inputs.scene.grid.shape
        zoomed = zoom_shapes(shape, self.zooms)
        pictures = [((*each, 3), "uint8") for _ in others for each in (shape, *zoomed)]
        shares = [((*each, len(self.parts)), "float32") for each in (shape, *zoomed)]
        weights = [(each, "float32") for each in zoomed]
        return Kept((*first.kept.canvases, *pictures, (shape, "uint8"), *shares, *weights), ())

    @property
    def kept_bytes(self) -> float:
        """Nothing is kept to save time."""
        return 0.0

    @property
    def worker_bytes(self) -> float:
        """The bytes that each worker of a cluster holds at its peak."""
        return self._largest.worker_bytes

    @property
    def flops(self) -> float:
        """The most operations that there may be: all of the scene, in every style."""
        return sum(part.flops for part in self.parts)

    def measure_seconds(self) -> float:
        """Estimate the time that the run takes at most, from a few blocks in every style."""
        return sum(part.measure_seconds() for part in self.parts)

    def shortages(self, folder: Path | None) -> Iterator[ResourceError]:
        """Yield what any run is refused for, and a ``compute.memory`` that one of the styles needs more than."""
        yield from super().shortages(folder)
        yield from self._largest.too_little_memory()

    @property
    def _largest(self) -> LearnedJob:
        return max(self.parts, key=lambda part: part.memory.host)


@dataclass(frozen=True)
class LearnedClassesKind:
    """The kind of run whose classes of ground are painted by learned styles; see :class:`nst_rs.runs.job.Kind`."""

    kinds: tuple[LearnedKind, ...]
    """One for each styled class."""

    @classmethod
    def of(cls, config: RunConfig) -> "LearnedClassesKind | None":
        """Return the kind where the classes have learned styles, None where they have paintings. Raises NstError."""
        styled = [region for region in config.style.regions if region.is_styled]
        if not any(is_learned(path) for region in styled for path in region.images):
            return None
        for region in styled:
            if len(region.images) > 1 or not all(map(is_learned, region.images)):
                raise ConfigError(
                    f"style.regions {region.name}",
                    expected="one learned style, as another class has, or images for all classes",
                    got=", ".join(path.name for path in region.images),
                )
        if config.style.statistics is not None:
            expected = "no earlier run's beside style.regions: every class's style has its own"
            raise ConfigError("style.statistics", expected=expected, got=config.style.statistics.name)
        return cls(tuple(LearnedKind.read(path) for region in styled for path in region.images))

    def completed(self, config: RunConfig) -> RunConfig:
        """Return `config` with the bands that all the styles were learned on, where it names none."""
        first, *others = [kind.completed(config) for kind in self.kinds]
        if any(other.composite.bands != first.composite.bands for other in others):
            raise ConfigError(
                "style.regions",
                expected="styles that were learned on the same bands",
                got=" and ".join(", ".join(map(str, each.composite.bands or ["any"])) for each in (first, *others)),
                do="name the bands in composite.bands",
            )
        return first

    def files(self, config: RunConfig) -> tuple[str, ...]:
        """Return the files that say where classes are, and the learned styles."""
        return tuple(map(str, config.style.files))

    def decided_by(self, rendering: Rendering, config: RunConfig) -> Decisions:  # noqa: ARG002 - the scene decides
        """Return the channels by number."""
        return rendering.settled()

    def styles(self, config: RunConfig) -> tuple[Style, ...]:
        """Return the pictures that the styles carry."""
        return tuple(style for kind in self.kinds for style in kind.styles(config))

    def job(self, config: RunConfig, inputs: Inputs, device: Device, budget: float) -> LearnedClassesJob:
        """Return the job. Raises ConfigError for a class that cannot be found, or colours that cannot be shown."""
        parts = tuple(kind.job(config, inputs, device, budget) for kind in self.kinds)
        rules = open_rules(inputs.scene, config.style.regions)
        return LearnedClassesJob(config, inputs, device, budget, parts, rules)
