"""A run, whichever way it finds its picture: by descent, or by a learned style."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nst_rs.config.sections import RunConfig
from nst_rs.runs import apply, job, stylize
from nst_rs.runs.progress import Listener
from nst_rs.runs.stylize import Result


@dataclass(frozen=True)
class Run:
    """A run that has been checked against its inputs and the machine."""

    files: tuple[str, ...]
    """What it reads."""
    start: Callable[[Listener], Result]
    """Runs it."""


def prepare(config: RunConfig) -> Run:
    """Check a configuration and settle what it leaves open. Raises NstError."""
    if apply.learned_style_of(config) is not None:
        applied = apply.prepare(config)
        return Run(applied.files, partial(apply.run, applied))
    found = job.prepare(config)
    return Run(found.inputs.files, partial(stylize.run, found))
