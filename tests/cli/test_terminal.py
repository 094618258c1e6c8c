"""A real terminal is a pseudo-terminal of its own: the installed command runs in it."""

import errno
import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from nst_rs.cli import terminal


def run_in_terminal(*command: object) -> str:
    """Run a command on a terminal of 100 columns and return what it showed there."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [str(part) for part in command], stdout=its, stderr=its, env={**os.environ, "COLUMNS": "100"}
    ) as process:
        os.close(its)
        shown = bytearray()
        while block := _read(ours):
            shown += block
        assert process.wait() == 0
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side has been closed
        return b""


def test_a_terminal_shows_one_live_line_and_then_the_result(
    olinda: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    settings = [f"--set={key}={value}".replace("(", "[").replace(")", "]") for key, value in quick.items()]
    named = (olinda.with_name("olinda_centre.tif"), "--style", harvest, "--output", tmp_path / "map.tif")
    shown = run_in_terminal(Path(sys.executable).with_name("nst-rs"), "stylize", *named, *settings)
    assert "starting TensorFlow" in shown
    assert "level 2/2, iteration 2/2" in shown
    assert "100 %" in shown
    assert "\x1b[2K" in shown  # the line is taken away again
    assert "legibility" in shown
    assert shown.splitlines()[-1] == str(tmp_path / "map.tif")


def test_a_terminal_shows_the_settings_as_a_table() -> None:
    shown = run_in_terminal(Path(sys.executable).with_name("nst-rs"), "settings", "objective")
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines()]
    assert ["", "objective.content_normalization", "mean", "mean or sum"] in [row[:4] for row in rows]


LONG = "word " * 400
log = logging.getLogger("nst_rs.somewhere")


def test_off_a_terminal_nothing_is_wrapped_or_cut() -> None:
    stream = io.StringIO()
    console = terminal.console(stream)
    terminal.say(console, LONG)
    table = Table("band", "name")
    table.add_row("1", LONG)
    console.print(table)
    lines = stream.getvalue().splitlines()
    assert lines[0] == LONG
    assert any(LONG.strip() in line for line in lines[1:])


AS_LIBRARIES_DO = """
import logging, os, sys, warnings
from nst_rs.cli import terminal
log = logging.getLogger("nst_rs.somewhere")
with terminal.messages(verbose=False) as screen:
    os.write(2, b"native")
    print("python", file=sys.stderr)
    warnings.warn("warned")
    logging.getLogger("library").warning("logged")
    log.info("not said")
    log.warning("word " * 400)
    terminal.say(screen, "error: [no markup] :smile:")
print("afterwards", file=sys.stderr)
"""


def test_of_what_is_written_meanwhile_only_this_programs_own_messages_are_shown() -> None:
    ended = subprocess.run([sys.executable, "-c", AS_LIBRARIES_DO], capture_output=True, text=True, check=True)
    assert ended.stderr == f"warning: {LONG}\nerror: [no markup] :smile:\nafterwards\n"


def test_who_asks_for_more_is_shown_what_libraries_write_too(capfd: pytest.CaptureFixture[str]) -> None:
    with terminal.messages(verbose=True):
        os.write(2, b"native\n")
        log.info("said")
    assert capfd.readouterr().err == "native\ninfo: said\n"


class Gone(io.StringIO):
    """A terminal that has been closed."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_has_gone_away_is_no_error() -> None:
    terminal.say(terminal.console(Gone()), "interrupted")


@pytest.mark.parametrize("verbose", [False, True])
def test_a_command_leaves_the_programs_log_as_it_was(verbose: bool) -> None:
    logger = logging.getLogger("nst_rs")
    before = logger.level, list(logger.handlers)
    with terminal.messages(verbose):
        assert (logger.level, list(logger.handlers)) != before
    assert (logger.level, list(logger.handlers)) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_an_output_that_cannot_be_written_to_is_one_line() -> None:
    command = [sys.executable, "-c", "from nst_rs.cli import app; app()", "settings", "tiling"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: output: expected room and leave to write, got No space left on device; "
        "free some space, then try again\n"
    )
