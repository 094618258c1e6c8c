"""How progress and results look to a person: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table

from nst_rs.files.text import duration
from nst_rs.geo.area import describe_degrees, extent_of
from nst_rs.geo.grid import Grid
from nst_rs.learned.style_file import Facts, HeldOut, Source
from nst_rs.output.figures import describe
from nst_rs.runs import progress
from nst_rs.scene.inspect import SceneReport
from nst_rs.scene.raster_file import Header

if TYPE_CHECKING:  # The pipeline brings TensorFlow, which inspecting a scene does without.
    from nst_rs.runs.job import Forecast
    from nst_rs.runs.learn import LearningProgress
    from nst_rs.runs.learn import Listener as LearningListener
    from nst_rs.runs.stylize import Result
    from nst_rs.runs.sweep import Comparison

SECONDS_BETWEEN_LINES = 15.0


def listening(console: Console) -> AbstractContextManager[progress.Listener]:
    """Show progress while the context lasts: one live line on a terminal, else a plain line now and then."""
    return _showing(console, _PlainLines(console).hear, "reading the scene")


def listening_to_learning(console: Console) -> AbstractContextManager["LearningListener"]:
    """Show how far learning is, like :func:`listening`."""
    return _showing(console, _LearningLines(console).hear, "reading the scenes")


@contextmanager
def _showing(console: Console, plainly: Callable[[Any], None], first: str) -> Iterator[Callable[[Any], None]]:
    """Give a listener to states that have a fraction and a line: a bar on a terminal, else `plainly`."""
    if not console.is_terminal:
        yield plainly
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(first, total=1.0)
        yield lambda state: bar.update(task, completed=state.fraction, description=str(state))


class _PlainLines:
    """Prints the first iteration, the end of every level, and a line every SECONDS_BETWEEN_LINES between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def hear(self, state: progress.Progress) -> None:
        if not state.ends_iteration:
            return
        last = state.step.iteration == state.step.iterations
        if last or time.monotonic() >= self._next:
            self._console.print(str(state), highlight=False, soft_wrap=True)
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES


class _LearningLines:
    """Prints a line every SECONDS_BETWEEN_LINES."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def hear(self, state: "LearningProgress") -> None:
        if time.monotonic() >= self._next:
            self._console.print(str(state), highlight=False, soft_wrap=True)
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES


def show_learned(console: Console, facts: Facts, path: Path) -> None:
    """Print what a learned style is, and how good."""
    lines = [
        f"{path}: a learned style, {path.stat().st_size / 1e6:.2f} MB",
        f"learned from {_names(facts.styles)} on {_names(facts.scenes)}, {facts.metres_per_pixel:.3g} m a pixel",
        f"{facts.learning.steps} steps in {duration(facts.learning.seconds)}, loss {facts.learning.loss:.4g}",
        f"channels {', '.join(map(str, facts.widths))}; {facts.blocks} blocks; color {facts.color}",
        *([] if facts.held_out is None else _held_out(facts.held_out)),
        f"made with nst-rs {facts.versions['nst-rs']}; licence: {facts.licence or 'none stated'}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(source.name for source in sources)


def _held_out(found: HeldOut) -> list[str]:
    """Return in lines how good a style is on windows that it did not learn from."""
    kind = "of other scenes" if found.other_scenes else "kept out of learning"
    sizes = ", ".join(map(str, sorted(set(found.size))))
    if found.ratio is None:
        against, level = "", ""
    else:
        against = f", {found.ratio:.2f} times that of stylize ({found.optimised_total:.4g})"
        level = f", of stylize's {found.optimised_saturated:.2%}"
    return [
        f"on {found.windows} windows of {sizes} pixels {kind}:",
        f"  total {found.learned_total:.4g}{against}; the scene's own {found.scene_total:.4g}",
        f"  saturated pixels {found.learned_saturated:.2%}{level}; of the scene's {found.scene_saturated:.2%}",
    ]


def show_scene(console: Console, report: SceneReport) -> None:
    """Print what `nst-rs inspect` found."""
    scene = report.scene
    count = len(scene.locations)
    files = f"{count} file{'s' if count > 1 else ''}"
    nodata = "none set" if scene.nodata is None else f"{scene.nodata:g}"
    lines = [
        f"{files} on one grid: {scene.grid.describe()}",
        *_bounds(scene.grid),
        f"{len(scene.band_names)} bands of {scene.dtype}{_stored(scene.tiles[0].product.sources[0].header)}, "
        f"nodata {nodata}",
        f"sensor {scene.sensor.name}: {scene.sensor.title}" if scene.sensor else "sensor not known",
    ]
    if scene.acquired is not None:
        lines.append(f"taken {scene.acquired}")
    if report.corners is not None:
        lines.append(
            f"its corners hold {report.corners:.17g}; if that means no data, set scene.nodata to it, or to guess"
        )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    table = Table("band", "name", "valid")
    for index, (label, share) in enumerate(zip(scene.labels, report.valid_shares, strict=True), start=1):
        table.add_row(str(index), str(label) or "-", f"{share:.2%}")
    console.print(table)
    for name, bands in scene.composites.items():
        console.print(f"{name}: composite.bands=[{', '.join(bands)}]", highlight=False, soft_wrap=True, markup=False)
    if not scene.composites:
        example = [3, 2, 1] if len(scene.band_names) >= 3 else [1, 1, 1]
        console.print(f"No composite by name; by index for example composite.bands={example}", markup=False)


def _bounds(grid: Grid) -> list[str]:
    """Return where a scene lies, as scene.area takes it."""
    found = describe_degrees(grid)
    in_degrees = [f"west, south, east, north in degrees: {found}"] if found else []
    return [*in_degrees, f"in {grid.unit}: {extent_of(grid)}"]


def _stored(header: Header) -> str:
    """Return what pixels are made of, where that is something else."""
    if header.in_colors:
        return ", the colours of a palette"
    return f", stored as {header.stored}" if header.is_converted else ""


def show_forecast(console: Console, forecast: "Forecast") -> None:
    """Print what `nst-rs plan` found."""
    job = forecast.job
    console.print(job.inputs.scene.grid.describe(), highlight=False, soft_wrap=True)
    table = Table("level", "pixels", "tiles", "window", "iterations")
    for number, (level, iterations) in enumerate(
        zip(job.plan.levels, job.config.schedule.level_iterations, strict=True), start=1
    ):
        (height, width), (rows, columns) = level.shape, level.window_shape
        table.add_row(str(number), f"{width} × {height}", str(len(level.tiles)), f"{columns} × {rows}", str(iterations))
    console.print(table)
    memory = job.memory
    parts = {
        "the program": memory.process,
        "the scene": memory.scene,
        "a window": memory.windows,
        "activations kept for speed": job.kept_bytes,
    }
    where = ", ".join(f"{size / 1e9:.1f} GB for {what}" for what, size in parts.items())
    console.print(f"device {job.device.name}, {job.config.compute.precision}", highlight=False)
    console.print(
        f"memory about {(memory.host + job.kept_bytes) / 1e9:.1f} GB ({where})", highlight=False, soft_wrap=True
    )
    if job.on_cluster:
        each = f"about {job.worker_bytes / 1e9:.1f} GB each"
        console.print(f"{job.workers} workers of a Dask cluster, {each}", highlight=False, soft_wrap=True)
    if memory.on_disk:
        size = job.disk_bytes
        console.print(f"disk about {size / 1e9:.1f} GB beside the map while it is made", highlight=False)
    console.print(f"{forecast.flops / 1e12:.1f} TFLOP, about {duration(forecast.seconds)}", highlight=False)
    for shortage in forecast.shortages:
        console.print(f"warning: {shortage}", highlight=False, markup=False, soft_wrap=True)


def show_comparison(console: Console, comparison: "Comparison") -> None:
    """Print the table of a sweep, and where its files are."""
    from nst_rs.runs.comparison import rows  # it brings matplotlib, which nothing else needs

    found = rows(comparison.runs)
    name, *others = found[0]
    losses = ("content", "style", "total")  # never shortened: their exponent is what matters
    numbers = [Column(other, justify="right", min_width=9 if other in losses else None) for other in others]
    table = Table(Column(name, overflow="fold"), *numbers, box=None, padding=(0, 1, 0, 0))
    for row in found:
        table.add_row(*row.values())
    console.print(table)
    for path in (comparison.sheet, comparison.losses, comparison.table):
        console.print(str(path), highlight=False, soft_wrap=True, markup=False)


def show_result(console: Console, result: "Result") -> None:
    """Print what `nst-rs stylize` made."""
    total = duration(sum(result.seconds.values()))
    figures = "; ".join(f"{name} {value}" for name, value in describe(result.figures).items())
    console.print(figures, highlight=False, soft_wrap=True)
    console.print(
        f"{result.output} ({total}; report {result.report}, record {result.record})", highlight=False, soft_wrap=True
    )
