"""A run's state on disk after every round, so that a killed run goes on to the same bits."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from nst_rs.errors import OutputError
from nst_rs.files.storage import MemoryStorage, Storage
from nst_rs.files.workspace import Workspace
from nst_rs.objective.losses import Losses
from nst_rs.optimise.descent import Point
from nst_rs.optimise.state import Form, State

_SHARE = 0.05  # of the time, at most, that goes into copying states from memory to disk


@dataclass(frozen=True)
class Checkpoint:
    """The progress of a run that has not ended. The arrays that belong to it are in the workspace."""

    run: Mapping[str, Any]
    """The run's configuration, inputs and versions: only a run with the same ones may go on from here."""
    level: int
    """The level's number, from 0, the coarsest."""
    done: int
    """The iterations of that level that are done."""
    histories: Sequence[Sequence[Losses]]
    """Level → losses at the start of every round; the last is the level's."""
    generation: str = ""
    """The name of the kept state that is whole."""

    @classmethod
    def read(cls, workspace: Workspace) -> "Checkpoint | None":
        """Return the workspace's checkpoint; None where there is none that can be read."""
        data = workspace.read_checkpoint()
        if data is None:
            return None
        try:
            histories = [[Losses.parse(losses) for losses in level] for level in data.pop("histories")]
            return cls(**data, histories=histories)
        except (
            KeyError,
            TypeError,
            AttributeError,
        ):  # another version's, or another kind of run's: the run starts anew
            return None

    def write(self, workspace: Workspace) -> None:
        """Replace the workspace's checkpoint, at once. Raises OutputError."""
        workspace.write_checkpoint(asdict(self))


class RemoteState(Protocol):
    """A state that may lie elsewhere than on disk: in memory, or on workers."""

    def copy_to(self, other: State) -> None:
        """Write this state to one on disk."""


class Keeper:
    """Keeps the two states that a level's rounds alternate between, and says in the workspace which is whole.

    States on disk are kept by being there. States in memory or on a cluster are copied, after every round or as often
    as takes no more than a twentieth of the time.
    """

    def __init__(self, workspace: Workspace, in_memory: bool, others_write: bool = False) -> None:
        """Keep what lies in :attr:`storage`: in memory, or in the workspace.

        `others_write`: states on disk are written by other processes, from states that they hold.
        """
        if not in_memory:
            workspace.create()
        self.storage: Storage = MemoryStorage() if in_memory else workspace.arrays
        self._workspace = workspace
        self._in_memory = in_memory
        self._copies = in_memory or others_write
        # A worker of a driver that was killed may still be writing to a state of the earlier name.
        mark = f"-{uuid.uuid4().hex}" if others_write else ""
        self._generations = f"a{mark}", f"b{mark}"
        self._generation = self._generations[0]
        self._pause_until = 0.0

    def start(self, form: Form, level: int) -> Point[State]:
        """Return the beginning of `level`, from 0, its picture not yet drawn; delete an earlier checkpoint of it."""
        earlier = Checkpoint.read(self._workspace)
        if earlier is not None and earlier.level == level:
            self._workspace.checkpoint.unlink()
        self._generation = self._generations[0]
        now, spare = (form.create(self.storage, _name(form, generation)) for generation in self._generations)
        return Point(now, spare)

    def has(self, form: Form, checkpoint: Checkpoint) -> bool:
        """Whether the arrays that belong to `checkpoint` are there, and whole."""
        try:
            form.open(self._workspace.arrays, _name(form, checkpoint.generation)).check_whole()
        except (KeyError, OutputError):
            return False
        return True

    def resume(self, form: Form, checkpoint: Checkpoint) -> Point[State]:
        """Return the point of the descent that the checkpoint describes."""
        self._generation = checkpoint.generation
        now = form.open(self._workspace.arrays, _name(form, self._generation))
        spare = form.create(self.storage, _name(form, self._other))
        if self._in_memory:
            kept, now = now, form.create(self.storage, _name(form, self._generation))
            kept.copy_to(now)
        return Point(now, spare, checkpoint.done, tuple(checkpoint.histories[-1]))

    def keep(self, form: Form, now: RemoteState, checkpoint: Checkpoint, at_once: bool = False) -> None:
        """Keep `now` as the state that `checkpoint` describes; the keeper itself sets the checkpoint's generation.

        `at_once`: also where a state was copied only a moment ago.
        """
        started = time.monotonic()
        if self._copies:
            if started < self._pause_until and not at_once:
                return
            self.copy(form, now)
        before, self._generation = self._generation, self._other
        replace(checkpoint, generation=self._generation).write(self._workspace)
        if before not in self._generations:
            form.delete(self._workspace.arrays, _name(form, before))
        self._pause_until = time.monotonic() + (time.monotonic() - started) / _SHARE

    def kept(self, form: Form) -> State:
        """Return the state that was kept last."""
        return form.open(self._workspace.arrays, _name(form, self._generation))

    def copy(self, form: Form, now: RemoteState) -> State:
        """Return a copy of `now` on disk, beside the one that is kept."""
        self._workspace.create()
        copied = form.create(self._workspace.arrays, _name(form, self._other))
        now.copy_to(copied)
        return copied

    def forget(self, form: Form) -> None:
        """Delete a level's states."""
        for generation in (*self._generations, self._generation):
            form.delete(self.storage, _name(form, generation))
            form.delete(self._workspace.arrays, _name(form, generation))

    @property
    def _other(self) -> str:
        first, second = self._generations
        return second if self._generation == first else first


def _name(form: Form, generation: str) -> str:
    return f"level-{form.level.factor}-{generation}"


if TYPE_CHECKING:
    _: type[RemoteState] = State
