"""The arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

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
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is decided and how long it took.")]
