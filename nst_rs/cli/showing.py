"""The commands that show what is there: a scene, settings, a map in the browser, on paper, in a series."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from nst_rs import api
from nst_rs.cli import terminal
from nst_rs.cli.options import Assignments, ConfigFile, Scene, Verbose
from nst_rs.cli.running import errors_as_lines
from nst_rs.cli.serving import make_cache, offers, opened
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.named_styles import find_style
from nst_rs.config.reference import describe
from nst_rs.config.sections import RunConfig


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
    with errors_as_lines(verbose=False):
        from nst_rs.learned.style_file import read_learned

        path = _learned_style(scene)
        if path is not None:
            terminal.show_learned(terminal.console(), read_learned(path).facts, path)
            return
        config = load_config(None, settings or ())
        terminal.show_scene(terminal.console(), api.inspect(scene, nodata=nodata, config=config))


def _learned_style(named: list[str]) -> Path | None:
    """Return the learned style that is named in the place of a scene, by its path or its name, if one is."""
    from nst_rs.learned.style_file import is_learned

    if len(named) != 1 or is_learned(Path(named[0])):
        return Path(named[0]) if len(named) == 1 else None
    style = None if Path(named[0]).exists() else find_style(named[0])
    return None if style is None else style.path


def settings(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", hidden=True)] = None,
) -> None:
    """List the settings of a configuration.

    SECTION is a section of it, such as tiling; without it all settings are listed. The default of every setting is
    shown, the values it takes, and its meaning.
    """
    with errors_as_lines(verbose=False):
        terminal.show_settings(terminal.console(), describe(section))


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
    with errors_as_lines(verbose=False) as screen:
        screen.print("starting the map server", highlight=False)  # which takes seconds to import
        from nst_rs.view.server import serve, viewing

        with suppress(KeyboardInterrupt), viewing(map_) as shown:
            serve([shown], port, _announce)


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
    with errors_as_lines(verbose) as screen, suppress(KeyboardInterrupt), _kept_in(cache) as folder:
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
    with errors_as_lines(verbose=False):
        from nst_rs.output.pages.printed import ENDING, print_beside

        page = {"paper": paper, "title": title, "attribution": attribution, "dpi": dpi}
        section = override(RunConfig(), {"output.page": page}).output
        if section.page is not None:
            path = output or map_.with_suffix(ENDING)
            print_beside(map_, path, section.page)
            print(path)


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
    with errors_as_lines(verbose=False):
        from nst_rs.output.pictures.animation import Pace
        from nst_rs.output.pictures.animation import animate as write

        write(maps, output, Pace(pixels, seconds))
        print(output)
