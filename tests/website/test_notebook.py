"""The notebook runs, and what it shows is of the code that it holds."""

from pathlib import Path
from typing import Any

import pytest

from website import notebook
from website.staging import DOCS, ROOT

NOTEBOOK = notebook.read(DOCS / "notebooks" / "first_map.ipynb")
MOST_BYTES = 1_000_000


def test_the_notebook_runs_anew_from_its_first_cell_to_its_last(
    quick: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    variables: dict[str, Any] = {}
    for cell in notebook.code_cells(NOTEBOOK):
        exec(compile(notebook.source(cell), "cell", "exec"), variables)  # noqa: S102 - the repository's own
        if "parameters" in cell["metadata"].get("tags", ()):
            variables |= {
                "folder": tmp_path,
                "settings": {**quick, "scene.area": {"rows": [0, 96], "columns": [0, 96]}},
            }
    assert len(variables["result"].losses) == 5
    assert variables["both"].shape == (128, 256, 3)


def test_its_outputs_are_of_its_code_as_it_stands() -> None:
    assert notebook.is_executed(NOTEBOOK), "execute it anew with `make notebook`"


def test_it_shows_a_picture_of_every_map() -> None:
    shown = [output for cell in notebook.code_cells(NOTEBOOK) for output in cell["outputs"]]
    assert sum("image/jpeg" in output.get("data", {}) for output in shown) == 5


def test_it_is_small_and_tells_nothing_of_the_machine_that_executed_it() -> None:
    text = (DOCS / "notebooks" / "first_map.ipynb").read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/usr/", "Traceback"))  # noqa: S108
