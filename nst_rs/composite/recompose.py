"""A finished run's scene before styling, composed anew from the run's configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.overlay import with_unstyled
from nst_rs.composite.rendering import open_rendering
from nst_rs.config.sections import RunConfig
from nst_rs.errors import SceneError
from nst_rs.files.fingerprint import fingerprint
from nst_rs.files.storage import PixelArray, Storage
from nst_rs.geo.grid import Grid


def compose_anew(config: RunConfig, storage: Storage) -> tuple[PixelArray, PixelArray, Grid]:
    """Return the composite, (H, W, 3) RGB in [0, 255], its weight, (H, W), and its grid; the arrays in `storage`."""
    rendering = open_rendering(config)
    grid = rendering.scene.grid
    image = storage.create("image", (*grid.shape, 3), np.float32)
    weight = storage.create("weight", grid.shape, np.float32)
    unstyled = storage.create("unstyled", (*grid.shape, 4), np.uint8) if rendering.keeps_clouds else None
    compose(rendering.scene, rendering.channels, rendering.stretch, Sheets(image, weight, unstyled))
    return *with_unstyled(image, weight, unstyled), grid


def check_unchanged(inputs: Iterable[Mapping[str, Any]]) -> None:
    """Raise SceneError, naming the file, where one of a record's inputs is not there, or not what it was.

    An input that does not lie on this machine has no fingerprint, and is taken to be unchanged.
    """
    for entry in inputs:
        location = str(entry["path"])
        try:
            digest = fingerprint(location)["sha256"]
        except OSError as error:
            expected = "the file that the run read"
            raise SceneError(f"scene {location}", expected=expected, got="nothing of that name") from error
        if digest != entry["sha256"]:
            raise SceneError(f"scene {location}", expected="the file that the run read", got="another of that name")
