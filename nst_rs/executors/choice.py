"""The executors by name: ``compute.executor`` chooses the one that computes a run's tiles."""

import os
from importlib import import_module
from typing import Any

from nst_rs.config.machine import ComputeSection
from nst_rs.executors.base import Executor, Traits
from nst_rs.files.extras import check_installed

_EXECUTORS = {
    "local": ("nst_rs.executors.local", "LocalExecutor", ""),
    "dask": ("nst_rs.executors.dask.executor", "DaskExecutor", "distributed"),
}
"""Name → module, class, and the library that must be installed for it, which is imported when it is needed."""


def check_executor(compute: ComputeSection) -> None:
    """Raise ResourceError where the executor's library is not installed, or its address can be no scheduler's."""
    name = compute.executor
    library = _EXECUTORS[name][2]
    if library:
        check_installed(library, f"compute.executor {name}")
    if compute.address is not None:
        _class_of(name).check_address(compute.address)


def traits_of(name: str) -> Traits:
    """Return what planning must know of an executor."""
    traits: Traits = _class_of(name).traits
    return traits


def executor_for(compute: ComputeSection, workers: int, connect: Any = None) -> Executor:
    """Return the executor of a run whose tiles are shared by `workers` processes.

    `connect` replaces the function by which an executor connects to its workers, for a scheduler that has them already.
    """
    if compute.executor == "local":
        made: Executor = _class_of("local")()
        return made
    further = {} if connect is None else {"connecting": connect}
    spread: Executor = _class_of(compute.executor)(compute.address, workers, threads_each(workers), **further)
    return spread


def threads_each(workers: int) -> int:
    """Return the number of threads for each of `workers` processes that are started on this machine."""
    return max(1, cores() // workers)


def cores() -> int:
    """Return the number of this machine's cores."""
    return os.cpu_count() or 1


def _class_of(name: str) -> Any:
    module, class_name, _ = _EXECUTORS[name]
    return getattr(import_module(module), class_name)
