"""The notebook: executed anew, and as a page of the site.

What executes it and what makes the page are in the extra ``docs``; whether its outputs are of its code as it stands is
told without them.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DIGEST = "code_sha256"
_LONGEST_SECONDS = 3600


def code_cells(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a notebook's cells of code, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: Mapping[str, Any]) -> str:
    """Return a cell's text, which a file holds in lines."""
    return "".join(cell["source"])


def is_executed(notebook: Mapping[str, Any]) -> bool:
    """Return whether a notebook's outputs are of the code that it holds."""
    return bool(notebook["metadata"].get(_DIGEST) == _digest(notebook))


def execute(path: Path, folder: Path) -> None:
    """Execute a notebook in a folder and keep its outputs in its file, but for messages on the standard error."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=_LONGEST_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    for cell in code_cells(notebook):
        cell["outputs"] = [_kept(output) for output in cell["outputs"] if output.get("name") != "stderr"]
        cell["metadata"].pop("execution", None)  # when it ran
    notebook["metadata"][_DIGEST] = _digest(notebook)
    nbformat.write(notebook, path)


def write_page(path: Path, page: Path) -> None:
    """Write a notebook as a page in Markdown, its pictures beside it."""
    from nbconvert import MarkdownExporter

    resources = {"unique_key": page.stem, "output_files_dir": f"{page.stem}_files"}
    text, resources = MarkdownExporter().from_filename(str(path), resources)
    page.write_text(text, encoding="utf-8")
    for name, content in resources["outputs"].items():
        picture = page.parent / name
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(content)


def read(path: Path) -> dict[str, Any]:
    """Return a notebook as its file has it."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def _kept(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output as it is kept: a picture once, as JPEG, which is a tenth of its PNG."""
    if "image/jpeg" in output.get("data", {}):
        output["data"].pop("image/png", None)
    return output


def _digest(notebook: Mapping[str, Any]) -> str:
    """Return a digest of a notebook's code, but for its white space, which a formatter may change."""
    code = "".join("".join(source(cell).split()) for cell in code_cells(notebook))
    return hashlib.sha256(code.encode()).hexdigest()
