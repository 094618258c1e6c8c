"""A command that is told to stop, or killed, and given again."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from nst_rs.output.files import Outputs
from tests.commands import assignments, run
from tests.forked import ForkedCommand

LONG = {"schedule.iterations": "[2, 12]", "schedule.levels": 2, "tiling.tile": 64}
"""Long enough to be interrupted in the second level."""


@pytest.fixture(scope="module")
def long_run(centre: Path, harvest: Path, deep: dict[str, Any]) -> list[str]:
    return ["stylize", str(centre), "--style", str(harvest), *assignments({**deep, **LONG})]


@pytest.fixture(scope="module")
def whole(long_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The map of a run that nothing interrupts."""
    output = tmp_path_factory.mktemp("whole") / "map.tif"
    assert run(*long_run, "--output", output) == 0
    return output.read_bytes()


INTERRUPTED = "interrupted: no map was written; the same command goes on from here\n"


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (signal.SIGINT, 130, INTERRUPTED),
        (signal.SIGTERM, 143, INTERRUPTED),
        (signal.SIGHUP, 129, INTERRUPTED),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"],
)
def test_a_stopped_command_leaves_no_temporary_files_and_goes_on_to_the_same_map(
    stop: signal.Signals,
    code: int,
    said: str,
    long_run: list[str],
    whole: bytes,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    output, temporary, messages = tmp_path / "made" / "map.tif", tmp_path / "temporary", tmp_path / "messages"
    output.parent.mkdir()
    temporary.mkdir()
    command = ForkedCommand([*long_run, "--output", str(output)], temporary, messages)
    checkpoint = output.parent / ".map.tif.work" / "checkpoint.json"
    while not (checkpoint.is_file() and json.loads(checkpoint.read_text())["level"] == 1):
        assert command.process.is_alive()
        time.sleep(0.02)
    assert command.stop(stop) == code
    assert messages.read_text().endswith(said)
    assert list(temporary.iterdir()) == []
    assert not output.exists()
    capfd.readouterr()
    assert run(*long_run, "--output", output) == 0
    assert "going on where an earlier run stopped: level 2" in capfd.readouterr().err
    assert output.read_bytes() == whole
    assert {path.name for path in output.parent.iterdir()} == {path.name for path in Outputs(output)}
