"""The scene's bands beside its map, with their own values. They have a GeoTIFF of their own: its pixels have one type.

Overviews are averages, as the map's are: a coarse pixel of a measurement stands for the mean of its fine ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from pystac import Asset, MediaType
from rasterio.windows import Window
from rio_cogeo.profiles import cog_profiles
from rio_stac.stac import get_raster_info

from nst_rs.arrays import Mask
from nst_rs.composite.rendering import Rendering
from nst_rs.config.sections import Profile
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.provenance import tags_of_bands
from nst_rs.output.rasters.cog import optimise
from nst_rs.output.rasters.geotiff import BLOCK, block_pixels, tiled_on, writing_options
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.raster_read import Values

_MOST_VALUES = 2**24
"""Values that a window at work holds at most, in all bands together."""


@dataclass(frozen=True)
class SceneBands:
    """The scene's bands that go beside its map, and how they are written."""

    rendering: Rendering
    profile: Profile
    """The map's profile. Where it is lossy, the bands are deflated."""
    tags: Mapping[str, str]
    """The map's tags: nst_rs/output/provenance.py."""

    @property
    def scene(self) -> Scene:
        """The map's scene, in the type of these bands."""
        return self.rendering.scene.in_type_of(self.rendering.extra_bands)

    @property
    def names(self) -> list[str]:
        """One name per band: its own where it can be printed, else its number in the scene."""
        called = [(number, self.rendering.scene.labels[number - 1].name) for number in self.rendering.extra_bands]
        return ["".join(filter(str.isprintable, name)) or f"band {number}" for number, name in called]

    def read(self, window: Window) -> tuple[Values, Mask]:
        """Return the bands' values, (bands, h, w), 0 where there is no data, and where all of them hold data, (h, w).

        Clouds are data where the map shows them, and none where it does not.
        """
        values, valid, clouded = self.scene.read_clouded(self.rendering.extra_bands, window)
        if not self.rendering.keeps_clouds:
            valid &= ~clouded
        return np.where(valid, values, np.zeros((), values.dtype)), valid

    def windows(self) -> Iterator[Window]:
        """Return windows over the scene that are whole blocks wide and hold a bounded number of values."""
        height, width = self.scene.grid.shape
        count = len(self.rendering.extra_bands)
        rows = max(1, min(BLOCK, _MOST_VALUES // (count * BLOCK)))
        columns = max(1, _MOST_VALUES // (count * rows * BLOCK)) * BLOCK
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                yield Window(left, top, min(columns, width - left), min(rows, height - top))


def write_bands(bands: SceneBands, path: Path) -> None:
    """Write the bands that go beside a map to `path`, as a cloud-optimised GeoTIFF."""
    plain = path.with_suffix(".plain")
    _write_plain(plain, bands)
    creation = cog_profiles["lzw" if bands.profile == "lzw" else "deflate"]
    predictor = 3 if np.dtype(bands.scene.dtype).kind == "f" else 2
    optimise(plain, path, bands.scene.grid, {**creation, **_AS_DATA, "predictor": predictor})


# Three bytes per pixel would be taken for RGB, a fourth for alpha. A reader of one band does not pay for the others.
_AS_DATA = {"photometric": "minisblack", "alpha": "no", "interleave": "band"}


def _write_plain(path: Path, bands: SceneBands) -> None:
    """Write the bands on exactly the map's grid, uncompressed: blocks may be written in parts."""
    scene, grid = bands.scene, bands.scene.grid
    profile = {**tiled_on(grid), "dtype": scene.dtype, "count": len(bands.names), **_AS_DATA}
    with rasterio.Env(**writing_options(grid)), rasterio.open(path, "w", **profile) as target:
        target.descriptions = bands.names
        target.update_tags(**tags_of_bands(bands.tags))
        for window in bands.windows():
            values, valid = bands.read(window)
            target.write(values, window=window)
            target.write_mask(valid, window=window)


def _write(path: Path, finished: FinishedMap) -> None:
    styled = finished.contents.styled
    write_bands(SceneBands(finished.contents.rendering, styled.profile, styled.tags), path)


def _asset(path: Path) -> Asset:
    with rasterio.open(path) as source:
        bands = {"bands": [{"name": name} for name in source.descriptions], "raster:bands": get_raster_info(source)}
    return Asset(path.name, media_type=MediaType.COG, roles=["data"], extra_fields=bands)


def _most_bytes(rendering: Rendering) -> int:
    """Return twice the bytes of the bands and their mask: for the plain file, and for the one made from it."""
    return 2 * block_pixels(rendering.scene.grid) * (rendering.extra_band_bytes + 1)


COMPANION = Companion(
    "bands",
    ending=lambda output: None if output.bands is None else ".bands.tif",
    endings=(".bands.tif",),
    write=_write,
    asset=_asset,
    most_bytes=_most_bytes,
)
