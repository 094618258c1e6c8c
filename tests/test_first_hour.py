"""The commands of docs/first-hour.md, given one after the other as a newcomer gives them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rasterio

from nst_rs.cli import app
from tests.test_docs import commands
from website.staging import DOCS, ROOT

PAGE = DOCS / "first-hour.md"
RUN = ("inspect", "plan", "stylize")
"""What is run; `view` serves until it is ended, and `try` has a test of its own."""


AREA = "scene.area={rows: [0, 96], columns: [0, 96]}"


def tutorial(quick: dict[str, Any]) -> Iterator[list[str]]:
    """The commands on the sample scene, of which a part is styled, in few iterations where it is optimised."""
    tiny = [part for key, value in quick.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    for words in commands(PAGE):
        if words[0] in RUN and not any(word.startswith("path/to") for word in words):
            small = [] if words[0] == "inspect" else ["--set", AREA]
            is_optimised = any(word.endswith(".jpg") for word in words)
            yield [*words, *small, *(tiny if is_optimised else [])]


@pytest.fixture(scope="module")
def folder(quick: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands were given."""
    made = tmp_path_factory.mktemp("first_hour")
    (made / "sample_data").symlink_to(ROOT / "sample_data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for words in tutorial(quick):
            with pytest.raises(SystemExit) as ended:
                app(words)
            assert not ended.value.code, words
    return made


def records(folder: Path) -> list[dict[str, Any]]:
    """The records of a learned and of an optimised run."""
    return [json.loads((folder / f"{name}.run.json").read_text(encoding="utf-8")) for name in ("first", "painted")]


def test_the_first_hour_ends_with_a_map_its_web_tiles_and_a_page(folder: Path) -> None:
    for name in ("first.tif", "first.html", "painted.tif", "painted.run.json", "painted.pmtiles", "painted.pdf"):
        assert (folder / name).is_file()
    with rasterio.open(folder / "painted.tif") as made:
        assert made.shape == (96, 96)


def test_the_page_of_the_record_names_every_key_of_a_record(folder: Path) -> None:
    text = (DOCS / "reference" / "record.md").read_text(encoding="utf-8")
    for record in records(folder):
        assert [key for key in record if f"\n| `{key}` |" not in text] == []
        assert [key for part in (record["scene"], *record["levels"]) for key in part if f"`{key}`" not in text] == []


def test_the_page_of_figures_names_every_figure_of_a_record(folder: Path) -> None:
    text = (DOCS / "reference" / "figures.md").read_text(encoding="utf-8")
    assert [name for name in records(folder)[1]["figures"] if f"| `{name}` |" not in text] == []
