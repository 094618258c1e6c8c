"""The site's pages in one folder: those of docs/, with what is read from the program and from the notebook.

A page of docs/ asks for a generated part by a comment, such as ``<!-- generated: settings -->``. Links lead from page
to page there as they do in the repository; a link to what is no page of the site, such as a source file, becomes its
text.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from website import gallery, notebook, reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
STAGED = ROOT / "build" / "docs"

GENERATED: Mapping[str, Callable[[], str]] = {
    "commands": reference.commands,
    "settings": reference.settings,
    "gallery": gallery.page,
}
"""What a page may ask for, and what makes it."""

BESIDE_DOCS = {name: f"{name.removesuffix('.md').lower()}.md" for name in ("CHANGELOG.md", "CONTRIBUTING.md")}
"""Pages of the repository's root that are pages of the site too, and their names there."""

_COMMENT = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def stage() -> None:
    """Make the folder of the site's pages anew."""
    shutil.rmtree(STAGED, ignore_errors=True)
    for source, target in _pages():
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(staged_text(source), encoding="utf-8")
        elif source.suffix == ".ipynb":
            notebook.write_page(source, target)
        else:
            shutil.copyfile(source, target)


def staged_text(page: Path) -> str:
    """Return a page's text as the site has it: with its generated parts, and links from where it is staged."""
    filled = _COMMENT.sub(lambda comment: GENERATED[comment[1]](), page.read_text(encoding="utf-8"))
    return _LINK.sub(lambda link: _staged_link(link, page), filled)


def _pages() -> Iterator[tuple[Path, Path]]:
    """Yield all files of the site, each with the place where it is staged."""
    for path in sorted(DOCS.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(DOCS).parts):
            yield path, _staged(path)
    for name in BESIDE_DOCS:
        yield ROOT / name, _staged(ROOT / name)


def _staged(path: Path) -> Path:
    """Return where a file of the repository that belongs to the site is staged."""
    if path.is_relative_to(DOCS):
        staged = STAGED / path.relative_to(DOCS)
        return staged.with_suffix(".md") if staged.suffix == ".ipynb" else staged
    return STAGED / BESIDE_DOCS[path.name]


def _staged_link(link: re.Match[str], page: Path) -> str:
    """Return a link as it is staged; of one that leads out of the site its text alone."""
    text, target, anchor = link[1], link[2], link[3] or ""
    if re.match(r"[a-z]+:", target):
        return link[0]
    path = Path(os.path.normpath(page.parent / target))
    if not path.is_relative_to(DOCS) and path not in {ROOT / name for name in BESIDE_DOCS}:
        return text
    return f"[{text}]({os.path.relpath(_staged(path), _staged(page).parent)}{anchor})"
