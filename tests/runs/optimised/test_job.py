"""A run's choices, memory and work, before anything is computed."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nst_rs.config.loading import load_config
from nst_rs.neural.device import Device
from nst_rs.optimise.rounds import MEASURED
from nst_rs.runs import estimate
from nst_rs.runs.optimised.job import OptimisedJob
from nst_rs.runs.prepare import prepare
from nst_rs.vgg16 import VGG16

Prepare = Callable[..., OptimisedJob]


@pytest.fixture
def job_with(olinda: Path, harvest: Path) -> Prepare:
    """Prepares a run of the sample scene with some settings."""
    files = [f"scene.paths=[{olinda}]", f"style.images={harvest}", "compute.precision=float32", "compute.device=cpu"]
    return lambda *settings: prepare(load_config(None, [*files, *settings]), to_write=False)


def test_more_memory_means_larger_tiles_and_more_kept_activations(job_with: Prepare) -> None:
    small, large = (job_with(f"compute.memory={memory}") for memory in ("50MB", "16GB"))
    assert small.plan.tile < large.plan.tile
    assert small.windows_with_room(2) == 0 < large.windows_with_room(2)


def test_how_many_tiles_are_predicted_at_once_is_decided_by_the_memory_and_recorded(job_with: Prepare) -> None:
    cut = ["tiling.statistics=predicted", "tiling.tile=64"]
    small, large, given = (
        job_with(*cut, further) for further in ("compute.memory=50MB", "compute.memory=16GB", "tiling.tiles_at_once=3")
    )
    assert [job.config.tiling.tiles_at_once for job in (small, given)] == [1, 3]
    tiles = len(large.plan.levels[-1].tiles)
    assert large.config.tiling.tiles_at_once == large.kept_windows(2) == tiles
    assert given.kept_windows(2) == 3
    several_steps = job_with(*cut, "tiling.steps_per_round=2")
    assert several_steps.config.tiling.tiles_at_once == 1
    assert given.kept_windows(0) == min(3, len(given.plan.levels[0].tiles))


def test_near_a_levels_start_a_predicted_run_goes_through_the_network_once_more(job_with: Prepare) -> None:
    cut = ["tiling.tile=64", "schedule.iterations=10"]
    job = job_with(*cut, "tiling.statistics=predicted", "tiling.tiles_at_once=1")
    assert job.is_predicted(2)
    assert job.passes(2) == 1 + 2 * 10 + MEASURED
    several_steps = job_with(*cut, "tiling.steps_per_round=3")
    assert several_steps.passes(2) == 1 + 2 * 10 + math.ceil(MEASURED / 3)


def test_what_a_predicted_run_remembers_of_its_tiles_is_planned_for(job_with: Prepare) -> None:
    exact, predicted = (
        job_with("tiling.tile=64", f"tiling.statistics={statistics}") for statistics in ("exact", "predicted")
    )
    sums = sum(VGG16[layer].channels ** 2 for layer in exact.config.objective.style_layers)
    tiles = sum(len(level.tiles) for level in exact.plan.levels[-2:])
    more = predicted.kept.memory_bytes - exact.kept.memory_bytes
    assert more == pytest.approx(2 * tiles * sums * 4, rel=0.01)  # but for counts, and rows that are not full


def test_a_gpu_holds_the_descent_of_the_levels_that_fit(job_with: Prepare) -> None:
    job = job_with()
    sizes = [estimate.resident_bytes(level, 3, ["conv4_2"]) for level in job.plan.levels]
    assert sizes == sorted(sizes)
    assert [job.is_resident(index) for index in range(3)] == [False] * 3  # a CPU
    # Half of the free memory is for windows.
    for free, expected in ((80e9, [True, True, True]), (2.1 * sizes[1], [True, True, False])):
        on_gpu = replace(job, device=Device("/GPU:0", int(free)))
        assert [on_gpu.is_resident(index) for index in range(3)] == expected


def test_what_a_gpu_holds_is_at_least_its_arrays(job_with: Prepare) -> None:
    level = job_with().plan.levels[-1]
    picture = 3 * 4 * math.prod(level.canvas_shape)
    two_states_and_a_gradient = 7 * picture
    features = 4 * 512 * math.prod(level.canvas_shape) / 64
    assert estimate.resident_bytes(level, 3, ["conv4_2"]) > two_states_and_a_gradient + features


@pytest.mark.parametrize(
    "settings",
    [
        ["tiling.statistics=predicted", "tiling.tile=64", "tiling.tiles_at_once=1"],
        ["objective.variation=1e-4"],
        ["compute.memory=50MB"],
        ["compute.executor=dask"],
    ],
)
def test_what_the_host_computes_is_not_held_by_a_gpu(job_with: Prepare, settings: list[str]) -> None:
    job = replace(job_with(*settings), device=Device("/GPU:0", int(80e9)))
    assert not job.is_resident(2)


def test_a_learned_style_to_start_from_that_is_not_started_from_is_told_of(
    job_with: Prepare, caplog: pytest.LogCaptureFixture
) -> None:
    job_with("style.learned=harvest", "schedule.init=learned", "schedule.levels=1")
    assert caplog.messages == []
    job_with("style.learned=harvest")
    assert caplog.messages == [
        "style.learned changes nothing without schedule.init: learned, which starts from its picture"
    ]
