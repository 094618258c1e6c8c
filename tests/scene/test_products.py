import re
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from nst_rs.errors import SceneError
from nst_rs.scene.raster_file import read_header
from tests.rasters import UTM, random_values, write_raster


def rpcs() -> RPC:
    scales = {f"{what}_{kind}": 1.0 for what in ("height", "lat", "line", "long", "samp") for kind in ("off", "scale")}
    terms = {f"{what}_{kind}_coeff": [1.0] * 20 for what in ("line", "samp") for kind in ("den", "num")}
    return RPC(**scales, **terms)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("gcps", "expected a geotransform, got ground control points; rectify it first, with gdalwarp -order 1"),
        ("rpcs", "expected a geotransform, got rational polynomials (RPCs); rectify it first, with gdalwarp -rpc"),
    ],
)
def test_what_is_not_rectified_is_refused_saying_how_to(tmp_path: Path, how: str, complaint: str) -> None:
    path = write_raster(tmp_path / "raw.tif", random_values((1, 8, 8)), transform=None, crs=None)
    with rasterio.open(path, "r+") as target:
        if how == "gcps":
            corners = [(row, column, 5e5 + column * 30, 9e6 - row * 30) for row in (0, 8) for column in (0, 8)]
            points = [GroundControlPoint(row, column, x, y) for row, column, x, y in corners]
            target.gcps = points, rasterio.CRS.from_string(UTM)
        else:
            target.rpcs = rpcs()
    with pytest.raises(SceneError, match=re.escape(f"scene {path}: {complaint}")):
        read_header(str(path))


def test_scale_and_offset_of_a_files_own_tags_are_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((2, 8, 8), "int16"))
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.1, 0.2), (3.0, 4.0)
    found: list[Any] = [(c.scale, c.offset) for c in read_header(str(path)).calibrations]
    assert found == [(0.1, 3.0), (0.2, 4.0)]


def test_a_block_that_unfolds_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "block.tif"
    profile = {"driver": "GTiff", "width": 20_000, "height": 20_000, "count": 1, "dtype": "uint8", "SPARSE_OK": True}
    place = {"crs": UTM, "transform": rasterio.Affine(30, 0, 5e5, 0, -30, 9e6)}
    rasterio.open(path, "w", **profile, **place, tiled=True, blockxsize=20_480, blockysize=20_480).close()
    with path.open("ab") as file:
        file.truncate(2**20)  # so large a file could hold as much
    with pytest.raises(SceneError, match="expected blocks of at most 1024 MB, got blocks of 20480 × 20480 pixels"):
        read_header(str(path))
