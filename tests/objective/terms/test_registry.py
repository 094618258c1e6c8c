import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.config.loading import override
from nst_rs.config.picture import ObjectiveSection
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.errors import ConfigError
from nst_rs.objective.moments import Statistics
from nst_rs.objective.terms.base import PixelTerm
from nst_rs.objective.terms.content import Content
from nst_rs.objective.terms.gram import Gram
from nst_rs.objective.terms.registry import TERMS, chosen_terms, describe, needed_statistics
from nst_rs.objective.terms.variation import Variation
from nst_rs.vgg16 import VGG16
from tests.toy_terms import Darkness, Energy

LAYERS = st.dictionaries(st.sampled_from(list(VGG16)), st.floats(0, 10), min_size=1)


def section(**settings: object) -> ObjectiveSection:
    return override(RunConfig(), {f"objective.{key}": value for key, value in settings.items()}).objective


def test_content_and_style_are_always_there_and_the_variation_where_it_weighs_anything() -> None:
    plain = RunConfig().objective
    content, style = Content(0.2, plain.content_layers, "mean"), Gram(1.0, plain.style_layers)
    assert chosen_terms(plain) == (content, style)
    assert chosen_terms(section(variation=1e-4)) == (content, style, Variation(1e-4))
    assert [term.weight for term in chosen_terms(section(alpha=0.0, beta=0.0))] == [0, 0]


def test_terms_are_built_with_the_finest_levels_weight() -> None:
    assert chosen_terms(section(alpha=(0.1, 0.2, 0.4)))[0].weight == 0.4


@given(LAYERS, LAYERS)
def test_the_network_measures_at_the_content_and_style_layers(
    content: dict[str, float], style: dict[str, float]
) -> None:
    configured = section(content_layers=content, style_layers=style)
    needed = needed_statistics(configured)
    assert set(needed.products) == set(style)
    assert set(needed.half_squares) == set(content)
    assert set(needed.counted) == {*content, *style}
    computed = [layer.name for layer in trunk_of(RunConfig(objective=configured)).layers]
    assert set(needed.counted) <= set(computed)


@pytest.mark.usefixtures("toy_terms")
def test_a_further_term_is_there_at_its_configured_weight() -> None:
    chosen = section(terms={"energy": 0.25, "darkness": 0.0})
    assert chosen_terms(chosen)[2:] == (Energy(0.25),)
    chosen = section(terms={"energy": 0.25, "darkness": 0.5})
    assert chosen_terms(chosen)[2:] == (Darkness(0.5), Energy(0.25))


@pytest.mark.usefixtures("toy_terms")
def test_what_a_further_term_needs_is_measured_once() -> None:
    chosen = section(style_layers={"conv2_1": 1.0}, terms={"energy": 0.25})
    assert needed_statistics(chosen) == Statistics(("conv2_1", "conv1_1"), ("conv4_2",))
    chosen = section(style_layers={"conv1_1": 1.0}, terms={"energy": 0.25})
    assert needed_statistics(chosen) == Statistics(("conv1_1",), ("conv4_2",))


@pytest.mark.usefixtures("toy_terms")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("light", r"objective\.terms\.light: expected one of darkness, energy"),
        ("variation", r"objective\.terms\.variation: expected one of darkness, energy; set objective\.variation"),
        ("style", r"objective\.terms\.style: .*; set objective\.beta"),
    ],
)
def test_an_unknown_term_is_refused_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chosen_terms(section(terms={"energy": 1.0, name: 1.0}))


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective\.terms.*greater than or equal to 0, got -1"):
        section(terms={"darkness": -1.0})


def test_without_further_terms_any_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"objective\.terms\.light: expected no further term"):
        chosen_terms(section(terms={"light": 0.0}))


@pytest.mark.usefixtures("toy_terms")
def test_a_term_that_measures_deeper_than_the_network_goes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Energy, "statistics", Statistics(("conv5_1",)))
    shallow = section(content_layers={"conv1_1": 1}, style_layers={"conv2_1": 1}, terms={"energy": 1.0})
    with pytest.raises(ConfigError, match=r"objective\.terms\.energy: expected .* no deeper than conv2_1, got conv5_1"):
        chosen_terms(shallow)


@pytest.mark.parametrize("kind", [*TERMS, Darkness, Energy])
def test_every_term_describes_itself(kind: type, toy_terms: None) -> None:
    described = describe(kind.name)
    assert described["name"] == kind.name
    assert all(described.values())


def test_no_two_terms_have_one_name() -> None:
    assert len({kind.name for kind in TERMS}) == len(TERMS)


@pytest.mark.parametrize("kind", [kind for kind in (*TERMS, Darkness) if issubclass(kind, PixelTerm)])
def test_a_term_of_pixels_needs_nothing_of_the_network(kind: type[PixelTerm]) -> None:
    assert kind.build(1.0, RunConfig().objective).statistics == Statistics()
