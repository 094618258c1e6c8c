"""The first stage of every run: the scene read once, mapped to RGB, and fingerprinted as it was read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nst_rs.composite.compose import Composite, Sheets, compose
from nst_rs.errors import OutputError, SceneError
from nst_rs.files.fingerprint import fingerprints
from nst_rs.files.storage import PixelArray, Storage
from nst_rs.runs.job import Job

Arrays = tuple[PixelArray, PixelArray]
"""The composite, (H, W, 3) RGB in [0, 255], and its weight, (H, W): 0 where there is no data."""


@dataclass(frozen=True)
class ComposedScene:
    """The scene as RGB, on the scene's own grid."""

    composite: Composite
    image: PixelArray  # (H, W, 3) RGB in [0, 255]
    weight: PixelArray  # (H, W)
    unstyled: PixelArray | None  # (H, W, 4) uint8 RGB, and 255 where the map shows the scene as it is
    fingerprints: tuple[dict[str, Any], ...]
    """The fingerprints of the scene's files and, last, the style's, as they were read."""


def compose_scene(job: Job, storage: Storage, arrays: Callable[[], Arrays]) -> ComposedScene:
    """Read the scene and map it to RGB, into `arrays`.

    `arrays` makes them in `storage`. Raises SceneError, also for a file that changed while it was read, and
    OutputError where the workspace has no room. A workspace that holds nothing to go on from is removed then.
    """
    rendering = job.inputs.rendering
    try:
        image, weight = arrays()
        unstyled = None
        if rendering.keeps_clouds:
            unstyled = storage.create("unstyled", (*rendering.scene.grid.shape, 4), np.uint8)
        composite = compose(rendering.scene, rendering.channels, rendering.stretch, Sheets(image, weight, unstyled))
        read = _fingerprints(job)
    except SceneError:
        if not job.workspace.checkpoint.exists():
            job.workspace.remove()  # there is nothing to go on from
        raise
    except OSError as error:
        raise OutputError(f"workspace {job.workspace.folder}", got=str(error)) from error
    return ComposedScene(composite, image, weight, unstyled, read)


def _fingerprints(job: Job) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(fingerprints(job.files))
    finally:
        job.inputs.check_unchanged()  # else the fingerprints may be of other pixels than those that were read
