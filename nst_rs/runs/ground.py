"""The ground of a run's scene, divided into classes: ``style.regions``. Raster and compute halves meet here."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.composite.channels import Channels
from nst_rs.composite.land_cover import Rule, count_classes, number_classes
from nst_rs.composite.rendering import Rendering
from nst_rs.composite.soft_classes import GroundClass, depths_of, join_small, shares_of, standing_in
from nst_rs.config.regions import Region
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, NstError
from nst_rs.files.storage import Derived, Inset, PixelArray, Storage, Window, strips
from nst_rs.objective.losses import ClassObjective, Objective
from nst_rs.objective.terms.base import PixelTerm
from nst_rs.objective.terms.content import Content
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.resample import halve_into, mirror
from nst_rs.runs.job import Job
from nst_rs.style.color import ColorMap, Colors
from nst_rs.style.picture import Style
from nst_rs.vgg16 import Trunk

log = logging.getLogger(__name__)

LEAST_POSITIONS = 16
"""Positions of the deepest style layer, at the finest level, that a class needs for statistics of its own."""
_SKETCH_ROWS, _SKETCH_STRIPS = 16, 32
"""Rows of a strip, and strips, by which a plan estimates the classes' shares."""


@dataclass(frozen=True)
class Ground:
    """A scene's classes, numbered pixel by pixel."""

    regions: tuple[Region, ...]
    """As the configuration has them."""
    classes: tuple[GroundClass, ...]
    """What was found of each of them."""
    numbers: PixelArray  # (H, W) uint8
    """The number of the class that stands for a pixel."""
    weight: PixelArray  # (H, W)
    """0 where there is no data."""

    @property
    def styled(self) -> tuple[int, ...]:
        """The numbers of the classes that are there and have a style: the order of masks and of sums."""
        return tuple(number for number, region in enumerate(self.regions) if region.is_styled and self.held(number))

    @property
    def is_styled_everywhere(self) -> bool:
        """Whether every class that is there has a style."""
        return all(region.is_styled or not self.held(number) for number, region in enumerate(self.regions))

    def held(self, number: int) -> int:
        """Return the pixels that a class stands for: none where it has joined another."""
        stands_for = standing_in(self.classes)
        return sum(each.pixels for each, target in zip(self.classes, stands_for, strict=True) if target == number)

    def share(self, number: int) -> float:
        """Return the share of the ground that a class stands for."""
        return self.held(number) / sum(each.pixels for each in self.classes)

    def shares(self, rows: slice) -> Pixels:
        """Return, (h, W, styled classes) float32, each styled class's share of the pixels of some rows."""
        return shares_of(self.numbers, self.weight, self.styled, rows)

    def colors(self, image: PixelArray, number: int) -> Colors:
        """Return the colours of the scene, (H, W, 3), where a class stands."""
        parts = (
            Colors.of(image[rows], (self.weight[rows] > 0) & (self.numbers[rows] == number))
            for rows in strips(self.weight.shape[0])
        )
        return reduce(add, parts)

    def legend(self, styles: Sequence[Style]) -> list[dict[str, Any]]:
        """Return the classes as a record holds them; `styles` are their paintings, class by class."""
        own = iter(styles)
        valid = sum(each.pixels for each in self.classes)
        return [
            {
                "name": region.name,
                "where": region.said,
                "paintings": [path.name for path in region.images],
                "legibility": region.legibility,
                "share": each.pixels / valid,
                "joined": each.joined,
                "color": _mean_color([next(own) for _ in region.images]),
            }
            for region, each in zip(self.regions, self.classes, strict=True)
        ]


def divide(job: Job, rules: Sequence[Rule], weight: PixelArray, storage: Storage, least: int) -> Ground:
    """Number the pixels of a job's scene by class, into `storage`; classes of fewer than `least` join a neighbour.

    `weight`, (H, W), is 0 where there is no data. Classes without a style need no statistics, so that one pixel is
    enough of them. What joins, and what is not there, is logged. Raises ConfigError where no class with a style stands,
    and SceneError. A workspace that holds nothing to go on from is removed then.
    """
    try:
        ground = _divided(job, rules, weight, storage, least)
        job.inputs.check_unchanged()  # else the fingerprints may be of other pixels than those that were read
    except NstError:
        if not job.workspace.checkpoint.exists():
            job.workspace.remove()
        raise
    return ground


def _divided(job: Job, rules: Sequence[Rule], weight: PixelArray, storage: Storage, least: int) -> Ground:
    regions = job.config.style.regions
    numbers = storage.create("class-numbers", weight.shape, np.uint8)
    pixels = np.zeros(len(regions), np.int64)
    for window in job.inputs.scene.blocks():
        rows = slice(window.row_off, window.row_off + window.height)
        numbers[rows] = number_classes(rules, window)
        pixels += count_classes(numbers, weight, rows, len(regions))
    enough = [least if region.is_styled else 1 for region in regions]
    classes = join_small([region.name for region in regions], [int(count) for count in pixels], enough)
    ground = Ground(regions, classes, numbers, weight)
    _tell(ground, enough)
    stands_for = standing_in(classes)
    if any(each.joined for each in classes):
        for rows in strips(weight.shape[0]):
            numbers[rows] = stands_for[numbers[rows]]
    return ground


def _tell(ground: Ground, enough: Sequence[int]) -> None:
    for each, least in zip(ground.classes, enough, strict=True):
        if each.joined is None:
            continue
        if each.pixels:
            text = "the class %s has %d pixels, too few for a style of its own, which takes %d: it joins %s"
            log.warning(text, each.name, each.pixels, least, each.joined)
        else:
            log.warning("nothing of the class %s is in the scene", each.name)
    if not ground.styled:
        standing = ", ".join(each.name for each in ground.classes if each.joined is None)
        expected = "a class with images that there is enough of in the scene"
        raise ConfigError("style.regions", expected=expected, got=f"all of it in {standing}")


def with_classes(canvases: Sequence[Canvas], ground: Ground, storage: Storage, trunk: Trunk) -> list[Canvas]:
    """Return the canvases, from coarse to fine, with the styled classes' shares and depth on each, in `storage`."""
    count = len(ground.styled)
    divided = [
        replace(
            canvas,
            classes=storage.create(f"classes-{canvas.level.factor}", (*canvas.level.canvas_shape, count), np.float32),
            depth=storage.create(f"depth-{canvas.level.factor}", canvas.level.canvas_shape, np.float32),
        )
        for canvas in canvases
    ]
    finest = scene_classes(divided[-1])
    for rows in strips(ground.weight.shape[0]):
        finest[rows] = ground.shares(rows)
    for fine, coarse in pairwise(reversed(divided)):
        halve_into(scene_classes(fine), fine.scene_weight, scene_classes(coarse), coarse.scene_weight)
    farthest = max(layer.radius for layer in trunk.layers)
    for canvas in divided:
        _measure_depth(canvas, farthest)
    return divided


def _measure_depth(canvas: Canvas, farthest: int) -> None:
    """Write how deep each of a canvas's pixels lies in its class, as far as the network sees."""
    if canvas.depth is None:
        raise ValueError("the canvas has no depth")
    depth, shares = Inset(canvas.depth, canvas.level.scene_slices), scene_classes(canvas)
    for rows in strips(depth.shape[0]):
        depth[rows] = depths_of(shares, canvas.scene_weight, rows, farthest)


def scene_classes(canvas: Canvas) -> PixelArray:
    """Return the classes' shares without the canvas's border, (h, w, classes). There must be classes."""
    if canvas.classes is None:
        raise ValueError("the ground is not divided")
    return Inset(canvas.classes, canvas.level.scene_slices)


def give_colors(canvas: Canvas, maps: Sequence[ColorMap], picture: PixelArray) -> None:
    """Give a picture, of the canvas's shape, other colours in every styled class, by the class's own of `maps`.

    What no styled class is keeps its colours, and a soft border mixes both sides'.
    """
    inside, shares = Inset(picture, canvas.level.scene_slices), scene_classes(canvas)
    for rows in strips(inside.shape[0]):
        before, share = inside[rows], shares[rows]
        changes = (share[..., place : place + 1] * (change(before) - before) for place, change in enumerate(maps))
        inside[rows] = reduce(add, changes, before)
    mirror(picture, canvas.level)


def divided(config: RunConfig, ground: Ground, parts: Sequence[Sequence[Objective]]) -> list[Objective]:
    """Return the objective of every level; `parts` are those of every styled class, level by level."""
    return [_joined(config, ground, of_level) for of_level in zip(*parts, strict=True)]


def _joined(config: RunConfig, ground: Ground, parts: Sequence[Objective]) -> Objective:
    classes = []
    for place, (number, part) in enumerate(zip(ground.styled, parts, strict=True)):
        region, share = ground.regions[number], ground.share(number)
        # A sum over a class's positions is its part of the whole already; a mean is not.
        summed = config.objective.content_normalization == "sum"
        factors = {Content.name: region.legibility / share if summed else region.legibility}
        terms = tuple(term for term in part.terms if not isinstance(term, PixelTerm))
        classes.append(ClassObjective(region.name, place, share, terms, factors))
    return Objective(parts[0].pixel_terms, tuple(classes))


@dataclass(frozen=True)
class Unstyled(Derived):
    """A picture, (H, W, 3), that shows the scene where no styled class is, softly; joined as it is read."""

    scene: PixelArray  # (H, W, 3)
    shares: PixelArray  # (H, W, styled classes)

    def __getitem__(self, window: Window) -> Pixels:
        """Return a part of it."""
        styled, scene = self.shares[window].sum(axis=-1, keepdims=True), self.scene[window]
        shown: Pixels = scene + styled * (self.under[window] - scene)
        return shown


def styles_by_class(regions: Sequence[Region], styles: Sequence[Style]) -> list[tuple[Style, ...]]:
    """Return each class's own of all classes' paintings, which stand class by class."""
    own = iter(styles)
    return [tuple(next(own) for _ in region.images) for region in regions]


def sketched(rendering: Rendering, regions: Sequence[Region], rules: Sequence[Rule]) -> Iterator[Mapping[str, str]]:
    """Yield a row for each class, for people: where it is, after what, and about how much of the ground it is.

    A few strips of rows are read, spread over the scene.
    """
    scene = rendering.scene
    bands = Channels(scene, rendering.channels).bands
    windows = list(scene.blocks(_SKETCH_ROWS))
    pixels = np.zeros(len(regions), np.int64)
    for window in windows[:: -(-len(windows) // _SKETCH_STRIPS)]:
        _, valid = scene.read(bands, window)
        pixels += np.bincount(number_classes(rules, window)[valid], minlength=len(regions))
    for region, count in zip(regions, pixels, strict=True):
        yield {
            "class": region.name,
            "where": region.said,
            "after": " + ".join(path.name for path in region.images) or "(unstyled)",
            "legibility": f"× {region.legibility:g}",
            "ground": _about(count / max(1, pixels.sum())),
        }


def _about(share: float) -> str:
    """Return a share in words.

    >>> _about(0.4), _about(0.001), _about(0.0)
    ('about 40%', 'under 1%', 'none seen')
    """
    if not share:
        return "none seen"
    return f"about {share:.0%}" if share >= 0.01 else "under 1%"


def _mean_color(styles: Sequence[Style]) -> str | None:
    """Return the mean colour of a class's paintings, ``#rrggbb``; None where there are none."""
    if not styles:
        return None
    means = [np.average(style.image.reshape(-1, 3), axis=0, weights=style.weight.ravel()) for style in styles]
    mean = np.average(means, axis=0, weights=[style.share for style in styles])
    return "#" + "".join(f"{round(float(value)):02x}" for value in mean)
