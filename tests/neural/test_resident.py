"""The descent that a device holds, against the host's own rounds. The device here is the CPU: its operations are those
that a GPU is given."""

import numpy as np
import pytest

from nst_rs.files.storage import MemoryStorage
from nst_rs.neural.resident import DeviceArray, DeviceRound
from nst_rs.neural.resident_step import Border
from nst_rs.neural.vgg16 import Convolution, Encoder
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.moments import Statistics
from nst_rs.objective.problem import Problem
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.optimise.iterate import Move, Optimizer
from nst_rs.optimise.rounds import Exact, Round
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.border import fold_back, mirrored_in
from nst_rs.pyramid.canvas import Canvas
from nst_rs.pyramid.tiling import Level, Tile, make_level
from nst_rs.vgg16 import Trunk

TRUNK = Trunk.reaching(["conv2_2"])
OPTIMIZERS: list[Optimizer] = ["bfgs", "adam"]


def problem_of(network: list[Convolution], shape: tuple[int, int] = (90, 120), tile: int = 64) -> Problem:
    """A scene of noise whose corner has no data, after a painting of noise."""
    rng = np.random.default_rng(3)
    weight = np.ones(shape, np.float32)
    weight[: shape[0] // 3, : shape[1] // 3] = 0
    scene, painting = (rng.uniform(0, 255, (*size, 3)).astype(np.float32) for size in (shape, (64, 64)))
    kernel = WindowModel(Encoder(network), Statistics(("conv1_2", "conv2_1"), ("conv2_2",)), "/CPU:0")
    style = kernel.measure(painting, np.ones((64, 64), np.float32))
    objective = Objective(
        (Content(1e-4, {"conv2_2": 1.0}, "mean"), Gram(1.0, {"conv1_2": 1e-9, "conv2_1": 1e-10}, {})),
    ).towards(style)
    canvas = Canvas.around(make_level(shape, 1, tile, TRUNK), scene, weight)
    return Problem.of(kernel, canvas, objective, MemoryStorage())


def device_round(problem: Problem, kept: int = 99) -> DeviceRound:
    assert isinstance(problem.kernel, WindowModel)
    return DeviceRound(problem.kernel, problem, kept)


def go(kind: Round[State], optimizer: Optimizer, averaged: bool = False, rounds: int = 4) -> tuple[State, list[Losses]]:
    """Some rounds from the scene itself, there and back where the device holds the states."""
    canvas, storage = kind.problem.canvas, MemoryStorage()
    now, after = (Form(canvas.level, averaged, layers=None).create(storage, name) for name in "ab")
    now.picture[:, :] = canvas.image[:, :]
    if isinstance(kind, DeviceRound):
        now, after = kind.take(now), kind.take(after)
    losses = []
    for number in range(1, rounds + 1):
        losses.append(kind(now, after, [Move(number, 4.0, 1 / number, optimizer)], lambda _: None))
        now, after = after, now
    return now, losses


def scene_of(state: State, level: Level) -> np.ndarray:
    """The map, without the border, whose far pixels the host leaves as they are."""
    return state.result[level.scene_slices]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("tile", [64, 4096])
@pytest.mark.parametrize("averaged", [False, True])
def test_the_device_comes_to_the_hosts_picture(
    small_network: list[Convolution], optimizer: Optimizer, tile: int, averaged: bool
) -> None:
    problem = problem_of(small_network, tile=tile)
    (there, told), (here, expected) = (
        go(kind, optimizer, averaged) for kind in (device_round(problem), Exact(problem, 99))
    )
    level = problem.canvas.level
    # Sums in another order, in float32. A quotient of them decides how far a pixel goes, and some rounds enlarge it.
    np.testing.assert_allclose(scene_of(there, level), scene_of(here, level), atol=0.05)
    assert np.abs(scene_of(here, level) - problem.canvas.scene_image[:, :]).max() > 4
    assert [x.total for x in told] == pytest.approx([x.total for x in expected], rel=1e-4)


def test_windows_that_are_computed_twice_come_to_the_same_bits(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network)
    kept, again = (go(device_round(problem, n), "bfgs")[0].picture[:, :] for n in (99, 1))
    assert np.array_equal(kept, again)


def test_a_state_goes_there_and_back_and_on_to_the_same_bits(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network)
    kind, form = device_round(problem), Form(problem.canvas.level, averaged=True, layers=None)
    reached, spare = go(kind, "bfgs", averaged=True)[0], kind.take(form.create(MemoryStorage(), "spare"))
    copied = form.create(MemoryStorage(), "copied")
    reached.copy_to(copied)
    ends = []
    for start in (reached, kind.take(copied)):
        kind(start, spare, [Move(5, 4.0, 0.2)], lambda _: None)
        ends.append([array[:, :] for array in (spare.picture, spare.first, spare.second, spare.result)])
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


def test_a_round_leaves_the_state_that_it_reads(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network)
    kind = device_round(problem)
    state = go(kind, "adam")[0]
    before = [array[:, :].copy() for array in (state.picture, state.first, state.second)]
    kind(state, kind.take(state), [Move(5, 4.0, optimizer="adam")], lambda _: None)
    after = [array[:, :] for array in (state.picture, state.first, state.second)]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_every_window_is_told_once_ahead_and_once_back(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network)
    kind, heard = device_round(problem), list[Tile]()
    now, after = (
        kind.take(Form(problem.canvas.level, averaged=False, layers=None).create(MemoryStorage(), x)) for x in "ab"
    )
    kind(now, after, [Move(1, 4.0)], heard.append)
    assert len(heard) == kind.windows(0) == 2 * len(problem.canvas.tiles)


def test_a_state_of_the_hosts_is_refused(small_network: list[Convolution]) -> None:
    problem = problem_of(small_network)
    state = Form(problem.canvas.level, averaged=False, layers=None).create(MemoryStorage(), "state")
    with pytest.raises(TypeError, match="a state on the device is needed"):
        device_round(problem)(state, state, [Move(1, 4.0)], lambda _: None)


@pytest.mark.parametrize("shape", [(5, 9), (17, 40), (100, 64)])
def test_the_border_is_the_hosts_even_where_it_is_wider_than_the_scene(shape: tuple[int, int]) -> None:
    level = make_level(shape, 1, 4096, TRUNK)
    (tile,) = level.tiles
    canvas = np.random.default_rng(0).normal(size=(*level.canvas_shape, 3)).astype(np.float32)
    border = Border(level)
    assert np.array_equal(border.mirrored_in(canvas), mirrored_in(level, tile, canvas))
    folded = canvas.copy()
    fold_back(level, tile, folded)
    # Up to fourteen numbers of about 1 are added, in another order.
    np.testing.assert_allclose(border.folded_back(canvas), folded, atol=1e-4)


def test_an_array_on_the_device_is_read_and_written_in_windows() -> None:
    values = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    array = DeviceArray(values)
    window = slice(1, 3), slice(2, 5)
    assert np.array_equal(array[window], values[window])
    array[window] = np.zeros((2, 3, 3), np.float32)
    assert not array[window].any()
    assert np.array_equal(array[0:1], values[0:1])
    assert (array.shape, array.dtype) == (values.shape, values.dtype)
