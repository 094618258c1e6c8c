"""The painting of a divided ground: every class by its own learned style, joined softly at the borders.

A style paints only the tiles that its class is in, and as it would paint the whole scene: so the map is exact in tiles,
and a killed run goes on with the tiles that are not painted yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.executors.base import Executor
from nst_rs.files.storage import Derived, PixelArray, Window, strips
from nst_rs.files.workspace import Workspace
from nst_rs.runs import progress
from nst_rs.runs.compose import ComposedScene
from nst_rs.runs.finish import Finished
from nst_rs.runs.ground import Ground, divide
from nst_rs.runs.painted.classes_job import LearnedClassesJob
from nst_rs.runs.painted.painting import Halved, Painting, Part, composed_on_disk, halved_scene
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.zooms import Zoom


class PaintingClasses:
    """The stages of a divided ground: one per styled class and zoom. See :class:`nst_rs.runs.session.Work`."""

    def __init__(
        self, job: LearnedClassesJob, executor: Executor, watch: Stopwatch, listener: progress.Listener
    ) -> None:
        """Prepare to paint the classes of `job` with `executor`, telling `listener` where it stands."""
        self._job = job
        self._executor = executor
        self._watch = watch
        self._listener = listener

    def compose(self) -> None:
        """Read the scene, map it to RGB and divide its ground, once."""
        _ = self._scene

    def compute(self, index: int) -> None:
        """Paint the tiles that a class is in at a zoom and that are not painted yet; none for one that has joined."""
        place, zoom = divmod(index, self._job.zooms + 1)
        if place in self._paintings:
            self._paintings[place].compute(zoom)

    def finished(self) -> Finished:
        """Return the finished picture with all that goes into the map and the record; needs all tiles to be painted."""
        scene, ground, _ = self._scene
        legend = ground.legend(self._job.inputs.styles)
        of_style = dict(zip((region.name for region in self._job.regions), self._job.parts, strict=True))
        for entry in legend:
            if entry["name"] in of_style:
                entry["learned"] = of_style[entry["name"]].style.facts.model_dump(mode="json")
        seams = next(iter(self._paintings.values())).seams
        record = {"levels": [], "regions": legend}
        taken = [painting.seconds_in_network for painting in self._paintings.values()]
        in_network = sum(seconds for seconds in taken if seconds is not None) if self._job.traits.in_process else None
        weights = [self._sheets.at(zoom)[1] for zoom in range(self._job.zooms + 1)]
        joined, *zooms = (Zoom(2**zoom, self._joined(zoom), weight) for zoom, weight in enumerate(weights))
        return Finished(
            scene,
            joined.picture,
            seams,
            (),
            record,
            ground=ground,
            zooms=tuple(zooms),
            seconds_in_network=in_network,
        )

    def _joined(self, zoom: int) -> "Joined":
        """Return the picture of a zoom, or the map at 0, with all classes in it."""
        pictures = tuple(painting.picture(zoom) for painting in self._paintings.values())
        return Joined(self._sheets.at(zoom)[0], pictures, self._shares.at(zoom)[0])

    @cached_property
    def _sheets(self) -> Halved:
        """The scene at every zoom."""
        return halved_scene(self._scene[0], self._job.workspace.arrays)

    @cached_property
    def _shares(self) -> Halved:
        """The classes' shares at every zoom."""
        scene, _, shares = self._scene
        return Halved((shares, scene.weight), self._job.workspace.arrays, ("class-shares", "class-weight"))

    @cached_property
    def _paintings(self) -> dict[int, Painting]:
        """Stage → the painting of its class, of those that are in the scene."""
        scene, ground, _ = self._scene
        names = [region.name for region in self._job.regions]
        paintings = {}
        for plane, number in enumerate(ground.styled):
            name = ground.regions[number].name
            place = names.index(name)
            part = Part(
                name, place, scene, self._sheets, partial(self._share, plane), ClassNotes(self._job.workspace, name)
            )
            arguments = self._job.parts[place], self._executor, self._watch, self._listener
            paintings[place] = Painting(*arguments, part)
        return paintings

    def _share(self, plane: int, zoom: int) -> PixelArray:
        """Return one class's share of every pixel, (h, w), at a zoom."""
        return Plane(self._shares.at(zoom)[0], plane)

    @cached_property
    def _scene(self) -> tuple[ComposedScene, Ground, PixelArray]:
        """The scene, its ground, and the styled classes' shares of every pixel, (H, W, classes)."""
        job, arrays = self._job, self._job.workspace.arrays
        with self._watch.timed("compose"):
            scene = composed_on_disk(job)
            ground = divide(job, job.rules, scene.weight, arrays, least=1)
            shape = *scene.weight.shape, len(ground.styled)
            shares = arrays.create("class-shares", shape, np.float32)
            for rows in strips(shape[0]):
                shares[rows] = ground.shares(rows)
        return scene, ground, shares


@dataclass(frozen=True)
class ClassNotes:
    """A class's part of what a run notes of itself in its workspace."""

    workspace: Workspace
    name: str

    def read_checkpoint(self) -> dict[str, Any] | None:
        """Return what the class's painting wrote last."""
        notes: dict[str, Any] | None = self._all.get(self.name)
        return notes

    def write_checkpoint(self, data: Mapping[str, Any]) -> None:
        """Replace the class's part, at once. Raises OutputError."""
        self.workspace.write_checkpoint({"run": data["run"], "classes": {**self._all, self.name: data}})

    @property
    def _all(self) -> dict[str, Any]:
        kept = self.workspace.read_checkpoint() or {}
        classes: dict[str, Any] = kept.get("classes", {})
        return classes


@dataclass(frozen=True)
class Plane(Derived):
    """One class's share of every pixel, (H, W), of those of all classes, (H, W, classes)."""

    number: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W)."""
        return self.under.shape[:2]

    def __getitem__(self, window: Window) -> Pixels:
        """Return a part of it."""
        part: Pixels = self.under[window][..., self.number]
        return part


@dataclass(frozen=True)
class Joined(Derived):
    """The classes' pictures, (H, W, 3), joined by their shares over the scene, which shows where none has a style."""

    pictures: tuple[PixelArray, ...]
    shares: PixelArray  # (H, W, classes)

    def __getitem__(self, window: Window) -> Pixels:
        """Return a part of it."""
        scene, shares = self.under[window], self.shares[window]
        joined: Pixels = scene.copy()
        for number, picture in enumerate(self.pictures):
            joined += shares[..., number : number + 1] * (picture[window] - scene)
        return joined
