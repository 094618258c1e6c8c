"""The maps that ``style.agree`` names: opened and checked before anything is computed, with the runs that made them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_rs.composite.channels import Three
from nst_rs.composite.rendering import Rendering, open_rendering
from nst_rs.composite.starting_picture import StartingPicture, meet
from nst_rs.config.loading import Decisions
from nst_rs.config.sections import CompositeSection, RunConfig
from nst_rs.errors import ConfigError, NstError, OutputError
from nst_rs.output.finished_run import FinishedRun
from nst_rs.output.published import is_made_here
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene

log = logging.getLogger(__name__)

SETTING = "style.agree"


@dataclass(frozen=True)
class EarlierMap:
    """A map made by this program before, which covers a part of this run's scene."""

    path: Path
    picture: StartingPicture
    """The map as it is read on this run's grid."""
    run: FinishedRun | None
    """The run that made it; None where its record, or a file of its scene, is not to be had."""
    reason: str = ""
    """Why there is no run."""

    @classmethod
    def open(cls, path: Path, rendering: Rendering, resampling: str) -> "EarlierMap":
        """Open a map for a run on `rendering`. Raises ConfigError for anything else, and for a map of other bands."""
        if not is_made_here(path):
            raise ConfigError(
                f"{SETTING} {path}", expected="a map made by this program", got=_kind_of(path), do="leave it out"
            )
        picture = StartingPicture.open(path, rendering.scene.grid, resampling, SETTING)
        try:
            run = FinishedRun.of(path)
            theirs = open_rendering(run.config)
        except NstError as error:
            return cls(path, picture, None, str(error))
        _check_bands(path, rendering, theirs)
        return cls(path, picture, run)


def open_earlier_maps(config: RunConfig, rendering: Rendering) -> tuple[EarlierMap, ...]:
    """Return the maps to agree with, in order. Raises ConfigError for what is none."""
    return tuple(EarlierMap.open(path, rendering, config.scene.resampling) for path in config.style.agree)


def those_that_meet(config: RunConfig, maps: Iterable[Path]) -> list[Path]:
    """Return the maps that may cover a part of a configuration's scene. Raises NstError for a scene that is none."""
    scene = open_rendering(config).scene.grid
    return [path for path in maps if is_made_here(path) and meet(open_scene([str(path)]).grid, scene)]


def limits_to_share(config: RunConfig) -> Decisions:
    """Return the stretch of the first map to agree with that tells its own, where the configuration sets none.

    Two dates that are stretched by their own percentiles look changed where nothing has.
    """
    if config.composite.limits is not None:
        return {}
    for path in config.style.agree:
        limits = _recorded_limits(path)
        if limits is not None:
            log.info("composite.limits are those of %s", path)
            return {"composite.limits": limits}
    return {}


def _recorded_limits(path: Path) -> Any:
    try:
        record = FinishedRun.of(path).record
        return CompositeSection.model_validate({"limits": record["scene"]["limits"]}).limits
    except (OutputError, KeyError, TypeError, ValidationError):
        return None


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "a file without its tags" if path.exists() else "no such file"


def _check_bands(path: Path, ours: Rendering, theirs: Rendering) -> None:
    mine, others = (_names(each.scene, each.channels) for each in (ours, theirs))
    if any(name != other for name, other in zip(mine, others, strict=True) if name and other):
        raise ConfigError(
            f"{SETTING} {path}",
            expected=f"a map of the bands {', '.join(mine)}",
            got=f"one of {', '.join(others)}",
            do="set composite.bands to the same ones, or leave the map out",
        )


def _names(scene: Scene, channels: Three) -> list[str]:
    """Return what the channels are called in any sensor's scene; empty where a band has no name."""
    labels = (scene.labels[channel - 1] if isinstance(channel, int) else channel for channel in channels)
    return [label.lower() if isinstance(label, str) else (label.common or label.name).lower() for label in labels]


def described(maps: Iterable[EarlierMap]) -> tuple[str, ...]:
    """Return one line for each map, for people who plan a run."""
    return tuple(f"agrees with {each.path}{_unknown(each)}" for each in maps)


def _unknown(earlier: EarlierMap) -> str:
    return "" if earlier.run else f"; what has changed since is taken from the map alone: {earlier.reason}"
