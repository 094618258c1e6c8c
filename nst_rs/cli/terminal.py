"""Progress and results as people see them: bars on a terminal, plain lines elsewhere.

Whatever reads scenes, maps and styles is imported where it is used: a command's help does without.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from nst_rs.config.named_styles import VARIABLE, NamedStyle, find_style, own_folder
from nst_rs.config.reference import Setting
from nst_rs.errors import StyleError
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.files.text import counted, duration, operations

if TYPE_CHECKING:
    from nst_rs.geo.grid import Grid
    from nst_rs.learned.style_file import Facts, HeldOut, Learning, Source
    from nst_rs.learning.session import LearningProgress
    from nst_rs.learning.session import Listener as LearningListener
    from nst_rs.output.files import Outputs
    from nst_rs.runs import progress
    from nst_rs.runs.finish import Result
    from nst_rs.runs.prepare import Forecast
    from nst_rs.runs.several.sweep import Comparison
    from nst_rs.scene.inspect import SceneReport
    from nst_rs.scene.raster_file import Header

SECONDS_BETWEEN_LINES = 15.0

_UNWRAPPED = 100_000
"""Columns of what is no terminal: lines and tables stay whole there."""


def console(stream: IO[str] | None = None) -> Console:
    """Return a console that writes to `stream`, or to the standard output, and takes text for nothing but text."""
    made = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = _UNWRAPPED
    return made


def say(console: Console, line: str) -> None:
    """Print a line as it is. A terminal that has gone away, which SIGHUP tells of, is no error.

    Raises OSError where a result cannot be written, as to a file on a full disk; a message that cannot stops nothing.
    """
    try:
        console.print(line, soft_wrap=True)
    except OSError as error:
        if console.file is sys.stdout and error.errno != errno.EIO:
            raise


def flush() -> None:
    """Write what the standard output still holds. Raises OSError where it cannot."""
    if sys.stdout is not None:  # as where it was closed before this process began
        sys.stdout.flush()


def write_no_more() -> None:
    """Let what the standard output still holds go nowhere: it cannot be written, and Python would say so at the end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def messages(verbose: bool) -> Iterator[Console]:
    """Give a console on the standard error for what this program says; its log goes there too.

    Nothing else does: what libraries write is hidden, unless `verbose`. Characters that an output cannot encode are
    written as escapes, so that they never hide what was to be said.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Line by line, so that nothing is left to be written where the terminal has gone away.
    stream = os.fdopen(
        os.dup(sys.stderr.fileno()), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    screen, logger = console(stream), logging.getLogger("nst_rs")
    handler, level = _LineHandler(screen), logger.level
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    logger.addHandler(handler)
    try:
        with nullcontext() if verbose else native_notes_hidden():
            yield screen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with suppress(OSError):
            stream.close()


class _LineHandler(logging.Handler):
    """Prints what is logged as errors are printed: the level, and a line."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        say(self._console, f"{record.levelname.lower()}: {self.format(record)}")


def waiting(console: Console, what: str) -> AbstractContextManager[object]:
    """Say what is waited for while the context lasts, on a terminal; nothing of it stays there."""
    # This spinner is ASCII, as some terminals are.
    return console.status(what, spinner="line") if console.is_terminal else nullcontext()


def listening(console: Console) -> AbstractContextManager[progress.Listener]:
    """Show progress while the context lasts: one live line on a terminal, else a plain line now and then."""
    return _showing(console, _PlainLines(console).hear, "reading the scene")


def listening_to_learning(console: Console) -> AbstractContextManager[LearningListener]:
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

    def hear(self, state: progress.Progress | progress.PaintingProgress) -> None:
        if not state.ends_iteration:
            return
        if state.stage_fraction == 1 or time.monotonic() >= self._next:
            say(self._console, str(state))
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES


class _LearningLines:
    """Prints a line every SECONDS_BETWEEN_LINES."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def hear(self, state: LearningProgress) -> None:
        if time.monotonic() >= self._next:
            say(self._console, str(state))
            self._next = time.monotonic() + SECONDS_BETWEEN_LINES


def show_learned(console: Console, facts: Facts, path: Path) -> None:
    """Print what a learned style is, and how good."""
    learning = facts.learning
    lines = [
        f"{path}: a learned style, {path.stat().st_size / 1e6:.2f} MB",
        f"learned from {_names(facts.styles)} on {_names(facts.scenes)}, {facts.metres_per_pixel:.3g} m a pixel",
        f"{_steps(learning)} in {duration(learning.seconds)}, loss {learning.loss:.4g}",
        f"channels {', '.join(map(str, facts.widths))}; {_blocks(facts)}; color {facts.color}",
        *([] if facts.held_out is None else _held_out(facts.held_out)),
        f"made with nst-rs {facts.versions['nst-rs']}; licence: {facts.licence or 'none stated'}",
    ]
    for line in lines:
        say(console, line)


def _steps(learning: Learning) -> str:
    """Return the number of steps, and how many of them are those of the style that learning began from."""
    steps = counted(learning.steps, "step")
    return steps if learning.start is None else f"{steps} ({learning.start_steps} those of {learning.start.name})"


def say_what_is_taken(console: Console, styles: Iterable[Path]) -> None:
    """Say of every style that was called by a name which one it is."""
    for named in styles:
        style = find_style(str(named))
        if style is not None and named.is_file():
            say(console, f"style {named}: the file of that name here, not the {style.kind} style")
        elif style is not None:
            say(console, f"style {named}: the {style.kind} style, {style.path}")


def show_styles(console: Console, styles: Iterable[NamedStyle], folder: Path | None) -> None:
    """Print what styles there are, by name; with a `folder`, write their pictures there. Raises NstError."""
    from nst_rs.learned.style_file import read_learned, write_preview

    for style in styles:
        try:
            learned = read_learned(style.path)
        except StyleError as error:  # the others are there all the same
            say(console, f"{style.name} ({style.kind}): {error}")
            continue
        facts = learned.facts
        judged = facts.held_out and facts.held_out.ratio
        figures = f"objective {judged:.2f} times that of stylize" if judged else "not compared with stylize"
        licence = facts.licence or "no licence stated"
        say(console, f"{style.name} ({style.kind}): learned from {_names(facts.styles)}; {figures}; {licence}")
        say(console, f"  {style.path}")
        if folder is not None and learned.preview:
            say(console, f"  {write_preview(learned, folder / f'{style.name}.png')}")
    say(console, f"your own styles are looked for in {own_folder()} ({VARIABLE} names another folder)")


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(source.name for source in sources)


def _blocks(facts: Facts) -> str:
    deep = f" and {facts.deep_blocks} deep ones" if facts.deep_blocks else ""
    return counted(facts.blocks, "block") + deep


def _held_out(judged: HeldOut) -> list[str]:
    """Return in lines how good a style is on windows that it did not learn from."""
    kind = "of other scenes" if judged.other_scenes else "kept out of learning"
    sizes = ", ".join(map(str, sorted(set(judged.size))))
    if judged.ratio is None:
        against, level = "", ""
    else:
        against = f", {judged.ratio:.2f} times that of stylize ({judged.optimised_total:.4g})"
        level = f", of stylize's {judged.optimised_saturated:.2%}"
    return [
        f"on {counted(judged.windows, 'window')} of {sizes} pixels {kind}:",
        f"  total {judged.learned_total:.4g}{against}; the scene's own {judged.scene_total:.4g}",
        f"  saturated pixels {judged.learned_saturated:.2%}{level}; of the scene's {judged.scene_saturated:.2%}",
    ]


def show_scene(console: Console, report: SceneReport) -> None:
    """Print what `nst-rs inspect` tells of a scene."""
    scene = report.scene
    nodata = "none set" if scene.nodata is None else f"{scene.nodata:g}"
    stored = _stored(scene.tiles[0].product.sources[0].header)
    lines = [
        f"{counted(len(scene.locations), 'file')} on one grid: {scene.grid.describe()}",
        *_bounds(scene.grid),
        f"{counted(len(scene.band_names), 'band')} of {scene.dtype}{stored}, nodata {nodata}",
        f"sensor {scene.sensor.name}: {scene.sensor.title}" if scene.sensor else "sensor not known",
    ]
    if scene.acquired is not None:
        lines.append(f"taken {scene.acquired}")
    if report.corners is not None:
        lines.append(
            f"its corners hold {report.corners:.17g}; if that means no data, set scene.nodata to it, or to guess"
        )
    say(console, "\n".join(lines))
    table = Table("band", "name", "valid")
    for index, (label, share) in enumerate(zip(scene.labels, report.valid_shares, strict=True), start=1):
        table.add_row(str(index), str(label) or "-", f"{share:.2%}")
    console.print(table)
    for name, bands in scene.composites.items():
        say(console, f"{name}: composite.bands=[{', '.join(bands)}]")
    if not scene.composites:
        example = [3, 2, 1] if len(scene.band_names) >= 3 else [1, 1, 1]
        say(console, f"No composite by name; by index for example composite.bands={example}")


def show_settings(console: Console, settings: Sequence[Setting]) -> None:
    """Print settings: a table on a terminal, else one line per setting."""
    if not console.is_terminal:
        for setting in settings:
            line = f"{setting.name} = {setting.default} ({setting.values}): {setting.meaning}"
            say(console, line)
        return
    name, meaning = Column("setting", no_wrap=True), Column("meaning", ratio=2)
    table = Table(name, Column("default", ratio=1), Column("values", ratio=1), meaning, show_lines=True)
    for setting in settings:
        table.add_row(*map(Text, (setting.name, setting.default, setting.values, setting.meaning)))
    console.print(table)


def _bounds(grid: Grid) -> list[str]:
    """Return where a scene lies, as scene.area takes it."""
    from nst_rs.geo.area import describe_degrees, extent_of

    bounds = describe_degrees(grid)
    in_degrees = [f"west, south, east, north in degrees: {bounds}"] if bounds else []
    return [*in_degrees, f"in {grid.unit}: {extent_of(grid)}"]


def _stored(header: Header) -> str:
    """Return what pixels are made of, where that is something else."""
    if header.in_colors:
        return ", the colours of a palette"
    return f", stored as {header.stored}" if header.is_converted else ""


def show_forecast(console: Console, forecast: Forecast) -> None:
    """Print what `nst-rs plan` tells of a run."""
    job = forecast.job
    say(console, job.inputs.scene.grid.describe())
    table = Table(*job.outline[0])
    for row in job.outline:
        table.add_row(*row.values())
    console.print(table)
    _show_ground(console, job.ground)
    for note in job.notes:
        say(console, note)
    memory = job.memory
    parts = {
        "the program": memory.process,
        "the scene": memory.scene,
        "a window": memory.windows,
        "activations kept for speed": job.kept_bytes,
    }
    where = ", ".join(f"{size / 1e9:.1f} GB for {what}" for what, size in parts.items() if size)
    say(console, f"device {job.device.name}, {job.config.compute.precision}")
    say(console, f"memory about {(memory.host + job.kept_bytes) / 1e9:.1f} GB ({where})")
    if not job.traits.in_process:
        each = f"about {job.worker_bytes / 1e9:.1f} GB each"
        say(console, f"{counted(job.workers, 'worker')} of a Dask cluster, {each}")
    if memory.on_disk:
        size = job.disk_bytes
        say(console, f"disk about {size / 1e9:.1f} GB beside the map while it is made")
    say(console, f"{operations(forecast.flops)}, about {duration(forecast.seconds)}")
    for shortage in forecast.shortages:
        say(console, f"warning: {shortage}")


def _show_ground(console: Console, rows: Sequence[Mapping[str, str]]) -> None:
    """Print the classes of ground, where it is divided."""
    if not rows:
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console.print(table)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print the table of a sweep, and where its files are."""
    from nst_rs.runs.several.comparison import rows

    lines = rows(comparison.runs)
    name, *others = lines[0]
    losses = ("content", "style", "total")  # never shortened: their exponent is what matters
    numbers = [Column(other, justify="right", min_width=9 if other in losses else None) for other in others]
    table = Table(Column(name, overflow="fold"), *numbers, box=None, padding=(0, 1, 0, 0))
    for row in lines:
        table.add_row(*row.values())
    console.print(table)
    show_written(console, (comparison.sheet, comparison.losses, comparison.table))


def show_result(console: Console, result: Result, asked: Outputs) -> None:
    """Print what `nst-rs stylize` made; `asked` says what was to be written beside the map."""
    from nst_rs.output.figures.wording import describe

    say(console, "; ".join(f"{name} {value}" for name, value in describe(result.figures).items()))
    say(console, f"made in {duration(sum(result.seconds.values()))}:")
    show_written(console, replace(asked, tif=result.output))


def show_written(console: Console, files: Iterable[Path]) -> None:
    """Print the names of files that were written, one per line."""
    for path in files:
        say(console, str(path))
