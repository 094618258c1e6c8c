from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.executors import partition
from nst_rs.executors.partition import Block, BlockInputs, Cores, LevelInputs
from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.moments import total
from nst_rs.objective.problem import Problem
from nst_rs.optimise.iterate import Iterate, Move, Optimizer
from nst_rs.optimise.rounds import Exact
from nst_rs.pyramid.canvas import Canvas
from tests.pixel_kernel import (
    DIVIDED,
    OBJECTIVE,
    PixelKernel,
    canvas_of,
    divided_canvas,
    level_of,
    problem_of,
    state_of,
)

OPTIMIZERS: list[Optimizer] = ["bfgs", "adam"]


def moves_of(optimizer: Optimizer) -> list[Move]:
    return [Move(number, 4.0, optimizer=optimizer) for number in (1, 2, 3)]


def inputs_of(canvas: Canvas, size: int, kept: int = 99, objective: Objective = OBJECTIVE) -> list[BlockInputs]:
    level = LevelInputs("a level", PixelKernel, canvas, objective, kept)
    return [partition.prepare(level, block) for block in partition.cut(canvas.level, canvas.tiles, size)]


def round_of(block_inputs: Sequence[BlockInputs], held: Sequence[Cores], move: Move) -> tuple[list[Cores], Losses]:
    """One round of all blocks, as a cluster does it."""
    blocks, objective = [inputs.block for inputs in block_inputs], block_inputs[0].level.objective
    halos = [
        [partition.halo_strips(block_inputs[source], held[source], block.number) for source in block.sources]
        for block in blocks
    ]
    measured = [
        partition.measure(inputs, cores, halo, move.number)
        for inputs, cores, halo in zip(block_inputs, held, halos, strict=True)
    ]
    pull = objective.pull(total(measured))
    shares = [
        partition.share(inputs, cores, halo, pull, move.number)
        for inputs, cores, halo in zip(block_inputs, held, halos, strict=True)
    ]
    slopes = []
    for inputs, cores, share in zip(block_inputs, held, shares, strict=True):
        viewers = reversed(inputs.block.viewers)  # what comes first must not matter
        strips = [
            partition.gradient_strips(block_inputs[viewer], shares[viewer], inputs.block.number) for viewer in viewers
        ]
        slopes.append(partition.gradients(inputs, cores, share, strips))
    factors = None
    if move.optimizer == "bfgs":
        curvatures = [partition.curvatures(*each) for each in zip(held, slopes, strict=True)]
        factors = partition.factors(reversed(curvatures), move, block_inputs[0].level.canvas.level)
    after = [partition.step(cores, slope, move, factors) for cores, slope in zip(held, slopes, strict=True)]
    return after, objective.losses(total(measured))


def in_blocks(
    canvas: Canvas, size: int, kept: int = 99, optimizer: Optimizer = "bfgs", objective: Objective = OBJECTIVE
) -> tuple[np.ndarray, list[Losses]]:
    block_inputs = inputs_of(canvas, size, kept, objective)
    held, losses = [partition.load(inputs, state_of(canvas)) for inputs in block_inputs], []
    for move in moves_of(optimizer):
        held, found = round_of(block_inputs, held, move)
        losses.append(found)
    end = state_of(canvas)
    for inputs, cores in zip(block_inputs, held, strict=True):
        partition.save(inputs, cores, end)
    return end.picture[:], losses


def in_one_process(problem: Problem, optimizer: Optimizer) -> tuple[np.ndarray, list[Losses]]:
    now, after = (state_of(problem.canvas) for _ in range(2))
    losses = []
    for move in moves_of(optimizer):
        losses.append(Exact(problem)(now, after, [move], lambda _: None))
        now, after = after, now
    return now.picture[:], losses


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("nodata", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4, 8, 32])
def test_blocks_of_any_size_come_to_the_bits_of_one_process(size: int, nodata: bool, optimizer: Optimizer) -> None:
    canvas = canvas_of((150, 210), 64, nodata=nodata)
    found, losses = in_blocks(canvas, size, optimizer=optimizer)
    expected, expected_losses = in_one_process(problem_of(canvas), optimizer)
    assert (found == expected).all()
    assert losses == expected_losses


def test_blocks_of_a_divided_ground_come_to_the_bits_of_one_process() -> None:
    canvas = divided_canvas((150, 210), 64)
    found, losses = in_blocks(canvas, 2, objective=DIVIDED)
    expected, expected_losses = in_one_process(problem_of(canvas, DIVIDED), "bfgs")
    assert (found == expected).all()
    assert losses == expected_losses


@pytest.mark.parametrize("kept", [0, 3])
def test_activations_that_are_not_kept_are_computed_again_to_the_same_bits(kept: int) -> None:
    canvas = canvas_of((150, 210), 64)
    assert (in_blocks(canvas, 4, kept)[0] == in_blocks(canvas, 4)[0]).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_leaves_what_it_started_from(optimizer: Optimizer) -> None:
    canvas = canvas_of((100, 90), 64)
    block_inputs = inputs_of(canvas, 1)
    held = [partition.load(inputs, state_of(canvas)) for inputs in block_inputs]
    means = [{i: replace(x, mean=x.pixels.copy()) for i, x in cores.items()} for cores in held]
    before = [{i: _bytes(x) for i, x in cores.items()} for cores in means]
    round_of(block_inputs, means, moves_of(optimizer)[0])
    assert [{i: _bytes(x) for i, x in cores.items()} for cores in means] == before


def _bytes(core: Iterate) -> list[bytes]:
    return [array.tobytes() for array in (core.pixels, core.first, core.second, core.mean) if array is not None]


@given(st.integers(64, 300), st.integers(64, 300), st.sampled_from([64, 96, 128]), st.integers(0, 5), st.data())
def test_blocks_hold_every_tile_once_and_their_strips_fill_every_window(
    height: int, width: int, tile: int, power: int, data: st.DataObject
) -> None:
    level = level_of((height, width), tile)
    computed = [x for x in level.tiles if data.draw(st.booleans())] or [level.tiles[0]]
    found = partition.cut(level, computed, 2**power)
    assert [x for block in found for x in block.tiles] == list(level.tiles)
    assert [x for block in found for x in block.computed] == computed
    assert all(len(block.computed) == 2**power for block in found[:-1])
    for block in found:
        for window in block.computed:
            covered = np.zeros(level.window_shape, int)
            for overlap in _seen(block, window.index):
                covered[overlap.in_window] += 1
            assert (covered == 1).all()
        for source, overlaps in block.seen.items():
            assert found[source].shown[block.number] == overlaps


def _seen(block: Block, window: int) -> list[partition.Overlap]:
    return [overlap for overlaps in block.seen.values() for overlap in overlaps if overlap.window.index == window]


@given(st.integers(1, 600), st.integers(1, 64))
def test_blocks_are_as_large_as_leaves_the_work_even(tiles: int, workers: int) -> None:
    def most(size: int) -> int:
        sizes = [size] * (tiles // size) + [tiles % size] * (tiles % size > 0)
        return max(sum(sizes[start : start + -(-len(sizes) // workers)]) for start in range(len(sizes)))

    size = partition.best_size(tiles, workers)
    assert most(size) <= 1.1 * most(1)
    assert size & (size - 1) == 0
