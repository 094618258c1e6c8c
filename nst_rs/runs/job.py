"""A run before it is computed: the parts that optimised and learned pictures share.

A job is a run that has been checked against its inputs and the machine. The two kinds of job, which differ in how the
picture comes to be, are in :mod:`nst_rs.runs.optimised.job` and :mod:`nst_rs.runs.painted.job`.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from nst_rs.composite.rendering import Rendering
from nst_rs.config.loading import Decisions
from nst_rs.config.sections import RunConfig
from nst_rs.errors import OutputError, ResourceError
from nst_rs.executors.base import Traits
from nst_rs.executors.choice import traits_of
from nst_rs.files import lock
from nst_rs.files.text import in_bytes
from nst_rs.files.workspace import Workspace
from nst_rs.neural.device import Device
from nst_rs.output.files import Outputs
from nst_rs.output.publish import disk_bytes
from nst_rs.runs.estimate import Kept, Memory
from nst_rs.runs.inputs import Inputs
from nst_rs.runs.zooms import zoom_bytes, zooms_of
from nst_rs.style.picture import Style


@dataclass(frozen=True)
class Job(ABC):
    """A run that has been checked against its inputs and the machine, before anything is computed."""

    config: RunConfig
    """The configuration with every choice that was left open made (bands, stroke, tile, precision), so that it repeats
    the run elsewhere."""
    inputs: Inputs
    device: Device
    budget: float
    """The bytes of the host's memory that the run may take; on a cluster, each worker."""

    @property
    def files(self) -> tuple[str, ...]:
        """The locations of all that the run reads."""
        return self.inputs.files

    @property
    def outputs(self) -> Outputs:
        """The files to write; raises OutputError when the job was prepared without any."""
        if self.inputs.outputs is None:
            raise OutputError("output", expected="a map to write", got="none", do="name it with --output")
        return self.inputs.outputs

    @property
    def workspace(self) -> Workspace:
        """The folder for the files that the run needs until it has ended; raises OutputError like :attr:`outputs`."""
        return Workspace(self.outputs.tif)

    @property
    def traits(self) -> Traits:
        """The traits of the executor: what planning must know of it."""
        return traits_of(self.config.compute.executor)

    @property
    def workers(self) -> int:
        """The number of processes that share the tiles, as far as known. There are no more of them than tiles."""
        return min(self.config.compute.workers or 1, self.tiles)

    @property
    def zooms(self) -> int:
        """How many coarser zooms the map has pictures for, each half as large as the one before."""
        return zooms_of(self.config, self.inputs.scene.grid.shape)

    @property
    def disk_bytes(self) -> int:
        """The bytes that the run takes on disk until it has ended, the map included."""
        rendering, shape = self.inputs.rendering, self.inputs.scene.grid.shape
        outputs = Outputs(Path("map.tif"), self.config.output)
        zooms = zoom_bytes(shape, self.zooms, rendering.keeps_clouds)
        return disk_bytes(rendering.scene.grid, rendering, outputs) + self.kept.disk_bytes(self.memory.on_disk) + zooms

    def alone(self) -> AbstractContextManager[None]:
        """Hold the output, and the workspace with it, against other runs; raises LockedError where one has it."""
        tif = self.outputs.tif
        return lock.alone(lock.path_for(tif), f"output {tif}")

    @property
    @abstractmethod
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that compute the picture, in order."""

    @property
    @abstractmethod
    def outline(self) -> tuple[Mapping[str, str], ...]:
        """A table of the stages for people: one row per stage, column → value."""

    @property
    def ground(self) -> tuple[Mapping[str, str], ...]:
        """A table of the classes of ground for people, like :attr:`outline`; empty where the ground is not divided."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What people who plan the run are told besides, one line each."""
        return ()

    @property
    @abstractmethod
    def tiles(self) -> int:
        """The number of tiles that the map is cut into."""

    @property
    @abstractmethod
    def memory(self) -> Memory:
        """The memory that the run holds at its peak, without the activations that it keeps where there is room."""

    @property
    @abstractmethod
    def kept(self) -> Kept:
        """The arrays that the run keeps of its scene."""

    @property
    @abstractmethod
    def kept_bytes(self) -> float:
        """The bytes, beyond :attr:`memory`, of the activations that the run keeps only to save time."""

    @property
    @abstractmethod
    def worker_bytes(self) -> float:
        """The bytes that each worker of a cluster holds at its peak, without activations kept where there is room."""

    @property
    @abstractmethod
    def flops(self) -> float:
        """The floating point operations of the network's convolutions, over the whole run."""

    @abstractmethod
    def measure_seconds(self) -> float:
        """Estimate the time of the whole run from a short measurement on this machine."""

    def shortages(self, folder: Path | None) -> Iterator[ResourceError]:
        """Yield every reason to refuse the run: too little memory, or too little disk where `folder` is named."""
        yield from self._memory_shortages()
        if folder is not None and folder.is_dir():  # a folder that is not there is another matter
            remedy = "free some space, or write to another disk"
            free = shutil.disk_usage(folder).free
            yield from _shortage(f"disk of {folder} for this map", self.disk_bytes, free, remedy)

    def _memory_shortages(self) -> Iterator[ResourceError]:
        need = self.memory
        remedy = "use a smaller tiling.tile, or a smaller compute.memory, to keep more on disk"
        places = [("the host", need.host, float(self.device.free_bytes))]
        if self.device.is_gpu:
            free = float(psutil.virtual_memory().available)
            places = [
                (self.device.name, need.windows, float(self.device.free_bytes)),
                ("the host", need.scene + need.process, free),
            ]
        if not self.traits.in_process and not self.config.compute.address:  # the workers are on this machine
            remedy = "use fewer compute.workers, or a smaller tiling.tile"
            workers = self.workers * (self.worker_bytes - (need.windows if self.device.is_gpu else 0))
            places.append(("the host with its workers", need.scene + need.process + workers, places[-1][-1]))
        for place, needed, free in places:
            yield from _shortage(f"memory of {place} for this plan", needed, free, remedy)


class Kind(Protocol):
    """One way to a picture, optimised or learned. The style that a configuration names decides which."""

    def completed(self, config: RunConfig) -> RunConfig:
        """Return `config` with the settings that the style decides before the scene is opened. Raises NstError."""

    def files(self, config: RunConfig) -> tuple[str, ...]:
        """Return the files that the run reads besides the scene."""

    def decided_by(self, rendering: Rendering, config: RunConfig) -> Decisions:
        """Return the settings that the scene decides. Raises NstError."""

    def styles(self, config: RunConfig) -> tuple[Style, ...]:
        """Return the pictures of the style. Raises NstError."""

    def job(self, config: RunConfig, inputs: Inputs, device: Device, budget: float) -> Job:
        """Return the job, with every open setting decided. `config` names the precision."""


def _shortage(what: str, needed: float, free: float, remedy: str) -> Iterator[ResourceError]:
    if needed > free:
        yield ResourceError(what, expected=f"about {in_bytes(needed)} free", got=in_bytes(free), do=remedy)
