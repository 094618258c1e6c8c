"""One part of a scene in all learned styles and, for every painting, in all presets: a sheet to choose from by looking.

Learned styles are shown as they come out. Optimised maps are cut short, and the sheet says so. The part is stretched as
the whole scene is, and learned styles are normalised by the whole scene, so that colours are those of the whole map.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.arrays import Rgb
from nst_rs.composite.channels import Three
from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.contrast import most_contrast
from nst_rs.composite.rendering import open_rendering
from nst_rs.composite.stretch import Limits
from nst_rs.config.loading import PRESETS, override, with_preset
from nst_rs.config.named_styles import named_styles
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, StyleError
from nst_rs.files.locations import is_path
from nst_rs.files.storage import DiskStorage, PixelArray
from nst_rs.learned.style_file import is_learned, read_learned
from nst_rs.neural.device import choose_device
from nst_rs.output.pictures.sheet import Cell, check_sheet, write_sheet
from nst_rs.runs import progress
from nst_rs.runs.optimised.learned_start import learned_start
from nst_rs.runs.painted.job import learned_style_of
from nst_rs.runs.painted.scene_statistics import measured
from nst_rs.runs.prepare import prepare, settled_by_scene
from nst_rs.runs.session import run

log = logging.getLogger(__name__)

SIDE = 256
"""Pixels along the side of the part that is shown, where no area is named."""
_SHARES = (0.05, 0.15, 0.4)
"""The share of their iterations that optimised maps are given at the finest level, the next coarser one and all others:
the coarse ones cost little, and choose palette and large strokes."""
_SHARE_FROM_LEARNED = 0.25
"""The share of their iterations that maps are given which start from a learned picture: few are planned."""
_STEPS_BY_STROKE = 6
"""Iterations of every level where `style.stroke` decides how many levels there are."""
_NODATA = 200
"""The grey that nodata has on the sheet."""
_FOOT = (
    "Learned styles are shown as they come out. Optimised maps (a preset and a painting) are cut short here: the "
    "command below each makes the whole map with all iterations, whose strokes are clearer and whose colours are purer."
)
_NO_PAINTING = "Learned styles alone: presets need a painting, which --style IMAGE names."

Command = Callable[[str, str | None], str]
"""Returns the command line that makes the whole map, of a style's name or path and of a preset."""
Listening = Callable[[str], AbstractContextManager[progress.Listener]]
"""Shows the progress of one picture, of which it is given the title."""


@dataclass(frozen=True)
class Attempt:
    """A picture of the sheet before it is made."""

    title: str
    words: str
    config: RunConfig


def try_styles(config: RunConfig, output: Path, command: Command, listening: Listening) -> None:
    """Write the sheet of a configuration's scene. Raises NstError.

    Its area is shown or, where it names none, the part of the scene with the most contrast. `config.style.images` are
    paintings, and learned styles to show besides those that have a name.
    """
    named = [Path(path) for path in config.scene.paths if is_path(path)]
    check_sheet(output, [*config.style.images, *named])
    with tempfile.TemporaryDirectory(prefix=".trial.", dir=output.parent) as folder:
        scene = _Scene(config, Path(folder))
        cells = [Cell(scene.picture, "the scene", scene.where)]
        for number, attempt in enumerate(attempts(config, command)):
            settings = {**scene.settings(attempt.config), "output.path": Path(folder) / f"{number}.tif"}
            with listening(attempt.title) as listener:
                result = run(prepare(override(attempt.config, settings)), listener)
            cells.append(Cell(_on_grey(result.read()), attempt.title, attempt.words))
        write_sheet(output, cells, _FOOT if _paintings(config) else _NO_PAINTING)


def attempts(config: RunConfig, command: Command) -> Iterator[Attempt]:
    """Return the pictures to make: learned styles by name, those that are named by path, then paintings by preset."""
    learned = {name: style.path for name, style in named_styles().items()}
    others = {str(path): path for path in config.style.images if is_learned(path) and path not in learned.values()}
    for name, path in (learned | others).items():
        try:
            read_learned(path)
        except StyleError as error:
            log.warning("the sheet goes without %s: %s", name, error)
            continue
        yield Attempt(path.stem, command(name, None), override(config, {"style.images": {path: 1}}))
    for painting in _paintings(config):
        for preset in PRESETS:
            whole = override(with_preset(config, preset), {"style.images": {painting: 1}})
            if not _can_start(whole):
                continue
            chosen, share = _cut_short(whole)
            words = f"{command(str(painting), preset)}\n{share}"
            yield Attempt(f"{preset}, {painting.stem}", words, chosen)


def _paintings(config: RunConfig) -> list[Path]:
    return [path for path in config.style.images if not is_learned(path)]


def _can_start(config: RunConfig) -> bool:
    """Return whether there is a learned style where the descent is to start from one."""
    try:
        learned_start(config)
    except (ConfigError, StyleError) as error:
        log.info("the sheet goes without a map from a learned picture: %s", error)
        return False
    return True


def _cut_short(config: RunConfig) -> tuple[RunConfig, str]:
    """Return `config` with fewer iterations, and in words how many they are."""
    planned = config.schedule.level_iterations
    depths = reversed(range(len(planned)))
    shares = (_SHARES[min(depth, len(_SHARES) - 1)] for depth in depths)
    fewer = tuple(max(1, round(share * iterations)) for share, iterations in zip(shares, planned, strict=True))
    if config.style.stroke is not None:
        words = f"cut short: {_STEPS_BY_STROKE} iterations a level"
        return override(config, {"schedule.iterations": _STEPS_BY_STROKE}), words
    if config.schedule.init == "learned":
        fewer = tuple(max(1, round(_SHARE_FROM_LEARNED * iterations)) for iterations in planned)
    words = f"cut short: {sum(fewer)} of {sum(planned)} iterations"
    return override(config, {"schedule.iterations": fewer}), words


@dataclass(frozen=True)
class _Composite:
    """The whole scene as RGB."""

    image: PixelArray
    weight: PixelArray
    limits: tuple[Limits, Limits, Limits]


class _Scene:
    """The scene that is tried, and the part of it that is shown."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._whole = config
        self._folder = folder
        self._storage = DiskStorage(folder)
        self._composites: dict[Three, _Composite] = {}
        composite = self._composite(config)
        if config.scene.area is None:
            self._rows, self._columns = most_contrast(composite.image, composite.weight, SIDE)
        else:
            self._rows, self._columns = (slice(0, size) for size in composite.weight.shape)
        part = self._rows, self._columns
        missing = np.repeat(composite.weight[part][..., np.newaxis] == 0, 3, axis=-1)
        self.picture = _on_grey(np.ma.MaskedArray(np.rint(composite.image[part]), missing))

    @property
    def where(self) -> str:
        """The part that is shown, as ``scene.area`` takes it."""
        if self._whole.scene.area is not None:
            return "the area that scene.area names"
        return f'--set "scene.area={{rows: {self._ends[0]}, columns: {self._ends[1]}}}"'

    def settings(self, config: RunConfig) -> Mapping[str, Any]:
        """Return what has a run show the part alone, as it is in the map of the whole scene."""
        if config.scene.area is not None:
            return {}
        chosen = {"scene.area": {"rows": self._ends[0], "columns": self._ends[1]}, **self._statistics(config)}
        settled = settled_by_scene(config)
        if settled.composite.limits is None:
            limits = self._composite(settled).limits
            chosen["composite.limits"] = tuple((each.low, each.high) for each in limits)
        return chosen

    @property
    def _ends(self) -> tuple[list[int], list[int]]:
        return [self._rows.start, self._rows.stop], [self._columns.start, self._columns.stop]

    def _statistics(self, config: RunConfig) -> Mapping[str, Any]:
        """Return where the whole scene's statistics are for a learned style that is normalised by them."""
        path = learned_style_of(config)
        if path is None or config.style.statistics is not None:
            return {}
        style, composite = read_learned(path), self._composite(settled_by_scene(config))
        if not style.facts.normalised:
            return {}
        device = choose_device(config.compute.device).name
        record = self._folder / f"{style.sha256[:16]}.json"
        statistics = measured(style, composite.image, composite.weight, device)
        record.write_text(json.dumps({"statistics": statistics}), encoding="utf-8")
        return {"style.statistics": record}

    def _composite(self, config: RunConfig) -> _Composite:
        """Map the whole scene to RGB, once for the same bands."""
        rendering = open_rendering(config)
        if rendering.channels not in self._composites:  # a learned style may have been learned on others
            shape, number = rendering.scene.grid.shape, len(self._composites)
            image = self._storage.create(f"image-{number}", (*shape, 3), np.float32)
            weight = self._storage.create(f"weight-{number}", shape, np.float32)
            composed = compose(rendering.scene, rendering.channels, rendering.stretch, Sheets(image, weight))
            self._composites[rendering.channels] = _Composite(image, weight, composed.limits)
        return self._composites[rendering.channels]


def _on_grey(picture: "np.ma.MaskedArray[Any, Any]") -> Rgb:
    """Return a picture, (H, W, 3), with grey where there is no data."""
    return picture.filled(_NODATA).astype(np.uint8)
