import numpy as np
import pytest

from nst_rs.scene.classes import TOLD, showing
from nst_rs.scene.sensors import MaskKind

CASES: list[tuple[MaskKind, int, str, set[str]]] = [
    ("scl", 4, "vegetation", {"vegetation"}),
    ("scl", 5, "not vegetated", {"bare"}),
    ("scl", 6, "water", {"water"}),
    ("scl", 3, "cloud shadow", {"cloud"}),
    ("scl", 9, "cloud of high probability", {"cloud"}),
    ("scl", 11, "snow or ice", {"snow"}),
    ("scl", 7, "unclassified", set()),
    ("qa_pixel", 21824, "clear land", set()),
    ("qa_pixel", 21952, "clear water", {"water"}),
    ("qa_pixel", 30048, "snow", {"snow"}),
    ("qa_pixel", 22280, "cloud of high confidence", {"cloud"}),
    ("bqa", 2720, "clear", set()),
    ("bqa", 2720 | 1 << 4, "cloud", {"cloud"}),
    ("bqa", 3744, "snow of high confidence", {"snow"}),
]


@pytest.mark.parametrize(("kind", "value", "meaning", "classes"), CASES)
def test_a_value_says_the_classes_that_its_definition_names(
    kind: MaskKind, value: int, meaning: str, classes: set[str]
) -> None:
    values = np.array([[value]], np.uint16)
    said = {name for name in TOLD[kind] if showing(kind, values, [name])[0].all()}
    assert said == classes
    assert showing(kind, values, ["cloud"])[1].all()


@pytest.mark.parametrize(("kind", "fill"), [("scl", 0), ("qa_pixel", 1), ("bqa", 1)])
def test_fill_says_nothing(kind: MaskKind, fill: int) -> None:
    inside, told = showing(kind, np.array([[fill]], np.uint16), TOLD[kind])
    assert not inside.any()
    assert not told.any()


def test_any_of_several_classes_is_enough() -> None:
    inside, _ = showing("scl", np.array([[4, 6, 11]]), ["water", "snow"])
    assert inside.tolist() == [[False, True, True]]
