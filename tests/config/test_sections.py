import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.vgg16 import VGG16

layer_sets = st.sets(st.sampled_from(sorted(VGG16)), min_size=1)


@given(st.integers(1, 12), st.lists(st.integers(1, 999), min_size=1, max_size=13))
def test_there_is_one_number_of_iterations_a_level(levels: int, iterations: list[int]) -> None:
    settings = {"schedule.levels": levels, "schedule.iterations": iterations}
    if len(iterations) == levels:
        assert override(RunConfig(), settings).schedule.level_iterations == tuple(iterations)
    else:
        complaint = f"one number, or one for each of {levels} levels, not {len(iterations)} numbers"
        with pytest.raises(ConfigError, match=f"schedule: expected iterations: {complaint}"):
            override(RunConfig(), settings)


def test_one_number_of_iterations_holds_for_every_level() -> None:
    config = override(RunConfig(), {"schedule.levels": 4, "schedule.iterations": 9})
    assert config.schedule.level_iterations == (9, 9, 9, 9)


@pytest.mark.parametrize(
    ("levels", "iterations"), [(1, (40,)), (2, (40, 40)), (3, (60, 40, 40)), (5, (60, 60, 60, 40, 40))]
)
def test_levels_bring_their_own_iterations(levels: int, iterations: tuple[int, ...]) -> None:
    assert load_config(None, [f"schedule.levels={levels}"]).schedule.level_iterations == iterations


@given(layer_sets, layer_sets)
def test_any_layers_of_the_network_may_be_chosen(content: set[str], style: set[str]) -> None:
    chosen = {"objective.content_layers": dict.fromkeys(content, 1), "objective.style_layers": dict.fromkeys(style, 2)}
    objective = override(RunConfig(), chosen).objective
    # In the network's order, whatever the file's, so that sums are taken in one order.
    assert list(objective.content_layers.items()) == [(name, 1.0) for name in VGG16 if name in content]
    assert list(objective.style_layers.items()) == [(name, 2.0) for name in VGG16 if name in style]


@pytest.mark.parametrize("key", ["content_layers", "style_layers"])
@pytest.mark.parametrize("name", ["conv6_1", "conv1_3", "block1_conv1", "relu1_1", ""])
def test_a_layer_the_network_has_not_is_refused_naming_those_it_has(key: str, name: str) -> None:
    known = ", ".join(VGG16)
    with pytest.raises(ConfigError, match=f"^objective.{key}: expected layers of {known}, not {name}, got "):
        override(RunConfig(), {f"objective.{key}": {"conv1_1": 1, name: 1}})


@given(st.lists(st.floats(0, 1e6).filter(lambda weight: weight == 0 or weight > 1e-6), min_size=1, max_size=5))
def test_the_styles_shares_add_up_to_one_in_the_ratio_of_their_weights(weights: list[float]) -> None:
    assume(any(weights))
    style = override(RunConfig(), {"style.images": {f"{i}.jpg": w for i, w in enumerate(weights)}}).style
    assert sum(style.shares.values()) == pytest.approx(1)
    assert [share * sum(weights) for share in style.shares.values()] == pytest.approx(weights)


def test_an_objective_without_any_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^objective: expected at least one content or style layer, got "):
        override(RunConfig(), {"objective.content_layers": {}, "objective.style_layers": {}})


@pytest.mark.parametrize(
    ("section", "key"), [(name, key) for name, section in RunConfig() for key in type(section).model_fields]
)
def test_a_configuration_cannot_be_changed(section: str, key: str) -> None:
    config = RunConfig()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(getattr(config, section), key, None)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, section, None)


@pytest.mark.parametrize(
    ("assignments", "complaint"),
    [
        (["compute.address=tcp://host:8786"], "compute: expected address and workers with executor: dask only"),
        (["compute.workers=2"], "compute: expected address and workers with executor: dask only"),
        (
            ["compute.executor=dask", "tiling.statistics=predicted"],
            "compute: expected executor: dask with exact statistics only",
        ),
        (
            ["compute.executor=dask", "tiling.steps_per_round=2"],
            "compute: expected executor: dask with exact statistics only",
        ),
        (["compute.executor=dask", "compute.workers=0"], "compute.workers: expected greater than or equal to 1"),
    ],
)
def test_a_cluster_is_asked_for_by_its_executor_and_has_exact_statistics(
    assignments: list[str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(None, assignments)


@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({}, "bfgs"),
        ({"schedule.optimizer": "adam"}, "adam"),
        ({"tiling.steps_per_round": 2}, "adam"),
    ],
)
def test_the_optimiser_is_one_that_the_tiles_steps_allow(settings: dict[str, object], optimizer: str) -> None:
    assert override(RunConfig(), settings).optimizer == optimizer


def test_a_step_of_the_whole_scene_is_none_of_a_single_tile() -> None:
    with pytest.raises(ConfigError, match=r"^tiling: expected steps_per_round: 1 with schedule\.optimizer: bfgs"):
        override(RunConfig(), {"schedule.optimizer": "bfgs", "tiling.steps_per_round": 2})
