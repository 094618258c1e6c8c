import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.objective.moments import Moments
from nst_rs.objective.terms.agreement import Agreement, voice
from nst_rs.objective.terms.registry import chosen_terms, describe

SHAPE = 9, 7


def term(seed: int, weight: float = 0.7) -> Agreement:
    rng = np.random.default_rng(seed)
    return Agreement(weight, rng.uniform(0, 255, (*SHAPE, 3)), rng.uniform(0, 1, SHAPE))


@given(st.integers(0, 100))
def test_its_gradient_is_the_derivative_of_what_it_measures(seed: int) -> None:
    rng, agreement = np.random.default_rng(seed), term(seed + 1)
    window, step = rng.uniform(0, 255, (*SHAPE, 3)), rng.normal(size=(*SHAPE, 3))
    weight = rng.integers(0, 2, SHAPE).astype(np.float64)
    change = (agreement.measure(window + step, weight) - agreement.measure(window - step, weight)) / 2
    # Exact for a quadratic form but for rounding, whatever the step.
    np.testing.assert_allclose(change, np.sum(agreement.gradient(window, weight) * step), rtol=1e-6, atol=1e-6)


def test_windows_add_up_to_the_whole() -> None:
    rng, agreement = np.random.default_rng(0), term(1)
    picture, weight = rng.uniform(0, 255, (*SHAPE, 3)), rng.integers(0, 2, SHAPE).astype(np.float64)
    windows = [(slice(top, stop), slice(None)) for top, stop in ((0, 4), (4, 9))]
    parts = [agreement.inside(window).measure(picture[window], weight[window]) for window in windows]
    assert sum(parts) == pytest.approx(agreement.measure(picture, weight), rel=1e-12)


def test_a_picture_like_the_earlier_one_costs_nothing_and_is_pulled_nowhere() -> None:
    agreement = term(3)
    assert agreement.measure(np.asarray(agreement.earlier), np.ones(SHAPE)) == 0
    assert not agreement.gradient(np.asarray(agreement.earlier), np.ones(SHAPE)).any()


def test_its_value_is_a_mean_over_pixel_values_and_its_pull_the_derivative_of_its_share() -> None:
    agreement = Agreement(0.5, np.zeros((*SHAPE, 3)), np.ones(SHAPE))
    squares = agreement.measure(np.full((*SHAPE, 3), 10.0), voice(np.ones(SHAPE)))
    moments = Moments({"conv1_1": 63.0}, {}, {}, {"agreement": squares})
    assert agreement.value(moments) == pytest.approx(100)
    assert agreement.pull(moments).pixels["agreement"] * squares == pytest.approx(agreement.share(100.0))


def test_what_ground_counts_in_other_terms_changes_nothing_in_this_one() -> None:
    rng, agreement = np.random.default_rng(0), term(2)
    picture, scene = rng.uniform(0, 255, (*SHAPE, 3)), rng.integers(0, 2, SHAPE).astype(np.float64)
    weights = scene * voice(agreement.hold)
    expected = (scene * agreement.hold)[..., np.newaxis] * (picture - agreement.earlier) ** 2
    assert agreement.measure(picture, weights) == pytest.approx(expected.sum())
    np.testing.assert_allclose(voice(np.array([0, 1])), [1, 0.1], rtol=1e-6)  # float32


def test_it_describes_itself_and_no_weight_alone_asks_for_it() -> None:
    assert describe("agreement")["label"] == "agreement"
    plain = override(RunConfig(), {"objective.agreement": 3.0}).objective
    assert "agreement" not in [each.name for each in chosen_terms(plain)]
    asked = override(RunConfig(), {"objective.terms": {"agreement": 1.0}}).objective
    with pytest.raises(ConfigError, match=r"objective\.terms\.agreement: expected "):
        chosen_terms(asked)
