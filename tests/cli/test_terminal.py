"""A real terminal is a pseudo-terminal of its own: the installed command runs in it."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any


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
    command = Path(sys.executable).with_name("nst-rs")
    shown = run_in_terminal(command, "stylize", olinda, "--style", harvest, "--output", tmp_path / "map.tif", *settings)
    assert "level 2/2, iteration 2/2" in shown
    assert "100 %" in shown
    assert "\x1b[2K" in shown  # the line is taken away again
    assert "legibility" in shown.splitlines()[-2]
    assert "map.run.json" in shown.splitlines()[-1]


def test_a_terminal_shows_the_settings_as_a_table() -> None:
    shown = run_in_terminal(Path(sys.executable).with_name("nst-rs"), "settings", "objective")
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines()]
    assert ["", "objective.content_normalization", "mean", "mean or sum"] in [row[:4] for row in rows]
