"""The documentation names tests and files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def named_tests(page: Path) -> list[tuple[str, str]]:
    """(module, test), the test empty where the module is named alone; a test without a module is of the one before."""
    module, found = "", []
    for named, of_module, alone in re.findall(
        r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`|`(test_\w+)`", page.read_text()
    ):
        module = named or module
        found.append((module, of_module or alone))
    return found


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for module, test in named_tests(page):
        text = (ROOT / "tests" / module).read_text()
        assert f"def {test}(" in text if test else "def test_" in text, f"{page.name}: {module}::{test}"


def test_the_table_of_products_names_a_test_in_every_row() -> None:
    text = (ROOT / "docs" / "products.md").read_text()
    table = text.split("## Sensors and forms")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 17
    assert len(named_tests(ROOT / "docs" / "products.md")) > 40
    for row in rows:
        assert re.search(r"`(\w+/)*test_", row) or "the same |" in row, row


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
