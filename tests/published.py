"""Publishing a picture on its own: what a companion that is not tested is replaced by."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pystac import Asset

from nst_rs.config.sections import Profile
from nst_rs.geo.grid import Grid
from nst_rs.output.companion import Companion, MapContents
from nst_rs.output.companions import COMPANIONS
from nst_rs.output.files import Outputs
from nst_rs.output.publish import publish
from nst_rs.output.rasters.geotiff import StyledMap
from tests.finished_runs import record_of


def contents_of(styled: StyledMap, rendering: Any = None) -> MapContents:
    """What is published of a map alone; the scene is the map's own picture."""
    return MapContents(styled, styled.picture, rendering, [])


def writing(name: str, write: Callable[[Path, Any], Any]) -> Companion:
    """The companion of that name, written otherwise."""
    (companion,) = (each for each in COMPANIONS if each.name == name)
    return replace(companion, write=write)


EMPTY = tuple(
    replace(companion, write=lambda path, _: path.touch(), asset=lambda path: Asset(path.name, roles=["overview"]))
    for companion in COMPANIONS
)
"""All companions, each an empty file."""


def publish_alone(
    outputs: Outputs,
    styled: StyledMap,
    make_record: Callable[[], Any] = record_of,
    *companions: Companion,
    rendering: Any = None,
) -> None:
    """Publish a map with some companions; all others that are asked for are empty files."""
    given = {companion.name: companion for companion in companions}
    chosen: Sequence[Companion] = [given.get(each.name, each) for each in EMPTY]
    publish(outputs, contents_of(styled, rendering), make_record, companions=chosen)


def map_with_zooms(
    grid: Grid, zooms: int, profile: Profile = "deflate", tags: dict[str, str] | None = None
) -> StyledMap:
    """A map of noise and holes, and for each zoom other noise and other holes."""

    def picture(factor: int) -> StyledMap:
        reduced, rng = grid.reduced(factor), np.random.default_rng(factor)
        blocks = [-(-size // 8) for size in reduced.shape]
        noise = np.kron(rng.integers(1, 256, (*blocks, 3)), np.ones((8, 8, 1)))[: reduced.height, : reduced.width]
        valid = np.kron(rng.random(blocks) < 0.8, np.ones((8, 8), bool))[: reduced.height, : reduced.width]
        return StyledMap(noise.astype(np.float32), valid.astype(np.float32), reduced, profile)

    full = picture(1)
    return StyledMap(
        full.picture, full.weight, grid, profile, tags or {}, tuple(picture(2**k) for k in range(1, zooms + 1))
    )
