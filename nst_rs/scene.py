"""Products as one virtual mosaic on one grid, read in windows.

Pixel values are as stored, or, where a product says what they mean, physical ones such as reflectance.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.dtypes import in_dtype_range
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from nst_rs.acquisition import Acquisition, together
from nst_rs.area import Area, Outline
from nst_rs.arrays import Mask
from nst_rs.clouds import clouded
from nst_rs.errors import ConfigError, SceneError
from nst_rs.grid import Box, Grid, bounds, union
from nst_rs.sensors import Label, Sensor, composites_of, load_sensors
from nst_rs.sources import Header, Meaning, Product, Source, check_extent, find_products, opened
from nst_rs.storage import BAND_ROWS, bands

log = logging.getLogger(__name__)

Values = npt.NDArray[Any]
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


@dataclass(frozen=True)
class SceneTile:
    """One product of the scene: a file of all bands, or one file a band."""

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
    """One a band."""
    dtype: str
    target: Target = Target()
    outline: Outline | None = None
    clouds: bool = False
    """Whether the products' quality bands are asked where clouds are."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """One a band; empty where the files name none."""
        return tuple(label.name for label in self.labels)

    @property
    def sensor(self) -> Sensor | None:
        """What took it, where that is known."""
        return self.tiles[0].product.sensor

    @property
    def acquired(self) -> Acquisition | None:
        """When the products that meet its grid were taken; None where of one it is not known."""
        whole = Window(0, 0, self.grid.width, self.grid.height)
        return together(tile.product.acquired for tile in self.tiles if _overlap(tile.box, whole))

    @property
    def nodata(self) -> float | None:
        """The stored value that stands for no data, of the first product."""
        return self.tiles[0].product.nodata

    @property
    def locations(self) -> tuple[str, ...]:
        """The rasters that all its bands and masks lie in, each once, in order."""
        found = []
        for tile in self.tiles:
            found += [source.header.location for source in tile.product.sources]
            quality = tile.product.quality
            found += [quality.header.location] if quality and self.clouds else []
        return tuple(dict.fromkeys(found))

    @property
    def composites(self) -> dict[str, tuple[str, str, str]]:
        """The composites, name → bands, that its bands can make."""
        return composites_of(self.sensor, self.labels)

    def chosen(self, bands: Sequence[int]) -> "Scene":
        """Return the scene on the grid that `bands`, from 1, ask for. Raises SceneError like :func:`lay_out`."""
        laid = lay_out([tile.product for tile in self.tiles], self.target, bands)
        return replace(laid, clouds=self.clouds)

    def in_type_of(self, bands: Sequence[int]) -> "Scene":
        """Return the scene with values of the type that holds those of `bands`, from 1."""
        return replace(self, dtype=_dtype([tile.product.sources[band - 1] for tile in self.tiles for band in bands]))

    def masking_clouds(self) -> "Scene":
        """Return the scene with its products' quality bands asked where clouds are. Raises SceneError without any."""
        bare = next((tile.product.name for tile in self.tiles if tile.product.quality is None), None)
        if bare is not None:
            expected = "a product with a quality band (QA_PIXEL, BQA or SCL) for composite.mask: clouds"
            raise SceneError(f"scene {bare}", expected=expected, got="none")
        return replace(self, clouds=True)

    def blocks(self, rows: int = BAND_ROWS) -> Iterator[Window]:
        """Return windows over the whole scene, `rows` rows each, from the top."""
        for band in bands(self.grid.height, rows):
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
            overlap = _overlap(tile.box, window)
            if overlap is None:
                continue
            inside, part = overlap
            found, found_valid, found_cloudy = self._read_tile(tile, bands, part)
            new = found_valid & (~valid[inside] | (cloudy[inside] & ~found_cloudy))
            values[(slice(None), *inside)][:, new] = found[:, new]
            cloudy[inside][new] = found_cloudy[new]
            valid[inside] |= new
        if self.outline is not None and self.outline.outlined:
            valid &= self.outline.inside(self.grid.cut(_box(window)))
        return values, valid, cloudy & valid

    def _read_tile(self, tile: SceneTile, bands: Sequence[int], part: Window) -> tuple[Values, Mask, Mask]:
        """Return values, validity and clouds of a tile in `part` of the scene."""
        values = np.zeros((len(bands), part.height, part.width), self.dtype)
        valid = np.ones((part.height, part.width), np.bool_)
        by_file: dict[Header, list[int]] = {}
        for place, band in enumerate(bands):
            by_file.setdefault(tile.product.sources[band - 1].header, []).append(place)
        for header, places in by_file.items():
            sources = [tile.product.sources[bands[place] - 1] for place in places]
            found, found_valid = _read_file(header, sources, self._place(tile, header, part), self.target.resampling)
            values[places] = found
            valid &= found_valid
        return values, valid, self._read_clouds(tile, part)

    def _read_clouds(self, tile: SceneTile, part: Window) -> Mask:
        quality = tile.product.quality
        if quality is None or not self.clouds:
            return np.zeros((part.height, part.width), np.bool_)
        source = Source(quality.header, 1, quality.header.calibrations[0], None)
        # Classes and bits have no values between them.
        found, _ = _read_file(quality.header, [source], self._place(tile, quality.header, part), "nearest", stored=True)
        return clouded(quality.kind, found[0])

    def _place(self, tile: SceneTile, header: Header, part: Window) -> "_Place":
        return _Place(self.grid, tile.box, header.grid, part)


@dataclass(frozen=True)
class _Place:
    """A part of the scene to be read from a file."""

    scene: Grid
    tile: Box
    file: Grid
    part: Window

    @property
    def shape(self) -> tuple[int, int]:
        return self.part.height, self.part.width

    def direct(self) -> tuple[tuple[slice, slice], Window] | None:
        """Return where part and file meet, and that window in the file, where its pixels are the scene's pixels."""
        placed = self.scene.place(self.file)
        if placed is None:
            return None
        row, column = placed
        met = _overlap((row, column, row + self.file.height, column + self.file.width), self.part)
        if met is None:
            return (slice(0, 0), slice(0, 0)), Window(0, 0, 0, 0)
        inside, part = met
        return inside, Window(part.col_off - column, part.row_off - row, part.width, part.height)


@dataclass(frozen=True)
class SceneReport:
    """What can be said of a scene without composing it."""

    scene: Scene
    valid_shares: tuple[float, ...]
    """One a band: the share of the grid's pixels that hold data."""
    corners: float | None = None
    """What the corners hold, where that is likely to mean no data and no file says so."""


def report(scene: Scene) -> SceneReport:
    """Read every band once and return the report. Raises SceneError when a file cannot be read."""
    bands = range(1, len(scene.band_names) + 1)
    pixels = scene.grid.width * scene.grid.height
    counts = np.zeros(len(bands))
    for window in scene.blocks():
        counts += [scene.read([band], window)[1].sum() for band in bands]
    guessed = guess_nodata([tile.product for tile in scene.tiles])
    return SceneReport(scene, tuple(float(count / pixels) for count in counts), guessed)


@dataclass(frozen=True)
class Reading:
    """How products are to be understood."""

    meaning: Meaning
    guesses_nodata: bool = False
    target: Target = Target()


def open_scene(paths: Iterable[Path | str], nodata: float | None = None) -> Scene:
    """Open files, or folders of files, as one scene, on the grid of its finest band.

    `nodata` is a value that stands for no data besides what the files' tags and masks say. Raises SceneError, naming
    the file, when one is missing, is not a raster, has no CRS, or does not belong on the first one's grid.
    """
    products = find_products([str(path) for path in paths], load_sensors(), sensor=None, detect=True)
    return understand(products, Reading(Meaning(nodata)))


def understand(products: Sequence[Product], reading: Reading) -> Scene:
    """Return the scene that `products` are, by what `reading` says. Raises SceneError like :func:`open_scene`."""
    meaning = reading.meaning
    if reading.guesses_nodata:
        guessed = guess_nodata(products)
        log.warning("nodata is guessed from the corners: %s", "none" if guessed is None else f"{guessed:g}")
        meaning = replace(meaning, nodata=guessed)
    return lay_out([_meant(product, meaning) for product in products], reading.target)


def _meant(product: Product, meaning: Meaning) -> Product:
    sources = tuple(meaning.applied(source, product.sensor) for source in product.sources)
    return replace(product, sources=sources)


def lay_out(products: Sequence[Product], target: Target, bands: Sequence[int] | None = None) -> Scene:
    """Return `products` as one scene on the grid that `bands`, from 1, or all of them ask for. Raises SceneError."""
    first = products[0]
    for product in products[1:]:
        _check_content(first, product)
    chosen = [[product.sources[band - 1] for band in bands or _plain_bands(product)] for product in products]
    grid = _target_grid(_reference(chosen[0], target), target)
    if not target.reprojects:
        for product, sources in zip(products[1:], chosen[1:], strict=True):
            _check_grid(first, product, grid, _reference(sources, target))
    boxes = [union([grid.box_of(source.header.grid) for source in sources]) for sources in chosen]
    whole = union(boxes)
    outline = target.area.on(grid.cut(whole)) if target.area else None
    if outline is not None:
        whole = _cropped(whole, outline.box(grid))
    check_extent(f"scene {first.name}", whole)
    tiles = tuple(
        SceneTile(product, top - whole[0], left - whole[1], right - left, bottom - top)
        for product, (top, left, bottom, right) in zip(products, boxes, strict=True)
    )
    sources = [source for some in chosen for source in some]
    return Scene(grid.cut(whole), tiles, first.labels, _dtype(sources), target, outline)


def _plain_bands(product: Product) -> Sequence[int]:
    """Return all bands but the panchromatic one, whose grid nothing else is on."""
    plain = [number for number, label in enumerate(product.labels, start=1) if label.common != "pan"]
    return plain or range(1, len(product.labels) + 1)


def _reference(sources: Sequence[Source], target: Target) -> Grid:
    """Return the grid of the finest or coarsest of some bands; of equal ones the first."""
    choose = max if target.resolution == "coarsest" else min
    return choose((source.header.grid for source in sources), key=lambda grid: abs(grid.transform.determinant))


def _target_grid(grid: Grid, target: Target) -> Grid:
    """Return `grid`, in the CRS and resolution that are asked for."""
    size = None if isinstance(target.resolution, str) else target.resolution
    crs = grid.crs if target.crs is None else _crs(target.crs)
    if crs != grid.crs:
        return _projected(grid, crs, size)
    if size is None:
        return grid
    width, height = grid.pixel
    return grid.scaled(size / width, size / height)


def _projected(grid: Grid, crs: CRS, size: float | None) -> Grid:
    """Return a grid in another CRS, north up, its lines at whole multiples of its pixel's side."""
    try:
        transform, _, _ = calculate_default_transform(
            grid.crs, crs, grid.width, grid.height, *bounds(grid), resolution=size
        )
    except (CRSError, ValueError, RuntimeError) as error:
        raise ConfigError("scene.crs", expected="a CRS that the scene can be brought into", got=str(error)) from error
    side = transform.a
    left, top = np.floor(transform.c / side) * side, np.ceil(transform.f / side) * side
    return Grid(crs, Affine(side, 0, float(left), 0, -side, float(top)), 1, 1)


def _crs(name: str) -> CRS:
    try:
        return CRS.from_user_input(name)
    except CRSError as error:
        raise ConfigError("scene.crs", expected="a CRS such as EPSG:32621", got=name) from error


def _cropped(whole: Box, box: Box) -> Box:
    top, left, bottom, right = box
    met = max(whole[0], top), max(whole[1], left), min(whole[2], bottom), min(whole[3], right)
    if met[0] >= met[2] or met[1] >= met[3]:
        raise ConfigError("scene.area", expected="an area that meets the scene", got="one beside it")
    return met


def _dtype(sources: Sequence[Source]) -> str:
    kinds = {source.header.dtype for source in sources}
    plain = len(kinds) == 1 and not any(source.calibration.changes for source in sources)
    return kinds.pop() if plain else "float32"


def guess_nodata(products: Sequence[Product]) -> float | None:
    """Return what the corners of `products` hold in all bands, where that is a value that often means no data.

    None where a file says itself what means no data, or no corner looks like it.
    """
    for product in products:
        sources = product.sources
        if product.nodata is not None or len({source.header for source in sources}) > 1:
            continue
        for values in _corners(sources[0].header):
            if len(values) == 1 and not values.isdisjoint(_FILLS):
                return values.pop()
    return None


_FILLS = frozenset({0.0, 255.0, 65535.0, -9999.0, -32768.0, float(np.finfo("float32").min)})


def _corners(header: Header) -> Iterator[set[float]]:
    """Return the values that the bands hold in each corner; nothing where a mask says what is valid."""
    with opened(header.location, "readable pixels") as source:
        if any("all_valid" not in {flag.name for flag in flags} for flags in source.mask_flag_enums):
            return
        for row in (0, source.height - 1):
            for column in (0, source.width - 1):
                yield set(source.read(window=Window(column, row, 1, 1)).astype(float).ravel().tolist())


def _check_content(first: Product, other: Product) -> None:
    """Refuse by name a product whose pixels hold something else than the first one's."""
    difference = _different_content(first, other)
    if difference is not None:
        raise _no_part(first, other, difference, "give the tiles of one scene, on one grid")


def _check_grid(first: Product, other: Product, grid: Grid, own: Grid) -> None:
    """Refuse by name a product that does not lie on the first one's grid."""
    difference = grid.difference(own)
    if difference is not None:
        remedy = "give the tiles of one scene, on one grid, or set scene.crs to bring them onto one"
        raise _no_part(first, other, difference, remedy)


def _no_part(first: Product, other: Product, difference: tuple[str, object, object], remedy: str) -> SceneError:
    what, expected, got = difference
    return SceneError(
        f"tile {other.name} does not belong with {first.name}: {what}", expected=str(expected), got=str(got), do=remedy
    )


def _different_content(first: Product, other: Product) -> tuple[str, object, object] | None:
    """Return (what, expected, got) of the first difference in what the pixels hold."""
    if len(other.labels) != len(first.labels):
        return "band count", len(first.labels), len(other.labels)
    names, other_names = ([label.name for label in product.labels] for product in (first, other))
    if any(a.lower() != b.lower() for a, b in zip(names, other_names, strict=True) if a and b):
        return "band names", ", ".join(names), ", ".join(other_names)
    one, another = first.sources[0].header, other.sources[0].header
    if another.dtype != one.dtype:
        return "data type", one.dtype, another.dtype
    if other.nodata != first.nodata and not (_is_nan(other.nodata) and _is_nan(first.nodata)):
        return "nodata", first.nodata, other.nodata
    return None


def _is_nan(value: float | None) -> bool:
    return value is not None and bool(np.isnan(value))


def _box(window: Window) -> Box:
    return window.row_off, window.col_off, window.row_off + window.height, window.col_off + window.width


def _overlap(box: Box, window: Window) -> tuple[tuple[slice, slice], Window] | None:
    """Return where `box` and `window` meet: (rows, columns) in the window, and as a window of the scene."""
    top, left = max(box[0], window.row_off), max(box[1], window.col_off)
    bottom = min(box[2], window.row_off + window.height)
    right = min(box[3], window.col_off + window.width)
    if top >= bottom or left >= right:
        return None
    inside = (
        slice(top - window.row_off, bottom - window.row_off),
        slice(left - window.col_off, right - window.col_off),
    )
    return inside, Window(left, top, right - left, bottom - top)


def _read_file(
    header: Header, sources: Sequence[Source], place: _Place, resampling: str, stored: bool = False
) -> tuple[Values, Mask]:
    """Return values, (sources, h, w), physical or as `stored`, and where all of them hold data."""
    direct = place.direct()
    with opened(header.location, "readable pixels") as source:
        if direct is None:
            values, valid = _read_warped(source, sources, place, resampling)
        else:
            values, valid = _read_window(source, sources, place.shape, direct)
    for band, found in zip(values, sources, strict=True):
        for excluded in (found.fill, found.saturated):
            if excluded is not None:
                valid &= band != excluded
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return (values if stored else _physical(values, sources)), valid


def _read_window(
    source: Any, sources: Sequence[Source], shape: tuple[int, int], place: tuple[tuple[slice, slice], Window]
) -> tuple[Values, Mask]:
    """Read pixels that are the scene's own."""
    inside, window = place
    indices = [found.index for found in sources]
    values = np.zeros((len(indices), *shape), sources[0].header.dtype)
    valid = np.zeros(shape, np.bool_)
    if window.width:
        values[(slice(None), *inside)] = source.read(indices, window=window)
        valid[inside] = (source.read_masks(indices, window=window) > 0).all(axis=0)
    return values, valid


def _read_warped(source: Any, sources: Sequence[Source], place: _Place, resampling: str) -> tuple[Values, Mask]:
    """Read pixels of another grid, brought onto the scene's; GDAL warps by blocks, whatever window is asked for."""
    top, left, _, _ = place.tile
    grid = place.scene.cut(place.tile)
    window = Window(place.part.col_off - left, place.part.row_off - top, *reversed(place.shape))
    indices = [found.index for found in sources]
    options = _warp_options(source, sources[0])
    at = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
    with WarpedVRT(source, **at, resampling=Resampling[resampling], **options) as warped:
        values = warped.read(indices, window=window)
        if options.get("add_alpha"):  # GDAL takes an alpha band for a mask in whole numbers only
            return values, warped.read(warped.count, window=window) > 0
        return values, (warped.read_masks(indices, window=window) > 0).all(axis=0)


def _warp_options(source: Any, first: Source) -> dict[str, Any]:
    """Return how GDAL is to know which pixels hold data: by a value, or by the mask, kept as an alpha band."""
    nodata = first.header.nodata if first.fill is None else first.fill
    if nodata is not None and in_dtype_range(nodata, first.header.dtype):
        return {"src_nodata": nodata, "nodata": nodata}
    has_alpha = any(flag.name == "alpha" for flags in source.mask_flag_enums for flag in flags)
    return {"add_alpha": not has_alpha}


def _physical(values: Values, sources: Sequence[Source]) -> Values:
    """Return what stored values mean, in float32 where that is another number."""
    if not any(found.calibration.changes for found in sources):
        return values
    scales, offsets = (
        np.array([getattr(found.calibration, name) for found in sources], np.float32)[:, np.newaxis, np.newaxis]
        for name in ("scale", "offset")
    )
    scaled: Values = values.astype(np.float32) * scales + offsets
    return scaled
