"""Bad input, in bulk: whatever is damaged or hostile ends as one of the program's own errors, of one line."""

import functools
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from PIL import Image

from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import NstError
from nst_rs.style.images import read_style
from tests.products import safe_metadata, stored, write_jp2, write_landsat_level2, write_safe
from tests.rasters import NORTH_UP, UTM, random_values, write_raster

MUTANTS = 60
"""Of every file: half cut off somewhere, half with bits turned."""


def mutants(whole: bytes, seed: int) -> Iterator[bytes]:
    """Damaged copies of a file; most damage at its start, where headers are."""
    rng = np.random.default_rng(seed)
    for number in range(MUTANTS):
        if number % 2:
            yield whole[: int(rng.integers(0, len(whole)))]
            continue
        turned = bytearray(whole)
        reach = len(whole) if number % 4 else min(len(whole), 400)
        for place in rng.integers(0, reach, rng.integers(1, 20)):
            turned[place] ^= 1 << int(rng.integers(0, 8))
        yield bytes(turned)


def refused_or_read(read: Callable[[], object]) -> bool:
    """Call `read`; whether it was refused, in one line. Any other error than the program's own fails the test."""
    try:
        read()
    except NstError as error:
        said = str(error)
    else:
        return False
    assert "\n" not in said
    assert len(said) < 2000
    return True


def picture_of(*paths: Path, **settings: Any) -> None:
    """Do all that a run does with its scene."""
    config = override(RunConfig(), {"scene.paths": tuple(map(str, paths)), **settings})
    rendering = open_rendering(config)
    height, width = rendering.scene.grid.shape
    assert height * width < 2**22, "a small file that passes for a large scene"
    sheets = Sheets(np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32))
    compose(rendering.scene, rendering.channels, rendering.stretch, sheets)


def geotiff(folder: Path) -> Path:
    return write_raster(folder / "seed.tif", random_values((3, 40, 40), "uint16"), names="abc", compress="deflate")


def tiled(folder: Path) -> Path:
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw", "predictor": 2, "nodata": 3}
    return write_raster(folder / "seed.tif", random_values((3, 40, 40)), mask=np.ones((40, 40), np.bool_), **options)


def jp2(folder: Path) -> Path:
    write_jp2(folder / "seed.jp2", stored("B02", (40, 40)), 10)
    return folder / "seed.jp2"


@pytest.mark.filterwarnings("ignore")  # rasterio's, of what it finds in a damaged file
@pytest.mark.parametrize("write", [geotiff, tiled, jp2], ids=lambda write: write.__name__)
def test_a_damaged_raster_is_read_or_refused(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    whole = write(tmp_path)
    path = tmp_path / f"damaged{whole.suffix}"
    refused = 0
    for damaged in mutants(whole.read_bytes(), seed=1):
        path.write_bytes(damaged)
        refused += refused_or_read(functools.partial(picture_of, path))
    assert refused >= MUTANTS // 3
    assert sorted(tmp_path.iterdir()) == sorted([path, whole])


def test_damaged_metadata_are_read_or_refused(tmp_path: Path) -> None:
    folder = write_landsat_level2(tmp_path)
    path = next(folder.glob("*_MTL.txt"))
    for damaged in mutants(path.read_bytes(), seed=2):
        path.write_bytes(damaged)
        refused_or_read(functools.partial(picture_of, folder))
    safe = write_safe(tmp_path, "1C", pixels=12)
    path = safe / "MTD_MSIL1C.xml"
    refused = 0
    for damaged in mutants(safe_metadata("1C", -1000).encode(), seed=3):
        path.write_bytes(damaged)
        refused += refused_or_read(functools.partial(picture_of, safe))
    assert refused > MUTANTS // 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_a_damaged_style_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "style"
    Image.fromarray(random_values((30, 30, 3))).save(path, kind)
    for damaged in mutants(path.read_bytes(), seed=4):
        path.write_bytes(damaged)
        refused_or_read(functools.partial(read_style, path, 64))


def test_a_damaged_configuration_is_read_or_refused(tmp_path: Path) -> None:
    for suffix, dump in ((".yaml", yaml.safe_dump), (".json", json.dumps)):
        path = tmp_path / f"run{suffix}"
        for damaged in mutants(dump(json.loads(RunConfig().model_dump_json())).encode(), seed=5):
            path.write_bytes(damaged)
            refused_or_read(functools.partial(load_config, path))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(path: Path, side: int) -> Path:
    """Write a PNG of some kilobytes that unfolds to `side` squared pixels."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def sparse(path: Path, width: int, height: int, **options: Any) -> Path:
    """Write a GeoTIFF of `width` × `height` pixels of which none is stored."""
    size = {"width": width, "height": height, "count": 1, "dtype": "uint8"}
    profile = {"crs": UTM, "transform": NORTH_UP, "SPARSE_OK": True, "BIGTIFF": "YES", **options}
    rasterio.open(path, "w", driver="GTiff", **size, **profile).close()
    return path


def bombs(folder: Path) -> dict[str, str]:
    """Files that would take all memory or all time, and what is to be said of each."""
    square = {"tiled": True, "blockxsize": 4096, "blockysize": 4096}
    png_bomb(folder / "bomb.png", 20_000)
    shutil.copy(folder / "bomb.png", folder / "bomb.tif")
    sparse(folder / "wide.tif", 2**20 + 1, 1)
    sparse(folder / "void.tif", 100_000, 100_000, **square)
    sparse(folder / "block.tif", 16_384, 2**17, blockysize=2**17)
    write_raster(folder / "far.tif", random_values((1, 4, 4)), transform=NORTH_UP @ type(NORTH_UP).translation(1e7, 0))
    write_raster(folder / "near.tif", random_values((1, 4, 4)))
    nowhere = '<VRTDataset rasterXSize="5" rasterYSize="5"><SRS>EPSG:32621</SRS></VRTDataset>'
    (folder / "vrt.tif").write_text(nowhere)
    (folder / "wms.tif").write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>'
    )
    return {
        "bomb.png": "bomb.png: expected",
        "bomb.tif": "bomb.tif: expected",
        "wide.tif": "wide.tif: expected at most 1048576 pixels a side",
        "void.tif": "void.tif: expected a file of at least a byte for 2000 pixels",
        "block.tif": "block.tif: expected a file of at least a byte for 2000 pixels",
        "near.tif far.tif": "near.tif: expected at most 1048576 pixels a side",
        "vrt.tif": "vrt.tif: expected a raster that GDAL can read",
        "wms.tif": "wms.tif: expected a raster that GDAL can read",
    }


GUARDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from nst_rs.cli import app
for names in sys.argv[1:]:
    try:
        app(["inspect", *names.split()])
    except SystemExit as ended:
        print("exit", ended.code, file=sys.stderr, flush=True)
"""


def test_bombs_are_refused_in_one_line_with_exit_code_2_in_little_memory_and_time(tmp_path: Path) -> None:
    expected = bombs(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in before) < 2**23
    command = [sys.executable, "-c", GUARDED, *expected]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    lines = ended.stderr.splitlines()
    assert lines[1::2] == ["exit 2"] * len(expected)
    for line, said in zip(lines[::2], expected.values(), strict=True):
        assert line.startswith("error: scene ")
        assert said in line
    assert ended.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_style_that_unfolds_to_too_much_is_refused(tmp_path: Path) -> None:
    path = png_bomb(tmp_path / "bomb.png", 20_000)
    with pytest.raises(NstError, match=r"style .*bomb.png: expected at most 300 megapixels, got 20000 × 20000 pixels"):
        read_style(path, 64)


HOSTILE = {
    "transform of infinity": {"transform": type(NORTH_UP)(np.inf, 0, 0, 0, -30, 0)},
    "transform of nothing": {"transform": type(NORTH_UP)(0, 0, 5, 0, 0, 5)},
    "transform of one dimension": {"transform": type(NORTH_UP)(30, 30, 5, 30, 30, 5)},
    "complex numbers": {"values": random_values((1, 4, 4), "complex64")},
    "far beyond the projection": {"transform": NORTH_UP @ type(NORTH_UP).translation(1e14, 1e14)},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, what: str) -> None:
    options = {"values": random_values((1, 4, 4)), **HOSTILE[what]}
    path = write_raster(tmp_path / "scene.tif", **options)
    assert refused_or_read(functools.partial(picture_of, path, **{"scene.crs": "EPSG:4326"}))


def test_hostile_tags_are_text_like_any_other(tmp_path: Path) -> None:
    names = ("[red]bold[/red]", "$(touch made)")
    path = write_raster(tmp_path / "scene.tif", random_values((2, 20, 20)), names=names)
    with rasterio.open(path, "r+") as target:
        target.update_tags(TIFFTAG_IMAGEDESCRIPTION="\x1b]0;x\x07" * 1000, evil="'; DROP TABLE scenes; --")
        target.update_tags(ns="IMAGERY", SATELLITEID="../../WV02")
    picture_of(path)
    assert [file.name for file in tmp_path.iterdir()] == ["scene.tif"]


def test_a_run_that_ends_in_a_refusal_has_written_nothing(tmp_path: Path, harvest: Path) -> None:
    from nst_rs.runs.prepare import prepare

    folder = tmp_path / "out"
    folder.mkdir()
    scene = geotiff(tmp_path)
    scene.write_bytes(scene.read_bytes()[:200])
    settings = {"scene.paths": (str(scene),), "style.images": {harvest: 1}, "output.path": folder / "map.tif"}
    assert refused_or_read(lambda: prepare(override(RunConfig(), settings)))
    assert list(folder.iterdir()) == []
