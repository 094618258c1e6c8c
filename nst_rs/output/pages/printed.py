"""A map as a page to be printed, `OUT.pdf`: its words, and which pixels are on it.

nst_rs/output/pages/print_page.py draws it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pystac import Asset, MediaType
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioIOError

from nst_rs.composite.rendering import Rendering
from nst_rs.config.sections import OutputSection, PrintedPage
from nst_rs.errors import OutputError
from nst_rs.files.documents import DocumentError, parse_json, read_text
from nst_rs.files.extras import check_installed, naming_extras
from nst_rs.files.replacing import written_at_once
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.provenance import paintings_of

ENDING = ".pdf"


def print_map(tif: Path, path: Path, page: PrintedPage, record: Mapping[str, Any]) -> None:
    """Write a map's page. `record` is the map's run record; empty where there is none.

    Raises OutputError where the map cannot be read.
    """
    with naming_extras("a page"):
        from nst_rs.output.pages.print_page import Layout, Page, draw

    with opened_map(tif) as source:
        grid = Grid.of(source)
        words = page.attribution if page.attribution is not None else in_words(record)
        drawn = Page(page.paper, page.dpi, page.title if page.title is not None else tif.stem, words)
        picture = _read(source, Layout.of(drawn, grid).pixels(grid, page.dpi))
    draw(path, drawn, grid, picture)


@contextmanager
def opened_map(tif: Path) -> Iterator[Any]:
    """Open a map that is there. Raises OutputError for what is none, and where it cannot be read meanwhile."""
    try:
        with rasterio.open(tif) as source:
            if source.count < 3 or source.dtypes[0] != "uint8":
                got = f"{source.count} of type {source.dtypes[0]}"
                raise OutputError(f"map {tif}", expected="three bands or more, of bytes", got=got)
            if source.crs is None:
                do = "assign one, with gdal_edit.py -a_srs"
                raise OutputError(f"map {tif}", expected="a CRS, which says where it lies", got="none", do=do)
            yield source
    except RasterioIOError as error:
        raise OutputError(f"map {tif}", expected="a map that nst-rs made", got=str(error)) from error


def color_bands(source: Any) -> tuple[int, int, int]:
    """Return the numbers of an open raster's red, green and blue band: those that it calls so, else the first three.

    Other programs' rasters may have blue first.
    """
    called = list(source.colorinterp)
    if not {ColorInterp.red, ColorInterp.green, ColorInterp.blue} <= set(called):
        return 1, 2, 3
    return (
        called.index(ColorInterp.red) + 1,
        called.index(ColorInterp.green) + 1,
        called.index(ColorInterp.blue) + 1,
    )


def print_beside(tif: Path, path: Path, page: PrintedPage) -> None:
    """Write the page of a map that is there, at once; its record, if it lies beside it, tells where it comes from.

    Raises OutputError, also for a name with another ending, which may be the map's own.
    """
    if path.suffix.lower() != ENDING:
        raise OutputError(f"output {path}", expected=f"a name ending in {ENDING}", got=path.suffix or "no ending")
    with written_at_once(path) as temporary:
        print_map(tif, temporary, page, record_of(tif))


def record_of(tif: Path) -> Mapping[str, Any]:
    """Return the run record beside a map; empty where there is none, or where it tells nothing of a map."""
    try:
        record: Mapping[str, Any] = parse_json(read_text(tif.with_suffix(".run.json")))
        in_words(record)
    except (DocumentError, AttributeError, KeyError, TypeError):  # a map may be printed without its record
        return {}
    return record


def in_words(record: Mapping[str, Any]) -> str:
    """Return where a map comes from, in a line: its sensor, its date, and the style pictures."""
    scene = record.get("scene", {})
    day = str((scene.get("acquired") or [""])[0])[:10]
    taken = " ".join(filter(None, (scene.get("sensor"), day)))
    after = ", ".join(Path(name).stem.replace("_", " ") for name in paintings_of(record))
    return "    ".join(filter(None, (taken, after and f"after {after}")))


def _read(source: Any, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the map at a size, (h, w, 4) RGBA, transparent where there is no data."""
    colors = source.read(color_bands(source), out_shape=(3, *shape), resampling=Resampling.average)
    valid = source.dataset_mask(out_shape=shape, resampling=Resampling.nearest)
    picture: npt.NDArray[np.uint8] = np.moveaxis(np.concatenate([colors, valid[np.newaxis]]), 0, -1)
    return picture


def _write(path: Path, finished: FinishedMap) -> None:
    page = PrintedPage.model_validate(finished.record["configuration"]["output"]["page"])
    print_map(finished.tif, path, page, finished.record)


def _check(path: Path, rendering: Rendering) -> None:  # noqa: ARG001
    check_installed("matplotlib", "output.page")


def _ending(output: OutputSection) -> str | None:
    return None if output.page is None else ENDING


def _asset(path: Path) -> Asset:
    return Asset(path.name, media_type=MediaType.PDF, roles=["visual"])


COMPANION = Companion("page", _ending, (ENDING,), _write, check=_check, asset=_asset)
