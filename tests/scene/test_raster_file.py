"""What GDAL says of a raster that it cannot read is passed on, with what to do."""

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from nst_rs.config.sections import SceneSection
from nst_rs.errors import SceneError
from nst_rs.files.locations import absolute, file_of
from nst_rs.scene.opening import open_scene, open_scene_of
from nst_rs.scene.raster_file import opened, read_header
from tests.rasters import NORTH_UP, UTM, random_values, write_raster

VRT = (
    '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32632</SRS><GeoTransform>500000,10,0,5000000,0,-10'
    '</GeoTransform><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">%s'
    "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
)


def read_all(path: Path) -> np.ndarray:
    scene = open_scene([path])
    return scene.read([1], Window(0, 0, scene.grid.width, scene.grid.height))[0]


@pytest.mark.parametrize("name", ["moved.tif", "caf\xe9.tif"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_vrt_whose_source_is_missing_is_never_zeros(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / "scene.vrt"
    path.write_bytes((VRT % name).encode(encoding))
    with pytest.raises(SceneError, match=r"expected readable pixels, got .*No such file or directory") as refused:
        read_all(path)
    assert "previous exception" not in str(refused.value)


def test_a_lost_message_is_a_failure_of_the_read_that_lost_it_alone(tmp_path: Path) -> None:
    hook = sys.unraisablehook
    sound = write_raster(tmp_path / "scene.tif", random_values((1, 8, 8)))
    broken = tmp_path / "scene.vrt"
    broken.write_bytes((VRT % "caf\xe9.tif").encode("latin-1"))
    with opened(str(sound)) as source:
        with pytest.raises(SceneError), opened(str(broken)) as other:
            other.read()
        assert source.read().shape == (1, 8, 8)
    assert sys.unraisablehook is hook


def test_a_truncated_file_is_refused_with_the_cause(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", random_values((1, 300, 300)), compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=r"got .*TIFFReadEncodedStrip\(\) failed") as refused:
        read_all(path)
    assert "previous exception" not in str(refused.value)


def test_a_warped_vrt_whose_source_is_missing_names_it(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "source.tif", random_values((1, 8, 8)))
    with rasterio.open(source) as opened_source, WarpedVRT(opened_source, crs="EPSG:4326") as warped:
        copy(warped, tmp_path / "scene.vrt", driver="VRT")
    source.unlink()
    with pytest.raises(SceneError, match=re.escape(f"the VRT is of {source}, which is not there")):
        read_header(str(tmp_path / "scene.vrt"))


def test_a_format_that_is_not_read_is_refused_naming_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "scene.grib").write_bytes(b"GRIB" + bytes(64))
    with pytest.raises(SceneError, match=r"formats read are GTiff, .* and VRT; convert another with gdal_translate"):
        read_header(str(tmp_path / "scene.grib"))


@pytest.mark.parametrize(
    "name", ["scene.tar.gz", "SCENE.TGZ", "scene.tif.gz", "scene.tar.bz2", "scene.tar.xz", "scene.7z"]
)
def test_a_compressed_archive_is_refused_with_the_word_to_unpack_it(tmp_path: Path, name: str) -> None:
    write_raster(tmp_path / "scene.tif", random_values((1, 8, 8)))
    pack = {"gz": gzip, "tgz": gzip, "bz2": bz2, "xz": lzma}.get(name.rpartition(".")[2].lower(), gzip)
    (tmp_path / name).write_bytes(pack.compress((tmp_path / "scene.tif").read_bytes()))
    with pytest.raises(SceneError, match=r"not recognized .*; unpack it first$"):
        read_header(str(tmp_path / name))


@pytest.mark.parametrize(("driver", "suffix"), [("EHdr", "bil"), ("AAIGrid", "asc")])
def test_other_formats_are_read(tmp_path: Path, driver: str, suffix: str) -> None:
    values = random_values((1, 8, 8))
    source = write_raster(tmp_path / "source.tif", values)
    copy(source, tmp_path / f"scene.{suffix}", driver=driver)
    np.testing.assert_array_equal(read_all(tmp_path / f"scene.{suffix}"), values)


@pytest.fixture
def netcdf(tmp_path: Path) -> Path:
    """Write a NetCDF of the variables Band1, Band2 and Band3."""
    source = write_raster(tmp_path / "source.tif", random_values((3, 8, 9), "float32"))
    copy(source, tmp_path / "scene.nc", driver="netCDF")
    return tmp_path / "scene.nc"


def test_a_variable_of_a_netcdf_is_a_scene(netcdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = random_values((3, 8, 9), "float32")
    for named in (f"NETCDF:{netcdf}:Band2", f'netcdf:"{netcdf}":Band2'):
        scene = open_scene([named])
        np.testing.assert_array_equal(scene.read([1], Window(0, 0, 9, 8))[0][0], expected[1])
    together = open_scene([f"NETCDF:{netcdf}:Band{number}" for number in (3, 1, 2)])
    np.testing.assert_array_equal(together.read([1, 2, 3], Window(0, 0, 9, 8))[0], expected[[2, 0, 1]])
    monkeypatch.chdir(netcdf.parent)
    assert absolute("NETCDF:scene.nc:Band2") == f'NETCDF:"{netcdf}":Band2'
    assert file_of("NETCDF:scene.nc:Band2") == Path("scene.nc")


def test_a_file_of_several_variables_is_refused_naming_them(netcdf: Path) -> None:
    with pytest.raises(SceneError, match=rf"name a variable in it as the scene: NETCDF:{netcdf}:Band1, NETCDF:.*Band2"):
        open_scene([netcdf])


def test_hdf4_is_refused_saying_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "scene.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(64))
    with pytest.raises(SceneError, match="rasterio's GDAL is built without HDF4_SDS: convert it with gdal_translate"):
        open_scene([f'HDF4_SDS:"{tmp_path}/scene.hdf":0'])


def test_a_file_name_that_is_no_utf_8_is_refused_in_one_printable_line(tmp_path: Path) -> None:
    whole = write_raster(tmp_path / "scene.tif", random_values((1, 8, 8)))
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tif"))
    whole.rename(path)
    for given in (path, tmp_path):
        with pytest.raises(SceneError, match=r"caf\\udce9.tif: expected a name in UTF-8, got other bytes; rename it"):
            open_scene([given])
    command = [sys.executable, "-c", "from nst_rs.cli import app; app()", "inspect", os.fsencode(path)]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr


def test_a_raster_without_bands_is_refused(tmp_path: Path) -> None:
    fields = [("NITF", 4), ("02.10", 5), ("03", 2), ("BF01", 4), ("x", 10), ("20200101000000", 14), ("", 80), ("U", 1)]
    fields += [("", size) for size in (2, 11, 2, 20, 2, 8, 4, 1, 8, 43, 1, 40, 1, 8, 15)]
    fields += [("00000", 5), ("00000", 5), ("0", 1), ("\0\0\0", 3), ("", 24), ("", 18), ("000000000388", 12)]
    fields += [("000388", 6), *[("000", 3)] * 7, ("00000", 5), ("00000", 5)]
    path = tmp_path / "scene.ntf"
    path.write_bytes("".join(text.ljust(size) for text, size in fields).encode() + b" " * 64)
    with pytest.raises(SceneError, match="expected 1 to 1000 bands, got none"):
        read_header(str(path))


def area_of(columns: slice, rows: slice) -> tuple[float, float, float, float]:
    """Return the bounds in degrees of some pixels of the tests' grid."""
    from rasterio.warp import transform_bounds

    left, top = NORTH_UP @ (columns.start, rows.start)
    right, bottom = NORTH_UP @ (columns.stop, rows.stop)
    return transform_bounds(UTM, "EPSG:4326", left, bottom, right, top)


@pytest.mark.parametrize("size", [(2**20 + 512, 16), (16_384, 16_384)], ids=["too wide", "too empty"])
def test_what_is_too_large_whole_can_be_read_in_part(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    path = tmp_path / "scene.tif"
    profile: dict[str, Any] = {"driver": "GTiff", "count": 3, "dtype": "uint8", "nodata": 0, "SPARSE_OK": True}
    place = {"crs": UTM, "transform": NORTH_UP @ type(NORTH_UP).scale(0.01), "width": width, "height": height}
    values = random_values((3, 16, 512))
    with rasterio.open(path, "w", **profile, **place, tiled=True, compress="deflate") as target:
        target.write(values, window=Window(512, 0, 512, 16))
    with pytest.raises(SceneError, match=r"set scene\.area"):
        open_scene([path])
    area = area_of(slice(6, 9), slice(0, 1))
    scene = open_scene_of(SceneSection(paths=(str(path),), area=area))
    assert scene.grid.width < 2000
    assert scene.read([1], Window(0, 0, scene.grid.width, 8))[1].any()
