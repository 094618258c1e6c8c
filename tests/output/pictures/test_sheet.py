from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_rs.errors import OutputError
from nst_rs.output.pictures.sheet import Cell, check_sheet, draw_sheet, write_sheet


def cell(side: int, color: int = 9, words: str = "a few words") -> Cell:
    return Cell(np.full((side, side, 3), color, np.uint8), "a title", words)


def test_small_pictures_are_enlarged_by_a_whole_number_and_large_ones_reduced() -> None:
    for side, shown in ((100, 500), (300, 300), (2000, 512)):
        pixels = np.asarray(draw_sheet([cell(side)], ""))
        assert (pixels == 9).all(axis=-1).sum() == shown**2


def test_a_sheet_has_three_pictures_a_row_whatever_the_length_of_their_words() -> None:
    words = "nst-rs stylize " + "a/very/long/path" * 12 + " and more\nand a line of its own"
    three, four = (draw_sheet([cell(512, words=words)] * number, "foot") for number in (3, 4))
    assert three.width == four.width == 3 * 512 + 4 * 16
    assert four.height > three.height + 512


def test_words_stay_below_their_own_picture() -> None:
    sheet = np.asarray(draw_sheet([cell(512, words="word " * 200), cell(512, words="")], "").convert("L"))
    assert (sheet[16 + 512 + 40 :, 16 + 512 + 8 :] == 255).all()


def test_an_options_two_hyphens_are_two_on_the_sheet() -> None:
    sheet = np.asarray(draw_sheet([cell(512, words="--")], "").convert("L"))
    written = sheet[16 + 512 + 8 + 16 + 8 :] < 255
    columns = np.flatnonzero(written.any(axis=0))
    assert (np.diff(columns) > 1).sum() == 1  # paper between them


def test_a_sheet_is_written_at_once(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", [cell(64)], "foot")
    with Image.open(tmp_path / "sheet.png") as sheet:
        sheet.load()
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sheet.jpg", "expected a name ending in .png"),
        ("nowhere/sheet.png", "expected an existing folder"),
        ("painting.png", "expected a new file"),
        ("folder.png", "expected a new file"),
    ],
)
def test_a_place_where_no_sheet_can_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    painting = tmp_path / "painting.png"
    painting.touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match=message):
        check_sheet(tmp_path / name, [painting])
