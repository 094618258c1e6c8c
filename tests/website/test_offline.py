"""The built site loads nothing over the network."""

from pathlib import Path

import pytest

from website.offline import loaded_from_elsewhere, take_own_shim


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="//fonts.example">',
        '<img src="http://example.com/a.png">',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_told(tmp_path: Path, element: str) -> None:
    (tmp_path / "page.html").write_text(element)
    assert len(loaded_from_elsewhere(tmp_path)) == 1


@pytest.mark.parametrize(
    "element",
    [
        '<script src="assets/a.js"></script>',
        '<a href="https://example.com">a link is followed, not loaded</a>',
        '<link rel="canonical" href="https://example.com/page">',
        '<img src="data:image/png;base64,AAAA">',
    ],
)
def test_what_lies_in_the_site_and_what_is_only_linked_to_is_not(tmp_path: Path, element: str) -> None:
    (tmp_path / "page.html").write_text(element)
    assert loaded_from_elsewhere(tmp_path) == []


def test_the_script_for_searching_lies_in_the_site(tmp_path: Path) -> None:
    page = tmp_path / "how-to" / "page.html"
    page.parent.mkdir()
    page.write_text('<script src="https://unpkg.com/iframe-worker/shim"></script>')
    take_own_shim(tmp_path)
    assert loaded_from_elsewhere(tmp_path) == []
    assert page.read_text() == '<script src="../assets/iframe-worker.js"></script>'
    assert (tmp_path / "assets" / "iframe-worker.js").is_file()
