from pathlib import Path

import pytest

from nst_rs.files.documents import DocumentError, parse_json, parse_yaml, read_text

LAUGHS = "a: &a [ha]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LAUGHS, "an alias"),
        ("a: &a [*a]", "an alias"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("[" * 2000, "recursion"),
        ("a: 2024-13-45", "month must be in"),
        ("a: [", "expected the node content"),
        ("a: " + "1" * 2**20, "more than 1 MB"),
        ("\x07", "special characters"),
    ],
)
def test_yaml_that_bites_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(DocumentError, match=complaint):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": ' * 100_000, "1" * 10_000])
def test_json_that_bites_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_json(text)


def test_a_text_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(path, most_bytes=6) == "abc"
    with pytest.raises(DocumentError, match="more than 0 MB"):
        read_text(path, most_bytes=5)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DocumentError):
        read_text(path)
    with pytest.raises(DocumentError, match="null"):
        read_text(Path("a\0b"))
