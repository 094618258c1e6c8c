"""A run, whichever way it finds its picture: by descent, or by a learned style."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nst_rs import application, job, pipeline
from nst_rs.config import RunConfig
from nst_rs.pipeline import Result
from nst_rs.progress import Listener


@dataclass(frozen=True)
class Run:
    """A run that has been checked against its inputs and the machine."""

    files: tuple[str, ...]
    """What it reads."""
    start: Callable[[Listener], Result]
    """Runs it."""


def prepare(config: RunConfig) -> Run:
    """Check a configuration and settle what it leaves open. Raises NstError."""
    if application.learned_style_of(config) is not None:
        applied = application.prepare(config)
        return Run(applied.files, partial(application.run, applied))
    found = job.prepare(config)
    return Run(found.inputs.files, partial(pipeline.run, found))
