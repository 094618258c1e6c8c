"""A release agrees with itself."""

import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CHANGELOG = "# Changelog\n\n## 1.2.0 (2027-01-31)\n\n### Added\n\n## 1.1.0 (2026-12-01)\n"
CITATION = "cff-version: 1.2.0\nversion: 1.2.0\ndate-released: 2027-01-31\n"
UPGRADING = "# Upgrading\n\n## To 1.2.0\n\n## To 1.1\n"


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_texts_of_one_version_agree(release: ModuleType) -> None:
    assert list(release.disagreements("1.2.0", CHANGELOG, UPGRADING, CITATION)) == []


@pytest.mark.parametrize(
    ("changelog", "upgrading", "citation", "file"),
    [
        (CHANGELOG.replace("## 1.2.0 (2027-01-31)", "## Unreleased"), UPGRADING, CITATION, "CHANGELOG.md"),
        (CHANGELOG.replace("1.2.0", "1.2.1"), UPGRADING, CITATION, "CHANGELOG.md"),
        (CHANGELOG.replace(" (2027-01-31)", ""), UPGRADING, CITATION, "CHANGELOG.md"),
        ("# Changelog\n", UPGRADING, CITATION, "CHANGELOG.md"),
        (CHANGELOG, UPGRADING.replace("1.2.0", "1.3.0"), CITATION, "docs/upgrading.md"),
        (CHANGELOG, UPGRADING, CITATION.replace("\nversion: 1.2.0", "\nversion: 1.1.0"), "CITATION.cff"),
        (CHANGELOG, UPGRADING, CITATION.replace("01-31", "01-30"), "CITATION.cff"),
    ],
)
def test_each_text_that_disagrees_is_named(
    release: ModuleType, changelog: str, upgrading: str, citation: str, file: str
) -> None:
    (said,) = release.disagreements("1.2.0", changelog, upgrading, citation)
    assert said.startswith(f"{file}: expected ")


def test_a_page_that_has_people_install_another_version_is_named(release: ModuleType) -> None:
    page = "pip install 'nst_rs-{}-py3-none-any.whl[cpu,view]'"
    pages = {"docs/installing.md": page.format("1.2.0"), "README.md": page.format("1.1.0")}
    (said,) = release.other_wheels("1.2.0", pages)
    assert said == "README.md: expected the wheel of 1.2.0, got that of 1.1.0"


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == VERSION
    assert {"cff-version", "message", "title", "authors", "date-released"} <= set(citation)


def test_the_upgrading_notes_reach_this_version() -> None:
    major_and_minor = ".".join(VERSION.split(".")[:2])
    assert f"\n## To {major_and_minor}" in (ROOT / "docs" / "upgrading.md").read_text()
