"""The pages of the reference that are read from the program: its commands from Typer, its settings from pydantic."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from typer.main import get_command

from nst_rs.cli import app
from nst_rs.config.reference import describe
from nst_rs.config.sections import sections

_DEFAULTS_TO_SHOW = (str, int, float)


def commands() -> str:
    """Return all commands in Markdown: a heading for each, how it is called, what it does, its options."""
    return "\n\n".join(_command(name, command) for name, command in subcommands().items())


def settings() -> str:
    """Return all settings in Markdown: a heading and a table for each section."""
    return "\n\n".join(_section(name) for name in sections())


def subcommands() -> dict[str, Any]:
    """Return the commands of `nst-rs` by name, as Typer has them."""
    group: Any = get_command(app)
    return dict(group.commands)


def _command(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=f"nst-rs {name}")
    usage = command.get_usage(context).removeprefix("Usage: ")
    options = [_option(each) for each in command.params if each.param_type_name == "option"]
    parts = [f"## nst-rs {name}", f"    {usage}", _flowing(command.help)]
    return "\n\n".join([*parts, *([_table(("option", "meaning"), options)] if options else [])])


def _option(option: Any) -> tuple[str, str]:
    """Return how an option is written, and what it does."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    written = f"`{names} {option.metavar}`" if option.metavar else f"`{names}`"
    is_shown = isinstance(option.default, _DEFAULTS_TO_SHOW) and not isinstance(option.default, bool)
    default = f" Default: `{option.default}`." if is_shown else ""
    return written, f"{option.help}{default}"


def _section(name: str) -> str:
    meaning = _with_links(_flowing(sections()[name].__doc__ or ""))
    rows = [
        (f"`{setting.name}`", _default(setting.default), setting.values, _with_links(setting.meaning))
        for setting in describe(name)
    ]
    return "\n\n".join([f"## {name}", meaning, _table(("setting", "default", "values", "meaning"), rows)])


def _default(written: str) -> str:
    return written if written == "not set" else f"`{written}`"


def _flowing(text: str) -> str:
    """Return a docstring's paragraphs, each on one line, with Markdown's signs for code."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("``", "`")


def _with_links(text: str) -> str:
    """Return a text in which the names of pages are links, seen from docs/reference.

    >>> _with_links("as products have them: docs/products.md.")
    'as products have them: [products.md](../products.md).'
    """
    return re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](../\1)", text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
