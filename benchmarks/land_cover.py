"""Whether colours bleed over the borders of land cover: with a style for each class, and with one style for all."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rasterio.windows import Window

import nst_rs
from nst_rs.composite.land_cover import number_classes, open_rules
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.output.figures.borders import Palette, measure_borders
from nst_rs.scene.opening import open_scene_of
from nst_rs.style.images import read_styles

CONFIG = Path(__file__).parents[1] / "configs" / "olinda_land_cover.yaml"


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
    return {
        f"{name}: colours of the other class {where}, of 1": figures[key]
        for name, figures in borders.items()
        for where, key in (("within 8 pixels", "near"), ("at 9 to 24 pixels", "inside"))
    }


def _borders(config: RunConfig, made: nst_rs.Result) -> Mapping[str, Any]:
    """Return the figures of a map without classes, along the borders of those that `config` has."""
    scene, styled = open_scene_of(config.scene), made.read()
    whole = Window(0, 0, scene.grid.width, scene.grid.height)
    numbers = number_classes(open_rules(scene, config.style.regions), whole)
    weight = np.where(np.ma.getmaskarray(styled).any(axis=-1), np.float32(0), np.float32(1))
    palettes = {
        number: Palette.of(read_styles(region.shares, config.style.size))
        for number, region in enumerate(config.style.regions)
    }
    return measure_borders(np.asarray(styled, np.float32), numbers, weight, palettes)
