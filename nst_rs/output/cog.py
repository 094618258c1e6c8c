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
from nst_rs.output.geotiff import BLOCK, StyledMap, cache_bytes, write_geotiff

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
    """Write the map with its overviews as a cloud-optimised GeoTIFF; :func:`optimise` says how many they are."""
    plain = path.with_suffix(".plain")
    write_geotiff(plain, styled)
    optimise(plain, path, styled.grid, _creation_options(styled.profile), overviews)


def optimise(plain: Path, path: Path, grid: Grid, creation: Mapping[str, Any], overviews: int | None = None) -> None:
    """Turn a plain GeoTIFF on `grid` into a cloud-optimised one, with averaged overviews.

    It is halved until its longer side fits a block, unless `overviews` says how often. `creation` are GDAL's creation
    options. rio-cogeo does the same with a warped copy, which blackens what lies under
    the mask and so lets JPEG draw black into the edge of the data; here there is no such copy.
    """
    levels = overviews_of(grid) if overviews is None else overviews
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
    """Return GDAL's creation options."""
    return {**cog_profiles[profile], **_LOSSY_OPTIONS.get(profile, {})}


def _check_cog(path: Path, grid: Grid) -> None:
    _, errors, flaws = cog_validate(path, strict=True, quiet=True)
    # rio-cogeo takes a picture that is as wide as its blocks for one without any.
    if BLOCK in (-(-grid.width // 2**level) for level in range(overviews_of(grid) + 1)):
        errors = [error for error in errors if "not tiled" not in error]
    if errors or flaws:
        raise OutputError(f"output {path.name}", expected="a valid cloud-optimised GeoTIFF", got=f"{errors + flaws}")


def overviews_of(grid: Grid) -> int:
    """Return how often the map is halved, until its longer side fits a block.

    By itself rio-cogeo halves until the shorter side does; a strip would be left without overviews.
    """
    return max(0, math.ceil(math.log2(max(grid.shape) / BLOCK)))
