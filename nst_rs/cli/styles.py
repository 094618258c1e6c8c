"""The commands about styles: learn one, list those that have a name, see a scene in all of them."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_rs.cli import terminal
from nst_rs.cli.options import Assignments, ConfigFile, Preset, Scene, Verbose
from nst_rs.cli.running import errors_as_lines, preparing
from nst_rs.config.loading import load_config, name_files
from nst_rs.config.named_styles import named_styles
from nst_rs.errors import ConfigError

if TYPE_CHECKING:
    from nst_rs.runs.progress import Listener


def learn(
    scene: Scene = None,
    style: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="IMAGE",
            help="Learn the style of this image. Give the option several times to blend several images.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="NAME.style", help="Write the learned style here.")] = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Learn a style once.

    Every SCENE is a scene to learn from: a product, a file or a folder. Any other scene is then styled with what was
    learned in seconds. Ctrl-C ends learning early and keeps what was learned.
    """
    with errors_as_lines(verbose, "no style was written; the same command goes on from here") as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        with preparing(screen, run):
            from nst_rs.learning import session
            from nst_rs.learning.job import prepare

            job = prepare(run)
        with terminal.listening_to_learning(screen) as listener:
            learned = session.learn(job, listener)
        terminal.show_learned(screen, learned.facts, job.output)
        terminal.show_written(screen, (job.preview, job.output))


def styles(
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the styles' pictures to this folder, NAME.png each.")
    ] = None,
) -> None:
    """List the learned styles that have a name.

    They are those shipped with the program and your own, with the painting and the figures of each. Take one with
    --style NAME.
    """
    with errors_as_lines(verbose=False):
        terminal.show_styles(terminal.console(), named_styles().values(), output)


def try_styles(
    scene: Scene = None,
    style: Annotated[
        list[Path] | None,
        typer.Option(metavar="IMAGE", help="Show all presets with this painting. May be given several times."),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="SHEET.png", help="Write the sheet here.")] = Path("styles.png"),
    config: ConfigFile = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Show a part of a scene in all styles.

    One sheet has the part with the most contrast, or scene.area, in all learned styles that have a name and, with a
    painting, in all presets, each with the command that makes the whole map. Optimised maps are cut short.
    """
    with errors_as_lines(verbose, "no sheet was written") as screen:
        run = name_files(load_config(config, settings or ()), scene or None, style or None, None)
        if not run.scene.paths:
            raise ConfigError("scene.paths", expected="at least one GeoTIFF or folder", got="none")
        with preparing(screen, run):
            from nst_rs.runs.several import trial

        def command(named: str, preset: str | None) -> str:
            further = [part for each in settings or () for part in ("--set", each)]
            options = ["--style", named, *(["--preset", preset] if preset else []), *further]
            file = [] if config is None else ["--config", str(config)]
            return shlex.join(["nst-rs", "stylize", *(scene or ()), *file, *options, "--output", "MAP.tif"])

        @contextmanager
        def listening(title: str) -> "Iterator[Listener]":
            terminal.say(screen, title)
            with terminal.listening(screen) as listener:
                yield listener

        trial.try_styles(run, output, command, listening)
        terminal.show_written(terminal.console(), (output,))
