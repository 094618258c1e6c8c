"""Publishing a map: all its files are written under temporary names, then moved into place, the map last."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pystac import Asset
from rasterio._err import CPLE_BaseError  # rasterio has no public name for it

from nst_rs.composite.rendering import Rendering
from nst_rs.errors import NstError
from nst_rs.files.failures import unwritable
from nst_rs.files.workspace import Workspace
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import Companion, FinishedMap, MapContents
from nst_rs.output.companions import COMPANIONS
from nst_rs.output.files import Outputs
from nst_rs.output.pictures.preview import preview
from nst_rs.output.rasters.cog import write_cog
from nst_rs.output.rasters.geotiff import block_pixels

log = logging.getLogger(__name__)

SIDECARS = (".aux.xml", ".ovr", ".msk")
"""Endings of files that GDAL may have put beside an earlier map, and would read as the new one's."""


def publish(
    outputs: Outputs,
    contents: MapContents,
    make_record: Callable[[], Mapping[str, Any]],
    verify: Callable[[], None] = lambda: None,
    companions: Sequence[Companion] = COMPANIONS,
) -> None:
    """Write the map and all that goes with it under temporary names, then move them into place, the map last.

    `make_record` is called once the map is written, then every one of `companions` that the configuration asks for.
    Where one fails for another reason than the disk, a warning says so, and the map goes without it. `verify` is called
    when all is written, and raises where the map must not be published. Companions of an earlier map of this name that
    this one has not are removed. Raises OutputError when the folder cannot take the files.
    """
    try:
        with Workspace(outputs.tif).scratch() as temporary:
            made = replace(outputs, tif=temporary / outputs.tif.name)
            write_cog(made.tif, contents.styled)
            preview(contents.styled.picture, contents.styled.weight).save(made.preview)
            record = make_record()
            made.record.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            _write_companions(made, contents, record, companions)
            verify()
            _move(made, outputs)
    except (OSError, CPLE_BaseError) as error:  # GDAL reports a full disk as either
        raise unwritable(f"output {outputs.tif}", error) from error


def _write_companions(
    made: Outputs, contents: MapContents, record: Mapping[str, Any], companions: Sequence[Companion]
) -> None:
    assets: dict[str, Asset] = {}
    finished = FinishedMap(contents, made.tif, made.preview, made.record, record, assets)
    for companion in companions:
        path = made.companions.get(companion.name)
        if path is None:
            continue
        try:
            companion.write(path, finished)
            asset = companion.asset(path)
        except (OSError, CPLE_BaseError, NstError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a companion lacks, the map is computed
            log.warning(
                "the map stands without its %s, which failed: %s: %s", companion.name, type(error).__name__, error
            )
            path.unlink(missing_ok=True)
            continue
        if asset is not None:
            assets[companion.name] = asset


def _move(made: Outputs, outputs: Outputs) -> None:
    """Move the written files into place, the map last, and remove what an earlier map had besides."""
    written = {target: source for source, target in zip(made, outputs, strict=True) if source.exists()}
    stale = _stale(outputs, set(written))
    for target, source in written.items():
        if target == outputs.tif:
            for path in stale:
                path.unlink(missing_ok=True)
        os.replace(source, target)


def _stale(outputs: Outputs, written: set[Path]) -> list[Path]:
    """Return the files that would be taken for this map's: GDAL's sidecars, and an earlier map's companions."""
    sidecars = [Path(f"{outputs.tif}{ending}") for ending in SIDECARS]
    if not outputs.record.exists():  # no earlier map of this program: what is there is someone else's
        return sidecars
    endings = (ending for companion in COMPANIONS for ending in companion.endings)
    companions = (outputs.tif.with_suffix(ending) for ending in endings)
    return [*sidecars, *(path for path in companions if path not in written)]


def disk_bytes(grid: Grid, rendering: Rendering | None = None, outputs: Outputs | None = None) -> int:
    """Return the most that :func:`publish` takes of the disk: the plain map, the map copied from it, companions.

    Without `outputs` and the `rendering` that they are made of, it is the map's alone.
    """
    plain = block_pixels(grid) * 4  # three bytes of colour and one of mask, as if nothing could be compressed
    besides = 0
    if rendering is not None and outputs is not None:
        besides = sum(c.most_bytes(rendering) for c in COMPANIONS if c.name in outputs.companions)
    return (2 * plain + besides) * 4 // 3  # with overviews
