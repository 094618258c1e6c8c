import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from nst_rs.errors import OutputError, StyleError
from nst_rs.learned.architecture import Architecture
from nst_rs.learned.style_file import read_learned, write_preview
from tests.learned_styles import small_style

SECOND_VERSION = Path(__file__).parent / "version2" / "small.style"
"""A file as it was written before networks were normalised by scenes."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.style"
    small_style().save(path)
    return path


def rewritten(path: Path, **changes: str) -> Path:
    """Write the file's arrays again, with other metadata."""
    with safe_open(path, framework="numpy") as file:
        metadata = {**file.metadata(), **changes}
    save_file(load_file(path), path, metadata)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    style, found = small_style(), read_learned(path)
    assert found.facts == style.facts
    assert found.preview == style.preview
    assert all((found.weights[name] == value).all() for name, value in style.weights.items())
    assert [file.name for file in path.parent.iterdir()] == ["small.style"]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StyleError, match="no such file"):
        read_learned(tmp_path / "none.style")


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"\x80\x04pickle" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.style"
    path.write_bytes(content)
    with pytest.raises(StyleError, match="expected a learned style, as nst-rs learn writes it"):
        read_learned(path)


def test_another_programs_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.style"
    save_file({"w": np.zeros(3, np.float32)}, path)
    with pytest.raises(StyleError, match="a safetensors file of something else"):
        read_learned(path)


def test_a_newer_version_is_refused_by_its_number(path: Path) -> None:
    with pytest.raises(StyleError, match=r"expected version 2 or 3 of the format, got version 4; install"):
        read_learned(rewritten(path, version="4"))


def test_a_file_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(StyleError):
        read_learned(path)


def test_a_flipped_bit_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StyleError, match="damaged"):
        read_learned(path)


def test_weights_of_another_network_are_refused(path: Path) -> None:
    facts = json.loads(small_style().facts.model_dump_json()) | {"blocks": 2}
    with pytest.raises(StyleError, match="weights of another network"):
        read_learned(rewritten(path, facts=json.dumps(facts)))


def test_unknown_facts_are_refused(path: Path) -> None:
    with pytest.raises(StyleError, match="unknown facts"):
        read_learned(rewritten(path, facts='{"widths": 3}'))


def test_the_picture_of_a_style_is_written_at_once_and_a_folder_in_the_way_is_told_of(tmp_path: Path) -> None:
    style = small_style()
    assert write_preview(style, tmp_path / "pictures" / "a.png").read_bytes() == style.preview
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"output folder .*file: expected a folder to write to"):
        write_preview(style, tmp_path / "file" / "a.png")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.png"]


def test_a_file_of_the_second_version_is_read_as_the_network_that_it_was() -> None:
    found = read_learned(SECOND_VERSION)
    assert found.facts.architecture == Architecture((4, 8, 8), 1, 0, "repeated")
    assert not found.facts.normalised


def test_styles_of_one_network_have_one_digest_and_others_another() -> None:
    assert small_style().sha256 == small_style("scene").sha256 != small_style(seed=5).sha256
