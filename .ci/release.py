"""Checks that what is to be released agrees with itself; says what does not, and ends with 1."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEWEST = re.compile(r"^## (?P<version>\S+)(?: \((?P<date>\d{4}-\d\d-\d\d)\))?$", re.MULTILINE)
"""A heading of the changelog: ``## 0.2.0 (2026-11-26)``."""


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


def main() -> int:
    """Print what disagrees in this checkout; return the exit code."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    names = ("CHANGELOG.md", "docs/upgrading.md", "CITATION.cff")
    found = list(disagreements(version, *((ROOT / name).read_text(encoding="utf-8") for name in names)))
    print("\n".join(found) or f"version, changelog, upgrading notes and citation agree: {version}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
