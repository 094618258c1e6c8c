"""Maps of one ground, one after the other, as an animated picture, such as a series of dates.

Each is shown on the ground of the first.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from nst_rs.errors import ConfigError, OutputError
from nst_rs.files.replacing import written_at_once
from nst_rs.geo.grid import Grid
from nst_rs.output.pages.printed import opened_map, record_of

ENDING = ".webp"
LONGEST = 4096
"""The most pixels along a side: a WebP has 16,383 at most, and no screen has more than this."""
_QUALITY = 90
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_LETTERS = 0.035
"""The size of letters as a share of the picture's shorter side."""


@dataclass(frozen=True)
class Pace:
    """How a series is shown."""

    longest: int = 1024
    """Pixels along the longer side; a smaller map keeps its own."""
    seconds: float = 1.5
    """How long each map stands."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a pace that no picture can have."""
        if not 16 <= self.longest <= LONGEST:
            raise ConfigError("pixels", expected=f"from 16 to {LONGEST}", got=str(self.longest))
        if not 0.02 <= self.seconds <= 60:
            raise ConfigError("seconds", expected="from 0.02 to 60", got=f"{self.seconds:g}")


def animate(maps: Sequence[Path], output: Path, pace: Pace) -> None:
    """Write maps as an animated WebP, at once, each with its date, or its file's name where no record tells one.

    A map on another grid is resampled to the first one's ground; what it does not cover is white.

    Raises ConfigError for fewer than two maps, and OutputError for another ending, for a map that cannot be read, and
    for one that lies elsewhere.
    """
    if len(maps) < 2:
        raise ConfigError("animate", expected="two maps or more", got=str(len(maps)))
    if output.suffix.lower() != ENDING:
        raise OutputError(f"output {output}", expected=f"a name ending in {ENDING}", got=output.suffix or "no ending")
    with _opened(maps[0]) as source:
        ground = _shrunk(Grid.of(source), pace.longest)
    first, *others = maps
    with written_at_once(output) as temporary:
        _frame(first, ground).save(
            temporary,
            "WEBP",
            save_all=True,
            append_images=_frames(others, ground),
            duration=round(1000 * pace.seconds),
            loop=0,
            quality=_QUALITY,
        )


def _shrunk(grid: Grid, longest: int) -> Grid:
    """Return the same ground in `longest` pixels along the longer side, or in its own where they are fewer."""
    times = max(1.0, max(grid.shape) / longest)
    return grid.scaled(times, times)


def caption(tif: Path) -> str:
    """Return what a map is called: the day that its record has for its scene, or its file's name."""
    acquired = record_of(tif).get("scene", {}).get("acquired")
    return str(acquired[0])[:10] if acquired else tif.stem


def _frames(maps: Sequence[Path], ground: Grid) -> Iterator[Image.Image]:
    """Return the pictures one at a time, so that memory holds few."""
    for path in maps:
        yield _frame(path, ground)


def _frame(path: Path, ground: Grid) -> Image.Image:
    picture = Image.fromarray(_pixels(path, ground))
    frame = Image.new("RGB", picture.size, _PAPER)
    frame.paste(picture, mask=picture.getchannel("A"))
    size = max(10, round(_LETTERS * min(frame.size)))
    place, font = (size // 2, frame.height - size // 2), ImageFont.load_default(size)
    draw = ImageDraw.Draw(frame)
    draw.text(place, caption(path), _INK, font, anchor="ls", stroke_width=max(1, size // 8), stroke_fill=_PAPER)
    return frame


def _pixels(path: Path, ground: Grid) -> Any:
    """Return a map on the ground of the series, (H, W, 4) uint8 RGBA."""
    with _opened(path) as source:
        coarser = abs(ground.transform.determinant) > 1.5 * abs(source.transform.determinant)
        resampling = Resampling.average if coarser else Resampling.bilinear
        place = {name: getattr(ground, name) for name in ("crs", "transform", "height", "width")}
        try:
            with WarpedVRT(source, resampling=resampling, add_alpha=source.count == 3, **place) as warped:
                pixels = warped.read((1, 2, 3, 4))
        except RasterioError as error:
            raise OutputError(f"map {path}", expected="a map of the first one's ground", got=str(error)) from error
    if not pixels[3].any():
        raise OutputError(f"map {path}", expected="a map of the first one's ground", got="one that lies elsewhere")
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a map. Raises OutputError for what is none that lies on the ground."""
    with opened_map(path) as source:
        if source.count > 4 or source.crs is None:
            got = f"{source.count} bands" + ("" if source.crs else ", nowhere")
            raise OutputError(f"map {path}", expected="a georeferenced map, RGB or RGBA", got=got)
        yield source
