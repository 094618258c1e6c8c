"""The objective against the paper's formulas, written out here once more in the plainest NumPy."""

import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.objective.losses import Losses, Objective
from nst_rs.objective.moments import Moments
from nst_rs.objective.terms.content import Content, Normalization
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.variation import Variation
from nst_rs.vgg16 import VGG16
from tests.toy_terms import Darkness, Energy

LAYERS = ("conv1_1", "conv2_1")
POSITIONS = {"conv1_1": 48, "conv2_1": 12}
Features = dict[str, np.ndarray]


def features(seed: int) -> Features:
    """Layer → F, (N channels, M positions), as in the paper."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(VGG16[name].channels, POSITIONS[name])) for name in LAYERS}


def moments(f: Features, p: Features | None = None) -> Moments:
    counts, sums = {n: float(x.shape[1]) for n, x in f.items()}, {n: x @ x.T for n, x in f.items()}
    return Moments(counts, sums, {} if p is None else half_squares(f, p))


def objective(style: Features, normalization: Normalization, alpha: float = 0.3, beta: float = 0.7) -> Objective:
    weights = {"conv1_1": 0.4, "conv2_1": 0.6}
    return Objective((Content(alpha, {"conv2_1": 2.0}, normalization), Gram(beta, weights, moments(style).grams)))


def paper_style_loss(f: np.ndarray, a: np.ndarray) -> float:
    """Equation 4, with the style image as large as the picture."""
    n, m = f.shape
    return float(np.sum((f @ f.T - a @ a.T) ** 2) / (4 * n**2 * m**2))


def half_squares(f: Features, p: Features) -> dict[str, float]:
    return {"conv2_1": float(np.sum((f["conv2_1"] - p["conv2_1"]) ** 2) / 2)}


def test_losses_are_the_papers_to_the_letter() -> None:
    f, p, a = features(0), features(1), features(2)
    losses = objective(a, "sum").losses(moments(f, p))
    style = {name: paper_style_loss(f[name], a[name]) for name in LAYERS}
    assert losses.terms["style"].value == pytest.approx(style, rel=1e-12)
    assert losses.terms["content"].value == pytest.approx(half_squares(f, p), rel=1e-12)
    content = 0.3 * 2.0 * half_squares(f, p)["conv2_1"]
    assert losses.total == pytest.approx(content + 0.7 * (0.4 * style["conv1_1"] + 0.6 * style["conv2_1"]), rel=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_the_pull_gives_the_papers_closed_form_gradient(name: str) -> None:
    f, a = features(0), features(2)
    n, m = f[name].shape
    pull = objective(a, "sum").pull(moments(f)).products[name]
    # Equation 6 without the ReLU's share: (Fᵀ(G − A))ᵀ / (N² M²), weighted by β w_l.
    closed = (f[name] @ f[name].T - a[name] @ a[name].T) @ f[name] / (n**2 * m**2)
    weight = 0.7 * {"conv1_1": 0.4, "conv2_1": 0.6}[name]
    np.testing.assert_allclose(2 * pull @ f[name], weight * closed, rtol=1e-10)


@given(st.integers(2, 5))
def test_a_scene_repeated_has_the_same_mean_losses(times: int) -> None:
    f, p, a = features(0), features(1), features(2)
    once = objective(a, "mean").losses(moments(f, p))
    larger = [{n: np.tile(x, times) for n, x in part.items()} for part in (f, p)]
    repeated = objective(a, "mean").losses(moments(*larger))
    assert repeated.total == pytest.approx(once.total, rel=1e-10)


def test_a_scene_repeated_has_a_larger_sum_of_content() -> None:
    f, p, a = features(0), features(1), features(2)
    larger = [{n: np.tile(x, 3) for n, x in part.items()} for part in (f, p)]
    once = objective(a, "sum").losses(moments(f, p))
    repeated = objective(a, "sum").losses(moments(*larger))
    assert repeated.terms["content"].value["conv2_1"] == pytest.approx(3 * once.terms["content"].value["conv2_1"])
    assert repeated.terms["style"].value == pytest.approx(once.terms["style"].value)


def test_the_style_itself_pulls_nowhere() -> None:
    a = features(2)
    assert all((pull == 0).all() for pull in objective(a, "mean").pull(moments(a)).products.values())


def test_the_variation_is_a_mean_over_pixels_and_channels() -> None:
    f, p, a = features(0), features(1), features(2)
    plain = objective(a, "mean")
    priced = Objective((*plain.terms, Variation(0.5)))
    measured = replace(moments(f, p), pixels={"variation": 600.0})
    # conv1_1 has a position a pixel: 48 pixels of three channels.
    assert priced.losses(measured).terms["variation"].value == pytest.approx(600 / 48 / 3)
    assert priced.losses(measured).total == pytest.approx(plain.losses(measured).total + 0.5 * 600 / 48 / 3)
    assert priced.pull(measured).pixels == {"variation": pytest.approx(0.5 / 48 / 3)}


def test_the_shares_of_the_terms_add_up_to_the_total() -> None:
    f, p, a = features(0), features(1), features(2)
    objective_of_four = Objective((*objective(a, "mean").terms, Energy(2.0), Darkness(0.5)))
    losses = objective_of_four.losses(replace(moments(f, p), pixels={"darkness": 600.0}))
    assert list(losses.terms) == ["content", "style", "energy", "darkness"]
    assert sum(term.share for term in losses.terms.values()) == pytest.approx(losses.total, rel=1e-15)
    assert all(term.share > 0 for term in losses.terms.values())


def test_pulls_of_several_terms_on_one_layer_add_up() -> None:
    f, a = features(0), features(2)
    style, energy = objective(a, "mean"), Objective((Energy(2.0),))
    both = Objective((*style.terms, *energy.terms)).pull(moments(f)).products
    expected = style.pull(moments(f)).products["conv1_1"] + energy.pull(moments(f)).products["conv1_1"]
    np.testing.assert_array_equal(both["conv1_1"], expected)
    np.testing.assert_array_equal(both["conv2_1"], style.pull(moments(f)).products["conv2_1"])


def test_losses_come_back_from_plain_data_to_the_last_digit() -> None:
    f, p, a = features(0), features(1), features(2)
    losses = objective(a, "mean").losses(moments(f, p))
    assert Losses.parse(json.loads(json.dumps(asdict(losses)))) == losses


@pytest.mark.parametrize("name", ["content", "style"])
def test_another_weight_changes_one_terms_share_and_nothing_else(name: str) -> None:
    f, p, a = features(0), features(1), features(2)
    plain = objective(a, "mean")
    before, after = (aim.losses(moments(f, p)) for aim in (plain, plain.weighted(name, 3.0)))
    (weight,) = (term.weight for term in plain.terms if term.name == name)
    assert after.terms[name].share == pytest.approx(before.terms[name].share * 3.0 / weight)
    assert after.terms[name].value == before.terms[name].value
    assert all(after.terms[other] == before.terms[other] for other in before.terms if other != name)


def test_what_tiles_are_sent_holds_no_target() -> None:
    aim = Objective((*objective(features(2), "mean").terms, Variation(0.5)))
    assert aim.of_pixels == Objective((Variation(0.5),))
    assert len(pickle.dumps(aim.of_pixels)) < 1000
