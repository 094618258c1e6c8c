import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.output.loss_chart import HEIGHT, WIDTH, Curve, curves, draw

SETTINGS = {
    "objective.content_layers": {"conv4_2": 2.0},
    "objective.style_layers": {"conv1_1": 3.0, "conv2_1": 5.0},
    "objective.beta": 10.0,
}
LEVEL = {
    "losses": {
        "total": [45.5, 2.0],
        "content": {"conv4_2": [0.25, 0.5]},
        "style": {"conv1_1": [1.0, 0.0], "conv2_1": [0.25, 0.1]},
    }
}


def test_terms_are_weighted_as_they_enter_the_total() -> None:
    total, content, style = curves(LEVEL, override(RunConfig(), SETTINGS), alpha=0.5)
    assert total == Curve("total", (45.5, 2.0))
    assert content == Curve("content", (0.25, 0.5))
    assert style == Curve("style", (42.5, 5.0))


def test_a_term_of_no_weight_is_not_drawn() -> None:
    found = curves(LEVEL, override(RunConfig(), SETTINGS), alpha=0)
    assert [curve.name for curve in found] == ["total", "style"]


def points(svg: str, name: str) -> list[tuple[float, float]]:
    line = ET.fromstring(svg).find(f"./polyline[@class='{name}']")  # noqa: S314 - our own
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-8, 1e8), min_size=2, max_size=30))
def test_a_curve_falls_where_its_values_fall_and_stays_inside(values: list[float]) -> None:
    found = points(draw([Curve("total", tuple(values))], "losses"), "total")
    assert len(found) == len(values)
    for (x, y), (x_next, y_next), value, following in zip(found, found[1:], values, values[1:], strict=False):
        assert x < x_next
        assert (y_next - y) * (following - value) <= 0
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)


def test_equal_ratios_are_equal_heights() -> None:
    (_, first), (_, second), (_, third) = points(draw([Curve("total", (1.0, 10.0, 100.0))], "losses"), "total")
    assert first - second == pytest.approx(second - third, abs=0.11)


@pytest.mark.parametrize("values", [(1.0, 2.0), (0.99, 1.01), (3e-7, 4e5), (5.0, 5.0)])
def test_the_axis_is_labelled_with_a_few_values_in_reach(values: tuple[float, ...]) -> None:
    labels = [float(text) for text in re.findall(r'class="value"[^>]*>([^<]+)<', draw([Curve("total", values)], "x"))]
    assert 1 <= len(labels) <= 8
    assert all(min(values) * 0.9 <= label <= max(values) * 1.1 for label in labels)
    assert labels == sorted(labels)


def test_one_iteration_is_a_dot_and_none_is_nothing() -> None:
    assert '<circle class="total"' in draw([Curve("total", (2.0,))], "losses")
    assert draw([], "losses") == ""
    assert draw([Curve("total", (0.0, -1.0))], "losses") == ""


def test_what_is_not_above_zero_leaves_no_point() -> None:
    assert len(points(draw([Curve("total", (1.0, 0.0, 2.0, math.e))], "losses"), "total")) == 3
