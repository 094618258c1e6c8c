from pathlib import Path

import pytest
import yaml

from nst_rs.config.loading import load_config
from nst_rs.errors import OutputError
from nst_rs.files.project import FOLDERS, project_files, write_project

CONFIGURATIONS = [name for _, name in project_files() if name.parts[0] == "configs"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "new" / "folder"
    write_project(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CONFIGURATIONS, ids=str)
def test_every_configuration_of_a_project_finds_its_files_there(project: Path, name: Path) -> None:
    config = load_config(project / name)
    named = [*map(Path, config.scene.paths), *config.style.images]
    assert named
    for path in named:
        assert path.exists()
        assert path.resolve().is_relative_to(project.resolve())
    if config.output.path is not None:
        assert config.output.path.parent.is_dir()


def test_the_deployments_of_a_project_find_their_files_and_their_flows(project: Path) -> None:
    from importlib import import_module

    for deployment in yaml.safe_load((project / "prefect.yaml").read_text())["deployments"]:
        module, _, flow = deployment["entrypoint"].rpartition(".")
        assert module.startswith("nst_rs_flows.")  # the one package of flows that is installed
        assert callable(getattr(import_module(module), flow))
        parameters = deployment.get("parameters", {})
        assert all((project / style).is_file() for style in parameters.get("style", ()))
        assert all((project / parameters[name]).is_dir() for name in ("inbox", "output") if name in parameters)


def test_a_project_is_written_again_over_itself_and_a_missing_file_is_brought_back(tmp_path: Path) -> None:
    write_project(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "prefect.yaml").unlink()
    write_project(tmp_path)
    assert contents(tmp_path) == before
    assert all((tmp_path / name).is_dir() for name in FOLDERS)


def test_a_file_that_was_changed_is_never_replaced_and_nothing_else_is_written(tmp_path: Path) -> None:
    (tmp_path / "prefect.yaml").write_text("mine")
    with pytest.raises(OutputError, match=r"prefect.yaml: expected none of this name, got one; name another folder"):
        write_project(tmp_path)
    assert contents(tmp_path) == {"prefect.yaml": b"mine"}
    assert list(tmp_path.iterdir()) == [tmp_path / "prefect.yaml"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="expected a folder to write to"):
        write_project(tmp_path / "file" / "project")
