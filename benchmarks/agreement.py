"""How well a map agrees with one of an earlier date, and with its neighbour's: whole runs with the whole network.

The scenes are parts of the sample scene: for two dates one part, with noise, and a reservoir on the second date; for
neighbours two parts that overlap.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.merge import merge
from rasterio.transform import Affine

import nst_rs
from benchmarks.scenes import SAMPLES, STYLE
from nst_rs.arrays import Mask
from nst_rs.runs.finish import Result

Pixels = np.ndarray[Any, np.dtype[Any]]

NOISE = 1.5
"""The standard deviation of a sensor's noise, in stored values of 255."""
SETTINGS = {"schedule.iterations": (30, 20, 15), "compute.precision": "float32"}
OVERLAP = 70
"""Columns that the two neighbours share."""
_DATES = np.s_[70:198, 190:318]
_RESERVOIR = np.s_[34:74, 30:80]
"""Its rows and columns in the part that is made on two dates."""
_WATER = 38, 34, 30
_WEST, _EAST = np.s_[100:228, 60:220], np.s_[100:228, 150:310]
_AROUND = 16
"""Pixels around the reservoir that do not count as unchanged ground: features of it reach there."""


def of_two_dates() -> dict[str, float]:
    """The change of unchanged ground from date to date: of the scene, of independent maps, of maps that agree."""
    with tempfile.TemporaryDirectory() as folder:
        return _figures_of_dates(*make_two_dates(Path(folder)))


def make_two_dates(folder: Path) -> tuple[Result, Result, Result]:
    """Return the first date's map, the second date's made alone, and made to agree with the first."""
    first, second = (folder / f"{name}.tif" for name in ("first", "second"))
    scene, transform = _sample(_DATES)
    changed = scene.copy()
    changed[:, *_RESERVOIR] = np.array(_WATER, np.uint8)[:, np.newaxis, np.newaxis]
    _write(first, _noisy(scene, 1), transform)
    _write(second, _noisy(changed, 2), transform)
    return _three(first, second, folder)


def of_neighbours() -> dict[str, float]:
    """The seam ratios along the borders of two maps that overlap, made one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        return _figures_of_neighbours(*make_neighbours(Path(folder)))


def make_neighbours(folder: Path) -> tuple[Result, Result, Result]:
    """Return the western map, the eastern one made alone, and made to agree with the western one."""
    west, east = folder / "west.tif", folder / "east.tif"
    for path, part in ((west, _WEST), (east, _EAST)):
        _write(path, *_sample(part))
    return _three(west, east, folder)


def _three(first: Path, second: Path, folder: Path) -> tuple[Result, Result, Result]:
    """Return the first scene's map, the second's under the same stretch, and the second's that agrees."""
    earlier = nst_rs.stylize(first, STYLE, folder / "earlier_map.tif", settings=SETTINGS)
    settings = {**SETTINGS, "composite.limits": earlier.record}
    alone = nst_rs.stylize(second, STYLE, folder / "alone_map.tif", settings=settings)
    settings = {**SETTINGS, "style.agree": earlier.output}
    return earlier, alone, nst_rs.stylize(second, STYLE, folder / "agreeing_map.tif", settings=settings)


def _figures_of_dates(earlier: Result, alone: Result, agreeing: Result) -> dict[str, float]:
    before, independent, held = (each.read().data.astype(float) for each in (earlier, alone, agreeing))
    same = _unchanged(before.shape[:2], _AROUND)
    changed = ~_unchanged(before.shape[:2], 0)

    def change(picture: Pixels, where: Mask) -> float:
        return float(np.sqrt(((picture - before)[where] ** 2).mean()))

    scene = agreeing.figures["agreement"]["scene_change"]
    return {
        "unchanged ground: the scene's change, of 255": scene,
        "unchanged ground: change of independent maps": change(independent, same),
        "unchanged ground: change of maps that agree": change(held, same),
        "the same over the scene's change": change(held, same) / scene,
        "maps that agree over independent ones": change(held, same) / change(independent, same),
        "changed ground: change of independent maps": change(independent, changed),
        "changed ground: change of maps that agree": change(held, changed),
    }


def _figures_of_neighbours(earlier: Result, alone: Result, agreeing: Result) -> dict[str, float]:
    first = earlier.read().data.astype(float)
    shared = first[:, -OVERLAP:]
    figures = {}
    for name, result in (("independent", alone), ("agreeing", agreeing)):
        there = result.read().data.astype(float)[:, :OVERLAP]
        figures[f"{name}: difference in the overlap, of 255"] = float(np.sqrt(((there - shared) ** 2).mean()))
    for name, seam in agreeing.figures["agreement"]["seams"][0].items():
        if name != "map":
            figures |= {f"agreeing, {name}: {key}": value for key, value in seam.items()}
    return figures


def _sample(part: tuple[slice, slice]) -> tuple[Pixels, Affine]:
    scene, transform = merge(sorted((SAMPLES / "olinda").glob("*.tif")), indexes=(3, 2, 1))
    rows, columns = part
    return scene[:, rows, columns], transform @ Affine.translation(columns.start, rows.start)


def _unchanged(shape: tuple[int, ...], around: int) -> Mask:
    same = np.ones(shape, np.bool_)
    rows, columns = _RESERVOIR
    same[rows.start - around : rows.stop + around, columns.start - around : columns.stop + around] = False
    return same


def _noisy(scene: Pixels, seed: int) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, NOISE, scene.shape)
    return np.clip(np.rint(scene + noise), 1, 255).astype(np.uint8)


def _write(path: Path, values: Pixels, transform: Affine) -> None:
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:31985", transform=transform, photometric="RGB") as target:
        target.write(values)
