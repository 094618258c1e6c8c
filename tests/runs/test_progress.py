import pytest

from nst_rs.files.text import duration
from nst_rs.objective.losses import Losses
from nst_rs.optimise.descent import Step
from nst_rs.runs.progress import Progress, Stopwatch, Tracker


def step(iteration: int, done: int, total: float | None = None) -> Step:
    losses = None if total is None else Losses(total, {})
    return Step(
        iteration - 1, iteration, iterations=2, tile=done - 1, tiles=4, windows_done=done, windows=4, losses=losses
    )


def heard(*steps: tuple[int, Step], work: tuple[float, ...] = (10.0, 30.0)) -> tuple[Tracker, list[Progress]]:
    states: list[Progress] = []
    tracker = Tracker(work, states.append)
    for level, each in steps:
        if each.iteration == each.windows_done == 1 or level == len(tracker.history):
            tracker.restore(level, [])
        tracker.hear(level, each)
    return tracker, states


def test_the_fraction_counts_pixels_not_iterations() -> None:
    _, states = heard((0, step(1, 2)), (0, step(2, 4)), (1, step(1, 4)), (1, step(2, 4)))
    assert [state.fraction for state in states] == [10 / 4 / 40, 10 / 40, 25 / 40, 1.0]


def test_the_loss_told_is_that_of_the_last_iteration_that_ended() -> None:
    _, states = heard((0, step(1, 4)), (0, step(1, 4, 7.0)), (0, step(2, 1)))
    assert [state.loss for state in states] == [None, 7.0, 7.0]
    assert [state.ends_iteration for state in states] == [False, True, False]


def test_losses_are_kept_by_level() -> None:
    tracker, _ = heard((0, step(1, 4, 7.0)), (0, step(2, 4, 6.0)), (1, step(1, 4, 9.0)))
    assert [[losses.total for losses in level] for level in tracker.history] == [[7.0, 6.0], [9.0]]


def test_a_level_tried_again_is_not_kept_twice() -> None:
    tracker, _ = heard((0, step(1, 4, 7.0)), (0, step(2, 4, 6.0)), (0, step(1, 1)), (0, step(1, 4, 7.0)))
    assert [[losses.total for losses in level] for level in tracker.history] == [[7.0]]


def test_no_time_is_promised_before_the_first_iterations_are_done() -> None:
    _, states = heard((0, step(1, 4, 7.0)), (1, step(1, 4, 9.0)))
    assert states[0].seconds_left is None
    assert states[1].seconds_left is not None


def test_the_state_reads_as_one_line() -> None:
    _, states = heard((0, step(1, 4, 7.0)), (1, step(2, 3)), (1, step(2, 4, 0.125)))
    assert str(states[0]) == "level 1/2, iteration 1/2, tile 4/4, loss 7"
    assert str(states[2]) == "level 2/2, iteration 2/2, tile 4/4, loss 0.125, 0 s left"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (3599.7, "1 h 00 min"), (90061, "25 h 01 min")]
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_run_that_goes_on_keeps_its_losses_and_counts_time_from_there() -> None:
    states: list[Progress] = []
    tracker = Tracker((10.0, 30.0), states.append)
    tracker.restore(0, [Losses(9.0, {}), Losses(8.0, {})])
    tracker.restore(1, [Losses(7.0, {})])
    for done in (1, 4):
        tracker.hear(1, step(2, done))
    assert [state.fraction for state in states] == [pytest.approx((10 + 15 + 15 / 4) / 40), 1.0]
    assert states[0].seconds_left is None
    assert states[0].loss == 7.0
    assert [[losses.total for losses in level] for level in tracker.history] == [[9.0, 8.0], [7.0]]


def test_a_stage_beside_another_has_taken_only_what_it_took_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("nst_rs.runs.progress.time.perf_counter", lambda: now[0])
    watch = Stopwatch()
    end = watch.start("publish", beside="figures")
    with watch.timed("figures"):
        now[0] += 13
    now[0] += 2
    end()
    assert watch.seconds == {"figures": 13, "publish": 2}
