"""Pages as the site has them."""

from pathlib import Path

import pytest

from website import staging


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of a repository of its own, in a folder of docs."""
    docs = tmp_path / "docs"
    (docs / "how-to").mkdir(parents=True)
    monkeypatch.setattr(staging, "ROOT", tmp_path)
    monkeypatch.setattr(staging, "DOCS", docs)
    monkeypatch.setattr(staging, "STAGED", tmp_path / "build" / "docs")
    return docs / "how-to" / "page.md"


def staged(page: Path, text: str) -> str:
    page.write_text(text, encoding="utf-8")
    return staging.staged_text(page)


@pytest.mark.parametrize(
    "text",
    [
        "[a page](../method.md#figures)",
        "![a picture](../olinda.jpg)",
        "[elsewhere](https://example.com/page.md)",
        "[mail](mailto:somebody@example.com)",
        "[below](#below)",
    ],
)
def test_links_within_the_site_and_to_other_sites_stay(page: Path, text: str) -> None:
    assert staged(page, text) == text


def test_a_link_to_what_is_no_page_of_the_site_becomes_its_text(page: Path) -> None:
    assert staged(page, "see [prefect.yaml](../../prefect.yaml).") == "see prefect.yaml."


def test_a_link_to_the_notebook_leads_to_its_page(page: Path) -> None:
    assert staged(page, "[it](../notebooks/first_map.ipynb)") == "[it](../notebooks/first_map.md)"


def test_a_link_to_a_page_beside_docs_leads_to_where_it_is_staged(page: Path) -> None:
    assert staged(page, "[changes](../../CHANGELOG.md)") == "[changes](../changelog.md)"


def test_a_page_beside_docs_links_to_pages_of_docs(page: Path, tmp_path: Path) -> None:
    assert staged(tmp_path / "CONTRIBUTING.md", "[it](docs/architecture.md)") == "[it](architecture.md)"


def test_a_generated_part_stands_where_a_page_asks_for_it(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "GENERATED", {"table": lambda: "| a |"})
    assert staged(page, "Before.\n\n<!-- generated: table -->\n\nAfter.\n") == "Before.\n\n| a |\n\nAfter.\n"
