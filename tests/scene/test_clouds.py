import numpy as np
import pytest

from nst_rs.scene.clouds import clouded
from nst_rs.scene.sensors import MaskKind

# Values as in the products' guides: (kind, value, what it means, whether it is masked).
VALUES = [
    ("qa_pixel", 1, "fill", False),
    ("qa_pixel", 21824, "clear land", False),
    ("qa_pixel", 21952, "clear water", False),
    ("qa_pixel", 22080, "cloud of medium confidence", False),
    ("qa_pixel", 21826, "dilated cloud over land", True),
    ("qa_pixel", 22280, "cloud of high confidence", True),
    ("qa_pixel", 23888, "cloud shadow", True),
    ("qa_pixel", 54596, "cirrus", True),
    ("bqa", 1, "fill", False),
    ("bqa", 2720, "clear", False),
    ("bqa", 2800, "cloud of high confidence", True),
    ("bqa", 2976, "cloud shadow of high confidence", True),
    ("bqa", 6816, "cirrus of high confidence", True),
    *(
        ("scl", value, name, masked)
        for value, (name, masked) in enumerate(
            [
                ("no data", False),
                ("saturated", False),
                ("dark", False),
                ("cloud shadow", True),
                ("vegetation", False),
                ("bare", False),
                ("water", False),
                ("unclassified", False),
                ("medium", True),
                ("high", True),
                ("thin cirrus", True),
                ("snow", False),
            ]
        )
    ),
]


@pytest.mark.parametrize(("kind", "value", "meaning", "masked"), VALUES)
def test_a_quality_value_means_what_the_guide_says(kind: MaskKind, value: int, meaning: str, masked: bool) -> None:
    assert clouded(kind, np.array([[value]], "uint16"))[0, 0] == masked, meaning
