"""Runs of this process that end in the middle of their work, as one does that Ctrl-C is given to."""

from pathlib import Path
from typing import Any

import pytest

import nst_rs
from nst_rs.runs.progress import Progress


def interrupted(scene: Path, style: Path, output: Path, settings: dict[str, Any], rounds: int) -> list[Progress]:
    """What a run tells that is killed after some rounds."""
    heard: list[Progress] = []
    with pytest.raises(KeyboardInterrupt):
        nst_rs.stylize(
            scene, style, output, settings=settings, listener=lambda state: interrupt_after(state, rounds, heard)
        )
    return heard


def interrupt_after(state: Progress, rounds: int, heard: list[Progress]) -> None:
    """Stop in the second window after some rounds."""
    heard.append(state)
    ends = [each.ends_iteration for each in heard]
    if sum(ends) == rounds and not any(ends[-2:]) and len(heard) > 1:
        raise KeyboardInterrupt
