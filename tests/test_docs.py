"""The documentation names tests, files, commands and settings that are there."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from nst_rs.config.loading import PRESETS, load_config, parse_assignment
from nst_rs.config.sections import sections, setting_names
from nst_rs.output.companions import COMPANIONS
from website.reference import subcommands
from website.staging import DOCS, GENERATED

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FILES = ("tif", "jpg", "png", "html", "pdf", "json", "style", "md", "py", "yaml")
"""Endings of files whose names look like a setting's: output.tif is none."""


def code(page: Path) -> str:
    """A page's blocks of code: what is fenced, and what is set in by four and more."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"^ {4,}(.*)", text, re.MULTILINE)])


def spans(page: Path) -> list[str]:
    """What a page sets in code within its sentences; such a span may go on on the next line."""
    prose = re.sub(r"^```.*?^```|^ {4,}.*?$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of all commands `nst-rs ...` in a page's blocks of code."""
    for line in re.sub(r"\\\n\s*", "", code(page)).splitlines():
        for called in re.findall(r"(?<![\w-])nst-rs (?!nst-rs)([a-z-].*)", line):
            words = shlex.shlex(called, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            yield list(takewhile(lambda word: word not in {";", "|", "&", "&&", ">"}, words))


def named_tests(page: Path) -> list[tuple[str, str]]:
    """(module, test), the test empty where the module is named alone; a test without a module is of the one before."""
    module, found = "", []
    for named, of_module, alone in re.findall(
        r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`|`(test_\w+)`", page.read_text()
    ):
        module = named or module
        found.append((module, of_module or alone))
    return found


def check_command(words: list[str]) -> None:
    """Read a command as the program does, and the settings in it; nothing is run."""
    name, *arguments = words
    if name.startswith("-"):
        return
    command = subcommands()[name]
    context = command.make_context(name, arguments)
    given = context.params
    assignments = [text for text in given.get("settings") or () if not text.startswith("SECTION")]
    load_config(None, assignments, given.get("preset"))
    for varied in given.get("vary") or ():
        assert parse_assignment(varied)[0] in setting_names()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_on_a_page_has_options_and_settings_that_there_are(page: Path) -> None:
    for words in commands(page):
        check_command(words)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_that_a_sentence_names_is_there(page: Path) -> None:
    for span in spans(page):
        words = span.split()
        if words[0] == "nst-rs" and len(words) > 1 and words[1].islower() and not words[1].startswith("-"):
            assert words[1] in subcommands(), span


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_setting_that_a_sentence_names_is_there(page: Path) -> None:
    pattern = rf"^(?:--set )?((?:{'|'.join(sections())})\.[a-z_]+)"
    named = {setting[1] for span in spans(page) if (setting := re.match(pattern, span))}
    assert {name for name in named if name.rpartition(".")[2] not in FILES} <= set(setting_names())


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_configuration_on_a_page_is_read(page: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if set(yaml.safe_load(block)) <= set(sections()):
            path = tmp_path / "run.yaml"
            path.write_text(block, encoding="utf-8")
            load_config(path)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_of_make_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [*code(page).splitlines(), *spans(page)]
    assert {named[1] for line in lines if (named := re.match(r"make ([a-z][\w-]*)", line))} <= targets


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for module, test in named_tests(page):
        text = (ROOT / "tests" / module).read_text()
        assert f"def {test}(" in text if test else "def test_" in text, f"{page.name}: {module}::{test}"


def test_the_table_of_products_names_a_test_in_every_row() -> None:
    text = (DOCS / "products.md").read_text()
    table = text.split("## Sensors and forms")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 17
    assert len(named_tests(DOCS / "products.md")) > 40
    for row in rows:
        assert re.search(r"`(\w+/)*test_", row) or "the same |" in row, row


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_sites_navigation() -> None:
    """Zensical builds a page that nothing leads to, and says nothing."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    pages = [page.relative_to(DOCS).with_suffix(".md") for page in DOCS.rglob("*") if page.suffix in (".md", ".ipynb")]
    assert [str(page) for page in pages if not re.search(rf"\b{page}$", navigation, re.MULTILINE)] == []


def test_every_part_that_is_generated_is_on_a_page() -> None:
    asked = [name for page in PAGES for name in re.findall(r"<!-- generated: (\w+) -->", page.read_text())]
    assert sorted(asked) == sorted(GENERATED)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stylize", "scene.tif", "--styl", "a.jpg"], "--styl"),
        (["stylize", "scene.tif", "--set", "schedule.steps=2"], "schedule.steps"),
        (["stylize", "scene.tif", "--set", "schedule.levels=many"], "schedule.levels"),
        (["stylize", "scene.tif", "--preset", "wild"], "wild"),
        (["print"], "Missing"),
    ],
)
def test_a_command_with_a_mistake_is_told(words: list[str], told: str) -> None:
    with pytest.raises(Exception, match=told):
        check_command(words)


def test_the_page_of_files_names_every_file_that_goes_with_a_map() -> None:
    text = (DOCS / "reference" / "files.md").read_text(encoding="utf-8")
    endings = [ending for companion in COMPANIONS for ending in companion.endings]
    assert [ending for ending in endings if f"`OUT{ending}`" not in text] == []


def test_the_page_of_looks_names_every_preset() -> None:
    text = (DOCS / "how-to" / "looks.md").read_text(encoding="utf-8")
    assert [name for name in PRESETS if f"\n| `{name}` |" not in text] == []
