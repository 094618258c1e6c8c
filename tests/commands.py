"""The command line, called in the tests' own process."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nst_rs.cli import app

NST_RS = Path(sys.executable).with_name("nst-rs")
"""The installed command."""


def run(*arguments: object) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        app([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def assignments(settings: dict[str, Any]) -> list[str]:
    """The settings as --set arguments."""
    return [
        part
        for key, value in settings.items()
        for part in ("--set", f"{key}={value}".replace("(", "[").replace(")", "]"))
    ]
