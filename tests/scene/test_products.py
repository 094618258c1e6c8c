import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rasterio.windows import Window

from nst_rs.errors import SceneError
from nst_rs.scene.opening import open_scene
from nst_rs.scene.raster_file import read_header
from tests.products import write_landsat_level2
from tests.rasters import NORTH_UP, UTM, random_values, write_raster


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


def write_bands(folder: Path, names: Sequence[str], sizes: Mapping[str, int] | None = None) -> Path:
    """Write files of one band each on the same ground, 12 pixels wide or as `sizes` say."""
    folder.mkdir()
    for name in names:
        size = (sizes or {}).get(name, 12)
        values = random_values((1, size, size), "uint16", seed=sum(map(ord, name)))
        write_raster(folder / f"{name}.tif", values, transform=NORTH_UP @ Affine.scale(12 / size))
    return folder


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("B02", "B03", "B04", "B08"), ("B02 blue", "B03 green", "B04 red", "B08 nir")),
        (("scene_red", "scene_green"), ("green", "red")),
        (("a_B2_30m", "a_B3_30m", "a_B5_30m"), ("B2", "B3", "B5")),
        (("x_band1", "x_band2"), ("band1", "band2")),
        (("x_NIR", "x_swir16"), ("NIR", "swir16 swir1")),
    ],
)
def test_files_of_one_band_on_the_same_ground_are_the_bands_of_one_scene(
    tmp_path: Path, names: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    folder = write_bands(tmp_path / "scene", names)
    scene = open_scene([folder])
    assert len(scene.tiles) == 1
    assert tuple(map(str, scene.labels)) == labels
    for number, name in enumerate(sorted(names), start=1):
        with rasterio.open(folder / f"{name}.tif") as source:
            values, _ = scene.read([number], Window(0, 0, 12, 12))
            np.testing.assert_array_equal(values, source.read())


def test_bands_of_several_resolutions_on_the_same_ground_are_one_scene(tmp_path: Path) -> None:
    scene = open_scene([write_bands(tmp_path / "scene", ("B04", "B11"), {"B11": 6})])
    assert [str(label) for label in scene.labels] == ["B04 red", "B11 swir1"]
    assert scene.grid.shape == (12, 12)


def test_descriptions_name_the_bands_before_the_names_of_the_files(tmp_path: Path) -> None:
    for name in ("red", "nir"):
        write_raster(tmp_path / f"{name}_1.tif", random_values((1, 8, 8)), names=[name])
    assert open_scene([tmp_path]).band_names == ("nir", "red")


@pytest.mark.parametrize("names", [("first", "second"), ("20200101", "20200102"), ("B02", "other"), ("a_B02", "b_B02")])
def test_files_of_one_band_on_the_same_ground_whose_names_tell_nothing_are_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(
        SceneError, match=r"got 2 files of one band each on the same ground; name each file by its band"
    ):
        open_scene([write_bands(tmp_path / "scene", names)])


def test_a_file_given_twice_is_one_tile(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 8, 8)))
    assert len(open_scene([path, tmp_path]).tiles) == 1


RECOGNISED = {
    "20170831_172754_101c_3B_AnalyticMS.tif": ("uint16", ("blue", "green", "red", "nir")),
    "m_3211605_ne_11_060_20200415.tif": ("uint8", ("red", "green", "blue", "nir")),
}


@pytest.mark.parametrize(("name", "product"), RECOGNISED.items())
@pytest.mark.parametrize("alpha", ["no", "yes"])
def test_what_a_product_is_comes_before_the_colours_that_a_file_is_tagged_with(
    tmp_path: Path, name: str, product: tuple[str, tuple[str, ...]], alpha: str
) -> None:
    dtype, names = product
    values = random_values((4, 8, 8), dtype)
    values[3, 2:6] = 0 if dtype == "uint8" else 1  # water is black in near infrared
    scene = open_scene([write_raster(tmp_path / name, values, photometric="rgb", alpha=alpha)])
    assert scene.band_names == names
    found, valid = scene.read([1, 2, 3, 4], Window(0, 0, 8, 8))
    np.testing.assert_array_equal(found, values)
    assert valid.all()


def test_a_band_that_is_described_as_another_is_no_alpha_though_it_is_tagged_so(tmp_path: Path) -> None:
    values = random_values((4, 8, 8))
    values[3, 2:6] = 0
    options = {"photometric": "rgb", "alpha": "yes", "names": ("blue", "green", "red", "nir")}
    scene = open_scene([write_raster(tmp_path / "scene.tif", values, **options)])
    assert scene.read([1, 2, 3], Window(0, 0, 8, 8))[1].all()


def test_a_quality_band_keeps_its_numbers_though_it_has_a_palette(tmp_path: Path) -> None:
    product = write_landsat_level2(tmp_path)
    path = next(product.glob("*_QA_PIXEL.TIF"))
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, dict.fromkeys(range(256), (1, 2, 3, 255)))
    header = read_header(str(path))
    assert header.labels[0].name in ("", "palette")
    assert header.dtype == "uint16"


def test_bands_in_files_of_their_own_are_inspected_by_the_command(tmp_path: Path) -> None:
    """As a user runs it: GDAL's settings are this command's alone."""
    folder = write_bands(tmp_path / "scene", ("B02", "B03", "B04"))
    command = [sys.executable, "-c", "from nst_rs.cli import app; app()", "inspect", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "true_color: composite.bands=[red, green, blue]" in ended.stdout
