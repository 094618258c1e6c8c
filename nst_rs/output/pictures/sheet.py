"""A sheet of pictures side by side, each with a title and a few words below it, as one PNG."""

import math
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from nst_rs.arrays import Rgb
from nst_rs.errors import OutputError
from nst_rs.files.replacing import written_at_once

_COLUMNS = 3
_LARGEST = 512
"""Pixels of a picture's longer side: a larger one is reduced, a smaller one enlarged where a whole number does it."""
_GAP = 16
_TITLE, _TEXT = 16, 12
"""Sizes of letters in pixels."""
_BETWEEN_HYPHENS = 2
"""Pixels: at this size the font draws the two hyphens of an option as one dash, which nobody could type."""
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Cell:
    """A picture of the sheet."""

    picture: Rgb  # (H, W, 3)
    title: str
    words: str


def check_sheet(path: Path, inputs: Sequence[Path]) -> None:
    """Refuse a place where no sheet can be written, before anything is computed. Raises OutputError."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"output {path}", expected="a name ending in .png", got=path.suffix or "no ending")
    if not path.parent.is_dir():
        raise OutputError(f"output folder {path.parent}", expected="an existing folder", got="none", do="create it")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"output folder {path.parent}", expected="leave to write", got="none")
    if path.is_dir() or path.resolve() in {read.resolve() for read in inputs}:
        raise OutputError(f"output {path}", expected="a new file", got="a folder, or an input")


def write_sheet(path: Path, cells: Sequence[Cell], foot: str) -> None:
    """Draw the cells in rows, `foot` below them, and write the sheet at once. Raises OutputError."""
    with written_at_once(path) as temporary:
        draw_sheet(cells, foot).save(temporary, "PNG")


def draw_sheet(cells: Sequence[Cell], foot: str) -> Image.Image:
    """Return the sheet."""
    pictures = [_scaled(Image.fromarray(cell.picture)) for cell in cells]
    width = max(picture.width for picture in pictures)
    tall = max(picture.height for picture in pictures)
    font = ImageFont.load_default(_TEXT)
    words = [list(_wrapped(cell.words, font, width)) for cell in cells]
    height = tall + _GAP // 2 + _TITLE + _GAP // 2 + _line(font) * max(map(len, words)) + _GAP
    columns = min(_COLUMNS, len(cells))
    across = columns * (width + _GAP) + _GAP
    below = list(_wrapped(foot, font, across - 2 * _GAP))
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new("RGB", (across, _GAP + rows * height + len(below) * _line(font) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (cell, picture, lines) in enumerate(zip(cells, pictures, words, strict=True)):
        left, top = _GAP + number % columns * (width + _GAP), _GAP + number // columns * height
        sheet.paste(picture, (left, top))
        top += tall + _GAP // 2
        draw.text((left, top), cell.title, _INK, ImageFont.load_default(_TITLE))
        _write(draw, left, top + _TITLE + _GAP // 2, lines, font)
    _write(draw, _GAP, _GAP + rows * height, below, font)
    return sheet


def _write(draw: ImageDraw.ImageDraw, left: int, top: int, lines: Sequence[str], font: _Font) -> None:
    """Write lines below each other, the hyphens of an option apart."""
    for number, line in enumerate(lines):
        across = float(left)
        for part in _parts(line):
            draw.text((across, top + number * _line(font)), part, _INK, font)
            across += font.getlength(part) + _BETWEEN_HYPHENS


def _length(text: str, font: _Font) -> float:
    """Return how wide a line is as it is written, in pixels."""
    parts = _parts(text)
    return sum(font.getlength(part) for part in parts) + _BETWEEN_HYPHENS * (len(parts) - 1)


def _parts(line: str) -> list[str]:
    """Return a line cut between hyphens that follow each other."""
    return re.split(r"(?<=-)(?=-)", line)


def _line(font: _Font) -> int:
    """Return the height of a line of text in pixels."""
    return math.ceil(font.getbbox("Ag")[3]) + 3


def _scaled(picture: Image.Image) -> Image.Image:
    longer = max(picture.size)
    if longer > _LARGEST:
        picture.thumbnail((_LARGEST, _LARGEST), Image.Resampling.BOX)
        return picture
    times = _LARGEST // longer
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def _wrapped(text: str, font: _Font, width: int) -> Iterator[str]:
    """Return a text in lines of at most `width` pixels, broken at spaces; a longer word is broken anywhere."""
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if _length(longer, font) > width and line:
                yield line
                longer = word
            while _length(longer, font) > width:
                wider = bisect_right(range(1, len(longer)), float(width), key=lambda n: _length(longer[:n], font))
                yield longer[: max(1, wider)]
                longer = longer[max(1, wider) :]
            line = longer
        yield line
