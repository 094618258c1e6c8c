"""One run as data: frozen sections, unknown keys refused, one file per run.

The sections are in three modules, and all that others need of them is found here: :mod:`nst_rs.config.scene` has what
is read and written, :mod:`nst_rs.config.picture` what is made of it, :mod:`nst_rs.config.machine` what computes it.
"""

from pathlib import Path
from typing import Literal

from pydantic import ValidationInfo, field_validator

from nst_rs.config.base import Section
from nst_rs.config.machine import ELSEWHERE, ComputeSection, TilingSection
from nst_rs.config.picture import (
    LARGEST_STYLE,
    MOST_LEVELS,
    NAMED_WEIGHTS,
    SMALLEST_STYLE,
    Color,
    LearnSection,
    ModelSection,
    ObjectiveSection,
    ScheduleSection,
    StyleSection,
)
from nst_rs.config.scene import Archive, CompositeSection, OutputSection, PrintedPage, Profile, SceneSection
from nst_rs.vgg16 import Trunk

__all__ = [
    "ELSEWHERE",
    "LARGEST_STYLE",
    "MOST_LEVELS",
    "NAMED_WEIGHTS",
    "SMALLEST_STYLE",
    "Archive",
    "Color",
    "CompositeSection",
    "OutputSection",
    "PrintedPage",
    "Profile",
    "RunConfig",
    "SceneSection",
    "sections",
    "setting_names",
    "trunk_of",
]


class RunConfig(Section):
    """The configuration of one run."""

    scene: SceneSection = SceneSection()
    composite: CompositeSection = CompositeSection()
    style: StyleSection = StyleSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    schedule: ScheduleSection = ScheduleSection()
    tiling: TilingSection = TilingSection()
    compute: ComputeSection = ComputeSection()
    learn: LearnSection = LearnSection()
    output: OutputSection = OutputSection()

    @property
    def level_alphas(self) -> tuple[float, ...]:
        """α at every level, from coarse to fine."""
        alpha = self.objective.alpha
        return alpha if isinstance(alpha, tuple) else (alpha,) * self.schedule.levels

    @property
    def started_from(self) -> Path | None:
        """The file that the descent starts from: a picture, or the learned style that paints one."""
        if isinstance(self.schedule.init, Path):
            return self.schedule.init
        return self.style.learned if self.schedule.init == "learned" else None

    @property
    def earlier(self) -> tuple[Path, ...]:
        """The files that the picture starts from or agrees with, which a run reads besides its scene and its styles."""
        return (*([] if self.started_from is None else [self.started_from]), *self.style.agree)

    @property
    def optimizer(self) -> Literal["bfgs", "adam"]:
        """How a step is found, with ``schedule.optimizer: auto`` decided."""
        if self.schedule.optimizer != "auto":
            return self.schedule.optimizer
        return "bfgs" if self.tiling.steps_per_round == 1 else "adam"

    @field_validator("tiling")
    @classmethod
    def _steps_of_one_tile(cls, value: TilingSection, info: ValidationInfo) -> TilingSection:
        schedule = info.data.get("schedule")
        if value.steps_per_round > 1 and schedule is not None and schedule.optimizer == "bfgs":
            raise ValueError("steps_per_round: 1 with schedule.optimizer: bfgs, whose steps are the whole scene's")
        style = info.data.get("style")
        if style is not None and style.regions and (value.statistics == "predicted" or value.steps_per_round > 1):
            raise ValueError("exact statistics, and steps_per_round: 1, with style.regions")
        return value

    @field_validator("compute")
    @classmethod
    def _exact_on_a_cluster(cls, value: ComputeSection, info: ValidationInfo) -> ComputeSection:
        tiling = info.data.get("tiling")
        if value.executor == "dask" and tiling and (tiling.statistics == "predicted" or tiling.steps_per_round > 1):
            raise ValueError("executor: dask with exact statistics only, which meet after every step")
        return value

    @field_validator("output")
    @classmethod
    def _zooms_of_one_style(cls, value: OutputSection, info: ValidationInfo) -> OutputSection:
        style = info.data.get("style")
        if value.zooms == "styled" and style is not None and style.agree:
            raise ValueError("zooms: averaged beside style.agree: an earlier map is held to at its own size alone")
        return value

    @field_validator("schedule")
    @classmethod
    def _one_per_level(cls, value: ScheduleSection, info: ValidationInfo) -> ScheduleSection:
        style, objective = info.data.get("style"), info.data.get("objective")
        if style is None or objective is None or style.stroke is not None:
            return value  # nst_rs/style/stroke.py checks once it has decided the levels
        for name, given in (("iterations", value.iterations), ("objective.alpha", objective.alpha)):
            if isinstance(given, tuple) and len(given) != value.levels:
                raise ValueError(
                    f"{name}: one number, or one for each of {value.levels} levels, not {len(given)} numbers"
                )
        return value


def sections() -> dict[str, type[Section]]:
    """Return the sections of a configuration by name."""
    return {name: type(section) for name, section in RunConfig()}


def setting_names() -> list[str]:
    """Return the names of all settings.

    >>> setting_names()[0]
    'scene.paths'
    """
    return [f"{name}.{key}" for name, section in sections().items() for key in section.model_fields]


def trunk_of(config: RunConfig) -> Trunk:
    """Return the part of VGG16 that the objective's layers need."""
    return Trunk.reaching([*config.objective.content_layers, *config.objective.style_layers])
