"""The lessons of a run do not depend on what was drawn before them, nor on the threads that draw them."""

from contextlib import closing

import numpy as np
import pytest

from nst_rs.learned.samples import Draw, TrainingScene
from nst_rs.learning.lessons import Lessons
from nst_rs.neural.trainer import Lesson

SIZE = Draw(windows=2, side=32, margin=8, stride=4)


@pytest.fixture
def scenes() -> list[TrainingScene]:
    image = np.random.default_rng(0).uniform(0, 255, (64, 80, 3)).astype(np.float32)
    return [TrainingScene(image, np.ones((64, 80), np.float32), 1.0)]


def drawn(scenes: list[TrainingScene], first: int, count: int, seed: int = 0) -> list[Lesson]:
    with closing(Lessons(scenes, SIZE, seed, first)) as lessons:
        return [lessons.next() for _ in range(count)]


def same(one: Lesson, other: Lesson) -> bool:
    pairs = (one.seen, other.seen), (one.grain, other.grain), (one.scene, other.scene)
    return all(np.array_equal(*pair) for pair in pairs)


def test_a_run_that_goes_on_draws_what_it_would_have_drawn(scenes: list[TrainingScene]) -> None:
    whole = drawn(scenes, first=0, count=12)
    assert all(map(same, whole[5:], drawn(scenes, first=5, count=7)))


def test_no_two_lessons_of_a_run_are_alike_nor_those_of_two_seeds(scenes: list[TrainingScene]) -> None:
    lessons = drawn(scenes, first=0, count=6) + drawn(scenes, first=0, count=1, seed=1)
    assert not any(same(one, other) for index, one in enumerate(lessons) for other in lessons[:index])
