"""The command line: its commands, in the order in which they are listed."""

from typing import Annotated

import typer

from nst_rs.cli import making, showing, styles
from nst_rs.output.provenance import software

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Make georeferenced styled maps of satellite scenes.",
)


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


app.command("stylize")(making.stylize)
app.command("init")(making.init)
app.command("demo")(making.demo)
app.command("learn")(styles.learn)
app.command("plan")(making.plan)
app.command("sweep")(making.sweep)
app.command("try")(styles.try_styles)
app.command("inspect")(showing.inspect)
app.command("settings")(showing.settings)
app.command("styles")(styles.styles)
app.command("view")(showing.view)
app.command("serve")(showing.serve)
app.command("print")(showing.print_)
app.command("animate")(showing.animate)
