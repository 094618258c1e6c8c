"""The commands that make maps, and what comes before a map: init, demo, stylize, plan, sweep."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nst_rs.cli import terminal
from nst_rs.cli.options import Assignments, ConfigFile, Output, Preset, Scene, Style, Verbose
from nst_rs.cli.running import errors_as_lines, preparing
from nst_rs.config.loading import load_config, name_files
from nst_rs.config.sections import RunConfig
from nst_rs.files.project import write_project
from nst_rs.files.quiet import native_notes_hidden

_FIRST = Path("configs", "olinda.yaml")


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", hidden=True)],
) -> None:
    """Write a folder to begin in.

    FOLDER is made. Configurations to start from, a sample scene, paintings, an empty inbox and the deployments for
    Prefect are written into it.
    """
    with errors_as_lines(verbose=False) as screen:
        write_project(folder)
        terminal.say(screen, f"a first map: cd {shlex.quote(str(folder))} && nst-rs stylize --config {_FIRST}")
        terminal.say(screen, "runs by schedule: prefect.yaml there has the deployments for Prefect")
        print(folder)


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", hidden=True)] = Path("nst-rs-demo"),
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Make a first map, of the sample scene.

    What `init` writes is written into FOLDER, which is nst-rs-demo if you name none. Then the sample scene there is
    styled after a painting. That takes some minutes.
    """
    with errors_as_lines(verbose, "no map was written; the same command goes on from here") as screen:
        write_project(folder)
        config = folder / _FIRST
        run = load_config(config, settings or ())
        terminal.say(screen, "The scene is Olinda in Brazil, 349 × 352 pixels of Landsat 7.")
        terminal.say(screen, "The style is The Harvest by Vincent van Gogh. The map takes some minutes.")
        terminal.say(screen, f"This is the command: nst-rs stylize --config {shlex.quote(str(config))}")
        _stylize(screen, run, config)


def stylize(
    scene: Scene = None,
    style: Style = None,
    output: Output = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Style a scene.

    Every SCENE is a product, a tile of one scene, or a folder of them. The map lies on exactly the scene's grid; a
    preview and a record are written beside it.
    """
    with errors_as_lines(verbose, "no map was written; the same command goes on from here") as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        terminal.say_what_is_taken(screen, style or ())
        _stylize(screen, run, config)


def _stylize(screen: Console, run: RunConfig, config: Path | None) -> None:
    """Make a map as `run` says, which was read from the file `config`, and show what was made."""
    with preparing(screen, run):
        from nst_rs.output.files import Outputs
        from nst_rs.runs import record, session
        from nst_rs.runs.prepare import prepare

        job = prepare(run)
    if config is not None:
        record.warn_of_changes(config, job.files)
    with terminal.listening(screen) as listener:
        result = session.run(job, listener)
    terminal.show_result(screen, result, Outputs.of(run.output))


def plan(
    scene: Scene = None,
    style: Style = None,
    output: Output = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Tell what a run would take.

    The arguments are those of `stylize`. Levels, tiles, memory, operations and time are shown; nothing is written.
    """
    with errors_as_lines(verbose) as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        terminal.say_what_is_taken(screen, style or ())
        with preparing(screen, run, "measuring how fast this machine is"):
            from nst_rs.runs.prepare import forecast

            planned = forecast(run)
        terminal.show_forecast(terminal.console(), planned)


def sweep(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG", hidden=True)],
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Write the maps of all runs and their comparison to this folder.")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="SECTION.KEY=VALUE,VALUE,...", help="Run every combination of these values."),
    ] = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Run and compare configurations.

    Every CONFIG is a configuration (YAML). Runs that are done already are skipped. The comparison is a contact sheet,
    the curves of the losses and a table.
    """
    with errors_as_lines(verbose, "the same command goes on from here") as screen:
        with native_notes_hidden():
            from nst_rs.runs import session
            from nst_rs.runs.several import sweep as sweeps

            chosen = sweeps.variants(configs, output, vary or (), settings or ())
        with sweeps.alone(output):
            with native_notes_hidden():
                jobs = sweeps.waiting(chosen, output)
            for variant, job in jobs:
                terminal.say(screen, variant.name)
                with terminal.listening(screen) as listener:
                    session.run(job, listener)
            terminal.show_comparison(terminal.console(), sweeps.compare(chosen, output))
