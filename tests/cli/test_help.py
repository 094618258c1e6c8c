"""What the command says of itself, also to a shell, and to outputs that can encode only ASCII."""

import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from nst_rs.cli import app
from tests.commands import NST_RS, run


def test_the_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capfd.readouterr().out == f"nst-rs {version('nst-rs')}\n"


@pytest.mark.parametrize("command", ["", *(str(command.name) for command in app.registered_commands)])
def test_help_says_in_ascii_and_in_sentences_what_is_to_be_given(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*filter(None, (command, "--help"))) == 0
    shown = capfd.readouterr().out
    assert shown.isascii()
    assert not re.search(r"<[a-z]", shown)  # Python's types
    # Options begin with two blanks; their help ends a line that no further one continues.
    helps = re.findall(r"^  -.*?(?=^  -|\Z)", shown.split("Commands:")[0], re.MULTILINE | re.DOTALL)
    assert helps
    for text in helps:
        assert re.search(r"\.(\s+\[[^]]*\])?\s*\Z", text.rstrip()) or "completion" in text, text


def test_the_shell_completes_commands() -> None:
    asked = {"_NST_RS_COMPLETE": "complete_bash", "COMP_WORDS": "nst-rs ins", "COMP_CWORD": "1"}
    ended = subprocess.run([NST_RS], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["inspect"]


def in_ascii(*arguments: str | bytes) -> "subprocess.CompletedProcess[bytes]":
    """Run the command where neither output can encode anything but ASCII."""
    return subprocess.run(
        [NST_RS, *arguments],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )


def test_an_output_that_cannot_encode_a_message_shows_it_all_the_same(olinda: Path, tmp_path: Path) -> None:
    shown = in_ascii("inspect", str(olinda))
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"349 \\xd7 352 pixels" in shown.stdout
    for name in ("münchen.tif".encode("latin-1"), "東京.tif".encode()):
        failed = in_ascii("inspect", os.fsencode(tmp_path) + b"/" + name)
        assert failed.returncode == 2
        assert re.fullmatch(rb"error: scene .*\\.*\.tif: expected a file or folder, got nothing .*\n", failed.stderr)
