"""Scenes to measure on, made of the sample scene, as large as wanted."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.merge import merge
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

SAMPLES = Path(__file__).parents[1] / "sample_data"
STYLE = SAMPLES / "styles" / "harvest.jpg"
_RED_GREEN_BLUE = (3, 2, 1)
_TILING = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True, "bigtiff": "if_safer"}


def write_scene(path: Path, side: tuple[int, int], every: int = 1) -> None:
    """Write a scene of `side` (H, W) that repeats the sample's.

    Every `every`-th copy along rows and columns is there; the pixels of the others are nodata.
    """
    sample, transform = merge(sorted((SAMPLES / "olinda").glob("*.tif")), indexes=_RED_GREEN_BLUE)
    sample = np.maximum(sample, 1)  # 0 is to mean nodata
    _, rows, columns = sample.shape
    height, width = side
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8", "nodata": 0}
    with rasterio.open(path, "w", **profile, **_TILING, crs="EPSG:31985", transform=transform) as target:
        for top in range(0, height, rows * every):
            for left in range(0, width, columns * every):
                shown = sample[:, : height - top, : width - left]
                target.write(shown, window=Window(left, top, shown.shape[2], shown.shape[1]))


def cut_scenes(folder: Path, count: int) -> list[Path]:
    """Cut `count` small scenes from the sample's, each from another place; every third has a corner of nodata."""
    sample, transform = merge(sorted((SAMPLES / "olinda").glob("*.tif")), indexes=_RED_GREEN_BLUE)
    sample = np.maximum(sample, 1)  # 0 is to mean nodata
    _, rows, columns = sample.shape
    paths = []
    for number in range(count):
        side = 96 + 16 * (number % 5)
        window = Window(37 * number % (columns - side), 53 * number % (rows - side), side, side)
        pixels = sample[:, *window.toslices()].copy()
        if number % 3 == 0:
            pixels[:, : side // 3, : side // 2] = 0
        profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8", "nodata": 0}
        paths.append(folder / f"scene{number:02}.tif")
        place = {"crs": "EPSG:31985", "transform": window_transform(window, transform)}
        with rasterio.open(paths[-1], "w", **profile, **place) as target:
            target.write(pixels)
    return paths
