import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs import errors
from nst_rs.errors import NstError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "scene a.tif"),
        ({"expected": "a CRS"}, "scene a.tif: expected a CRS"),
        ({"got": "none"}, "scene a.tif: got none"),
        ({"expected": "a CRS", "got": "none"}, "scene a.tif: expected a CRS, got none"),
        (
            {"expected": "a CRS", "got": "none", "do": "assign one"},
            "scene a.tif: expected a CRS, got none; assign one",
        ),
        ({"do": "assign one"}, "scene a.tif; assign one"),
    ],
)
def test_an_error_is_one_line_of_what_expected_got_and_what_to_do(parts: dict[str, str], line: str) -> None:
    assert str(NstError("scene a.tif", **parts)) == line


# All that splits lines, and ordinary text.
TEXTS = st.text("ab \t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", max_size=12)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_an_error_is_one_line_whatever_it_quotes(what: str, expected: str, got: str, do: str) -> None:
    assert len(str(NstError(what, expected=expected, got=got, do=do)).splitlines()) <= 1


def test_several_lines_become_one() -> None:
    error = NstError("configuration run.yaml", expected="YAML", got="while parsing\n  a block\n\texpected <block end>")
    assert str(error) == "configuration run.yaml: expected YAML, got while parsing a block expected <block end>"


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_users_mistake_with_exit_code_2(kind: type[NstError]) -> None:
    with pytest.raises(NstError, match=r"^what: expected this, got that$") as caught:
        raise kind("what", expected="this", got="that")
    assert caught.value.exit_code == 2


def drawn(kind: type[NstError], before: str = "", branch: str = "") -> list[str]:
    """The names of an error and of those below it, one per line, as branches of a tree."""
    below = kind.__subclasses__()
    lines = [before + branch + kind.__name__]
    before += {"": "", "├── ": "│   ", "└── ": "    "}[branch]
    for number, child in enumerate(below, start=1):
        lines += drawn(child, before, "└── " if number == len(below) else "├── ")
    return lines


def test_the_tree_is_drawn_as_it_is() -> None:
    picture = (errors.__doc__ or "").split("\n\n")[1].splitlines()
    assert [re.findall(r"^    ([│├└─ ]*\w+)", line)[0] for line in picture] == drawn(NstError)
