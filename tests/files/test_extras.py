import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from nst_rs.errors import ResourceError
from nst_rs.files.extras import INSTALLED_BY, check_installed, naming_extras

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", INSTALLED_BY)
def test_a_missing_package_is_one_line_that_names_its_extra(package: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    with pytest.raises(ResourceError) as raised, naming_extras("a page"):
        raise ModuleNotFoundError(name=f"{package}.part")
    line = str(raised.value)
    assert line.startswith(f"a page needs {package}, which is not installed; pip install 'nst-rs[")
    assert set(re.findall(r"nst-rs\[(\w+)\]", line)) <= set(extras)


def test_a_missing_module_that_no_extra_brings_is_a_fault() -> None:
    with pytest.raises(ModuleNotFoundError), naming_extras("a page"):
        import nst_rs.no_such_module  # type: ignore[import-not-found] # noqa: F401


def test_an_installed_package_whose_version_is_asked_for_by_another_name_is_not_missed() -> None:
    with pytest.raises(PackageNotFoundError), naming_extras("a page"):
        raise PackageNotFoundError("tensorflow")


def test_what_is_installed_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed("matplotlib", "a page")
    monkeypatch.setattr("nst_rs.files.extras.find_spec", lambda _name: None)
    with pytest.raises(ResourceError, match=r"a page needs matplotlib, .*nst-rs\[print\]"):
        check_installed("matplotlib", "a page")
