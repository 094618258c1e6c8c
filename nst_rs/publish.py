"""GeoTIFF to what is handed over: cloud-optimised GeoTIFF, preview, run record. No file is ever half written."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rio_cogeo.cogeo import cog_translate, cog_validate
from rio_cogeo.profiles import cog_profiles

from nst_rs.errors import OutputError
from nst_rs.mosaic import BLOCK, to_bytes, write_geotiff
from nst_rs.scene import GDAL_CACHE_BYTES, Grid
from nst_rs.storage import BAND_ROWS, PixelArray, bands
from nst_rs.workspace import Workspace

PREVIEW_SIDE = 1024


@dataclass(frozen=True)
class Outputs:
    """The files of one run."""

    tif: Path

    @property
    def preview(self) -> Path:
        """The preview, for people."""
        return self.tif.with_suffix(".png")

    @property
    def record(self) -> Path:
        """The run record, for machines."""
        return self.tif.with_suffix(".run.json")

    def __iter__(self) -> Iterator[Path]:
        """Return the files in the order in which they are moved into place: the map, which readers wait for, last."""
        return iter((self.preview, self.record, self.tif))


def check_output(outputs: Outputs, inputs: list[Path], scene_folders: Sequence[Path] = ()) -> None:
    """Refuse an output before anything is computed.

    It must be writable, must not overwrite an input, and must not lie in a folder that is read as the scene: the next
    run would take the map for a tile.
    """
    tif = outputs.tif
    if tif.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"output {tif}", expected="a name ending in .tif", got=tif.suffix or "no ending")
    if not tif.parent.is_dir():
        raise OutputError(f"output folder {tif.parent}", expected="an existing folder", got="none", do="create it")
    if not os.access(tif.parent, os.W_OK):
        raise OutputError(f"output folder {tif.parent}", expected="leave to write", got="none")
    if tif.parent.resolve() in {folder.resolve() for folder in scene_folders}:
        raise OutputError(f"output {tif}", expected="a place outside the scene's folder", got=str(tif.parent))
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.is_dir():
            raise OutputError(f"output {path}", expected="a file's name", got="a folder")
        if path.resolve() in taken:
            raise OutputError(f"output {path}", expected="a new file", got="an input of this run")


def publish(
    outputs: Outputs,
    picture: PixelArray,
    weight: PixelArray,
    grid: Grid,
    make_record: Callable[[], Mapping[str, Any]],
) -> None:
    """Write the map, its preview and its record under temporary names, then move them into place, the map last.

    `picture` is (H, W, 3) in [0, 255] on `grid`; where `weight`, (H, W), is 0 there is no data. `make_record` is called
    once the map is written. Raises OutputError when the folder cannot take the files.
    """
    try:
        with Workspace(outputs.tif).scratch() as temporary:
            made = Outputs(temporary / outputs.tif.name)
            _write_cog(made.tif, picture, weight, grid)
            preview(picture, weight).save(made.preview)
            made.record.write_text(json.dumps(make_record(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
            for source, target in zip(made, outputs, strict=True):
                os.replace(source, target)
    except (OSError, CPLE_BaseError) as error:  # GDAL reports a full disk as either
        raise OutputError(f"output {outputs.tif}", expected="room and leave to write", got=str(error)) from error


def disk_bytes(grid: Grid) -> int:
    """Return the most that :func:`publish` takes of the disk: the plain map, a temporary copy, and the map."""
    height, width = (-(-size // BLOCK) * BLOCK for size in grid.shape)
    plain = height * width * 4  # three bytes of colour and one of mask, as if nothing could be compressed
    return plain + 2 * plain * 4 // 3  # the others with their overviews


def preview(picture: PixelArray, weight: PixelArray) -> Image.Image:
    """Return `picture`, as :func:`publish` has it, at most PREVIEW_SIDE pixels wide and high, as RGBA; by bands."""
    height, width, _ = picture.shape
    scale = max(1.0, max(height, width) / PREVIEW_SIDE)
    size = max(1, round(width / scale)), max(1, round(height / scale))
    shown = Image.new("RGBA", size)
    for rows in bands(size[1], max(1, int(BAND_ROWS / scale))):
        top, bottom = (edge * height / size[1] for edge in (rows.start, rows.stop))
        first = math.floor(top)
        source = slice(first, math.ceil(bottom))
        valid = weight[source] > 0
        alpha = valid.astype(np.uint8)[..., np.newaxis] * np.uint8(255)
        band = Image.fromarray(np.concatenate([to_bytes(picture[source], valid), alpha], axis=-1))
        box = (0, top - first, width, bottom - first)
        shown.paste(band.resize((size[0], rows.stop - rows.start), Image.Resampling.BOX, box), (0, rows.start))
    return shown


def _write_cog(path: Path, picture: PixelArray, weight: PixelArray, grid: Grid) -> None:
    plain = path.with_suffix(".plain")
    write_geotiff(plain, picture, weight, grid)
    cog_translate(
        plain,
        path,
        # IF_SAFER: with its overviews a map may pass the 4 GB of a classic TIFF where GDAL did not expect it.
        {**cog_profiles["deflate"], "bigtiff": "IF_SAFER"},
        add_mask=True,
        overview_level=_overviews(grid),
        overview_resampling="average",
        in_memory=False,
        config={"GDAL_TIFF_INTERNAL_MASK": True, "GDAL_CACHEMAX": GDAL_CACHE_BYTES},
        quiet=True,
    )
    plain.unlink()
    _check_cog(path, grid)


def _check_cog(path: Path, grid: Grid) -> None:
    _, errors, flaws = cog_validate(path, strict=True, quiet=True)
    # rio-cogeo takes a picture that is as wide as its blocks for one without any.
    if BLOCK in (-(-grid.width // 2**level) for level in range(_overviews(grid) + 1)):
        errors = [error for error in errors if "not tiled" not in error]
    if errors or flaws:
        raise OutputError(f"output {path.name}", expected="a valid cloud-optimised GeoTIFF", got=f"{errors + flaws}")


def _overviews(grid: Grid) -> int:
    """Return how often the map is halved, until its longer side fits a block.

    By itself rio-cogeo halves until the shorter side does; a strip would be left without overviews.
    """
    return max(0, math.ceil(math.log2(max(grid.shape) / BLOCK)))
