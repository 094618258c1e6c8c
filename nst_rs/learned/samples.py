"""Windows to learn from: drawn at random from composed scenes, turned, flipped, stretched otherwise, and noisy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import PixelArray
from nst_rs.learned.architecture import grain
from nst_rs.pyramid.resample import mirrored_window
from nst_rs.pyramid.tiling import Span

VALID_SHARE = 0.95
"""The share of a window's pixels that must hold data, where the scene has such a window."""

_TRIES = 200
_STRETCHED = 0.8
_CONTRAST = (0.5, 1.5)
_BRIGHTNESS = 50.0
_SHUFFLED = 0.15
_NOISY = 0.5
_MOST_NOISE = 8.0
"""Windows are varied, so that a scene that is brighter, flatter or noisier than those learned from, or composed of
other bands, is nothing new. These are shares of the steps, and extremes of the changes in pixel values of 255."""


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of a scene's pixels."""

    rows: Span
    columns: Span

    @classmethod
    def at(cls, top: int, left: int, height: int, width: int) -> "Rectangle":
        """Return the rectangle of that size with that upper left corner."""
        return cls(Span(top, top + height), Span(left, left + width))

    def meets(self, other: "Rectangle") -> bool:
        """Whether any pixel lies in both.

        >>> corner = Rectangle.at(0, 0, 4, 4)
        >>> corner.meets(Rectangle.at(3, 3, 4, 4)), corner.meets(Rectangle.at(4, 0, 4, 4))
        (True, False)
        """
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return all(a.start < b.stop and b.start < a.stop for a, b in pairs)

    def grown(self, margin: int) -> "Rectangle":
        """Return the rectangle with `margin` pixels more on every side."""
        rows, columns = (Span(span.start - margin, span.stop + margin) for span in (self.rows, self.columns))
        return Rectangle(rows, columns)


@dataclass(frozen=True)
class TrainingScene:
    """A composed scene in the colours that are optimised."""

    image: PixelArray  # (H, W, 3) RGB in [0, 255], continued into nodata
    weight: PixelArray  # (H, W): 1 where there is data, else 0
    valid_share: float
    kept_out: tuple[Rectangle, ...] = ()
    """Parts of the scene not to learn from."""

    @property
    def valid_pixels(self) -> float:
        """The number of pixels that hold data."""
        height, width = self.weight.shape
        return self.valid_share * height * width

    def place(self, side: int, generator: np.random.Generator) -> Rectangle:
        """Return a random square that holds data; it lies inside the scene where the scene is as large.

        After many tries without such a place it returns the one with the most data.
        """
        best, most = None, -1.0
        for _ in range(_TRIES):
            top, left = (int(generator.integers(0, max(1, size - side + 1))) for size in self.weight.shape)
            box = Rectangle.at(top, left, side, side)
            if any(box.meets(other) for other in self.kept_out):
                continue
            share = float(self.weight[box.rows.slice, box.columns.slice].sum()) / side**2
            if share >= VALID_SHARE:
                return box
            if share > most:
                best, most = box, share
        return best or Rectangle.at(0, 0, side, side)


@dataclass(frozen=True)
class Draw:
    """The size of what is drawn for one step of learning."""

    windows: int
    side: int
    """Pixels along a window's sides, without its margin."""
    margin: int
    stride: int
    """Pixels to which windows are aligned."""


def draw(scenes: Sequence[TrainingScene], size: Draw, generator: np.random.Generator) -> tuple[Pixels, ...]:
    """Return windows of one scene, their grain and what is to be kept of them: a lesson.

    Scenes come in proportion to the square root of their data, so that a small one among large ones counts too. All
    windows of a step appear alike, as the windows of one scene do.
    """
    shares = np.sqrt([source.valid_pixels for source in scenes])
    source = scenes[int(generator.choice(len(scenes), p=shares / shares.sum()))]
    boxes = [source.place(size.side, generator).grown(size.margin) for _ in range(size.windows)]
    windows = [_turned(mirrored_window(source.image, box.rows, box.columns), generator) for box in boxes]
    scene = _stretched(np.stack(windows), generator)
    seen = scene
    if generator.random() < _NOISY:
        noise = generator.standard_normal(scene.shape, np.float32) * np.float32(generator.uniform(0, _MOST_NOISE))
        seen = np.clip(scene + noise, 0.0, 255.0)
    inner = slice(size.margin, size.margin + size.side)
    return seen, np.stack([_grain(size, generator) for _ in boxes]), scene[:, inner, inner]


def _grain(size: Draw, generator: np.random.Generator) -> Pixels:
    """Return the grain of some place."""
    starts = generator.integers(0, 2**20, 2) * size.stride
    rows, columns = (np.arange(start, start + size.side + 2 * size.margin) for start in starts)
    return grain(rows, columns)


def _turned(window: Pixels, generator: np.random.Generator) -> Pixels:
    """Return a square window in one of its eight positions."""
    turned = np.rot90(window, int(generator.integers(4)))
    return np.ascontiguousarray(turned[:, ::-1] if generator.random() < 0.5 else turned)


def _stretched(windows: Pixels, generator: np.random.Generator) -> Pixels:
    """Return windows as another stretch, or now and then other bands, might have shown it."""
    if generator.random() < _SHUFFLED:
        windows = windows[..., generator.permutation(3)]
    if generator.random() >= _STRETCHED:
        return windows
    contrast = generator.uniform(*_CONTRAST) * generator.uniform(0.9, 1.1, 3)
    brightness = generator.uniform(-_BRIGHTNESS, _BRIGHTNESS) + generator.uniform(-10, 10, 3)
    stretched = (windows - 127.5) * contrast.astype(np.float32) + (127.5 + brightness).astype(np.float32)
    clipped: Pixels = np.clip(stretched, 0.0, 255.0).astype(np.float32)
    return clipped
