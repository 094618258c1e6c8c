"""A finished run as pictures and a record, without a network."""

from typing import Any

import numpy as np
from rasterio.crs import CRS

from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.geo.grid import Grid
from nst_rs.objective.terms.registry import describe
from nst_rs.output.pages.report import Pictures
from nst_rs.output.provenance import settings_digest
from nst_rs.style.picture import Style
from tests.rasters import NORTH_UP, UTM

SCENE, MAP = (20, 160, 60), (220, 40, 30)
"""Colours of the scene and of the map."""


def pictures_of(shape: tuple[int, int] = (200, 300), grid: Grid | None = None) -> Pictures:
    """A scene of one colour, a map of another, and no data in the lower right corner."""
    weight = np.ones(shape, np.float32)
    weight[-shape[0] // 5 :, -shape[1] // 5 :] = 0
    scene, styled = (np.broadcast_to(np.float32(color), (*shape, 3)) for color in (SCENE, MAP))
    painting = Style.opaque(np.full((60, 90, 3), 128, np.float32))
    return Pictures(scene, styled, weight, grid or Grid(CRS.from_string(UTM), NORTH_UP, shape[1], shape[0]), [painting])


def record_of(settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record of a run of two levels."""
    config = override(
        RunConfig(),
        {
            "scene.paths": ("/data/scene.tif",),
            "style.images": {"/art/the painting.jpg": 1},
            "schedule.levels": 2,
            "output.path": "/maps/map.tif",
            **(settings or {}),
        },
    )
    content, style = config.objective.content_layers, config.objective.style_layers
    losses = {
        "total": [3.0, 2.0, 1.5, 1.25],
        "content": {name: [0.0, 1e4, 2e4, 2.5e4] for name in content},
        "style": {name: [1e6, 5e5, 2e5, 1e5] for name in style},
    }
    weights = {"content": config.level_alphas[-1], "style": config.objective.beta}
    terms = [
        {**describe(name), "share": [weight * value for value in (0.0, 0.5, 0.25, 0.125)]}
        for name, weight in weights.items()
    ]
    level = {
        "factor": 2,
        "shape": [100, 150],
        "tiles": 1,
        "window": [100, 150],
        "iterations": 4,
        "losses": losses,
        "terms": terms,
    }
    return {
        "record": 1,
        "configuration": config.model_dump(mode="json"),
        "finished": "2026-03-01T12:30:00+00:00",
        "settings_sha256": settings_digest(config),
        "versions": {"python": "3.11.2", "nst-rs": "0.1.0"},
        "device": "/CPU:0",
        "inputs": [
            {"path": "/data/scene.tif", "bytes": 10, "sha256": "ab" * 32},
            {"path": "/art/the painting.jpg", "bytes": 10, "sha256": "cd" * 32},
        ],
        "scene": {"acquired": None, "valid_share": 0.96, "shape": [200, 300]},
        "levels": [level, {**level, "factor": 1, "shape": [200, 300], "tiles": 4}],
        "seconds": {"compose": 0.25, "level 1": 12.0, "level 2": 75.0, "publish": 0.5},
        "peak_memory_bytes": 1_500_000_000,
        "figures": {
            "legibility": {"1": 0.83, "2": 0.85, "4": None},
            "seams": {"lines": 2, "result": 1.02, "standard_error": 0.03, "content": 1.01},
            "frame": {"result": 1.1, "content": 1.0},
            "calm": {"result": 0.4, "content": 0.1},
            "speckle": {"result": 2.5, "content": 0.4, "style": 3.1},
            "color_speckle": {"result": 1.5, "content": 0.2, "style": 3.0},
        },
    }
