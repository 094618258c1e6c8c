"""The state of a learning run on disk, so that a killed run goes on. It is one safetensors file, never half written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nst_rs.files.replacing import written_at_once
from nst_rs.files.workspace import Workspace
from nst_rs.neural.trainer import Memory

_PARTS = ("weights", "first", "second", "average")


@dataclass(frozen=True)
class LearningCheckpoint:
    """The state of learning between two steps."""

    run: Mapping[str, Any]
    """The facts that must be the same for a run to go on from here."""
    memory: Memory
    seconds: float
    """The time that all steps so far took."""
    losses: tuple[float, ...]
    """The loss at every step so far."""

    def write(self, workspace: Workspace) -> None:
        """Replace the workspace's checkpoint, at once. Raises OutputError."""
        workspace.create()
        tensors = {f"{part}/{name}": value for part in _PARTS for name, value in getattr(self.memory, part).items()}
        told = {
            "run": self.run,
            "seconds": self.seconds,
            "losses": self.losses,
            "usual_length": self.memory.usual_length,
            "steps": self.memory.steps,
        }
        with written_at_once(workspace.learning, f"workspace {workspace.folder}") as temporary:
            temporary.write_bytes(save(tensors, {"told": json.dumps(told)}))

    @classmethod
    def read(cls, workspace: Workspace, run: Mapping[str, Any]) -> "LearningCheckpoint | None":
        """Return the workspace's checkpoint; None where there is none, or where it belongs to another run."""
        if not workspace.learning.is_file():
            return None
        try:
            with safe_open(workspace.learning, framework="numpy") as file:
                told = json.loads((file.metadata() or {}).get("told", "{}"))
                tensors = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError:
            return None
        if told.get("run") != run:
            return None
        weights, first, second, average = (
            {name.split("/")[1]: x for name, x in tensors.items() if name.startswith(f"{part}/")} for part in _PARTS
        )
        memory = Memory(weights, first, second, average, told["usual_length"], told["steps"])
        return cls(run, memory, told["seconds"], tuple(told["losses"]))
