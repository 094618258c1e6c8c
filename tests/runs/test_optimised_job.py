"""A run's choices, memory and work, before anything is computed."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_rs.config.loading import load_config
from nst_rs.optimise.rounds import MEASURED
from nst_rs.runs.optimised_job import OptimisedJob
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
