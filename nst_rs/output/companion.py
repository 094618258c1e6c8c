"""A file that goes with a map: its name, when it is written, and how.

A new output format is one module that defines a :class:`Companion`, and one line in nst_rs/output/companions.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pystac import Asset

from nst_rs.composite.rendering import Rendering
from nst_rs.config.sections import OutputSection
from nst_rs.files.storage import PixelArray
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.style.picture import Style


@dataclass(frozen=True)
class MapContents:
    """The contents of a map: its picture, and all that its companions may show besides."""

    styled: StyledMap
    scene: PixelArray  # (H, W, 3) RGB in [0, 255]
    """The composite that was styled, on the map's grid."""
    rendering: Rendering
    """The scene itself, and how it became RGB."""
    styles: Sequence[Style]
    """The style pictures, in the order of the configuration."""
    on_the_way: Sequence[SmallPicture] = ()
    """Small pictures of the map on the way, where the configuration asks for them."""


@dataclass(frozen=True)
class FinishedMap:
    """A map that is written, with its preview and its record, where all its files are being written."""

    contents: MapContents
    tif: Path
    preview: Path
    record_path: Path
    record: Mapping[str, Any]
    assets: Mapping[str, Asset]
    """Name → the STAC asset of each companion that is written already."""


def _nothing_to_check(path: Path, rendering: Rendering) -> None:
    """Raise nothing."""


def _no_asset(path: Path) -> Asset | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Companion:
    """A file that goes with a map.

    Attributes:
        name: What messages, the STAC item and :class:`FinishedMap` call it.
        ending: Returns what replaces the map's ``.tif``; None where the configuration does not want the file.
        endings: All that `ending` may return: an earlier map's file is removed where the new map has none.
        write: Writes it to a path. An error of the disk or of GDAL, or an NstError, ends the run, which can go on;
            whatever else it raises is told, and the map stands without the file.
        check: Raises NstError, before anything is computed, where it could not be written to a path for a scene.
        asset: Describes the written file for the STAC item; None where the item does not name it.
        most_bytes: Returns the most that it takes of the disk for a scene while it is written, without overviews.

    >>> legend = Companion("legend", lambda output: ".txt", (".txt",), lambda path, finished: None)
    >>> legend.ending(OutputSection())
    '.txt'
    """

    name: str
    ending: Callable[[OutputSection], str | None]
    endings: tuple[str, ...]
    write: Callable[[Path, FinishedMap], None]
    check: Callable[[Path, Rendering], None] = _nothing_to_check
    asset: Callable[[Path], Asset | None] = _no_asset
    most_bytes: Callable[[Rendering], int] = lambda _: 0
