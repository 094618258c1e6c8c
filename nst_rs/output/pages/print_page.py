"""A map drawn on a page to be printed: the picture, a graticule, a scale bar, an arrow to the north, and words.

The picture is as large as the page allows, so its scale is no round number: it is written on the page. Lengths on paper
are millimetres.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from nst_rs.arrays import Array
from nst_rs.geo.footprint import degrees, north
from nst_rs.geo.grid import METRES_PER_DEGREE, Grid, crs_name

PAPERS = {
    "a4": (210, 297),
    "a3": (297, 420),
    "a2": (420, 594),
    "a1": (594, 841),
    "a0": (841, 1189),
    "letter": (216, 279),
    "tabloid": (279, 432),
}
"""Paper → width and height in millimetres, upright."""

_INCH = 25.4
_MARGIN, _TITLE, _FOOT, _LABELS = 12.0, 12.0, 18.0, 8.0
"""Around everything; above the map; below it; and for degrees on its left and below it."""
_STEPS = (30, 20, 10, 5, 2, 1, *(x / 60 for x in (30, 20, 10, 5, 2, 1)), *(x / 3600 for x in (30, 20, 10, 5, 2, 1)))
"""Distances between lines of a graticule, in degrees."""
_APART = 17.0
"""Between the middles of two degrees along an edge, at least: those of a thin map would be in a heap."""
_NODES = 65
_SCALE_BAR = 0.25
"""The most that the scale bar takes of the map's width."""
_LEAST_BAR, _LEAST_FOOT = 40.0, 66.0
"""Millimetres: what a short scale bar is rounded down from, to two fifths at most, and the width of bar and arrow."""
_INK = "#222222"


@dataclass(frozen=True)
class Page:
    """A page: its paper, and the words on it."""

    paper: str
    dpi: int
    title: str
    words: str
    """The line below the map."""


@dataclass(frozen=True)
class Layout:
    """The place of the map on the paper, in millimetres from the lower left corner."""

    paper: tuple[float, float]
    """Width and height."""
    left: float
    bottom: float
    width: float
    height: float

    @classmethod
    def of(cls, page: Page, grid: Grid) -> "Layout":
        """Turn the paper as the map is, and place the map as large as it can be."""
        across, down = (size * pixel for size, pixel in zip((grid.width, grid.height), grid.pixel, strict=True))
        short, long = PAPERS[page.paper]
        paper = (long, short) if across > down else (short, long)
        room = paper[0] - 2 * _MARGIN - _LABELS, paper[1] - 2 * _MARGIN - _TITLE - _FOOT - _LABELS
        scale = min(room[0] / across, room[1] / down)
        width, height = across * scale, down * scale
        left = _MARGIN + _LABELS + (room[0] - width) / 2
        return cls(paper, left, _MARGIN + _FOOT + _LABELS + (room[1] - height) / 2, width, height)

    def pixels(self, grid: Grid, dpi: int) -> tuple[int, int]:
        """Return (H, W) at which the picture is printed: no finer than the map itself."""
        rows, columns = (max(1, round(side / _INCH * dpi)) for side in (self.height, self.width))
        return min(grid.height, rows), min(grid.width, columns)

    def box(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return a rectangle in millimetres as shares of the paper, as matplotlib wants it."""
        return left / self.paper[0], bottom / self.paper[1], width / self.paper[0], height / self.paper[1]


def draw(path: Path, page: Page, grid: Grid, picture: npt.NDArray[np.uint8]) -> None:
    """Write a page as a PDF.

    Args:
        path: The file to write.
        page: The paper and the words.
        grid: The grid of the whole map.
        picture: The map, (h, w, 4) RGBA of any size.
    """
    layout = Layout.of(page, grid)
    figure = Figure(figsize=(layout.paper[0] / _INCH, layout.paper[1] / _INCH))
    FigureCanvasPdf(figure)
    frame = figure.add_axes(layout.box(layout.left, layout.bottom, layout.width, layout.height))
    frame.imshow(picture, extent=(0, grid.width, grid.height, 0), aspect="auto", interpolation="none")
    frame.set_xlim(0, grid.width)
    frame.set_ylim(grid.height, 0)
    frame.set_xticks([])
    frame.set_yticks([])
    _graticule(frame, grid)
    _title(figure, layout, page.title)
    _foot(figure, layout, page, grid)
    # Letters stay letters, and the same map makes the same file.
    whole = BytesIO()  # on a full disk Matplotlib would fail with errors that tell of its own state
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure.savefig(whole, format="pdf", dpi=page.dpi, metadata={"Title": page.title, "CreationDate": None})
    path.write_bytes(whole.getbuffer())


def metres_across(grid: Grid) -> float | None:
    """Return metres on the ground along a pixel's width, in the middle; None where the CRS does not say where it lies.

    Longitudes and latitudes tell, so that a projection's own enlargement, Mercator's say, does not count.
    """
    half = np.array([-0.5, 0.5])
    place = degrees(grid, grid.width / 2 + half, np.full(2, grid.height / 2))
    if place is None:
        return None
    (west, east), (first, last) = place
    along = (east - west + 180) % 360 - 180
    return METRES_PER_DEGREE * math.hypot(along * math.cos(math.radians(float(first))), float(last - first))


def round_length(most: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 … that is no more than `most`.

    >>> round_length(7300), round_length(0.3)
    (5000.0, 0.2)
    """
    power = 10 ** math.floor(math.log10(most))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9)))


def in_degrees(value: float, letters: str) -> str:
    """Return a longitude or latitude in words; `letters` are for above and below 0.

    >>> in_degrees(-35.5, "EW"), in_degrees(8.0, "NS"), in_degrees(-8.0125, "NS")
    ('35° 30′ W', '8° N', '8° 00′ 45″ S')
    """
    seconds = round(abs(value) * 3600)
    whole, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = [f"{whole}°"] + ([f"{minutes:02}′"] if minutes or rest else []) + ([f"{rest:02}″"] if rest else [])
    side = letters[value < 0] if seconds else ""
    return " ".join([*parts, side]).strip()


def _graticule(frame: Axes, grid: Grid) -> None:
    """Draw meridians and parallels, and write their degrees at the lower and the left edge."""
    columns, rows = np.meshgrid(np.linspace(0, grid.width, _NODES), np.linspace(0, grid.height, _NODES))
    place = degrees(grid, columns, rows)
    if place is None or north(grid) is None:
        return
    longitude, latitude = place
    longitude = np.unwrap(np.unwrap(longitude, axis=0, period=360), axis=1, period=360)
    meridians, parallels = (lines_between(float(each.min()), float(each.max())) for each in (longitude, latitude))
    for values, lines in ((longitude, meridians), (latitude, parallels)):
        if lines:
            frame.contour(
                columns, rows, values, levels=lines, colors="white", linewidths=0.5, linestyles="solid", alpha=0.6
            )
    _label(frame, meridians, (longitude[-1], columns[-1]), below=True)
    _label(frame, parallels, (latitude[:, 0], rows[:, 0]), below=False)


def lines_between(low: float, high: float) -> list[float]:
    """Return round degrees between two, at least three where that is possible.

    >>> lines_between(-35.1, -33.4)
    [-35.0, -34.5, -34.0, -33.5]
    """
    for step in _STEPS:
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first >= 2:
            return [number * step for number in range(first, last + 1)]
    return []


def _label(frame: Axes, lines: Sequence[float], edge: tuple[Array, Array], below: bool) -> None:
    """Write degrees where lines meet an edge, of which there are degrees, and their places along it in pixels."""
    values, places = edge
    order = 1 if values[-1] > values[0] else -1
    pixels, points = places.max(), frame.bbox.width if below else frame.bbox.height
    written: list[float] = []
    for line in lines:
        place = float(np.interp(line, values[::order], places[::order]))
        near = any(abs(place - other) * points < _APART * frame.figure.dpi / _INCH * pixels for other in written)
        if near or not values.min() <= line <= values.max():
            continue
        written.append(place)
        words = in_degrees((line + 180) % 360 - 180, "EW") if below else in_degrees(line, "NS")
        x, y = (place, -0.008) if below else (-0.008, place)
        frame.text(
            x,
            y,
            words,
            transform=frame.get_xaxis_transform() if below else frame.get_yaxis_transform(),
            rotation=0 if below else 90,
            ha="center" if below else "right",
            va="top" if below else "center",
            fontsize=6.5,
            color=_INK,
        )


def _title(figure: Figure, layout: Layout, title: str) -> None:
    x, y, *_ = layout.box(layout.left, layout.bottom + layout.height + _TITLE / 3, 0, 0)
    figure.text(x, y, _plain(title), fontsize=_fitting(title, 15, layout), color=_INK, va="bottom")


def _foot(figure: Figure, layout: Layout, page: Page, grid: Grid) -> None:
    """Draw scale bar and arrow, and write the words."""
    left, top = layout.left, layout.bottom - _LABELS
    across = metres_across(grid)
    lines = [page.words, crs_name(grid.crs)]
    if across is not None:
        length, bar = scale_bar(layout, across * grid.width)
        _scale_bar(figure, layout.box(left, top - 5, bar, 2), length)
        lines[1] += f"    1 : {round_to_three(across * grid.width / (layout.width / 1000)):,}"
    direction = north(grid)
    if direction is not None:
        _arrow(figure, layout.box(left + max(layout.width, _LEAST_FOOT) - 12, top - 13, 12, 12), direction)
    x, y, *_ = layout.box(left, top - 16, 0, 0)
    words, size = "\n".join(_plain(line) for line in lines if line), _fitting(page.words, 7, layout)
    figure.text(x, y, words, fontsize=size, color=_INK, va="bottom")


def scale_bar(layout: Layout, across: float) -> tuple[float, float]:
    """Return the metres that a scale bar shows, and its length on the paper in millimetres.

    `across` are the metres along the map's width. Under a narrow map the bar goes on beyond it, so that its numbers
    stand apart.
    """
    metres = across / layout.width  # on the ground, for a millimetre of paper
    length = round_length(max(_SCALE_BAR * layout.width, _LEAST_BAR) * metres)
    return length, length / metres


def round_to_three(value: float) -> int:
    """Return a number with its first three digits.

    >>> round_to_three(123_456.0)
    123000
    """
    return int(round(value, 2 - math.floor(math.log10(value))))


def _scale_bar(figure: Figure, box: Sequence[float], length: float) -> None:
    bar = figure.add_axes((box[0], box[1], box[2], box[3]))
    bar.barh([0, 0], [0.5, 0.5], left=[0, 0.5], height=1, color=[_INK, "white"], edgecolor=_INK, linewidth=0.6)
    bar.set_xlim(0, 1)
    bar.set_ylim(-0.5, 0.5)
    bar.axis("off")
    unit, size = ("km", 1000.0) if length >= 1000 else ("m", 1.0)
    for share in (0.0, 0.5, 1.0):
        words = f"{share * length / size:g}" + (f" {unit}" if share == 1 else "")
        bar.text(share, 0.9, words, ha="center", va="bottom", fontsize=6.5, color=_INK)


def _arrow(figure: Figure, box: Sequence[float], direction: float) -> None:
    """Draw an arrow to the north, `direction` degrees clockwise from the top."""
    axes = figure.add_axes((box[0], box[1], box[2], box[3]))
    axes.set_xlim(-1, 1)
    axes.set_ylim(-1, 1)
    axes.axis("off")
    turn = math.radians(direction)
    x, y = 0.55 * math.sin(turn), 0.55 * math.cos(turn)
    arrow = {"arrowstyle": "-|>", "color": _INK, "linewidth": 1.2}
    axes.annotate("", xy=(x, y), xytext=(-x, -y), arrowprops=arrow)
    axes.text(1.5 * x, 1.5 * y, "N", ha="center", va="center", fontsize=8, color=_INK)


def _fitting(words: str, size: float, layout: Layout) -> float:
    """Return the size of letters, `size` points at most, at which words end on the paper, from the map's left on."""
    if not words.strip():
        return size
    room = layout.paper[0] - _MARGIN - layout.left
    taken = float(TextPath((0, 0), _plain(words), size=size).get_extents().width) / 72 * _INCH
    return size * min(1.0, room / taken) if taken else size


def _plain(words: str) -> str:
    """Return words in which matplotlib finds no formula."""
    return words.replace("$", r"\$")
