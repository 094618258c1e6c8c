"""The lessons of a learning run, drawn ahead in threads, so that the device need not wait for the host to draw them."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from nst_rs.learned.samples import Draw, TrainingScene, draw
from nst_rs.neural.trainer import Lesson

_AHEAD = 6
"""Lessons that are drawn before they are needed, so that a slow one keeps nobody waiting."""
_THREADS = 3


class Lessons:
    """Lessons one after the other. Each depends on the seed and on its own number alone, however many were drawn."""

    def __init__(self, scenes: Sequence[TrainingScene], size: Draw, seed: int, first: int) -> None:
        """Begin with lesson number `first`; close the lessons when no more are needed."""
        self._scenes, self._size, self._seed, self._number = scenes, size, seed, first
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lessons")
        self._coming: deque[Future[Lesson]] = deque()

    def next(self) -> Lesson:
        """Return the next lesson, and have those after it drawn."""
        while len(self._coming) <= _AHEAD:
            self._coming.append(self._pool.submit(self._lesson, self._number))
            self._number += 1
        return self._coming.popleft().result()

    def close(self) -> None:
        """Forget the lessons that were drawn ahead."""
        self._pool.shutdown(cancel_futures=True)

    def _lesson(self, number: int) -> Lesson:
        return Lesson(*draw(self._scenes, self._size, np.random.default_rng((self._seed, number))))
