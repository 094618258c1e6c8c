"""The shipped styles on scenes: the pictures of docs/styles.md, a row for each style, and its table of figures.

    python -m benchmarks gallery SCENE... [--output FOLDER]

A row shows the painting and the middle of the style's map of every SCENE, pixel by pixel.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageOps

from benchmarks.quality import markdown
from benchmarks.scenes import SAMPLES
from nst_rs import stylize
from nst_rs.arrays import Rgb
from nst_rs.composite.recompose import compose_anew
from nst_rs.config.loading import load_config, name_files
from nst_rs.config.named_styles import NamedStyle, named_styles
from nst_rs.files.storage import DiskStorage
from nst_rs.learned.style_file import Facts, read_learned

SIDE = 256
QUALITY = 88


def main(arguments: Sequence[str]) -> None:
    """Write the pictures, NAME.jpg for each style and scenes.jpg for what they are of, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gallery")
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE")
    parser.add_argument("--output", type=Path, default=Path("docs", "gallery"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.output.mkdir(exist_ok=True)
    shipped = [style for style in named_styles().values() if style.shipped]
    rows: list[list[Rgb]] = [[] for _ in range(len(shipped) + 1)]
    for scene in options.scenes:
        for row, picture in zip(rows, _pictures(scene, shipped), strict=True):
            row.append(picture)
    for name, row in zip(["scenes", *(style.name for style in shipped)], rows, strict=True):
        painting = SAMPLES / "styles" / f"{name}.jpg"
        pictures = [_fitted(painting), *row] if painting.exists() else row
        Image.fromarray(np.concatenate(pictures, axis=1)).save(options.output / f"{name}.jpg", quality=QUALITY)
    print(_table([(style.name, read_learned(style.path).facts) for style in shipped]))


def _pictures(scene: Path, styles: Sequence[NamedStyle]) -> list[Rgb]:
    """Return the part of a scene that is shown: as the scene, and in each style."""
    with TemporaryDirectory(prefix="gallery-") as folder:
        config = name_files(load_config(None), [str(scene)], None, None)
        pixels, weight, _ = compose_anew(config, DiskStorage(Path(folder)))
        part = tuple(slice(start := (size - SIDE) // 2, start + SIDE) for size in weight.shape)
        maps = [stylize(scene, style.path, os.path.join(folder, f"{style.name}.tif")).read()[part] for style in styles]
        whole: Rgb = np.rint(pixels[part]).astype(np.uint8)
    return [whole, *maps]


def _fitted(painting: Path) -> Rgb:
    with Image.open(painting) as image:
        fitted: Rgb = np.asarray(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS))
    return fitted


def _table(styles: Sequence[tuple[str, Facts]]) -> str:
    """Return the styles' figures as a table in Markdown."""
    lines = [["style", "steps", "minutes", "total", "optimised", "ratio"], ["---"] * 6]
    for name, facts in styles:
        learning, judged = facts.learning, facts.held_out
        if judged is not None and judged.optimised_total is not None:
            totals = judged.learned_total, judged.optimised_total, judged.learned_total / judged.optimised_total
            minutes = f"{learning.seconds / 60:.1f}"
            lines.append([f"`{name}`", str(learning.steps), minutes, *(f"{total:.3g}" for total in totals)])
    return markdown(lines)
