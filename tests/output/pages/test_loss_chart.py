import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.output.pages.loss_chart import COLORS, HEIGHT, WIDTH, Curve, curves, draw

CONTENT = {"name": "content", "label": "content", "meaning": "distance to the scene", "share": [0.25, 0.5]}
STYLE = {"name": "style", "label": "style", "meaning": "distance to the painting", "share": [42.5, 5.0]}


def level_of(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"losses": {"total": [45.5, 2.0]}, "terms": list(terms)}


def test_the_total_and_all_terms_are_drawn_as_the_record_has_them() -> None:
    total, content, style = curves(level_of(CONTENT, STYLE))
    assert total == Curve("total", "total", (45.5, 2.0))
    assert content == Curve("content", "content", (0.25, 0.5), "var(--term-0)", "distance to the scene")
    assert style == Curve("style", "style", (42.5, 5.0), "var(--term-1)", "distance to the painting")


def test_a_term_of_no_weight_is_not_drawn_and_the_others_keep_their_colours() -> None:
    shown = curves(level_of({**CONTENT, "share": [0.0, 0.0]}, STYLE))
    assert [(curve.name, curve.color) for curve in shown] == [("total", "var(--ink)"), ("style", "var(--term-1)")]


@given(st.integers(1, 30))
def test_any_number_of_terms_has_colours_of_the_page(count: int) -> None:
    shown = curves(level_of(*({**STYLE, "name": f"term-{number}"} for number in range(count))))
    assert len(shown) == count + 1
    assert {curve.color for curve in shown[1:]} <= {f"var(--term-{number})" for number in range(COLORS)}


def points(svg: str, name: str) -> list[tuple[float, float]]:
    line = ET.fromstring(svg).find(f"./polyline[@class='{name}']")  # noqa: S314 - our own
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-8, 1e8), min_size=2, max_size=30))
def test_a_curve_falls_where_its_values_fall_and_stays_inside(values: list[float]) -> None:
    found = points(draw([Curve("total", "total", tuple(values))], "losses"), "total")
    assert len(found) == len(values)
    for (x, y), (x_next, y_next), value, following in zip(found, found[1:], values, values[1:], strict=False):
        assert x < x_next
        assert (y_next - y) * (following - value) <= 0
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in found)


def test_equal_ratios_are_equal_heights() -> None:
    (_, first), (_, second), (_, third) = points(draw([Curve("total", "total", (1.0, 10.0, 100.0))], "losses"), "total")
    assert first - second == pytest.approx(second - third, abs=0.11)


@pytest.mark.parametrize("values", [(1.0, 2.0), (0.99, 1.01), (3e-7, 4e5), (5.0, 5.0)])
def test_the_axis_is_labelled_with_a_few_values_in_reach(values: tuple[float, ...]) -> None:
    labels = [
        float(text) for text in re.findall(r'class="value"[^>]*>([^<]+)<', draw([Curve("total", "total", values)], "x"))
    ]
    assert 1 <= len(labels) <= 8
    assert all(min(values) * 0.9 <= label <= max(values) * 1.1 for label in labels)
    assert labels == sorted(labels)


def test_one_iteration_is_a_dot_and_none_is_nothing() -> None:
    assert '<circle class="total"' in draw([Curve("total", "total", (2.0,))], "losses")
    assert draw([], "losses") == ""
    assert draw([Curve("total", "total", (0.0, -1.0))], "losses") == ""


def test_what_is_not_above_zero_leaves_no_point() -> None:
    assert len(points(draw([Curve("total", "total", (1.0, 0.0, 2.0, math.e))], "losses"), "total")) == 3
