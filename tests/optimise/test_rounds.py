from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nst_rs.files.storage import DiskStorage
from nst_rs.objective.losses import Losses
from nst_rs.objective.problem import Problem
from nst_rs.optimise.iterate import Move, Optimizer
from nst_rs.optimise.rounds import MEASURED, Exact, Predicted, Round, TileByTile
from nst_rs.optimise.state import State
from nst_rs.pyramid.tiling import Tile
from tests.pixel_kernel import PixelKernel, canvas_of, problem_of, state_of

Kind = Callable[[Problem], Round]
KINDS: list[Kind] = [Exact, Predicted, TileByTile]
OPTIMIZERS: list[Optimizer] = ["bfgs", "adam"]
CASES: list[tuple[Kind, Optimizer]] = [
    *((kind, optimizer) for kind in (Exact, Predicted) for optimizer in OPTIMIZERS),
    (TileByTile, "adam"),
]


def ignore(_tile: Tile) -> None:
    pass


def go(
    kind: Round, rounds: int, moves: int = 1, size: float = 4.0, optimizer: Optimizer = "adam"
) -> tuple[State, list[Losses]]:
    """Some rounds from the scene itself."""
    now, after = (state_of(kind.problem.canvas) for _ in range(2))
    losses = []
    for number in range(1, rounds * moves + 1, moves):
        steps = [Move(n, size, optimizer=optimizer) for n in range(number, number + moves)]
        losses.append(kind(now, after, steps, ignore))
        now, after = after, now
    return now, losses


@pytest.mark.parametrize(("kind", "optimizer"), CASES)
def test_rounds_lower_the_loss(kind: Kind, optimizer: Optimizer) -> None:
    _, losses = go(kind(problem_of(canvas_of((150, 210), 100))), 20, optimizer=optimizer)
    assert losses[-1].total < 0.3 * losses[0].total
    assert losses[0].terms["content"].value == {"conv1_1": 0}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("tile", [64, 100, 200])
def test_exact_rounds_do_not_depend_on_the_tiles(tile: int, optimizer: Optimizer) -> None:
    found, expected = (
        go(Exact(problem_of(canvas_of((150, 210), n))), 5, optimizer=optimizer)[0].picture[:] for n in (tile, 4096)
    )
    # Adam divides by the gradient's size: float32 rounding of the shares comes back as a fraction of a step.
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_with_one_tile_all_rounds_are_the_same(kind: Kind) -> None:
    found, expected = (go(k(problem_of(canvas_of((100, 90), 4096))), 4) for k in (kind, Exact))
    # A prediction from the only tile is the truth, but for the order of a few operations.
    np.testing.assert_allclose(found[0].picture[:], expected[0].picture[:], atol=1e-2)
    assert [x.total for x in found[1]] == pytest.approx([x.total for x in expected[1]], rel=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_predicted_rounds_stay_near_exact_ones(optimizer: Optimizer) -> None:
    predicted, exact = (
        go(kind(problem_of(canvas_of((300, 300), 100))), 15, optimizer=optimizer)[1] for kind in (Predicted, Exact)
    )
    assert predicted[0] == exact[0]
    assert predicted[-1].total == pytest.approx(exact[-1].total, rel=0.05)


def test_predicted_rounds_that_keep_all_tiles_are_exact() -> None:
    found, expected = (
        go(kind(problem_of(canvas_of((300, 300), 100)), 99), 5)[0].picture[:] for kind in (Predicted, Exact)
    )
    # The moments are a difference and a sum instead of a sum; Adam divides by the gradient's size.
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_the_more_tiles_are_kept_the_nearer_is_the_prediction() -> None:
    exact = go(Exact(problem_of(canvas_of((300, 300), 100))), 8)[0].picture[:]
    distances = [
        np.abs(go(Predicted(problem_of(canvas_of((300, 300), 100)), kept), 8)[0].picture[:] - exact).mean()
        for kept in (1, 8)
    ]
    assert distances[1] < distances[0]


def test_several_moves_a_round_are_as_many_steps() -> None:
    (one, _), (several, losses) = (
        go(kind, rounds, moves)
        for kind, rounds, moves in (
            (Predicted(problem_of(canvas_of((100, 90), 4096))), 6, 1),
            (TileByTile(problem_of(canvas_of((100, 90), 4096))), 2, 3),
        )
    )
    assert len(losses) == 2
    # In the only tile nothing is stale, but its window's gradient and its shares are summed in another order.
    np.testing.assert_allclose(several.picture[:], one.picture[:], atol=1e-2)


@pytest.mark.parametrize("kept", [0, 1, 3, 99])
def test_every_window_goes_forward_once_more_where_it_is_not_kept(kept: int) -> None:
    kernel = PixelKernel()
    problem = problem_of(canvas_of((150, 210), 100), kernel=kernel)
    tiles = len(problem.canvas.tiles)
    go(Exact(problem, kept), 1)
    assert (kernel.measured, kernel.gone_forward) == (max(0, tiles - kept), tiles)


def test_predicted_rounds_compute_every_window_once_but_at_a_levels_start() -> None:
    kernel = PixelKernel()
    problem = problem_of(canvas_of((150, 210), 100), kernel=kernel)
    tiles = len(problem.canvas.tiles)
    go(Predicted(problem), MEASURED + 2)
    assert (kernel.measured, kernel.gone_forward) == (MEASURED * tiles, (MEASURED + 2) * tiles)


def test_a_levels_first_rounds_are_exact() -> None:
    found, expected = (
        go(kind(problem_of(canvas_of((300, 300), 100))), MEASURED)[0].picture[:] for kind in (Predicted, Exact)
    )
    # The moments are a difference and a sum instead of a sum; Adam divides by the gradient's size.
    np.testing.assert_allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize(("kind", "optimizer"), CASES)
def test_a_round_reads_now_and_writes_after(kind: Kind, optimizer: Optimizer) -> None:
    problem = problem_of(canvas_of((300, 210), 100))
    now, after, again = (state_of(problem.canvas) for _ in range(3))
    kind(problem)(now, after, [Move(1, 4.0, optimizer=optimizer)], ignore)
    assert (now.picture[:] == problem.canvas.image).all()
    assert not now.second[:].any()
    # Begun again, with whatever a killed round has left in `after`.
    again.picture[:] = 7
    kind(problem)(now, again, [Move(1, 4.0, optimizer=optimizer)], ignore)
    assert (after.picture[:] == again.picture[:]).all()
    assert (after.second[:] == again.second[:]).all()


@pytest.mark.parametrize(("kind", "optimizer"), CASES)
def test_arrays_on_disk_give_the_same_bits(kind: Kind, optimizer: Optimizer, tmp_path: Path) -> None:
    problem = problem_of(canvas_of((600, 210), 200))
    found = []
    for storage in (None, DiskStorage(tmp_path)):
        now, after = (state_of(problem.canvas, storage, name) for name in "ab")
        for number in (1, 2):
            kind(problem)(now, after, [Move(number, 4.0, optimizer=optimizer)], ignore)
            now, after = after, now
        found.append(now.picture[:])
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize(("kind", "optimizer"), CASES)
def test_values_under_nodata_change_nothing(kind: Kind, optimizer: Optimizer) -> None:
    canvas = canvas_of((120, 100), 64, nodata=True)
    other = replace(canvas, image=np.where(canvas.weight[..., np.newaxis] > 0, canvas.image, np.float32(7)))
    a, b = (go(kind(problem_of(c)), 3, optimizer=optimizer)[0].picture[:] for c in (canvas, other))
    assert (a[canvas.weight > 0] == b[canvas.weight > 0]).all()
    assert (b[canvas.weight == 0] == other.image[canvas.weight == 0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_after_every_window_the_tile_is_told(kind: Kind) -> None:
    problem = problem_of(canvas_of((150, 210), 100))
    now, after = (state_of(problem.canvas) for _ in range(2))
    for done in (0, MEASURED):
        told: list[Tile] = []
        kind(problem)(now, after, [Move(done + 1, 4.0)], told.append)
        assert len(told) == kind(problem).windows(done)
        assert set(told) == set(problem.canvas.tiles)
        now, after = after, now


def test_the_mean_of_iterates_is_kept_where_there_is_one() -> None:
    problem = problem_of(canvas_of((100, 90), 4096))
    states: Sequence[State] = [
        replace(state_of(problem.canvas), mean=np.zeros(problem.canvas.image.shape, np.float32)) for _ in range(2)
    ]
    seen = []
    for number in (1, 2):
        now, after = states[(number - 1) % 2], states[number % 2]
        Exact(problem)(now, after, [Move(number, 4.0, share=1 / number)], ignore)
        seen.append(after.picture[:].copy())
    assert after.mean is not None
    np.testing.assert_allclose(after.mean[:], np.mean(seen, axis=0), atol=1e-3)
