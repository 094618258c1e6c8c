"""One run in progress, from files to files: composing, computing the picture, finishing.

:class:`Session` has the stages as methods, for a scheduler to call one by one; :func:`run` calls them in a row. The
picture is computed by :mod:`nst_rs.runs.optimised.levels` or :mod:`nst_rs.runs.painted.painting`.
"""

from collections.abc import Callable
from typing import Any, Protocol

from nst_rs.executors.choice import executor_for
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.runs import progress
from nst_rs.runs.cost import Meter
from nst_rs.runs.finish import Finished, Result, finish
from nst_rs.runs.job import Job
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.runs.optimised.levels import Levels
from nst_rs.runs.painted.classes_job import LearnedClassesJob
from nst_rs.runs.painted.job import LearnedJob
from nst_rs.runs.painted.painting import Painting
from nst_rs.runs.painted.painting_classes import PaintingClasses
from nst_rs.runs.progress import Stopwatch


class Work(Protocol):
    """The computation of a run's picture."""

    def compose(self) -> None:
        """Read the scene and map it to RGB, once. Raises NstError."""

    def compute(self, index: int) -> None:
        """Compute stage `index` of the job's stages, from 0; needs the stage before. Raises NstError."""

    def finished(self) -> Finished:
        """Return the finished picture with all that goes into the map and the record; needs the last stage."""


class Session:
    """One run in progress: its stages in order, each of which may be repeated without changing the result.

    As a context it lets go of the workers that it has started; so does :meth:`close`.
    """

    def __init__(
        self,
        job: Job,
        listener: progress.Listener = progress.ignore,
        connect: Any = None,
        show: Callable[[SmallPicture], None] = lambda _: None,
    ) -> None:
        """Prepare to run `job`, telling `listener` where it stands.

        `connect` replaces the function by which the executor connects to its workers. `show` is called with every
        picture on the way, where the configuration asks for them.
        """
        self.job = job
        self._watch, self._meter = Stopwatch(), Meter(job)
        self._executor = executor_for(job.config.compute, job.workers, connect)
        if isinstance(job, OptimisedJob):
            self._work: Work = Levels(job, self._executor, self._watch, listener, show)
        elif isinstance(job, LearnedJob):
            self._work = Painting(job, self._executor, self._watch, listener)
        elif isinstance(job, LearnedClassesJob):
            self._work = PaintingClasses(job, self._executor, self._watch, listener)
        else:
            raise TypeError(f"no work for {type(job).__name__}")

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of workers; a stage that is tried again finds or starts them anew."""
        self._executor.close()

    def compose(self) -> None:
        """Read the scene and map it to RGB, once; workers that run elsewhere are found first. Raises NstError."""
        self._executor.reach()
        self._work.compose()

    def compute(self, index: int) -> None:
        """Compute stage `index` of the job's stages, from 0; needs the stage before."""
        self._work.compute(index)

    def publish(self) -> Result:
        """Write the map and its companions; needs the last stage."""
        return finish(self.job, self._work.finished(), self._watch, self._meter)


def run(job: Job, listener: progress.Listener = progress.ignore) -> Result:
    """Run every stage of `job` in order. Raises LockedError where another run is at the same output."""
    with job.alone(), Session(job, listener) as session:
        session.compose()
        for index in range(len(job.stages)):
            session.compute(index)
        return session.publish()
