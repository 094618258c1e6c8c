"""Products as one virtual mosaic on one grid, read in windows.

Pixel values are as stored, or, where a product says what they mean, physical ones such as reflectance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from rasterio.windows import Window

from nst_rs.arrays import Mask
from nst_rs.errors import SceneError
from nst_rs.files.storage import STRIP_ROWS, strips
from nst_rs.geo.area import Area, Outline
from nst_rs.geo.grid import Box, Grid
from nst_rs.scene.acquisition import Acquisition, together
from nst_rs.scene.classes import showing
from nst_rs.scene.clouds import clouded
from nst_rs.scene.products import Product, Quality, Source
from nst_rs.scene.raster_file import Header
from nst_rs.scene.raster_read import Place, Values, box_of, overlap, read_file
from nst_rs.scene.sensors import Label, Sensor, composites_of

Resolution = float | Literal["finest", "coarsest"]


@dataclass(frozen=True)
class Target:
    """The grid that is asked for; without a CRS or a number for the resolution, files must lie on one already."""

    crs: str | None = None
    resolution: Resolution = "finest"
    """Of the chosen bands, or the side of a pixel in the CRS's units."""
    resampling: str = "bilinear"
    area: Area | None = None

    @property
    def reprojects(self) -> bool:
        """Whether products that do not lie on one grid are to be brought onto one."""
        return self.crs is not None or not isinstance(self.resolution, str)

    @property
    def on_web_tiles(self) -> bool:
        """Whether the scene is brought onto the pixels of web map tiles."""
        return self.crs == "web"


@dataclass(frozen=True)
class SceneTile:
    """One product of the scene: a file of all bands, or one file per band."""

    product: Product
    row: int
    """Of the product's first pixel, in the scene."""
    column: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        """In the scene."""
        return self.row, self.column, self.row + self.height, self.column + self.width


@dataclass(frozen=True)
class Scene:
    """The products of one scene on one grid."""

    grid: Grid
    tiles: tuple[SceneTile, ...]
    labels: tuple[Label, ...]
    """One per band."""
    dtype: str
    target: Target = Target()
    outline: Outline | None = None
    clouds: bool = False
    """Whether the products' quality bands are asked where clouds are."""
    classes: bool = False
    """Whether they are asked where classes of ground are."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """One per band; empty where the files name none."""
        return tuple(label.name for label in self.labels)

    @property
    def sensor(self) -> Sensor | None:
        """What took it, where that is known."""
        return self.tiles[0].product.sensor

    @property
    def acquired(self) -> Acquisition | None:
        """When the products that meet its grid were taken; None where of one it is not known."""
        whole = Window(0, 0, self.grid.width, self.grid.height)
        return together(tile.product.acquired for tile in self.tiles if overlap(tile.box, whole))

    @property
    def nodata(self) -> float | None:
        """The stored value that stands for no data, of the first product."""
        return self.tiles[0].product.nodata

    @property
    def locations(self) -> tuple[str, ...]:
        """The rasters that all its bands and masks lie in, each once, in order."""
        locations = []
        for tile in self.tiles:
            locations += [source.header.location for source in tile.product.sources]
            quality = tile.product.quality
            locations += [quality.header.location] if quality and (self.clouds or self.classes) else []
        return tuple(dict.fromkeys(locations))

    @property
    def composites(self) -> dict[str, tuple[str, str, str]]:
        """The composites, name → bands, that its bands can make."""
        return composites_of(self.sensor, self.labels)

    def in_type_of(self, bands: Sequence[int]) -> "Scene":
        """Return the scene with values of the type that holds those of `bands`, from 1."""
        return replace(
            self, dtype=common_dtype([tile.product.sources[band - 1] for tile in self.tiles for band in bands])
        )

    def masking_clouds(self) -> "Scene":
        """Return the scene with its products' quality bands asked where clouds are. Raises SceneError without any."""
        bare = next((tile.product.name for tile in self.tiles if tile.product.quality is None), None)
        if bare is not None:
            expected = "a product with a quality band (QA_PIXEL, BQA or SCL) for composite.mask: clouds"
            raise SceneError(f"scene {bare}", expected=expected, got="none")
        return replace(self, clouds=True)

    def blocks(self, rows: int = STRIP_ROWS) -> Iterator[Window]:
        """Return windows over the whole scene, `rows` rows each, from the top."""
        for band in strips(self.grid.height, rows):
            yield Window(0, band.start, self.grid.width, band.stop - band.start)

    def read(self, bands: Sequence[int], window: Window) -> tuple[Values, Mask]:
        """Read `bands` (1-based) in `window` of the scene.

        Returns values, (bands, h, w) in the scene's dtype, and the mask, (h, w), True where every one of the bands
        holds data: inside a tile, not nodata, not masked, not NaN, not clouded where clouds are asked for. Where tiles
        overlap, the first valid one given stands. Raises SceneError when a file cannot be read.
        """
        values, valid, cloudy = self.read_clouded(bands, window)
        return values, valid & ~cloudy

    def read_clouded(self, bands: Sequence[int], window: Window) -> tuple[Values, Mask, Mask]:
        """Read like :meth:`read`, but tell clouds from no data: return values, valid, clouded.

        Where tiles overlap, the first one that is clear stands, else the first valid one.
        """
        values = np.zeros((len(bands), window.height, window.width), self.dtype)
        valid, cloudy = (np.zeros((window.height, window.width), np.bool_) for _ in range(2))
        for tile in self.tiles:
            met = overlap(tile.box, window)
            if met is None:
                continue
            inside, part = met
            tile_values, tile_valid = self._read_tile(tile, bands, part)
            tile_cloudy = self._read_clouds(tile, part)
            new = tile_valid.all(axis=0) & (~valid[inside] | (cloudy[inside] & ~tile_cloudy))
            values[(slice(None), *inside)][:, new] = tile_values[:, new]
            cloudy[inside][new] = tile_cloudy[new]
            valid[inside] |= new
        valid &= self._inside(window)
        return values, valid, cloudy & valid

    def coverage(self, window: Window) -> Mask:
        """Return, (bands, h, w), where each of the scene's bands holds data in some tile, clouds or not."""
        bands = range(1, len(self.labels) + 1)
        valid = np.zeros((len(bands), window.height, window.width), np.bool_)
        for tile in self.tiles:
            met = overlap(tile.box, window)
            if met is not None:
                inside, part = met
                valid[(slice(None), *inside)] |= self._read_tile(tile, bands, part)[1]
        return valid & self._inside(window)

    def _inside(self, window: Window) -> Mask:
        """Return, (h, w), what lies in the area that is asked for."""
        if self.outline is None or not self.outline.outlined:
            return np.ones((window.height, window.width), np.bool_)
        return self.outline.inside(self.grid.cut(box_of(window)))

    def _read_tile(self, tile: SceneTile, bands: Sequence[int], part: Window) -> tuple[Values, Mask]:
        """Return values, and where each of the bands holds data, (bands, h, w), of a tile in `part` of the scene."""
        values = np.zeros((len(bands), part.height, part.width), self.dtype)
        valid = np.ones(values.shape, np.bool_)
        by_file: dict[Header, list[int]] = {}
        for place, band in enumerate(bands):
            by_file.setdefault(tile.product.sources[band - 1].header, []).append(place)
        for header, places in by_file.items():
            sources = [tile.product.sources[bands[place] - 1] for place in places]
            values[places], valid[places] = read_file(
                header, sources, self._place(tile, header, part), self.target.resampling
            )
        return values, valid

    def showing(self, classes: Sequence[str], window: Window) -> Mask:
        """Return, (h, w), where the products' quality bands say one of `classes`: nst_rs/scene/classes.py.

        Where tiles overlap, the first one that says anything stands. All products must have a quality band.
        """
        inside, told = (np.zeros((window.height, window.width), np.bool_) for _ in range(2))
        for tile in self.tiles:
            met = overlap(tile.box, window)
            if met is None or tile.product.quality is None:
                continue
            place, part = met
            here, known = showing(
                tile.product.quality.kind, self._read_quality(tile.product.quality, tile, part), classes
            )
            inside[place] |= here & ~told[place]
            told[place] |= known
        return inside

    def _read_clouds(self, tile: SceneTile, part: Window) -> Mask:
        quality = tile.product.quality
        if quality is None or not self.clouds:
            return np.zeros((part.height, part.width), np.bool_)
        return clouded(quality.kind, self._read_quality(quality, tile, part))

    def _read_quality(self, quality: Quality, tile: SceneTile, part: Window) -> Values:
        source = Source(quality.header, 1, quality.header.calibrations[0], None)
        # Classes and bits have no values between them.
        classes, _ = read_file(
            quality.header, [source], self._place(tile, quality.header, part), "nearest", stored=True
        )
        first: Values = classes[0]
        return first

    def _place(self, tile: SceneTile, header: Header, part: Window) -> "Place":
        return Place(self.grid, tile.box, header.grid, part)


def common_dtype(sources: Sequence[Source]) -> str:
    """Return the type that holds the values of all `sources`: their own where they are stored as they are meant."""
    kinds = {source.header.dtype for source in sources}
    plain = len(kinds) == 1 and not any(source.calibration.changes for source in sources)
    return kinds.pop() if plain else "float32"
