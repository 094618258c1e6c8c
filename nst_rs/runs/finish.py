"""The one finish of a run: figures, the map's companions, the record, and everything moved into place."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_rs.composite.overlay import with_unstyled
from nst_rs.files.storage import PixelArray
from nst_rs.files.text import duration
from nst_rs.output import provenance
from nst_rs.output.companion import MapContents
from nst_rs.output.figures.borders import Palette, measure_borders
from nst_rs.output.figures.edges import measure
from nst_rs.output.figures.flat_areas import measure_flat_areas
from nst_rs.output.figures.wording import describe
from nst_rs.output.files import Outputs
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.publish import publish
from nst_rs.output.published import map_to_xarray, read_map, thumbnail
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.runs import record
from nst_rs.runs.compose import ComposedScene
from nst_rs.runs.cost import Meter
from nst_rs.runs.ground import Ground, styles_by_class
from nst_rs.runs.job import Job
from nst_rs.runs.progress import Stopwatch
from nst_rs.runs.zooms import Zoom, with_clouds

if TYPE_CHECKING:
    import numpy as np
    import xarray

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A finished picture, with its scene, its seams, its losses and its part of the record."""

    scene: ComposedScene
    picture: PixelArray  # (H, W, 3) RGB in [0, 255], in the colours that the map has
    seams: tuple[tuple[int, ...], tuple[int, ...]]
    """The rows and the columns at which tiles meet."""
    losses: tuple[float, ...]
    """The objective at every iteration; empty where nothing was optimised."""
    record: Mapping[str, Any]
    """The parts of the record that only this kind of run has."""
    on_the_way: tuple[SmallPicture, ...] = ()
    """Small pictures of the map on the way, in order."""
    ground: Ground | None = None
    """The classes of the ground, where it is divided."""
    further_figures: Callable[[], Mapping[str, Any]] = dict
    """Measures the figures that only this kind of run has."""
    zooms: tuple[Zoom, ...] = ()
    """What the map shows from afar, from fine to coarse."""
    seconds_in_network: float | None = None
    """The time that the network took in this process; None where others compute."""


@dataclass(frozen=True, repr=False)
class Result:
    """The files and figures of a finished run. A notebook shows it as a small picture of the map.

    Attributes:
        output: The map: an RGB GeoTIFF on the scene's grid. An absolute path, as the others.
        preview: A small PNG of the map.
        record: The run record, as JSON: settings, inputs, versions and results.
        report: The page that shows the map, the scene and the figures.
        losses: The objective at every iteration, level after level; empty for a learned style.
        seconds: Stage → seconds.
        figures: How faithful and how seamless the map is: see docs/method.md.
    """

    output: Path
    preview: Path
    record: Path
    report: Path
    losses: tuple[float, ...]
    seconds: Mapping[str, float]
    figures: Mapping[str, Any]

    def read(self) -> "np.ma.MaskedArray[Any, Any]":
        """Return the map, (H, W, 3) uint8 RGB, masked where there is no data. Raises OutputError where it is gone."""
        return read_map(self.output)

    def to_xarray(self) -> "xarray.DataArray":
        """Return the map as a DataArray of uint8, (band, y, x), georeferenced as rioxarray has it.

        Its coordinate ``valid``, (y, x), is False where there is no data. Raises OutputError where the map is gone,
        ResourceError without rioxarray.
        """
        return map_to_xarray(self.output)

    def __repr__(self) -> str:
        """Return where the map is and how good, in one line."""
        figures = [f"{name} {value}" for name, value in describe(self.figures).items()]
        return f"Result({'; '.join([str(self.output), *figures, f'made in {duration(sum(self.seconds.values()))}'])})"

    def _repr_html_(self) -> str | None:
        """Return a small picture of the map, for a notebook; None where it is gone."""
        return thumbnail(self.preview, repr(self)) if self.preview.is_file() else None


def finish(job: Job, finished: Finished, watch: Stopwatch, meter: Meter) -> Result:
    """Measure the picture, write the map with all that goes with it, and remove the workspace. Raises NstError."""
    with ThreadPoolExecutor(max_workers=2) as beside:  # while the map is written
        flat = beside.submit(_measure_flat_areas, job, finished)
        measured = beside.submit(_measure, job, finished, watch, flat)
        publishing = watch.start("publish", beside="figures")

        def finished_record() -> dict[str, Any]:
            figures = measured.result()
            publishing()
            cost = meter.cost(finished.seconds_in_network)
            return {**_record(job, finished, watch), "cost": cost, "figures": figures}

        _publish(job, finished, finished_record)
    job.workspace.remove()
    return _result(job, finished, watch, measured)


def _measure_flat_areas(job: Job, finished: Finished) -> Mapping[str, Any]:
    """Return the figures of the scene's flat areas."""
    scene, styles = finished.scene, [style.image for style in job.inputs.styles]
    return measure_flat_areas(scene.image, finished.picture, scene.weight, styles)


def _measure(job: Job, finished: Finished, watch: Stopwatch, flat: Future[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the map's figures, with those of its flat areas, which are measured meanwhile.

    Where they cannot be measured, warn and return none: the map is there all the same.
    """
    scene = finished.scene
    try:
        with watch.timed("figures"):
            figures = measure(scene.image, finished.picture, scene.weight, finished.seams)
            further = {**_measure_borders(job, finished), **finished.further_figures()}
            return {**figures, **flat.result(), **further}
    except Exception as error:  # noqa: BLE001 - no figure is worth a map
        log.warning("the map stands without its figures, which failed: %s: %s", type(error).__name__, error)
        return {}


def _measure_borders(job: Job, finished: Finished) -> dict[str, Any]:
    """Return the figures of the borders between classes of ground, where it is divided."""
    ground = finished.ground
    if ground is None:
        return {}
    by_class = styles_by_class(ground.regions, job.inputs.styles)
    palettes = {number: Palette.of(by_class[number]) for number in ground.styled}
    names = {number: region.name for number, region in enumerate(ground.regions)}
    return {"borders": measure_borders(finished.picture, ground.numbers, ground.weight, palettes, names)}


def _publish(job: Job, finished: Finished, finished_record: Callable[[], Mapping[str, Any]]) -> None:
    scene, profile, grid = finished.scene, job.config.output.profile, job.inputs.scene.grid
    tags = provenance.tags(job.config, scene.fingerprints)
    picture, weight = with_unstyled(finished.picture, scene.weight, scene.unstyled)
    composite, _ = with_unstyled(scene.image, scene.weight, scene.unstyled)
    styled = StyledMap(picture, weight, grid, profile, tags, _zooms(job, finished))
    contents = MapContents(styled, composite, job.inputs.rendering, job.inputs.styles, finished.on_the_way)

    def verify() -> None:
        if "bands" in job.outputs.companions:  # they are read again, and must be of the same pixels as the map
            job.inputs.check_unchanged()

    publish(job.outputs, contents, finished_record, verify)


def _zooms(job: Job, finished: Finished) -> tuple[StyledMap, ...]:
    """Return what the map shows from afar, with the clouds that it shows as they are."""
    grid, profile = job.inputs.scene.grid, job.config.output.profile
    zooms = with_clouds(finished.zooms, finished.scene.unstyled, job.workspace.arrays)
    return tuple(
        StyledMap(*with_unstyled(zoom.picture, zoom.weight, zoom.unstyled), grid.reduced(zoom.factor), profile)
        for zoom in zooms
    )


def _record(job: Job, finished: Finished, watch: Stopwatch) -> dict[str, Any]:
    return {
        **record.of_run(job.config, job.device.name, finished.scene.fingerprints),
        "scene": record.of_scene(job.inputs.scene, finished.scene.composite),
        **finished.record,
        **_record_of_zooms(finished.zooms),
        "seconds": dict(watch.seconds),
        "peak_memory_bytes": record.peak_memory_bytes(),
    }


def _record_of_zooms(zooms: Sequence[Zoom]) -> dict[str, Any]:
    """Return the part of the record on what the map shows from afar; nothing where that is its averaged pixels."""
    return {"zooms": [zoom.described() for zoom in zooms]} if zooms else {}


def _result(job: Job, finished: Finished, watch: Stopwatch, figures: Future[dict[str, Any]]) -> Result:
    made = Outputs(Path(os.path.abspath(job.outputs.tif)))
    return Result(
        made.tif, made.preview, made.record, made.report, finished.losses, dict(watch.seconds), figures.result()
    )
