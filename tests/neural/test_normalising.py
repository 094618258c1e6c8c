"""A network that is normalised by a scene, once, does what it did while it learned."""

from typing import Any

import numpy as np
import pytest

from nst_rs.learned.normalising import Sample, adapted, sample
from nst_rs.neural.generator import GeneratorNetwork, corrected
from nst_rs.neural.normalising import measure_moments, normalised_by_itself
from tests.learned_styles import small_style

GENERATOR = np.random.default_rng(0)
NETWORKS = pytest.mark.parametrize("network", [{}, {"deep_blocks": 2}], ids=["plain", "deep"])


def blocks(margin: int, count: int = 2) -> Sample:
    shape = count, 64 + 2 * margin, 64 + 2 * margin
    scene = GENERATOR.uniform(0, 255, (*shape, 3)).astype(np.float32)
    grain = GENERATOR.uniform(-1, 1, (*shape, 2)).astype(np.float32)
    return Sample(scene, grain, np.ones(shape, np.float32))


@NETWORKS
def test_applied_to_what_it_was_normalised_by_it_paints_what_it_learned_to(network: dict[str, Any]) -> None:
    style = small_style(normalised=True, **network)
    architecture = style.facts.architecture
    given = blocks(architecture.margin)
    learned = corrected(style.weights, architecture, given.scene, given.grain, normalised_by_itself).numpy()
    moments = measure_moments(architecture, style.weights, given, "/CPU:0")
    plain = GeneratorNetwork(architecture, adapted(style.weights, moments), "/CPU:0")
    made = np.stack([plain(scene, grain) for scene, grain in zip(given.scene, given.grain, strict=True)])
    np.testing.assert_allclose(made, np.clip(learned, 0, 255), rtol=0, atol=5e-3)  # of 255; float32 in another order


@NETWORKS
def test_pixels_without_data_weigh_nothing(network: dict[str, Any]) -> None:
    """Whatever stands in a block that has none, the statistics are those of the others."""
    style = small_style(normalised=True, **network)
    architecture = style.facts.architecture
    given = blocks(architecture.margin, count=3)
    given.weight[2] = 0
    others = Sample(given.scene[:2], given.grain[:2], given.weight[:2])
    all_three, two = (measure_moments(architecture, style.weights, each, "/CPU:0") for each in (given, others))
    for name, values in two.items():
        np.testing.assert_allclose(all_three[name], values, rtol=1e-6)  # in float32


def test_a_scene_without_data_has_statistics_all_the_same() -> None:
    style = small_style(normalised=True)
    given = blocks(style.facts.architecture.margin, count=1)
    given.weight[:] = 0
    moments = measure_moments(style.facts.architecture, style.weights, given, "/CPU:0")
    assert all(np.isfinite(values).all() for values in moments.values())


def test_of_a_small_scene_all_is_taken_and_of_a_large_one_a_part_that_is_always_the_same() -> None:
    architecture = small_style().facts.architecture
    small, large = (np.zeros((side, side, 3), np.float32) for side in (500, 3000))
    assert len(sample(small, np.ones((500, 500), np.float32), architecture).scene) == 4
    weight = np.ones((3000, 3000), np.float32)
    large[:] = GENERATOR.uniform(0, 255, (3000, 1, 1))
    first, second = (sample(large, weight, architecture) for _ in range(2))
    assert first.scene[..., 0].size <= 3e6
    assert (first.scene == second.scene).all()


def test_blocks_without_data_are_not_taken() -> None:
    architecture, weight = small_style().facts.architecture, np.zeros((512, 1024), np.float32)
    weight[300:, 900:] = 1
    taken = sample(np.zeros((512, 1024, 3), np.float32), weight, architecture)
    assert len(taken.scene) == 1
    assert taken.weight.any()
