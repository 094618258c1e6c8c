from pathlib import Path

import pytest

from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.named_styles import find_style, named_styles, own_folder, shipped_folder
from nst_rs.config.sections import RunConfig
from nst_rs.errors import StyleError
from nst_rs.learned.style_file import read_learned
from nst_rs.style.images import read_style


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the folder of the user's own styles."""
    monkeypatch.setenv("NST_RS_STYLES", str(tmp_path / "own"))
    path = tmp_path / "own" / "mine.style"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.mark.parametrize("name", [path.stem for path in shipped_folder().glob("*.style")])
def test_every_shipped_style_is_found_by_its_name_and_can_be_read(name: str) -> None:
    style = named_styles()[name]
    assert style.shipped
    assert read_learned(style.path).preview


def test_there_are_shipped_styles() -> None:
    assert "harvest" in {path.stem for path in shipped_folder().glob("*.style")}


def test_an_own_style_hides_a_shipped_one_of_its_name(mine: Path) -> None:
    own = mine.rename(mine.with_name("harvest.style"))
    style = find_style("harvest")
    assert style is not None
    assert (style.path, style.shipped) == (own, False)


def test_own_styles_lie_in_the_users_data_unless_the_environment_names_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NST_RS_STYLES", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_folder() == tmp_path / ".local" / "share" / "nst-rs" / "styles"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert own_folder() == tmp_path / "data" / "nst-rs" / "styles"
    monkeypatch.setenv("NST_RS_STYLES", "~/here")
    assert own_folder() == tmp_path / "here"


def test_a_folder_of_own_styles_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NST_RS_STYLES", str(tmp_path / "nowhere"))
    assert all(style.shipped for style in named_styles().values())


def test_names_stand_for_paths_wherever_a_style_is_named(mine: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("style: {images: {mine: 2, a.jpg: 1}, learned: mine}")
    config = load_config(file)
    assert config.style.images == {mine: 2, tmp_path / "a.jpg": 1}
    assert config.style.learned == mine
    assert name_files(RunConfig(), None, [Path("mine")], None).style.images == {mine: 1}
    assert override(RunConfig(), {"style.images": "mine"}).style.images == {mine: 1}


def test_a_file_wins_over_a_style_of_its_name(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").touch()
    assert override(RunConfig(), {"style.images": "mine"}).style.images == {Path("mine"): 1}


def test_what_has_a_folder_or_an_ending_is_no_name(mine: Path) -> None:
    assert find_style("mine") is not None
    assert [find_style(named) for named in ("mine.style", "./mine", "other", "")] == [None] * 4


def test_an_unknown_name_is_refused_with_those_that_there_are(mine: Path) -> None:
    with pytest.raises(StyleError, match=r"name an image, or one of the learned styles: .*harvest, .*mine"):
        read_style(Path("mina"), 64)
