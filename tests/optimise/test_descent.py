import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.optimise.descent import Descent, Point, Step, descend
from nst_rs.optimise.rounds import Exact, TileByTile
from tests.pixel_kernel import canvas_of, problem_of, state_of


def ignore(_: object) -> None:
    pass


def start() -> Point:
    return Point(*(state_of(PROBLEM.canvas) for _ in range(2)))


PROBLEM = problem_of(canvas_of((150, 210), 100))


def test_a_level_takes_its_iterations_downhill() -> None:
    points: list[Point] = []
    end = descend(Exact(PROBLEM), start(), Descent(20, 4.0), ignore, points.append)
    assert [point.done for point in points] == list(range(1, 21))
    totals = [losses.total for losses in points[-1].history]
    assert len(totals) == 20
    assert totals[-1] < 0.3 * totals[0]
    assert end is points[-1].now


def test_going_on_from_any_point_ends_in_the_same_bits() -> None:
    descent = Descent(6, 4.0, last_step=0.1)
    expected = descend(Exact(PROBLEM), start(), descent, ignore, ignore).picture[:]
    for stop in range(1, 6):
        points: list[Point] = []
        with pytest.raises(KeyboardInterrupt):
            descend(Exact(PROBLEM), start(), descent, ignore, lambda point, n=stop, p=points: _stop(point, n, p))
        assert points[-1].done == stop
        assert (descend(Exact(PROBLEM), points[-1], descent, ignore, ignore).picture[:] == expected).all()


def _stop(point: Point, after: int, points: list[Point]) -> None:
    points.append(point)
    if point.done == after:
        raise KeyboardInterrupt


@given(st.integers(1, 200), st.floats(0.01, 1), st.integers(1, 7))
def test_rounds_partition_the_iterations(iterations: int, last: float, moves: int) -> None:
    descent, done, sizes = Descent(iterations, 5.0, last_step=last, moves_per_round=moves), 0, []
    while done < iterations:
        found = descent.moves_after(done)
        assert [move.number for move in found] == list(range(done + 1, done + 1 + len(found)))
        assert 1 <= len(found) <= moves
        done += len(found)
        sizes += [move.size for move in found]
    assert done == iterations
    assert sizes[0] == 5.0
    assert sizes == sorted(sizes, reverse=True)
    if iterations > 1:
        assert sizes[-1] == pytest.approx(5.0 * last)


def test_the_mean_takes_the_last_iterates_in_equal_shares() -> None:
    descent = Descent(10, 5.0, averaged=0.3)
    assert [descent.move(n).share for n in range(1, 11)] == [1.0] * 8 + [1 / 2, 1 / 3]


def test_a_level_ends_early_where_its_loss_has_flattened() -> None:
    descent = Descent(100, 5.0, tolerance=0.01)
    falling = [0.5**n for n in range(30)]
    assert not descent.has_flattened(falling)
    assert not descent.has_flattened([1.0] * 10)
    assert descent.has_flattened([1.0] * 11)
    assert descent.has_flattened(falling + [falling[-1]] * 10)
    assert not Descent(100, 5.0).has_flattened([1.0] * 50)


def test_a_flattened_level_ends() -> None:
    points: list[Point] = []
    descend(Exact(PROBLEM), start(), Descent(500, 4.0, last_step=0.01, tolerance=0.02), ignore, points.append)
    assert 10 < points[-1].done < 500


@pytest.mark.parametrize("moves", [1, 3])
def test_a_listener_hears_every_window_and_the_losses_after_every_round(moves: int) -> None:
    steps: list[Step] = []
    kind = Exact(PROBLEM) if moves == 1 else TileByTile(PROBLEM)
    descend(kind, start(), Descent(2 * moves, 4.0, moves_per_round=moves), steps.append, ignore)
    expected = []
    for done in (0, moves):
        windows = kind.windows(done)
        expected += [*range(1, windows + 1), windows]
    assert [s.windows_done for s in steps] == expected
    assert [s.iteration for s in steps if s.losses] == [moves, 2 * moves]


def test_the_start_is_left_alone() -> None:
    point = start()
    descend(Exact(PROBLEM), point, Descent(1, 4.0), ignore, ignore)
    assert (point.now.picture[:] == PROBLEM.canvas.image).all()
    assert np.any(point.spare.picture[:] != PROBLEM.canvas.image)
