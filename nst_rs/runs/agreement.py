"""Where, and how firmly, a picture is held to earlier maps: found once, on the finest level, and halved to the others.

A map holds where it has data, up to where it ends, and the less the more the scene has changed since. Its strokes run
on over a few pixels beyond, and on the levels below the finest its colours do, for further ones; both fall to nothing.
What has changed is the difference of the two composites under this run's stretch or, where the earlier one is not to be
had, what the map itself tells.
"""

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.arrays import Mask, Pixels
from nst_rs.composite.beyond import STROKES_REACH, strokes
from nst_rs.composite.change import REACH, Likeness, soft_edge, unchanged
from nst_rs.composite.light import Light
from nst_rs.composite.starting_picture import StartingPicture
from nst_rs.config.loading import Decisions
from nst_rs.config.sections import Color
from nst_rs.errors import ConfigError, NstError, SceneError
from nst_rs.files.storage import DiskStorage, PixelArray, Storage, strips, widened
from nst_rs.output.figures.agreement import AROUND, Read, measure_change, measure_seams
from nst_rs.output.rasters.geotiff import StyledMap, write_geotiff
from nst_rs.pyramid.canvas import Canvas
from nst_rs.runs.compose import ComposedScene
from nst_rs.runs.earlier_maps import SETTING, EarlierMap
from nst_rs.runs.held import FIRM, Held, HeldLevels, empty_beyond, fill_coarser
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.style.color import to_optimise

log = logging.getLogger(__name__)

_LEAST_SHARE = 1e-3
"""What a map counts at its very end, and the square of it beyond. Where it is alone there, it counts altogether."""
_STRIP_ROWS = 256
_MOST_STRIPS = 8
"""Strips that two dates' light is found by."""


@dataclass
class _Counts:
    """Sums over the scene's valid pixels."""

    covered: list[int]
    """By each map, in order."""
    valid: int = 0
    firm: int = 0
    """Pixels of unchanged ground."""
    change: float = 0.0
    """Σ of the squared difference of the composites over unchanged ground, as a mean over the channels."""
    compared: int = 0
    """Pixels of unchanged ground whose composites were compared."""


def compose_held(job: OptimisedJob, scene: ComposedScene, canvases: Sequence[Canvas], storage: Storage) -> HeldLevels:
    """Find where the maps to agree with hold the picture, on every level, in `storage`.

    `canvases` are the levels', from coarse to fine. Raises ConfigError where a map has no pixel of the scene.
    """
    levels = [Held.empty(canvas.level, storage) for canvas in canvases]
    beyond = empty_beyond(levels[-1].level, storage)
    counts = _Counts([0] * len(job.earlier))
    with ExitStack() as stack:
        layers = [stack.enter_context(_layer(job, scene, each)) for each in job.earlier]
        _fill(job, scene, layers, levels[-1], beyond, counts)
    job.inputs.check_unchanged()  # else the fingerprints in the record may be of other maps
    _check_covered(job, counts.covered)
    if not counts.firm:
        log.warning("%s: none of the ground is as it was: the map hardly keeps what the earlier ones show", SETTING)
    fill_coarser(levels, canvases, beyond, storage)
    return HeldLevels(tuple(levels), _facts(layers, counts))


def _check_covered(job: OptimisedJob, covered: Sequence[int]) -> None:
    """Raise ConfigError where a map has no pixel of the scene. A workspace with nothing to go on from is removed."""
    for each, pixels in zip(job.earlier, covered, strict=True):
        if not pixels:
            if not job.workspace.checkpoint.exists():
                job.workspace.remove()
            raise ConfigError(f"{SETTING} {each.path}", expected="a map with data where the scene has some", got="none")


@dataclass(frozen=True)
class _Before:
    """An earlier composite under this run's stretch, on this run's grid, in this scene's light."""

    composite: StartingPicture
    light: Light

    def read(self, rows: slice) -> tuple[Pixels, Mask]:
        """Return the rows, (h, W, 3), and where they hold data, (h, W)."""
        then, known = self.composite.read(rows)
        return self.light.of_now(then), known


@dataclass(frozen=True)
class _Layer:
    """An earlier map, with the composite that it was made from."""

    map: EarlierMap
    before: "_Before | Likeness"
    """The earlier composite, or what the map alone tells."""
    reason: str
    """Why there is no earlier composite."""

    def read(self, rows: slice, now: Pixels, valid: Mask) -> "_Strip":
        """Return a strip of it; `now` is this run's composite and `valid` where it has data, in the same rows."""
        pixels, data = self.map.picture.read(rows)
        covered = data & valid
        beyond = valid & ~covered
        share = np.where(covered, np.maximum(soft_edge(beyond), _LEAST_SHARE), np.float32(0))
        if isinstance(self.before, Likeness):
            same, squares = self.before.unchanged(now, pixels, covered), None
        else:
            then, known = self.before.read(rows)
            same = unchanged(now, then, known & covered, self.before.light.bounds)
            squares = ((now - then) ** 2).mean(axis=-1)
        hold = same * soft_edge(covered * (1 - same))
        further, falling = strokes(pixels, hold)
        return _Strip(
            np.where(beyond[..., np.newaxis], further, pixels),
            covered,
            np.where(beyond & (falling > 0), np.float32(_LEAST_SHARE**2), share),
            np.where(beyond, falling, hold),
            squares,
        )


@dataclass(frozen=True)
class _Strip:
    pixels: Pixels  # (h, W, 3)
    covered: Mask  # (h, W)
    share: Pixels  # (h, W), in [0, 1]: how far it covers the maps that come after it
    hold: Pixels  # (h, W), in [0, 1]: how firmly it holds, which is less where the scene has changed
    squares: Pixels | None  # (h, W): squared difference of the composites, a mean over the channels

    def inside(self, rows: slice) -> "_Strip":
        squares = None if self.squares is None else self.squares[rows]
        return _Strip(self.pixels[rows], self.covered[rows], self.share[rows], self.hold[rows], squares)


@contextmanager
def _layer(job: OptimisedJob, scene: ComposedScene, earlier: EarlierMap) -> Iterator[_Layer]:
    """Compose the scene of an earlier map anew, in the workspace, while the context lasts."""
    job.workspace.create()
    with tempfile.TemporaryDirectory(dir=job.workspace.folder) as folder:
        try:
            before, reason = _compose(earlier, _stretch(job, scene), job, Path(folder)), ""
        except NstError as error:
            before, reason = None, str(error)
            log.warning("%s: what has changed since is taken from the map alone: %s", earlier.path, reason)
        if before is None:
            yield _Layer(earlier, Likeness.of(partial(_pairs, scene, earlier)), reason)
        else:
            yield _Layer(earlier, _Before(before, Light.of(partial(_dates, scene, before))), reason)


def _pairs(scene: ComposedScene, earlier: EarlierMap) -> Iterator[tuple[Pixels, Pixels, Mask, slice]]:
    """Yield strips of the composite and of a map, with where both have data and the rows that count."""
    for _, outer, inner in _strips(scene.weight.shape[0]):
        pixels, data = earlier.picture.read(outer)
        yield scene.image[outer], pixels, data & (scene.weight[outer] > 0), inner


def _dates(scene: ComposedScene, before: StartingPicture) -> Iterator[tuple[Pixels, Pixels, Mask]]:
    """Yield strips of two composites, spread over the scene, with where both have data."""
    rows = list(strips(scene.weight.shape[0], _STRIP_ROWS))
    for each in rows[:: -(-len(rows) // _MOST_STRIPS)]:
        then, known = before.read(each)
        yield scene.image[each], then, known & (scene.weight[each] > 0)


def _strips(height: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield strips of rows, the rows that they depend on, and the strip's own rows among these."""
    for rows in strips(height, _STRIP_ROWS):
        yield rows, *widened(rows, REACH + STROKES_REACH, height)


def _compose(earlier: EarlierMap, stretch: Decisions, job: OptimisedJob, folder: Path) -> StartingPicture:
    """Write the earlier composite, under this run's stretch, to `folder`, and open it on this run's grid.

    Raises NstError where it is not to be had.
    """
    if earlier.run is None:
        raise SceneError(earlier.reason)
    image, weight, grid = earlier.run.compose(DiskStorage(folder), stretch)
    path = folder / "before.tif"
    write_geotiff(path, StyledMap(image, weight, grid))
    return StartingPicture.open(path, job.inputs.scene.grid, job.config.scene.resampling, SETTING)


def _stretch(job: OptimisedJob, scene: ComposedScene) -> Decisions:
    """Return the settings by which this run's channels became RGB."""
    composite = job.config.composite
    limits = tuple((each.low, each.high) for each in scene.composite.limits)
    return {
        "composite.limits": limits,
        "composite.gamma": composite.gamma,
        "composite.sigmoid": composite.sigmoid,
        "output.bands": None,
    }


def _fill(
    job: OptimisedJob,
    scene: ComposedScene,
    layers: Sequence[_Layer],
    finest: Held,
    beyond: PixelArray,
    counts: _Counts,
) -> None:
    """Write the finest level's arrays strip by strip, the first map on top, and where no map is, (h, w, 1)."""
    earlier, hold = finest.in_scene
    for rows, outer, inner in _strips(scene.weight.shape[0]):
        now, valid = scene.image[outer], scene.weight[outer] > 0
        parts = [layer.read(outer, now, valid).inside(inner) for layer in layers]
        earlier[rows], hold[rows] = _laid(parts, job, counts, valid[inner])
        beyond[rows] = ~np.any([part.covered for part in parts], axis=0)[..., np.newaxis]


def _laid(parts: Sequence[_Strip], job: OptimisedJob, counts: _Counts, valid: Mask) -> tuple[Pixels, Pixels]:
    """Return a strip of the maps, one over the other, and of their hold; count what there is."""
    pixels = np.zeros((*valid.shape, 3), np.float32)
    hold, squares, known = (np.zeros(valid.shape, np.float32) for _ in range(3))
    for number, (part, counted) in enumerate(zip(parts, _counted(parts), strict=True)):
        pixels += counted[..., np.newaxis] * to_optimise(job.config.style.color, part.pixels)
        hold += counted * part.hold
        if part.squares is not None:
            squares += counted * part.squares
            known += counted
        counts.covered[number] += int(np.count_nonzero(part.covered))
    firm = hold >= FIRM
    counts.valid += int(np.count_nonzero(valid))
    counts.firm += int(np.count_nonzero(firm))
    counts.compared += int(np.count_nonzero(firm & (known >= FIRM)))
    counts.change += float(squares[firm & (known >= FIRM)].sum(dtype=np.float64))
    return pixels, hold


def _counted(parts: Sequence[_Strip]) -> list[Pixels]:
    """Return what each of some maps, the first on top, counts of every pixel that any covers: 1 for all together."""
    seen: list[Pixels] = []
    left: Pixels | np.float32 = np.float32(1)
    for part in parts:
        seen.append(left * part.share)
        left = left * (1 - part.share)
    whole: Pixels = np.sum(seen, axis=0, dtype=np.float32)
    divisor = np.where(whole > 0, whole, np.float32(1))
    return [(each / divisor).astype(np.float32) for each in seen]


def _facts(layers: Sequence[_Layer], counts: _Counts) -> dict[str, Any]:
    maps = [
        {
            "path": str(layer.map.path),
            "covers": covered / counts.valid,
            "compared": "the map alone" if isinstance(layer.before, Likeness) else "composites",
            **({"reason": layer.reason} if isinstance(layer.before, Likeness) else _told(layer.before.light)),
        }
        for layer, covered in zip(layers, counts.covered, strict=True)
    ]
    change = (counts.change / counts.compared) ** 0.5 if counts.compared else None
    return {"maps": maps, "unchanged": counts.firm / counts.valid, "scene_change": change}


def _told(light: Light) -> dict[str, Any]:
    """Return the lines that lead from the earlier date's values to this one's, ready for JSON."""
    gain, offset = ([round(float(each), 4) for each in values] for values in (light.gain, light.offset))
    return {"light": {"gain": gain, "offset": offset, "usual_difference": light.usual}}


def measure_agreement(job: OptimisedJob, scene: ComposedScene, held: HeldLevels, result: PixelArray) -> dict[str, Any]:
    """Return the figures of a finished picture, (H, W, 3) in the colours that were optimised, ready for JSON."""
    change = measure_change(result, *held.levels[-1].in_scene, FIRM)
    seams = _seams(job.earlier, scene.weight, result, job.config.style.color)
    return {"map_change": change, "scene_change": held.facts["scene_change"], "seams": seams}


def measure_overlap(maps: Sequence[EarlierMap], scene: ComposedScene, result: PixelArray) -> dict[str, Any]:
    """Return the figures of a learned style's map, (H, W, 3), which is compared wherever an earlier one has data."""
    sums, count = 0.0, 0
    for rows in strips(scene.weight.shape[0], _STRIP_ROWS):
        left = scene.weight[rows] > 0
        for each in maps:
            pixels, data = each.picture.read(rows)
            change = (np.rint(result[rows]) - pixels)[data & left]
            sums += float((change.astype(np.float64) ** 2).sum())
            count += change.size
            left &= ~data
    change = math.sqrt(sums / count) if count else None
    return {"map_change": change, "scene_change": None, "seams": _seams(maps, scene.weight, result, "style")}


def _seams(maps: Sequence[EarlierMap], weight: PixelArray, result: PixelArray, color: Color) -> list[dict[str, Any]]:
    """Return the seam ratios with every earlier map, measured on the scene's grid and a little around it."""
    height, width = weight.shape
    there = -AROUND, -AROUND, height + AROUND, width + AROUND

    def read_this(rows: slice) -> tuple[Pixels, Mask]:
        start, stop = (min(max(row - AROUND, 0), height) for row in (rows.start, rows.stop))
        top = min(max(AROUND - rows.start, 0), rows.stop - rows.start)
        pad = (top, rows.stop - rows.start - top - (stop - start)), (AROUND, AROUND)
        return np.pad(result[start:stop], (*pad, (0, 0))), np.pad(weight[start:stop] > 0, pad)

    def reading(picture: StartingPicture) -> Read:
        around = replace(picture, scene=picture.scene.cut(there))

        def read(rows: slice) -> tuple[Pixels, Mask]:
            pixels, data = around.read(rows)
            return to_optimise(color, pixels), data

        return read

    rows = height + 2 * AROUND
    return [{"map": each.path.name, **measure_seams(read_this, reading(each.picture), rows)} for each in maps]
