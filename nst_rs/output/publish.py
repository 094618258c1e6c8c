"""GeoTIFF to what is handed over: cloud-optimised GeoTIFF, preview, run record. No file is ever half written."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rasterio._err import CPLE_BaseError  # rasterio has no public name for it

from nst_rs.errors import OutputError
from nst_rs.files.workspace import Workspace
from nst_rs.geo.grid import Grid
from nst_rs.output.cog import write_cog
from nst_rs.output.files import Outputs
from nst_rs.output.geotiff import BLOCK, StyledMap
from nst_rs.output.preview import preview

Companion = Callable[[Outputs, Mapping[str, Any]], None]
"""Writes a file that goes with a map: told where all are being written, and the map's record."""


def publish(
    outputs: Outputs,
    styled: StyledMap,
    make_record: Callable[[], Mapping[str, Any]],
    companions: Iterable[Companion],
) -> None:
    """Write the map and all that goes with it under temporary names, then move them into place, the map last.

    `make_record` is called once the map is written, then every one of `companions`, which write what of `outputs` is
    neither the map nor its preview nor its record. Raises OutputError when the folder cannot take the files.
    """
    try:
        with Workspace(outputs.tif).scratch() as temporary:
            made = replace(outputs, tif=temporary / outputs.tif.name)
            write_cog(made.tif, styled)
            preview(styled.picture, styled.weight).save(made.preview)
            record = make_record()
            made.record.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            for write in companions:
                write(made, record)
            for source, target in zip(made, outputs, strict=True):
                os.replace(source, target)
    except (OSError, CPLE_BaseError) as error:  # GDAL reports a full disk as either
        raise OutputError(f"output {outputs.tif}", expected="room and leave to write", got=str(error)) from error


def disk_bytes(grid: Grid, tiles: bool = False, passed_bytes: int = 0) -> int:
    """Return the most that :func:`publish` takes of the disk: plain map, the map copied from it, web tiles, bands.

    `passed_bytes` are those of a pixel in all the bands that are handed over.
    """
    pixels = math.prod(-(-size // BLOCK) * BLOCK for size in grid.shape)
    plain = pixels * 4  # three bytes of colour and one of mask, as if nothing could be compressed
    bands = pixels * (passed_bytes + 1) if passed_bytes else 0
    # With overviews. Tiles may be 2.8 times as many pixels, of a byte or so each, and are copied into their file.
    return (2 * plain + (3 * plain if tiles else 0) + 2 * bands) * 4 // 3
