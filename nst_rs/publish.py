"""GeoTIFF to what is handed over: cloud-optimised GeoTIFF, preview, run record. No file is ever half written."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate
from rio_cogeo.profiles import cog_profiles

from nst_rs.config import Archive, OutputSection, Profile
from nst_rs.errors import OutputError
from nst_rs.grid import Grid
from nst_rs.mosaic import BLOCK, StyledMap, cache_bytes, to_bytes, write_geotiff
from nst_rs.storage import BAND_ROWS, PixelArray, bands
from nst_rs.workspace import Workspace

PREVIEW_SIDE = 1024

# At quality 90 neither leaves marks that can be seen beside the strokes.
_LOSSY_OPTIONS = {"jpeg": {"jpeg_quality": 90}, "webp": {"webp_level": 90}}


@dataclass(frozen=True)
class Outputs:
    """The files of one run."""

    tif: Path
    archive: Archive | None = None
    """The kind of web tiles that are asked for."""
    passes_bands: bool = False
    """Whether bands of the scene are handed over."""

    @classmethod
    def of(cls, output: OutputSection) -> "Outputs":
        """Return the files that a configuration asks for. Raises OutputError where it names no map."""
        if output.path is None:
            raise OutputError("output.path", expected="the map to write", got="none", do="name it with --output")
        return cls(output.path, output.tiles, output.bands is not None)

    @property
    def preview(self) -> Path:
        """The preview, for people."""
        return self.tif.with_suffix(".png")

    @property
    def record(self) -> Path:
        """The run record, for machines."""
        return self.tif.with_suffix(".run.json")

    @property
    def item(self) -> Path:
        """The STAC item, for catalogues."""
        return self.tif.with_suffix(".stac.json")

    @property
    def report(self) -> Path:
        """The page that shows what the run made, and how."""
        return self.tif.with_suffix(".html")

    @property
    def tiles(self) -> Path | None:
        """The web tiles, for pages; none where none are asked for."""
        return None if self.archive is None else self.tif.with_suffix(f".{self.archive}")

    @property
    def bands(self) -> Path | None:
        """The scene's bands with their own values; none where none are asked for."""
        return self.tif.with_suffix(".bands.tif") if self.passes_bands else None

    def __iter__(self) -> Iterator[Path]:
        """Return the files in the order in which they are moved into place: the map, which readers wait for, last."""
        asked = filter(None, (self.tiles, self.bands))
        return iter((self.preview, self.record, self.item, self.report, *asked, self.tif))


Companion = Callable[[Outputs, Mapping[str, Any]], None]
"""Writes a file that goes with a map: told where all are being written, and the map's record."""


def check_output(outputs: Outputs, inputs: list[Path], scene_folders: Sequence[Path] = ()) -> None:
    """Refuse an output before anything is computed.

    It must be writable, must not overwrite an input, and must not lie in a folder that is read as the scene: the next
    run would take the map for a tile.
    """
    tif = outputs.tif
    if tif.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"output {tif}", expected="a name ending in .tif", got=tif.suffix or "no ending")
    _check_names(outputs)
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


def _check_names(outputs: Outputs) -> None:
    """Refuse names that no file can have here: too long, with a NUL in them, going round in a circle of links."""
    for path in (*outputs, Workspace(outputs.tif).folder):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # what is amiss there is told by name
        except (OSError, ValueError) as error:
            expected = "a name that a file can have"
            raise OutputError(f"output {str(path)!r:.300}", expected=expected, got=str(error)[:80]) from error


def check_profile(profile: Profile) -> None:
    """Raise OutputError where this machine's GDAL cannot store pixels so: it may have been built without."""
    shape = {"dtype": "uint8", "count": 3, "width": BLOCK, "height": BLOCK, "transform": Affine.scale(2)}
    try:
        with MemoryFile() as memory:
            memory.open(**shape, **_creation_options(profile)).close()
    except (RasterioError, CPLE_BaseError) as error:
        lossless = "choose deflate"
        raise OutputError("output.profile", expected="one that GDAL can write", got=str(error), do=lossless) from error


def publish(
    outputs: Outputs,
    styled: StyledMap,
    make_record: Callable[[], Mapping[str, Any]],
    companions: Iterable[Companion],
) -> None:
    """Write the map and all that goes with it under temporary names, then move them into place, the map last.

    `make_record` is called once the map is written, then every one of `companions`, which write what of `outputs` is
    neither the map nor its preview nor its record. Raises OutputError when the folder cannot take the files.
    """
    try:
        with Workspace(outputs.tif).scratch() as temporary:
            made = replace(outputs, tif=temporary / outputs.tif.name)
            write_cog(made.tif, styled)
            preview(styled.picture, styled.weight).save(made.preview)
            record = make_record()
            made.record.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            for write in companions:
                write(made, record)
            for source, target in zip(made, outputs, strict=True):
                os.replace(source, target)
    except (OSError, CPLE_BaseError) as error:  # GDAL reports a full disk as either
        raise OutputError(f"output {outputs.tif}", expected="room and leave to write", got=str(error)) from error


def disk_bytes(grid: Grid, tiles: bool = False, passed_bytes: int = 0) -> int:
    """Return the most that :func:`publish` takes of the disk: plain map, the map copied from it, web tiles, bands.

    `passed_bytes` are those of a pixel in all the bands that are handed over.
    """
    pixels = math.prod(-(-size // BLOCK) * BLOCK for size in grid.shape)
    plain = pixels * 4  # three bytes of colour and one of mask, as if nothing could be compressed
    bands = pixels * (passed_bytes + 1) if passed_bytes else 0
    # With overviews. Tiles may be 2.8 times as many pixels, of a byte or so each, and are copied into their file.
    return (2 * plain + (3 * plain if tiles else 0) + 2 * bands) * 4 // 3


def preview(picture: PixelArray, weight: PixelArray, side: int = PREVIEW_SIDE) -> Image.Image:
    """Return `picture`, (H, W, 3) in [0, 255], at most `side` pixels wide and high, as RGBA; by bands.

    Where `weight`, (H, W), is 0 there is no data, and the preview is transparent.
    """
    height, width, _ = picture.shape
    scale = max(1.0, max(height, width) / side)
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


def write_cog(path: Path, styled: StyledMap) -> None:
    """Write the map with its overviews as a cloud-optimised GeoTIFF."""
    plain = path.with_suffix(".plain")
    write_geotiff(plain, styled)
    optimise(plain, path, styled.grid, _creation_options(styled.profile))


def optimise(plain: Path, path: Path, grid: Grid, creation: Mapping[str, Any]) -> None:
    """Turn a plain GeoTIFF on `grid` into a cloud-optimised one, with averaged overviews, as GDAL is told to.

    As rio-cogeo does it, but without its warped copy, which blackens what lies under the mask and so lets JPEG draw
    black into the edge of the data.
    """
    levels = _overviews(grid)
    options = {
        "GDAL_TIFF_INTERNAL_MASK": True,
        "GDAL_TIFF_OVR_BLOCKSIZE": BLOCK,
        "GDAL_CACHEMAX": cache_bytes(grid),
    }
    with rasterio.Env(**options):
        with rasterio.open(plain, "r+") as made:
            made.build_overviews([2**level for level in range(1, levels + 1)], Resampling.average)
        with rasterio.open(plain) as made:
            if len(made.overviews(1)) < levels:  # GDAL is silent where the last of them found no room
                raise OSError("no room for the overviews")
        # IF_SAFER: with its overviews a map may pass the 4 GB of a classic TIFF where GDAL did not expect it.
        copy(plain, path, copy_src_overviews=True, **creation, bigtiff="IF_SAFER")
    plain.unlink()
    _check_cog(path, grid)


def _creation_options(profile: Profile) -> dict[str, Any]:
    """Return what GDAL is asked for."""
    return {**cog_profiles[profile], **_LOSSY_OPTIONS.get(profile, {})}


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
