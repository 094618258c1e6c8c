"""A project: a folder to work in, with configurations, a sample scene, paintings, and Prefect's deployments.

The checkout is one. The wheel carries the same files (pyproject.toml says which), so that there is one copy of each.
"""

import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from nst_rs.errors import OutputError
from nst_rs.files.replacing import written_at_once

FOLDERS = ("demo_output", "inbox", "maps")
"""What the configurations and the deployments expect to be there, empty at first."""


def project_files() -> Iterator[tuple[Path, Path]]:
    """Return each file of a new project: where it is now, and its path within the project."""
    root = _root()
    yield root / "prefect.yaml", Path("prefect.yaml")
    for path in sorted((*(root / "configs").rglob("[!.]*"), *(root / "sample_data").rglob("[!.]*"))):
        if path.is_file():
            yield path, path.relative_to(root)


def write_project(folder: Path) -> None:
    """Write a project into `folder`, which is made. A file that is there already stays.

    Raises OutputError, before anything is written, where a file is there that differs from the project's.
    """
    files = [(source, folder / name) for source, name in project_files()]
    try:
        for source, path in files:
            if path.exists() and path.read_bytes() != source.read_bytes():
                raise OutputError(f"file {path}", expected="none of this name", got="one", do="name another folder")
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for source, path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_at_once(path) as temporary:
                shutil.copyfile(source, temporary)
    except OSError as error:
        raise OutputError(f"folder {folder}", expected="a folder to write to", got=str(error)) from error


def _root() -> Path:
    """Return the folder of the project's files: in the wheel, or the checkout."""
    package = Path(str(resources.files("nst_rs")))
    shipped = package / "data" / "project"
    return shipped if shipped.is_dir() else package.parent
