"""The gallery: maps with their scene, their painting and the command that makes them, as gallery.yaml lists them.

A picture shows parts of 256 × 256 pixels, each pixel one pixel: the scene, the painting, the map.
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from nst_rs import stylize
from nst_rs.arrays import Rgb
from nst_rs.composite.recompose import compose_anew
from nst_rs.config.loading import load_config, name_files, override, with_preset
from nst_rs.config.named_styles import find_style
from nst_rs.config.sections import RunConfig
from nst_rs.files.documents import parse_yaml
from nst_rs.files.storage import DiskStorage

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "gallery" / "maps"
SIDE = 256
QUALITY = 85
_PAINTINGS = "sample_data/styles"
_LIST = Path(__file__).with_name("gallery.yaml")


class ShownScene(BaseModel):
    """A scene of the gallery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Where it lies, seen from the repository."""
    place: str
    sensor: str


class ShownMap(BaseModel):
    """A map of the gallery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    scene: str
    """A name among the scenes."""
    styles: tuple[str, ...]
    """Paintings, or the name of one learned style."""
    preset: str | None = None
    settings: dict[str, Any] = {}
    note: str

    @property
    def picture(self) -> Path:
        """The file of its picture."""
        return PICTURES / f"{self.name}.jpg"

    @property
    def is_learned(self) -> bool:
        """Whether its style is a learned one."""
        return find_style(self.styles[0]) is not None

    @property
    def paintings(self) -> list[Path]:
        """The paintings of its styles; a shipped style has the name of its painting."""
        return [ROOT / (f"{_PAINTINGS}/{style}.jpg" if self.is_learned else style) for style in self.styles]


class Gallery(BaseModel):
    """All of the gallery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paintings: dict[str, str]
    """The titles of paintings by the names of their files."""
    scenes: dict[str, ShownScene]
    maps: tuple[ShownMap, ...]

    def command(self, shown: ShownMap) -> str:
        """Return the command that makes a map, to be given in the repository's folder."""
        named = [part for style in shown.styles for part in ("--style", style)]
        preset = ["--preset", shown.preset] if shown.preset else []
        given = [part for key, value in shown.settings.items() for part in ("--set", f"{key}={_written(value)}")]
        options = [*named, *preset, *given, "--output", f"{shown.name}.tif"]
        return shlex.join(["nst-rs", "stylize", self.scenes[shown.scene].path, *options])


def gallery() -> Gallery:
    """Return the gallery as its list has it."""
    return Gallery.model_validate(parse_yaml(_LIST.read_text(encoding="utf-8")))


def page() -> str:
    """Return the gallery in Markdown, a heading for each map."""
    listed = gallery()
    return "\n\n".join("\n\n".join(_entry(listed, shown)) for shown in listed.maps)


def make(names: list[str]) -> None:
    """Make the pictures of the maps with these names, or of all."""
    listed = gallery()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for shown in listed.maps:
        if not names or shown.name in names:
            parts = _parts(listed, shown)
            Image.fromarray(np.concatenate(parts, axis=1)).save(shown.picture, quality=QUALITY)
            print(shown.picture, flush=True)


def _entry(listed: Gallery, shown: ShownMap) -> Iterator[str]:
    scene = listed.scenes[shown.scene]
    yield f"## {shown.title}"
    yield f"![{scene.place}; the painting; the map](gallery/maps/{shown.picture.name})"
    kind = "in a learned style" if shown.is_learned else "by the full method"
    titles = " and ".join(listed.paintings[painting.stem] for painting in shown.paintings)
    yield f"*{scene.place} ({scene.sensor}), after {titles}, {kind}.* {shown.note}"
    yield f"    {listed.command(shown)}".replace(" --", " \\\n        --")


def _written(value: Any) -> str:
    """Return a setting's value as YAML has it on one line: JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def _parts(listed: Gallery, shown: ShownMap) -> list[Rgb]:
    """Return the scene's middle, the paintings and the map's middle, each SIDE pixels wide and high."""
    config = _config(listed, shown)
    with TemporaryDirectory(prefix="gallery-") as folder:
        pixels, weight, _ = compose_anew(config, DiskStorage(Path(folder)))
        middle = tuple(slice(start := max(size - SIDE, 0) // 2, start + SIDE) for size in weight.shape)
        whole: Rgb = np.rint(pixels[middle]).astype(np.uint8)
        path = Path(folder, f"{shown.name}.tif")
        made = stylize(config.scene.paths, list(config.style.images), path, config=config).read()[middle]
    return [whole, *map(_fitted, shown.paintings), made.filled(255)]


def _config(listed: Gallery, shown: ShownMap) -> RunConfig:
    config = with_preset(load_config(None), shown.preset)
    named = name_files(config, [str(ROOT / listed.scenes[shown.scene].path)], _located(shown), None)
    return override(named, shown.settings)


def _located(shown: ShownMap) -> list[str]:
    return list(shown.styles) if shown.is_learned else [str(ROOT / style) for style in shown.styles]


def _fitted(painting: Path) -> Rgb:
    with Image.open(painting) as image:
        fitted: Rgb = np.asarray(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS))
    return fitted
