"""Laws that every term keeps, those of the documentation included."""

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.config.sections import RunConfig
from nst_rs.objective.moments import Moments
from nst_rs.objective.terms.base import PixelTerm, Term
from nst_rs.vgg16 import VGG16
from tests.toy_terms import WITH_TOYS

PAGE = Path(__file__).parents[3] / "docs" / "architecture.md"
LAYERS = {"conv1_1": 1.0, "conv1_2": 0.5}
SECTION = RunConfig.model_validate({"objective": {"content_layers": LAYERS, "style_layers": LAYERS}}).objective


def documented_terms() -> list[type[Term]]:
    """The terms that the page writes down, as modules."""
    kinds = []
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)):
        module = ModuleType(f"documented_{number}")
        exec(code, vars(module))  # noqa: S102 - our own page
        kinds += [x for x in vars(module).values() if isinstance(x, type) and x.__module__ == module.__name__]
    return kinds


KINDS = [*WITH_TOYS, *documented_terms()]


def moments_of(seed: int) -> Moments:
    """Moments of noise, of all kinds that there are."""
    rng = np.random.default_rng(seed)
    features = {name: rng.normal(size=(50, VGG16[name].channels)) for name in LAYERS}
    return Moments(
        dict.fromkeys(LAYERS, 50.0),
        {name: f.T @ f for name, f in features.items()},
        {name: float(rng.uniform(1, 2)) for name in LAYERS},
        {kind.name: float(rng.uniform(1, 2)) for kind in KINDS},
    )


def stepped(moments: Moments, step: Moments, size: float) -> Moments:
    return Moments(
        moments.counts,
        {name: x + size * step.products[name] for name, x in moments.products.items()},
        {name: x + size * step.half_squares[name] for name, x in moments.half_squares.items()},
        {name: x + size * step.pixels[name] for name, x in moments.pixels.items()},
    )


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1000))
def test_the_pull_is_the_derivative_of_the_share_with_respect_to_the_sums(kind: type[Term], seed: int) -> None:
    style, moments, step = (moments_of(seed + number) for number in range(3))
    term = kind.build(0.7, SECTION).towards(style)
    pull = term.pull(moments)
    slope = sum(float(np.sum(x * step.products[name])) for name, x in pull.products.items())
    slope += sum(x * step.half_squares[name] for name, x in pull.half_squares.items())
    slope += sum(x * step.pixels[name] for name, x in pull.pixels.items())
    after, before = (term.share(term.value(stepped(moments, step, size))) for size in (1e-3, -1e-3))
    # Every term is at most quadratic in the sums: a central difference is exact but for rounding.
    assert (after - before) / 2e-3 == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pull_is_known_from_counts_and_products_alone(kind: type[Term]) -> None:
    term, moments = kind.build(0.7, SECTION).towards(moments_of(0)), moments_of(1)
    whole, predicted = (term.pull(x) for x in (moments, replace(moments, half_squares={}, pixels={})))
    assert (whole.half_squares, whole.pixels) == (predicted.half_squares, predicted.pixels)
    assert all((x == predicted.products[name]).all() for name, x in whole.products.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_term_pulls_at_what_it_has_measured_and_nowhere_else(kind: type[Term]) -> None:
    term = kind.build(0.7, SECTION).towards(moments_of(0))
    pull, needed = term.pull(moments_of(1)), term.statistics
    assert tuple(pull.products) == needed.products
    assert tuple(pull.half_squares) == needed.half_squares
    assert tuple(pull.pixels) == ((term.name,) if isinstance(term, PixelTerm) else ())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, PixelTerm)])
@given(seed=st.integers(0, 100))
def test_the_gradient_of_a_term_of_pixels_is_the_derivative_of_what_it_measures(
    kind: type[PixelTerm], seed: int
) -> None:
    rng, term = np.random.default_rng(seed), kind.build(0.7, SECTION)
    window, step = rng.uniform(0, 255, (7, 6, 3)), rng.normal(size=(7, 6, 3))
    weight = rng.integers(0, 2, (7, 6)).astype(np.float64)
    change = (term.measure(window + step, weight) - term.measure(window - step, weight)) / 2
    # Exact for a quadratic form but for rounding, whatever the step.
    np.testing.assert_allclose(change, np.sum(term.gradient(window, weight) * step), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, PixelTerm)])
def test_what_a_term_of_pixels_measures_adds_up_over_weights_that_add_up(kind: type[PixelTerm]) -> None:
    rng, term = np.random.default_rng(0), kind.build(0.7, SECTION)
    window, top, bottom = rng.uniform(0, 255, (7, 6, 3)), np.zeros((7, 6)), np.zeros((7, 6))
    top[:3], bottom[3:] = 1, 1
    whole = term.measure(window, top + bottom)
    np.testing.assert_allclose(term.measure(window, top) + term.measure(window, bottom), whole, rtol=1e-12)


def test_the_page_writes_down_a_term_of_each_kind() -> None:
    assert [issubclass(kind, PixelTerm) for kind in documented_terms()] == [True, False]
