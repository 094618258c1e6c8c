"""The picture that the descent starts from, where ``schedule.init`` names one: read on the scene's grid, by strips."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it
from rasterio.errors import CRSError
from rasterio.windows import Window

from nst_rs.arrays import Mask, Pixels
from nst_rs.errors import ConfigError, SceneError
from nst_rs.geo.area import describe_degrees
from nst_rs.geo.grid import Grid
from nst_rs.scene.metadata import Calibration
from nst_rs.scene.products import Meaning, Source
from nst_rs.scene.raster_file import Header, read_header
from nst_rs.scene.raster_read import Place, read_file

_COLORS = ["red", "green", "blue"]


@dataclass(frozen=True)
class StartingPicture:
    """A map, or another picture of the scene's place."""

    sources: tuple[Source, ...]
    """Its bands for red, green and blue."""
    scene: Grid
    """The grid that it is read on."""
    resampling: str
    setting: str = "schedule.init"
    """The setting that names it, for messages."""

    @classmethod
    def open(cls, path: Path, scene: Grid, resampling: str, setting: str = "schedule.init") -> "StartingPicture":
        """Open a picture that says where it lies, or one of the scene's size. Raises ConfigError for any other."""
        named = f"{setting} {path}"
        if not path.is_file():
            raise ConfigError(
                named,
                expected="content, noise, learned, or a picture's path",
                got="a folder" if path.is_dir() else "no such file",
            )
        try:
            header = read_header(str(path), scene)
        except SceneError as error:
            raise _of_setting(setting, error) from error
        header = header.as_colors() if header.has_palette else header
        _check_colors(named, header)
        check_place(named, "a picture", header.grid, scene)
        return cls(tuple(_source(header, band) for band in _bands(header)), scene, resampling, setting)

    def read(self, rows: slice) -> tuple[Pixels, Mask]:
        """Return rows of it on the scene's grid, (h, W, 3) RGB in [0, 255], and where it has data, (h, W).

        Raises ConfigError for a damaged file.
        """
        whole = 0, 0, self.scene.height, self.scene.width
        window = Window(0, rows.start, self.scene.width, rows.stop - rows.start)
        header = self.sources[0].header
        try:
            values, held = read_file(
                header, self.sources, Place(self.scene, whole, header.grid, window), self.resampling
            )
        except SceneError as error:
            raise _of_setting(self.setting, error) from error
        valid: Mask = np.logical_and.reduce(held, axis=0)
        return np.moveaxis(values, 0, -1).astype(np.float32), valid


def _placed(grid: Grid) -> str:
    """Return a grid in words, with its bounds in degrees where there are any: two grids may differ in those alone."""
    bounds = describe_degrees(grid)
    return grid.describe() + (f", at {bounds}" if bounds else "")


def _check_colors(named: str, header: Header) -> None:
    if header.stored != "uint8":
        raise ConfigError(
            named,
            expected="a picture of eight bits per channel",
            got=f"pixels of {header.stored}",
            do="convert it with gdal_translate -ot Byte -scale",
        )
    if len(header.colors) not in (1, 3):
        raise ConfigError(
            named,
            expected="a picture in red, green and blue, or in grey",
            got=f"{len(header.colors)} bands",
            do="choose three of them with gdal_translate -b",
        )


def _bands(header: Header) -> Sequence[int]:
    """Return the bands, from 1, that are red, green and blue: by their names, else in order; one of grey is all."""
    if header.in_colors:
        return 1, 2, 3
    named = {header.labels[band - 1].common: band for band in header.colors}
    in_order = header.colors if len(header.colors) == 3 else header.colors * 3
    return [named[color] for color in _COLORS] if set(_COLORS) <= set(named) else in_order


def _source(header: Header, band: int) -> Source:
    return Meaning().applied(Source(header, band, Calibration(), None), None)


def check_place(named: str, what: str, grid: Grid, scene: Grid) -> None:
    """Raise ConfigError where a raster does not lie where the scene does; `what` it is to be."""
    if not meet(grid, scene):
        raise ConfigError(
            named,
            expected=f"{what} of the scene's place: {_placed(scene)}",
            got=f"one of another place: {_placed(grid)}",
        )


def meet(picture: Grid, scene: Grid) -> bool:
    """Whether a picture and the scene lie in one place, as far as the picture's CRS can tell."""
    try:
        top, left, bottom, right = picture.box_of(scene)
    except (CRSError, CPLE_BaseError, ValueError, OverflowError):
        return True
    return top < picture.height and left < picture.width and bottom > 0 and right > 0


def _of_setting(setting: str, error: SceneError) -> ConfigError:
    """Return what is wrong with a raster, as a line about the setting that names it."""
    return ConfigError(f"{setting} {str(error).removeprefix('scene ')}")
