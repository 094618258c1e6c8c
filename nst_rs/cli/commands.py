"""The command line: parse, call, exit code."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from nst_rs import api
from nst_rs.cli import terminal
from nst_rs.cli.serving import make_cache, offers, opened
from nst_rs.cli.signals import exit_code, stopped_like_ctrl_c
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.named_styles import SUFFIX, find_style, named_styles
from nst_rs.config.reference import describe
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, NstError
from nst_rs.files.extras import naming_extras
from nst_rs.files.project import write_project
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.output.provenance import software

if TYPE_CHECKING:
    from nst_rs.runs.progress import Listener

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Make georeferenced styled maps of satellite scenes.",
)

# Help is ASCII: it is shown before anything could mend what a terminal cannot encode.
# Arguments are told of in their command's own words, without Typer's table of them, which shows Python's types.
Scene = Annotated[list[str] | None, typer.Argument(metavar="SCENE", hidden=True)]
Style = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="IMAGE",
        help="Take the style of this image, or of a learned style: a file (.style), or a name that `nst-rs styles` "
        "lists. Give the option several times to blend several images.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="MAP.tif", help="Write the map here, and what goes with it beside it."),
]
LearnedOutput = Annotated[Path | None, typer.Option(metavar="NAME.style", help="Write the learned style here.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Read a configuration (YAML), or the record of an earlier run (JSON)."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change one setting, for example tiling.tile=512. Give the option once for each setting.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Begin from the settings called legible, balanced, painterly or quick; other settings win."
    ),
]
_FIRST = Path("configs", "olinda.yaml")
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is decided and how long it took.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(software())
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Make georeferenced styled maps of satellite scenes."""


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
    """Style a scene.

    Every SCENE is a product, a tile of one scene, or a folder of them. The map lies on exactly the scene's grid; a
    preview and a record are written beside it.
    """
    with _errors_as_lines(verbose, "no map was written; the same command goes on from here") as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        terminal.say_what_is_taken(screen, style or ())
        _stylize(screen, run, config)


def _stylize(screen: Console, run: RunConfig, config: Path | None) -> None:
    """Make a map as `run` says, which was read from the file `config`, and show what was made."""
    with _preparing(screen, run):
        from nst_rs.output.files import Outputs
        from nst_rs.runs import record, session
        from nst_rs.runs.prepare import prepare

        job = prepare(run)
    if config is not None:
        record.warn_of_changes(config, job.files)
    with terminal.listening(screen) as listener:
        result = session.run(job, listener)
    terminal.show_result(screen, result, Outputs.of(run.output))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", hidden=True)],
) -> None:
    """Write a folder to begin in.

    FOLDER is made. Configurations to start from, a sample scene, paintings, an empty inbox and the deployments for
    Prefect are written into it.
    """
    with _errors_as_lines(verbose=False) as screen:
        write_project(folder)
        terminal.say(screen, f"a first map: cd {shlex.quote(str(folder))} && nst-rs stylize --config {_FIRST}")
        terminal.say(screen, "runs by schedule: prefect.yaml there has the deployments for Prefect")
        print(folder)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", hidden=True)] = Path("nst-rs-demo"),
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Make a first map, of the sample scene.

    What `init` writes is written into FOLDER, which is nst-rs-demo if you name none. Then the sample scene there is
    styled after a painting. That takes some minutes.
    """
    with _errors_as_lines(verbose, "no map was written; the same command goes on from here") as screen:
        write_project(folder)
        config = folder / _FIRST
        run = load_config(config, settings or ())
        terminal.say(screen, "The scene is Olinda in Brazil, 349 × 352 pixels of Landsat 7.")
        terminal.say(screen, "The style is The Harvest by Vincent van Gogh. The map takes some minutes.")
        terminal.say(screen, f"This is the command: nst-rs stylize --config {shlex.quote(str(config))}")
        _stylize(screen, run, config)


@app.command()
def learn(
    scene: Scene = None,
    style: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="IMAGE",
            help="Learn the style of this image. Give the option several times to blend several images.",
        ),
    ] = None,
    output: LearnedOutput = None,
    config: ConfigFile = None,
    preset: Preset = None,
    settings: Assignments = None,
    verbose: Verbose = False,
) -> None:
    """Learn a style once.

    Every SCENE is a scene to learn from: a product, a file or a folder. Any other scene is then styled with what was
    learned in seconds. Ctrl-C ends learning early and keeps what was learned.
    """
    with _errors_as_lines(verbose, "no style was written; the same command goes on from here") as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        with _preparing(screen, run):
            from nst_rs.learning import session
            from nst_rs.learning.job import prepare

            job = prepare(run)
        with terminal.listening_to_learning(screen) as listener:
            learned = session.learn(job, listener)
        terminal.show_learned(screen, learned.facts, job.output)
        terminal.show_written(screen, (job.preview, job.output))


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
    """Tell what a run would take.

    The arguments are those of `stylize`. Levels, tiles, memory, operations and time are shown; nothing is written.
    """
    with _errors_as_lines(verbose) as screen:
        run = name_files(load_config(config, settings or (), preset), scene or None, style or None, output)
        terminal.say_what_is_taken(screen, style or ())
        with _preparing(screen, run, "measuring how fast this machine is"):
            from nst_rs.runs.prepare import forecast

            planned = forecast(run)
        terminal.show_forecast(terminal.console(), planned)


@app.command()
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
    with _errors_as_lines(verbose, "the same command goes on from here") as screen:
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


@app.command("try")
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
    with _errors_as_lines(verbose, "no sheet was written") as screen:
        run = name_files(load_config(config, settings or ()), scene or None, style or None, None)
        if not run.scene.paths:
            raise ConfigError("scene.paths", expected="at least one GeoTIFF or folder", got="none")
        with _preparing(screen, run):
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


@app.command()
def inspect(
    scene: Annotated[list[str], typer.Argument(metavar="SCENE", hidden=True)],
    nodata: Annotated[
        float | None, typer.Option(metavar="VALUE", help="Take this stored value to mean no data.")
    ] = None,
    settings: Assignments = None,
) -> None:
    """Show what a scene is.

    Every SCENE is a product, a tile of one scene, or a folder of them. Its sensor, grid, bands, nodata, valid share
    and composites are shown. Of a learned style, named by its file or its name, it is shown what it was learned from
    and how good it is.
    """
    with _errors_as_lines(verbose=False):
        from nst_rs.learned.style_file import read_learned

        path = _learned_style(scene)
        if path is not None:
            terminal.show_learned(terminal.console(), read_learned(path).facts, path)
            return
        config = load_config(None, settings or ())
        terminal.show_scene(terminal.console(), api.inspect(scene, nodata=nodata, config=config))


@app.command()
def settings(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", hidden=True)] = None,
) -> None:
    """List the settings of a configuration.

    SECTION is a section of it, such as tiling; without it all settings are listed. The default of every setting is
    shown, the values it takes, and its meaning.
    """
    with _errors_as_lines(verbose=False):
        terminal.show_settings(terminal.console(), describe(section))


@app.command()
def styles(
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the styles' pictures to this folder, NAME.png each.")
    ] = None,
) -> None:
    """List the learned styles that have a name.

    They are those shipped with the program and your own, with the painting and the figures of each. Take one with
    --style NAME.
    """
    with _errors_as_lines(verbose=False):
        terminal.show_styles(terminal.console(), named_styles().values(), output)


@app.command()
def view(
    map_: Annotated[Path, typer.Argument(metavar="MAP.tif", hidden=True)],
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Serve at this port; 0 is any free one.")
    ] = 0,
) -> None:
    """Show a map in the browser.

    MAP.tif is a map that nst-rs made. The scene is shown beside it, under a slider, to this machine alone, until
    Ctrl-C ends it.
    """
    with _errors_as_lines(verbose=False) as screen:
        screen.print("starting the map server", highlight=False)  # which takes seconds to import
        from nst_rs.view.server import serve, viewing

        with suppress(KeyboardInterrupt), viewing(map_) as shown:
            serve([shown], port, _announce)


@app.command()
def serve(
    scene: Scene = None,
    style: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="STYLE",
            help="Take this learned style: a file (.style), or a name that `nst-rs styles` lists. Give the option "
            "several times to choose on the page.",
        ),
    ] = None,
    config: ConfigFile = None,
    settings: Assignments = None,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Serve at this port; 0 is any free one.")
    ] = 0,
    composite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show this composite, such as color_infrared or [nir, red, green]. Give the option several times to "
            "choose on the page.",
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep what is painted in this folder, for the next time.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Show a scene in a learned style, painted as it is looked at.

    Every SCENE is a product, a tile of one scene, or a folder of them. The page is that of nst-rs view, on this machine
    alone, and programs such as QGIS find its tiles. Nothing is painted but what is looked at. The page lets its reader
    choose where --style or --composite is given several times. Ctrl-C ends it.
    """
    with _errors_as_lines(verbose) as screen, suppress(KeyboardInterrupt), _kept_in(cache) as folder:
        screen.print("starting the map server", highlight=False)  # which takes seconds to import
        run = name_files(load_config(config, settings or ()), scene or None, None, None)
        offered = offers(run, style or (), composite or (), folder)
        from nst_rs.view.server import serve as serve_view

        name = Path(next(iter(run.scene.paths), "")).stem
        with opened(name, offered) as views:
            serve_view(views, port, _announce)


def _announce(address: str) -> None:
    """Print where a map is served."""
    print(f"{address} (Ctrl-C ends it)", flush=True)


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[Path]:
    """Give a folder that stays, or a temporary one."""
    if folder is None:
        with TemporaryDirectory(prefix="nst-rs-map.") as temporary:
            yield Path(temporary)
        return
    make_cache(folder)
    yield folder


@app.command("print")
def print_(
    map_: Annotated[Path, typer.Argument(metavar="MAP.tif", hidden=True)],
    output: Annotated[
        Path | None, typer.Option(metavar="PAGE.pdf", help="Write the page here, in place of beside the map.")
    ] = None,
    paper: Annotated[
        str, typer.Option(metavar="SIZE", help="The paper: a4, a3, a2, a1, a0, letter or tabloid.")
    ] = "a4",
    title: Annotated[str | None, typer.Option(metavar="WORDS", help="The words above the map.")] = None,
    attribution: Annotated[str | None, typer.Option(metavar="WORDS", help="The words below it.")] = None,
    dpi: Annotated[int, typer.Option(metavar="NUMBER", help="The most pixels to an inch.")] = 300,
) -> None:
    """Make a page to print.

    MAP.tif is a map that nst-rs made, or any other RGB GeoTIFF. The page, a PDF, has a graticule, a scale bar and an
    arrow to the north. A run makes one by itself with --set output.page=a3.
    """
    with _errors_as_lines(verbose=False):
        from nst_rs.output.pages.printed import ENDING, print_beside

        page = {"paper": paper, "title": title, "attribution": attribution, "dpi": dpi}
        section = override(RunConfig(), {"output.page": page}).output
        if section.page is not None:
            path = output or map_.with_suffix(ENDING)
            print_beside(map_, path, section.page)
            print(path)


@app.command()
def animate(
    maps: Annotated[list[Path], typer.Argument(metavar="MAP.tif...", hidden=True)],
    output: Annotated[Path, typer.Option(metavar="SERIES.webp", help="Write the animated picture here.")],
    seconds: Annotated[float, typer.Option(metavar="SECONDS", help="How long each map stands.")] = 1.5,
    pixels: Annotated[int, typer.Option(metavar="NUMBER", help="The most pixels along the longer side.")] = 1024,
) -> None:
    """Make an animated picture of a series of maps.

    MAP.tif... are maps of one ground, such as one of each date, in the order in which they are shown. Each bears the
    date of its scene. All are shown on the first one's ground.
    """
    with _errors_as_lines(verbose=False):
        from nst_rs.output.pictures.animation import Pace
        from nst_rs.output.pictures.animation import animate as write

        write(maps, output, Pace(pixels, seconds))
        print(output)


@contextmanager
def _preparing(screen: Console, run: RunConfig, what: str = "starting TensorFlow") -> Iterator[None]:
    """Load what `run` needs, which takes seconds: a terminal says `what` meanwhile, and libraries write nothing.

    A scene or style that is not there is told of first. Raises NstError.
    """
    with terminal.waiting(screen, what), native_notes_hidden():
        _check_there(run)
        yield


def _check_there(run: RunConfig) -> None:
    """Raise SceneError or StyleError for a name of which there is no file."""
    from nst_rs.files.locations import is_path
    from nst_rs.scene.listing import files_at
    from nst_rs.style.images import read_style

    for location in run.scene.paths:
        if is_path(location) and not Path(location).exists():
            files_at(location)
    for image in run.style.images:
        if not image.exists() and image.suffix != SUFFIX:
            read_style(image, run.style.size)


def _learned_style(named: list[str]) -> Path | None:
    """Return the learned style that is named in the place of a scene, by its path or its name, if one is."""
    from nst_rs.learned.style_file import is_learned

    if len(named) != 1 or is_learned(Path(named[0])):
        return Path(named[0]) if len(named) == 1 else None
    style = None if Path(named[0]).exists() else find_style(named[0])
    return None if style is None else style.path


@contextmanager
def _errors_as_lines(verbose: bool, interrupted: str = "") -> Iterator[Console]:
    """Turn the program's own errors, and a request to stop, into one line and an exit code.

    Gives the console for messages. What is true after an interruption is said by `interrupted`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads this when it is imported
    with terminal.messages(verbose) as screen, stopped_like_ctrl_c():
        try:
            with naming_extras("this command"):
                yield screen
            terminal.flush()  # else what is still to be written would be lost without a word
        except NstError as error:
            terminal.say(screen, f"error: {error}")
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:  # whoever reads the output has seen enough, as `head` has
            raise
        except OSError as error:  # of the terminal, or the file, that the output goes to: files of a run say theirs
            terminal.write_no_more()
            terminal.say(screen, f"error: {NstError('output', expected='room and leave to write', got=str(error))}")
            raise typer.Exit(NstError.exit_code) from error
        except KeyboardInterrupt as error:
            terminal.say(screen, ": ".join(filter(None, ("interrupted", interrupted))))
            raise typer.Exit(exit_code(error)) from error
