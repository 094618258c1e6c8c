"""The map as a cloud-optimised GeoTIFF."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate
from rio_cogeo.profiles import cog_profiles

from nst_rs.config.sections import Profile
from nst_rs.errors import OutputError
from nst_rs.geo.grid import Grid
from nst_rs.output.rasters.geotiff import BLOCK, StyledMap, write_geotiff, writing_options
from nst_rs.output.rasters.joined import join

# At quality 90 neither leaves marks that can be seen beside the strokes.
_LOSSY_OPTIONS = {"jpeg": {"jpeg_quality": 90}, "webp": {"webp_level": 90}}


def check_profile(profile: Profile) -> None:
    """Raise OutputError where this machine's GDAL cannot store pixels so: it may have been built without."""
    shape = {"dtype": "uint8", "count": 3, "width": BLOCK, "height": BLOCK, "transform": Affine.scale(2)}
    try:
        with MemoryFile() as memory:
            memory.open(**shape, **_creation_options(profile)).close()
    except (RasterioError, CPLE_BaseError) as error:
        lossless = "choose deflate"
        raise OutputError("output.profile", expected="one that GDAL can write", got=str(error), do=lossless) from error


def write_cog(path: Path, styled: StyledMap, overviews: int | None = None) -> None:
    """Write the map with its overviews as a cloud-optimised GeoTIFF.

    They are its pictures for other zooms where it has some; else :func:`optimise` says how many averaged ones.
    """
    plain, creation = path.with_suffix(".plain"), _creation_options(styled.profile)
    write_geotiff(plain, styled)
    if styled.zooms:
        _write_with_zooms(path, plain, styled, creation)
    else:
        optimise(plain, path, styled.grid, creation, overviews)


def optimise(plain: Path, path: Path, grid: Grid, creation: Mapping[str, Any], overviews: int | None = None) -> None:
    """Turn a plain GeoTIFF on `grid` into a cloud-optimised one, with averaged overviews.

    It is halved until its longer side fits a block, unless `overviews` says how often. `creation` are GDAL's creation
    options. rio-cogeo does the same with a warped copy, which blackens what lies under
    the mask and so lets JPEG draw black into the edge of the data; here there is no such copy.
    """
    levels = overviews_of(grid) if overviews is None else overviews
    with rasterio.Env(**_options(grid)):
        with rasterio.open(plain, "r+") as made:
            made.build_overviews([2**level for level in range(1, levels + 1)], Resampling.average)
        with rasterio.open(plain) as made:
            if len(made.overviews(1)) < levels:  # GDAL is silent where the last of them found no room
                raise OSError("no room for the overviews")
        _copy(plain, path, creation)
    plain.unlink()
    _check_cog(path, grid)


def _write_with_zooms(path: Path, plain: Path, styled: StyledMap, creation: Mapping[str, Any]) -> None:
    """Turn a plain GeoTIFF into a cloud-optimised one whose overviews are the map's pictures for other zooms."""
    overviews = [path.with_suffix(f".{number}.plain") for number in range(1, len(styled.zooms) + 1)]
    for overview, zoom in zip(overviews, styled.zooms, strict=True):
        write_geotiff(overview, zoom)
    joined = path.with_suffix(".vrt")
    join(joined, plain, overviews)
    with rasterio.Env(**_options(styled.grid)):
        _copy(joined, path, creation)
    for part in (joined, plain, *overviews):
        part.unlink()
    _check_cog(path, styled.grid, len(overviews))


def _options(grid: Grid) -> dict[str, Any]:
    """Return GDAL's options while a map on `grid` is written."""
    return {**writing_options(grid), "GDAL_TIFF_OVR_BLOCKSIZE": BLOCK}


def _copy(source: Path, path: Path, creation: Mapping[str, Any]) -> None:
    """Copy a raster and its overviews in the order of a cloud-optimised GeoTIFF."""
    # IF_SAFER: with its overviews a map may pass the 4 GB of a classic TIFF where GDAL did not expect it.
    copy(source, path, copy_src_overviews=True, **creation, bigtiff="IF_SAFER")


def _creation_options(profile: Profile) -> dict[str, Any]:
    """Return GDAL's creation options."""
    return {**cog_profiles[profile], **_LOSSY_OPTIONS.get(profile, {})}


def _check_cog(path: Path, grid: Grid, overviews: int | None = None) -> None:
    _, errors, flaws = cog_validate(path, strict=True, quiet=True)
    # rio-cogeo takes a picture that is as wide as its blocks for one without any.
    levels = overviews_of(grid) if overviews is None else overviews
    if BLOCK in (-(-grid.width // 2**level) for level in range(levels + 1)):
        errors = [error for error in errors if "not tiled" not in error]
    if errors or flaws:
        raise OutputError(f"output {path.name}", expected="a valid cloud-optimised GeoTIFF", got=f"{errors + flaws}")


def overviews_of(grid: Grid) -> int:
    """Return how often the map is halved, until its longer side fits a block.

    By itself rio-cogeo halves until the shorter side does; a strip would be left without overviews.
    """
    return max(0, math.ceil(math.log2(max(grid.shape) / BLOCK)))
