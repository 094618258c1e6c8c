"""Products to one scene: whether they belong together, and the grid that they lie on."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import Affine
from rasterio.warp import calculate_default_transform

from nst_rs.errors import ConfigError, SceneError
from nst_rs.geo.area import Area, describe_degrees, extent_of
from nst_rs.geo.footprint import is_torn
from nst_rs.geo.grid import Box, Grid, bounds, crs_name, union
from nst_rs.geo.webgrid import CRS_OF_WEB, MOST_NORTHERN, WORLD_GRID, on_whole_pixels, pixel_side, zoom_of
from nst_rs.scene.mosaic import Scene, SceneTile, Target, common_dtype
from nst_rs.scene.products import Product, Source
from nst_rs.scene.raster_file import check_density, check_extent


def lay_out(products: Sequence[Product], target: Target, bands: Sequence[int] | None = None) -> Scene:
    """Return `products` as one scene on the grid that `bands`, from 1, or all of them ask for. Raises SceneError."""
    first = products[0]
    for product in products[1:]:
        _check_content(first, product)
    chosen = [[product.sources[band - 1] for band in bands or _plain_bands(product)] for product in products]
    _check_whole(products, target)
    grid = _target_grid(_reference(chosen[0], target), target)
    if not target.reprojects:
        for product, sources in zip(products[1:], chosen[1:], strict=True):
            _check_grid(first, product, grid, _reference(sources, target))
    boxes = [union([grid.box_of(source.header.grid) for source in sources]) for sources in chosen]
    whole = union(boxes)
    outline = target.area.on(grid.cut(whole)) if target.area else None
    if target.area is not None and outline is not None:
        whole = _cropped(grid, whole, outline.box(grid), target.area)
    if target.on_web_tiles:
        whole = on_whole_pixels(_on_web_map(first.name, grid, whole), grid)
    check_extent(f"scene {first.name}", whole)
    for sources, box in zip(chosen, boxes, strict=True):
        for header in {source.header for source in sources}:
            check_density(header, _pixels(box, whole, header.grid))
    tiles = tuple(
        SceneTile(product, top - whole[0], left - whole[1], right - left, bottom - top)
        for product, (top, left, bottom, right) in zip(products, boxes, strict=True)
    )
    sources = [source for some in chosen for source in some]
    return Scene(grid.cut(whole), tiles, first.labels, common_dtype(sources), target, outline)


def on_grid_of(scene: Scene, bands: Sequence[int]) -> Scene:
    """Return `scene` on the grid that `bands`, from 1, ask for. Raises SceneError like :func:`lay_out`."""
    laid = lay_out([tile.product for tile in scene.tiles], scene.target, bands)
    return replace(laid, clouds=scene.clouds)


def _check_whole(products: Sequence[Product], target: Target) -> None:
    """Refuse a CRS that has the two sides of the antimeridian apart, for a product that lies across it.

    In a geographic one longitudes go on beyond 180 degrees.
    """
    if target.crs is None:
        return
    crs = CRS_OF_WEB if target.on_web_tiles else _crs(target.crs)
    for product in products:
        grid = product.sources[0].header.grid
        if grid.crs != crs and not crs.is_geographic and is_torn(grid, crs):
            raise ConfigError(
                f"scene.crs {target.crs}",
                expected="a CRS that is whole where the scene lies",
                got=f"{crs_name(crs)}, which ends at the antimeridian, for {product.name}, which lies across it",
                do="leave it out: web tiles are cut at the antimeridian whatever the map's CRS",
            )


def _on_web_map(name: str, grid: Grid, whole: Box) -> Box:
    """Return the rows of a box, of a grid of web maps, that are on them. Raises ConfigError where none are."""
    top, _, bottom, _ = grid.box_of(WORLD_GRID)
    rows = max(whole[0], top), min(whole[2], bottom)
    if rows[0] >= rows[1]:
        raise ConfigError(
            "scene.crs web",
            expected=f"a scene within {MOST_NORTHERN:.2f} degrees of the equator, as web maps are",
            got=f"{name}, which is nearer to a pole",
            do="leave it out",
        )
    return rows[0], whole[1], rows[1], whole[3]


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
    if target.on_web_tiles:
        side = size or _projected(grid, CRS_OF_WEB, None).transform.a
        return _projected(grid, CRS_OF_WEB, pixel_side(zoom_of(side)))
    crs = grid.crs if target.crs is None else _crs(target.crs)
    if crs != grid.crs:
        return _projected(grid, crs, size)
    if size is None:
        return grid
    width, height = grid.pixel
    return grid.scaled(size / width, size / height)


def _projected(grid: Grid, crs: CRS, size: float | None) -> Grid:
    """Return a grid in another CRS, north up, its lines at whole multiples of its pixel's side."""
    if size is None and is_torn(grid, crs):
        grid = grid.cut((0, 0, 1, 1))  # else its pixel would be a part of the way around the Earth
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
        raise ConfigError("scene.crs", expected="a CRS such as EPSG:32621, or web", got=name) from error


def _cropped(grid: Grid, whole: Box, box: Box, area: Area) -> Box:
    met = _met(whole, box)
    if met is not None:
        return met
    scene = grid.cut(whole)
    swapped = area.frame == "degrees" and _met(whole, area.swapped().on(scene).box(grid)) is not None
    remedy = "longitude comes before latitude: west, south, east, north" if swapped else _extent_in(scene, area.frame)
    raise ConfigError("scene.area", expected="an area that meets the scene", got="one beside it", do=remedy)


def _met(one: Box, other: Box) -> Box | None:
    met = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return met if met[0] < met[2] and met[1] < met[3] else None


def _extent_in(scene: Grid, frame: str) -> str:
    """Return where the scene lies, in the terms of an area that does not meet it."""
    if frame == "pixels":
        return f"the scene has {scene.height} rows and {scene.width} columns"
    if frame == "units":
        return f"the scene is {extent_of(scene)}"
    degrees = describe_degrees(scene)
    return f"the scene is {degrees}" if degrees else "see nst-rs inspect"


def _pixels(box: Box, whole: Box, own: Grid) -> int:
    """Return how many pixels of a file's `own` grid lie in the part of a tile's `box` that is read."""
    top, left, bottom, right = box
    met = max(0, min(bottom, whole[2]) - max(top, whole[0])), max(0, min(right, whole[3]) - max(left, whole[1]))
    share = met[0] * met[1] / ((bottom - top) * (right - left))
    return math.ceil(share * own.width * own.height)


def _check_content(first: Product, other: Product) -> None:
    """Refuse by name a product whose pixels hold something else than the first one's."""
    difference = _different_content(first, other)
    if difference is not None:
        raise _no_part(first, other, difference, "give the tiles of one scene, on one grid")


def _check_grid(first: Product, other: Product, grid: Grid, own: Grid) -> None:
    """Refuse by name a product that does not lie on the first one's grid."""
    difference = grid.difference(own)
    if difference is not None:
        raise _no_part(first, other, difference, _remedy(first, difference[0]))


def _remedy(first: Product, what: str) -> str:
    """Return what to do about tiles that differ in `what`; nothing that would make tiles of the bands of one scene."""
    if what == "CRS":
        return "give the tiles of one scene, on one grid, or set scene.crs to bring them onto one"
    if len(first.labels) == 1:
        return (
            "if they are bands of one scene, name each file by its band, such as scene_B04.tif or scene_red.tif; "
            "if they are its tiles, set scene.resolution to a number"
        )
    return "give the tiles of one scene, on one grid, or set scene.resolution to a number to bring them onto one"


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
