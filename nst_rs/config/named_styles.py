"""Learned styles that are called by a name: those shipped with the program, and the user's own.

A user's own lie in the folder that the environment variable NST_RS_STYLES names, or else in
``$XDG_DATA_HOME/nst-rs/styles``, which is ``~/.local/share/nst-rs/styles`` unless set. Nothing is read here.
"""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

SUFFIX = ".style"
VARIABLE = "NST_RS_STYLES"


@dataclass(frozen=True)
class NamedStyle:
    """A learned style's file, and the name by which it is called."""

    path: Path
    shipped: bool

    @property
    def kind(self) -> str:
        """Whose it is, in a word."""
        return "shipped" if self.shipped else "own"

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def own_folder() -> Path:
    """Return the folder of the user's own styles, which need not be there."""
    named = os.environ.get(VARIABLE)
    data = os.environ.get("XDG_DATA_HOME") or os.path.join("~", ".local", "share")
    return Path(os.path.abspath(os.path.expanduser(named or os.path.join(data, "nst-rs", "styles"))))


def shipped_folder() -> Path:
    """Return the folder of the shipped styles."""
    return Path(str(resources.files("nst_rs"))) / "data" / "styles"


def named_styles() -> dict[str, NamedStyle]:
    """Return all styles by name, in the order of names; a user's own hides a shipped one of its name."""
    found: dict[str, NamedStyle] = {}
    for folder, shipped in ((shipped_folder(), True), (own_folder(), False)):
        styles = [NamedStyle(path, shipped) for path in folder.glob(f"*{SUFFIX}") if path.is_file()]
        found |= {style.name: style for style in styles}
    return dict(sorted(found.items()))


def find_style(named: str) -> NamedStyle | None:
    """Return the style of that name; None for what is no name, such as a path, and for a name that no style has.

    A file of that name in the working folder is to be looked for first.
    """
    return None if os.path.sep in named else named_styles().get(named)


def names_in_words() -> str:
    """Return the names of all styles, for messages."""
    return ", ".join(named_styles()) or "none are there"
