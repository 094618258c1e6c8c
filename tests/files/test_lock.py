"""Locks between real processes."""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nst_rs.errors import LockedError, OutputError
from nst_rs.files.lock import Holder, alone, path_for

HOLD = """
import sys
from pathlib import Path
from nst_rs.files.lock import alone
with alone(Path(sys.argv[1]), "output map.tif"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process_at(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def hold(path: Path) -> None:
    with alone(path, "output map.tif"):
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_for(tmp_path / "map.tif")


def test_a_second_run_is_refused_by_name_and_process(path: Path) -> None:
    with another_process_at(path) as other, pytest.raises(LockedError) as refused:
        hold(path)
    expected = (
        r"output map\.tif: expected no other run at it, "
        rf"got process {other.pid} on {platform.node()}, since 20..-..-.. ..:..:.. UTC: -c .*\.map\.lock; "
        r"wait for it, or stop it"
    )
    refused.match(expected)


def test_a_second_run_of_the_same_process_is_refused_too(path: Path) -> None:
    with alone(path, "output map.tif"), pytest.raises(LockedError, match=f"process {os.getpid()} "):
        hold(path)


def test_a_refused_run_leaves_the_lock_to_its_holder(path: Path) -> None:
    with another_process_at(path) as other:
        for _ in range(2):
            with pytest.raises(LockedError, match=f"process {other.pid} "):
                hold(path)


def test_a_lock_goes_with_the_run_that_held_it(path: Path) -> None:
    for _ in range(2):
        with alone(path, "output map.tif"):
            assert path.exists()
        assert list(path.parent.iterdir()) == []


def test_a_run_that_failed_lets_go(path: Path) -> None:
    with pytest.raises(ValueError, match="lost"), alone(path, "output map.tif"):
        raise ValueError("lost")
    hold(path)


def test_the_lock_of_a_killed_run_is_taken_over_and_said_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with another_process_at(path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert path.exists()
        with alone(path, "output map.tif"):
            assert Holder.read(path) == Holder.here()
    assert f"output map.tif: taken over from a run that did not end, process {other.pid} on " in caplog.text
    assert not path.exists()


def test_a_lock_from_before_a_reboot_is_taken_over_though_a_process_has_its_number_again(path: Path) -> None:
    left = {"pid": 1, "host": platform.node(), "since": "2020-01-01 00:00:00 UTC", "command": "nst-rs stylize"}
    path.write_text(json.dumps(left))
    os.kill(1, 0)  # there is a process of that number
    with alone(path, "output map.tif"):
        assert Holder.read(path) == Holder.here()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_what_is_written_in_a_lock_does_not_matter(path: Path, text: str) -> None:
    path.write_text(text)
    with alone(path, "output map.tif"):
        path.write_text(text)
        with pytest.raises(LockedError):
            hold(path)


def test_many_processes_hold_a_lock_one_at_a_time(path: Path, tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from nst_rs.errors import LockedError
from nst_rs.files.lock import alone
path, taken = Path(sys.argv[1]), Path(sys.argv[2])
held = 0
while held < 8:
    try:
        with alone(path, "output map.tif"):
            os.close(os.open(taken, os.O_CREAT | os.O_EXCL))  # fails where another is here
            time.sleep(0.001)
            taken.unlink()
            held += 1
    except LockedError:
        pass
"""
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "taken")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_map_and_one_with_the_same_preview_are_never_made_at_once(tmp_path: Path) -> None:
    assert path_for(tmp_path / "map.tif") == path_for(tmp_path / "map.tiff") != path_for(tmp_path / "map2.tif")


def test_a_lock_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("a file")
    with pytest.raises(OutputError, match=r"lock .*/no/\.map\.lock: expected leave to write, got "):
        hold(path_for(tmp_path / "no" / "map.tif"))
