"""Whether colours bleed over the borders of land cover: with a style for each class, and with one style for all.

And what of the land's painting the sea shows: the land is painted after another one, and the mean change of the sea's
colours, ring by ring from the shore, is compared with that of the land beside the shore.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

import nst_rs
from nst_rs.composite.land_cover import number_classes, open_rules
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.output.figures.borders import NEAR, Palette, measure_borders, within
from nst_rs.scene.opening import open_scene_of
from nst_rs.style.images import read_styles

CONFIG = Path(__file__).parents[1] / "configs" / "olinda_land_cover.yaml"
OTHER = Path(__file__).parents[1] / "sample_data" / "styles" / "night_cafe.jpg"
"""Another painting for the land, of other colours."""
RINGS = (1, 2, 3, 4, 8, 12, 16, 24)
"""Pixels from the shore where one ring ends and the next begins."""


def of_classes(folder: Path | None = None) -> dict[str, float]:
    """Return the borders' figures of the sample scene: a style for each class, and all their paintings as one style.

    The maps are kept in `folder` where one is named.
    """
    if folder is None:
        with TemporaryDirectory() as temporary:
            return of_classes(Path(temporary))
    config = load_config(CONFIG)
    divided = nst_rs.stylize(config.scene.paths, None, folder / "divided.tif", config=config)
    shares = [region["share"] for region in json.loads(divided.record.read_text())["regions"]]
    images = {path: share for region, share in zip(config.style.regions, shares, strict=True) for path in region.images}
    one = override(config, {"style.regions": (), "style.images": images})
    blended = nst_rs.stylize(config.scene.paths, None, folder / "blended.tif", config=one)
    borders = {"a style for each class": divided.figures["borders"], "one style": _borders(config, blended)}
    figures = {
        f"{name}{side}: colours of the other class {where}, of 1": figures[key]
        for name, whole in borders.items()
        for side, figures in (("", whole), *((f", {each}", own) for each, own in whole["classes"].items()))
        for where, key in (("within 8 pixels", "near"), ("at 9 to 24 pixels", "inside"))
    }
    water, land = config.style.regions
    repainted = override(config, {"style.regions": (water, land.model_copy(update={"images": {OTHER: 1.0}}))})
    other = nst_rs.stylize(config.scene.paths, None, folder / "repainted.tif", config=repainted)
    return {**figures, **_bled(divided, other, _numbers(config))}


def _bled(divided: nst_rs.Result, other: nst_rs.Result, numbers: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Return what of the land's change between two maps the sea shows, ring by ring; `numbers`, (H, W), are 0 there."""
    before, after = divided.read(), other.read()
    valid = ~np.ma.getmaskarray(before).any(axis=-1)
    change = np.asarray(after, np.float32) - np.asarray(before, np.float32)
    sea, land = valid & (numbers == 0), valid & (numbers == 1)
    of_land = change[land & within(sea, NEAR)].mean(axis=0)
    figures = {}
    for nearer, farther in pairwise((0, *RINGS)):
        ring = sea & within(land, farther) & ~within(land, nearer)
        share = change[ring].mean(axis=0) @ of_land / (of_land @ of_land)
        figures[f"the land's painting in the sea at {nearer + 1} to {farther} pixels, of 1"] = float(share)
    return figures


def _numbers(config: RunConfig) -> npt.NDArray[np.uint8]:
    scene = open_scene_of(config.scene)
    whole = Window(0, 0, scene.grid.width, scene.grid.height)
    return number_classes(open_rules(scene, config.style.regions), whole)


def _borders(config: RunConfig, made: nst_rs.Result) -> Mapping[str, Any]:
    """Return the figures of a map without classes, along the borders of those that `config` has."""
    styled = made.read()
    weight = np.where(np.ma.getmaskarray(styled).any(axis=-1), np.float32(0), np.float32(1))
    palettes = {
        number: Palette.of(read_styles(region.shares, config.style.size))
        for number, region in enumerate(config.style.regions)
    }
    names = {number: region.name for number, region in enumerate(config.style.regions)}
    return measure_borders(np.asarray(styled, np.float32), _numbers(config), weight, palettes, names)
