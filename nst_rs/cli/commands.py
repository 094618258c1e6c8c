"""The command line: parse, call, exit code."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from nst_rs import api
from nst_rs.cli import terminal
from nst_rs.config.loading import load_config, name_files
from nst_rs.errors import NstError, ResourceError
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.learned.style_file import is_learned, read_learned

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Satellite scenes to georeferenced styled maps.",
)

Scene = Annotated[list[str] | None, typer.Argument(help="Products, tiles of one scene, or folders of them.")]
Style = Annotated[
    list[Path] | None, typer.Option(help="An image whose style is taken; several are blended; or a learned .style.")
]
Output = Annotated[Path | None, typer.Option(help="The map to write, a .tif.")]
ConfigFile = Annotated[Path | None, typer.Option(help="A configuration (YAML), or an earlier run's record (JSON).")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")
]
Preset = Annotated[str | None, typer.Option(help="legible, balanced or painterly: what no setting decides.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is decided and how long it took.")]


@app.command()
def stylize(
    scene: Scene = None,
    style: Style = None,
    output: Output = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Style a scene: one georeferenced map on exactly the scene's grid, with a preview and a record beside it."""
    with _errors_as_lines(verbose) as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        with native_notes_hidden():
            from nst_rs.runs import record
            from nst_rs.runs.prepare import prepare

            prepared = prepare(run)
        if config is not None:
            record.warn_of_changes(config, prepared.files)
        with terminal.listening(screen) as listener:
            result = prepared.start(listener)
        terminal.show_result(screen, result)


@app.command()
def learn(
    scene: Annotated[list[str] | None, typer.Argument(help="Scenes, each a product, a file or a folder.")] = None,
    style: Style = None,
    output: Annotated[Path | None, typer.Option(help="The learned style to write, a .style.")] = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Learn a style once, to style every scene with in seconds; Ctrl-C ends early and keeps what was learned."""
    with _errors_as_lines(verbose) as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        with native_notes_hidden():
            from nst_rs.runs import learn
            from nst_rs.runs.learn_job import prepare

            job = prepare(run)
        with terminal.listening_to_learning(screen) as listener:
            learned = learn.learn(job, listener)
        terminal.show_learned(screen, learned.facts, job.output)


@app.command()
def plan(
    scene: Scene = None,
    style: Style = None,
    output: Output = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Say what `stylize` would run with the same arguments: levels, tiles, memory, operations, time. Writes nothing."""
    with _errors_as_lines(verbose):
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        with native_notes_hidden():
            from nst_rs.runs.job import forecast

            found = forecast(run)
        terminal.show_forecast(Console(), found)


@app.command()
def sweep(
    configs: Annotated[list[Path], typer.Argument(help="Configurations (YAML), a run each.")],
    output: Annotated[Path, typer.Option(help="The folder for the runs' maps and the comparison.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="SECTION.KEY=VALUE,VALUE,...", help="Run every combination of these values."),
    ] = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Run several configurations, skipping those done already, and compare them: contact sheet, curves, table."""
    with _errors_as_lines(verbose) as screen:
        with native_notes_hidden():
            from nst_rs.runs import stylize
            from nst_rs.runs import sweep as sweeps

            chosen = sweeps.variants(configs, output, vary or (), settings or ())
        with sweeps.alone(output):
            with native_notes_hidden():
                jobs = sweeps.waiting(chosen, output)
            for variant, job in jobs:
                screen.print(variant.name, highlight=False, markup=False, soft_wrap=True)
                with terminal.listening(screen) as listener:
                    stylize.run(job, listener)
            terminal.show_comparison(Console(), sweeps.compare(chosen, output))


@app.command()
def inspect(
    scene: Annotated[list[str], typer.Argument(help="Products, tiles of one scene, folders of them, or a .style.")],
    nodata: Annotated[float | None, typer.Option(help="The stored value that means no data.")] = None,
    settings: Assignments = None,
) -> None:
    """Show a scene's sensor, grid, bands, nodata, valid share and composites; or what a learned style is."""
    with _errors_as_lines(verbose=False):
        if len(scene) == 1 and is_learned(Path(scene[0])):
            terminal.show_learned(Console(), read_learned(Path(scene[0])).facts, Path(scene[0]))
            return
        config = load_config(None, settings or ())
        terminal.show_scene(Console(), api.inspect(scene, nodata=nodata, config=config))


@app.command()
def view(
    map_: Annotated[Path, typer.Argument(metavar="MAP", help="A map that nst-rs made, a .tif.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to serve; 0: any free port.")] = 0,
) -> None:
    """Show a map in the browser, the scene beside it under a slider, until interrupted; to this machine alone."""
    with _errors_as_lines(verbose=False) as screen:
        screen.print("starting the map server", highlight=False)  # which takes seconds to import
        try:
            from nst_rs.view.server import ended_by_signals, serve, viewing
        except ModuleNotFoundError as error:
            need = "the extra that serves maps"
            raise ResourceError("view", expected=need, got=str(error), do="pip install 'nst-rs[view]'") from error

        with suppress(KeyboardInterrupt), ended_by_signals(), viewing(map_) as shown:
            serve(shown, port, lambda address: print(f"{address} (Ctrl-C ends it)", flush=True))


@contextmanager
def _errors_as_lines(verbose: bool) -> Iterator[Console]:
    """Turn the program's own errors into one line and their exit code; send the log to the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads this when it is imported
    logger = logging.getLogger("nst_rs")
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as stream:
        screen = Console(file=stream)
        handler = RichHandler(console=screen, show_path=False)
        logger.addHandler(handler)
        try:
            yield screen
        except NstError as error:
            screen.print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            screen.print("interrupted: no map was written; the same command goes on from here", soft_wrap=True)
            raise typer.Exit(130) from error
        finally:
            logger.removeHandler(handler)
