"""Checks that what is to be released agrees with itself; says what does not, and ends with 1."""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEWEST = re.compile(r"^## (?P<version>\S+)(?: \((?P<date>\d{4}-\d\d-\d\d)\))?$", re.MULTILINE)
"""A heading of the changelog: ``## 0.2.0 (2026-11-26)``."""
WHEEL = re.compile(r"\bnst_rs-(?P<version>[^-\s]+)-py3-none-any\.whl")


def disagreements(version: str, changelog: str, upgrading: str, citation: str) -> Iterator[str]:
    """Return in lines what disagrees with `version`, given the texts of three files."""
    heading = NEWEST.search(changelog)
    if heading is None or heading["version"] != version or heading["date"] is None:
        got = heading[0] if heading else "no heading"
        yield f"CHANGELOG.md: expected the newest heading to be '## {version} (YYYY-MM-DD)', got '{got}'"
    elif f"date-released: {heading['date']}\n" not in citation:
        yield f"CITATION.cff: expected 'date-released: {heading['date']}', the changelog's date"
    if not re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE):
        yield f"CITATION.cff: expected 'version: {version}'"
    minor = version.rpartition(".")[0]
    if not re.search(rf"^## To {re.escape(minor)}\b", upgrading, re.MULTILINE):
        yield f"docs/upgrading.md: expected a heading 'To {minor}'"


def other_wheels(version: str, pages: Mapping[str, str]) -> Iterator[str]:
    """Return in lines which pages, name to text, have people install a wheel of another version than `version`."""
    for name, text in pages.items():
        for named in sorted({wheel["version"] for wheel in WHEEL.finditer(text)} - {version}):
            yield f"{name}: expected the wheel of {version}, got that of {named}"


def main() -> int:
    """Print what disagrees in this checkout; return the exit code."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    names = ("CHANGELOG.md", "docs/upgrading.md", "CITATION.cff")
    found = list(disagreements(version, *((ROOT / name).read_text(encoding="utf-8") for name in names)))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found += other_wheels(version, {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in pages})
    print("\n".join(found) or f"version, changelog, upgrading notes, citation and pages agree: {version}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
