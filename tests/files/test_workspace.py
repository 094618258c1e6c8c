from pathlib import Path

import numpy as np
import pytest

from nst_rs.errors import OutputError
from nst_rs.files.workspace import Workspace


def test_a_workspace_is_hidden_beside_its_map(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "olinda.tif").folder == tmp_path / ".olinda.tif.work"


def test_a_workspace_keeps_its_arrays_until_it_is_removed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "map.tif")
    workspace.create()
    workspace.arrays.create("image", (3, 4), np.float32)[0:3] = 7
    workspace.create()
    assert (workspace.arrays.open("image")[0:3] == 7).all()
    workspace.remove()
    workspace.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"workspace .*\.map\.tif\.work: expected room and leave to write, got"):
        Workspace(tmp_path / "no" / "map.tif").create()
