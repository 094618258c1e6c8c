"""The wheel and the sdist, as they are built: what is in them, and what they ask for."""

import ast
import email
import sys
import tarfile
import zipfile
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from build import ProjectBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nst_rs.files.extras import INSTALLED_BY
from nst_rs.files.project import project_files

ROOT = Path(__file__).parents[1]
SHIPPED = ("nst_rs", "nst_rs_flows")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(ProjectBuilder(ROOT).build("wheel", tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(path))


def names_of(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in paths}


def required(metadata: Message, extra: str = "") -> set[str]:
    """The distributions that a plain installation brings, or one with an extra."""
    requirements = map(Requirement, metadata.get_all("Requires-Dist", []))
    return {
        canonicalize_name(each.name)
        for each in requirements
        if each.marker is None or (extra and each.marker.evaluate({"extra": extra}))
    }


def test_the_wheel_has_every_file_of_the_packages_and_of_a_project_and_no_other(wheel: zipfile.ZipFile) -> None:
    project = {f"nst_rs/data/project/{name.as_posix()}": source for source, name in project_files()}
    there = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert there == set.union(*(names_of(ROOT / package) for package in SHIPPED), project)
    for name, source in project.items():
        assert wheel.read(name) == source.read_bytes()


def test_the_wheel_has_the_command_the_licences_and_the_mark_of_types(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    (entry,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "nst-rs = nst_rs.cli:app" in wheel.read(entry).decode()
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "nst_rs/data/LICENSE.md", "nst_rs/data/LICENSE.leaflet.txt"}
    assert "nst_rs/py.typed" in names


def test_the_sdist_has_what_a_wheel_is_built_from(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    with tarfile.open(ProjectBuilder(ROOT).build("sdist", tmp_path)) as sdist:
        there = {name.partition("/")[2] for name in sdist.getnames()}
    assert set.union(*(names_of(ROOT / package) for package in SHIPPED)) <= there
    assert {name.as_posix() for _, name in project_files()} <= there
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "SECURITY.md"} <= there


def test_what_is_heavy_is_an_extra(metadata: Message) -> None:
    heavy = {"tensorflow", "tensorflow-cpu", "keras", "matplotlib", "prefect", "distributed", "titiler-core", "pandas"}
    assert required(metadata) & heavy == set()
    assert set(metadata.get_all("Provides-Extra", [])) == {
        *("cpu", "gpu", "print", "flows", "dask", "view", "xarray", "dev", "docs")
    }


def test_an_environment_has_one_tensorflow(metadata: Message) -> None:
    both = {"tensorflow", "tensorflow-cpu"}
    assert required(metadata, "cpu") & both == {"tensorflow-cpu"}
    assert required(metadata, "gpu") & both == {"tensorflow"}


def imported(package: Path) -> set[str]:
    """The top-level names that a package's modules import."""
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(SHIPPED)


def test_whatever_the_program_imports_is_required_or_named_with_its_extra(metadata: Message) -> None:
    distributions, always = packages_distributions(), required(metadata)
    brought = {  # packages that a requirement brings, and is made of
        "click": "typer",
        "pydantic_core": "pydantic",
        "pyproj": "morecantile",
    }
    for name in imported(ROOT / "nst_rs"):
        of = {canonicalize_name(each) for each in distributions.get(name, [brought.get(name, name)])}
        assert of & always or name in brought or name in INSTALLED_BY, name
