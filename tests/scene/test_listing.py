"""Which files a folder or an archive stands for."""

import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from nst_rs.config.sections import SceneSection
from nst_rs.errors import SceneError
from nst_rs.files.fingerprint import fingerprints
from nst_rs.scene.listing import files_at
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import open_scene_of
from tests.products import write_landsat_level2, write_old_safe, write_safe
from tests.rasters import random_values, write_raster

LEFT_BEHIND = ("._scene.tif", ".hidden.tif", "Thumbs.db", "desktop.ini", ".DS_Store")


def pack(folder: Path, archive: Path, root: str = "", form: int = tarfile.GNU_FORMAT) -> Path:
    """Pack a folder's files into an archive, below `root` in it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in files:
                packed.write(path, f"{root}{path.relative_to(folder)}")
    else:
        with tarfile.open(archive, "w", format=form) as tar:
            for path in files:
                tar.add(path, f"{root}{path.relative_to(folder)}")
    return archive


def picture(path: Path) -> tuple[Scene, np.ndarray, np.ndarray]:
    scene = open_scene_of(SceneSection(paths=(str(path),)))
    values, valid = scene.read(range(1, 4), Window(0, 0, scene.grid.width, scene.grid.height))
    return scene, values, valid


def test_what_systems_leave_behind_is_no_tile_in_a_folder_or_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    folder.mkdir()
    write_raster(folder / "scene.tif", random_values((3, 8, 8)))
    for name in LEFT_BEHIND:
        (folder / name).write_bytes(b"no raster")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "scene.tif").write_bytes(b"no raster")
    assert files_at(str(folder)) == [str(folder / "scene.tif")]
    assert [name.rpartition(".zip/")[2] for name in files_at(str(pack(folder, tmp_path / "a.zip")))] == ["scene.tif"]


def test_a_folder_whose_own_name_is_hidden_is_read(tmp_path: Path) -> None:
    folder = tmp_path / ".cache"
    folder.mkdir()
    write_raster(folder / "scene.tif", random_values((3, 8, 8)))
    assert len(files_at(str(folder))) == 1


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("level", ["1C", "2A", "old"])
def test_an_archived_safe_is_the_scene_that_it_is_unpacked(tmp_path: Path, level: str, suffix: str) -> None:
    safe = write_old_safe(tmp_path) if level == "old" else write_safe(tmp_path, level)
    archive = pack(safe, tmp_path / f"product{suffix}", f"{safe.name}/")
    expected, packed = picture(safe), picture(archive)
    assert packed[0].sensor == expected[0].sensor
    assert packed[0].labels == expected[0].labels
    assert packed[0].acquired == expected[0].acquired
    np.testing.assert_array_equal(packed[1], expected[1])
    assert expected[1].dtype == "float32"  # reflectance, by the metadata


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("root", ["", "./"])
def test_an_archived_landsat_delivery_is_the_scene_that_it_is_unpacked(tmp_path: Path, root: str, suffix: str) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    write_landsat_level2(folder)
    archive = pack(folder, tmp_path / f"delivery{suffix}", root if suffix == ".tar" else "")
    expected, packed = picture(folder), picture(archive)
    assert packed[0].labels == expected[0].labels
    np.testing.assert_array_equal(packed[1], expected[1])
    np.testing.assert_array_equal(packed[2], expected[2])


def test_what_lies_in_an_archive_has_the_archives_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    write_landsat_level2(folder)
    archive = pack(folder, tmp_path / "delivery.zip")
    scene = open_scene_of(SceneSection(paths=(str(archive),)))
    digests = {entry["sha256"] for entry in fingerprints(scene.locations)}
    assert digests == {entry["sha256"] for entry in fingerprints([archive])}


def test_a_tar_with_names_that_gdal_cannot_read_is_refused_saying_what_to_do(tmp_path: Path) -> None:
    archive = pack(write_safe(tmp_path, "1C"), tmp_path / "product.tar", "x" * 60 + "/", tarfile.PAX_FORMAT)
    with pytest.raises(SceneError, match=r"long names in PAX headers, which GDAL does not read: unpack it"):
        files_at(str(archive))


@pytest.mark.parametrize("name", ["scene.zip", "scene.tar"])
def test_an_archive_that_is_damaged_or_holds_no_raster_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(SceneError, match=rf"{name}: expected a ZIP or TAR archive, got"):
        files_at(str(tmp_path / name))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README.md").write_text("no raster")
    with pytest.raises(SceneError, match="expected GeoTIFF files, got none"):
        files_at(str(pack(folder, tmp_path / name)))


def test_a_pipe_is_no_scene_for_it_would_be_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneError, match="expected a file or folder, got a pipe"):
        files_at(str(tmp_path / "pipe.tif"))
