"""Small pictures of a map on the way, where ``output.every`` asks for them, kept in the run's workspace.

They are taken of what a level has come to, and change nothing in it. A run that goes on has those from before it was
killed.
"""

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from PIL import Image

from nst_rs.files.storage import PixelArray
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.pictures.preview import as_webp, preview
from nst_rs.runs.compose import ComposedScene
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.style.color import to_show

log = logging.getLogger(__name__)

SIDE = 384
"""Pixels of a picture's longer side, at most."""
MOST = 24
"""Pictures of a run, at most."""


class Album:
    """The pictures of one run."""

    def __init__(
        self, job: OptimisedJob, run: Mapping[str, Any], scene: ComposedScene, show: Callable[[SmallPicture], None]
    ) -> None:
        """Go on with the pictures that `run` has in the workspace of `job`; `show` is called with every new one."""
        self._job, self._run, self._scene, self._show = job, run, scene, show
        self._wanted = job.config.output.every is not None
        self._apart = spacing(job.config.output.every, job.config.schedule.level_iterations)
        self._taken = self._read() if self._wanted else {}

    @property
    def pictures(self) -> tuple[SmallPicture, ...]:
        """All of them, in the order of the run."""
        return tuple(picture for _, picture in sorted(self._taken.items()))

    def is_due(self, done: int) -> bool:
        """Whether a picture is to be taken after the round that ends with `done` iterations of a level."""
        steps = self._job.config.tiling.steps_per_round
        return self._apart is not None and done // self._apart > (done - steps) // self._apart

    def take(self, level: int, iteration: int, loss: float | None, picture: PixelArray, weight: PixelArray) -> None:
        """Take a picture of `level`, from 1, where pictures are asked for.

        `picture`, (H, W, 3) in [0, 255], is the level's, and `weight`, (H, W), is 0 where there is no data. It is read
        strip by strip. Where that fails a warning says so: no picture on the way is worth a map.
        """
        if not self._wanted:
            return
        try:
            small = self._in_colors(preview(picture, weight, SIDE))
            taken = SmallPicture(level, iteration, loss, as_webp(small))
            self._taken[level, iteration] = taken
            self._write()
        except Exception as error:  # noqa: BLE001
            log.warning(
                "the picture of level %d, iteration %d, failed: %s: %s", level, iteration, type(error).__name__, error
            )
            return
        self._show(taken)

    def _in_colors(self, small: Image.Image) -> Image.Image:
        """Return a picture, RGBA, in the map's colours, which may be the scene's."""
        scene = self._small_scene.resize(small.size, Image.Resampling.BOX)
        pixels, content = (np.asarray(image.convert("RGB"), np.float32) for image in (small, scene))
        shown = Image.fromarray(np.rint(to_show(self._job.config.style.color, pixels, content)).astype(np.uint8))
        shown.putalpha(small.getchannel("A"))
        return shown

    @cached_property
    def _small_scene(self) -> Image.Image:
        return preview(self._scene.image, self._scene.weight, SIDE)

    def _read(self) -> dict[tuple[int, int], SmallPicture]:
        kept = self._job.workspace.read_album() or {}
        try:
            if kept["run"] != self._run:
                return {}
            pictures = [
                SmallPicture(**{**entry, "webp": base64.b64decode(entry["webp"])}) for entry in kept["pictures"]
            ]
        except (KeyError, TypeError, ValueError):  # another version's
            return {}
        return {(picture.level, picture.iteration): picture for picture in pictures}

    def _write(self) -> None:
        pictures = [
            {
                "level": picture.level,
                "iteration": picture.iteration,
                "loss": picture.loss,
                "webp": base64.b64encode(picture.webp).decode(),
            }
            for picture in self.pictures
        ]
        self._job.workspace.write_album({"run": self._run, "pictures": pictures})


def spacing(every: int | Literal["level"] | None, iterations: Sequence[int]) -> int | None:
    """Return how many iterations of a level lie between two pictures; None where there are none on a level's way.

    It is `every`, or as many times that as leave room for all pictures of levels of so many `iterations`, of which
    each has one at its end.

    >>> spacing(10, [100, 60, 30]), spacing(1, [100, 60, 30]), spacing("level", [100, 60, 30])
    (10, 9, None)
    """
    if every is None or every == "level":
        return None
    apart = every
    while sum(-(-planned // apart) for planned in iterations) > MOST:
        apart += every
    return apart
