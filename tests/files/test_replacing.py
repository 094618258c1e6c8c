from pathlib import Path

import pytest

from nst_rs.errors import OutputError
from nst_rs.files.replacing import written_at_once


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "map.png"
    with written_at_once(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("error", "told"), [(OSError(28, "No space left on device"), OutputError), (ValueError("odd"), ValueError)]
)
def test_after_an_error_the_earlier_file_stands_and_nothing_else(tmp_path: Path, error: Exception, told: type) -> None:
    target = tmp_path / "map.png"
    target.write_bytes(b"earlier")

    def fail() -> None:
        with written_at_once(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(told):
        fail()
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]
