"""Animated pictures of real GeoTIFFs, read back by Pillow."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from nst_rs.errors import ConfigError, OutputError
from nst_rs.geo.grid import Grid
from nst_rs.output.pictures.animation import Pace, animate, caption
from tests.finished_runs import record_of
from tests.places import EVERYWHERE, ORDINARY
from tests.rasters import write_raster

UTM = ORDINARY["UTM"]


def map_of(path: Path, grid: Grid, value: int) -> Path:
    values = np.full((3, grid.height, grid.width), value, np.uint8)
    return write_raster(path, values, crs=grid.crs, transform=grid.transform, photometric="rgb")


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(np.asarray(image.convert("RGB")).astype(int))
        return found


def upper(frame: np.ndarray) -> np.ndarray:
    """The part that has no letters."""
    return frame[: len(frame) // 2]


def test_every_map_is_shown_in_turn_for_as_long_as_is_wanted(tmp_path: Path) -> None:
    maps = [map_of(tmp_path / f"{value}.tif", UTM, value) for value in (40, 120, 200)]
    animate(maps, tmp_path / "series.webp", Pace(64, seconds=0.5))
    shown = frames(tmp_path / "series.webp")
    assert [round(upper(frame).mean()) for frame in shown] == pytest.approx([40, 120, 200], abs=2)  # WebP is lossy
    assert max(shown[0].shape) == 64
    with Image.open(tmp_path / "series.webp") as image:
        image.seek(1)
        image.load()  # Pillow knows the time only then
        assert image.info["duration"] == 500
        assert image.info["loop"] == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".tif"] * 3 + [".webp"]


@pytest.mark.parametrize("grid", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_maps_anywhere_can_be_shown(tmp_path: Path, grid: Grid) -> None:
    maps = [map_of(tmp_path / f"{value}.tif", grid, value) for value in (40, 200)]
    animate(maps, tmp_path / "series.webp", Pace(256))
    assert [round(upper(frame).mean()) for frame in frames(tmp_path / "series.webp")] == pytest.approx([40, 200], abs=2)


def test_a_map_of_another_grid_lies_where_it_lies_on_the_ground(tmp_path: Path) -> None:
    half = replace(UTM, transform=UTM.transform @ Affine.translation(UTM.width // 2, 0))
    coarse = replace(half, transform=half.transform @ Affine.scale(2), height=UTM.height // 2, width=UTM.width // 2)
    first, second = map_of(tmp_path / "a.tif", UTM, 40), map_of(tmp_path / "b.tif", coarse, 120)
    animate([first, second], tmp_path / "series.webp", Pace(4096))
    shown = upper(frames(tmp_path / "series.webp")[1])
    middle = UTM.width // 2
    assert shown[:, : middle - 8].mean() == pytest.approx(255, abs=2)
    assert shown[:, middle + 8 :].mean() == pytest.approx(120, abs=2)


def test_letters_tell_the_day_of_the_scene_or_the_files_name(tmp_path: Path) -> None:
    tif = map_of(tmp_path / "april.tif", UTM, 40)
    assert caption(tif) == "april"
    record = {**record_of(), "scene": {"acquired": ["2020-05-18T13:28:42+00:00", "2020-05-18T13:28:42+00:00"]}}
    (tmp_path / "april.run.json").write_text(json.dumps(record))
    assert caption(tif) == "2020-05-18"


def test_what_is_wrong_is_told_in_a_line_and_nothing_is_written(tmp_path: Path) -> None:
    first, output = map_of(tmp_path / "a.tif", UTM, 40), tmp_path / "series.webp"
    elsewhere = map_of(tmp_path / "b.tif", replace(UTM, transform=UTM.transform @ Affine.translation(9000, 0)), 40)
    (tmp_path / "c.tif").write_text("no map")
    with pytest.raises(ConfigError, match="expected two maps or more"):
        animate([first], output, Pace())
    with pytest.raises(OutputError, match=r"expected a name ending in \.webp"):
        animate([first, first], tmp_path / "series.gif", Pace())
    with pytest.raises(OutputError, match="got one that lies elsewhere"):
        animate([first, elsewhere], output, Pace())
    with pytest.raises(OutputError, match="a map that nst-rs made"):
        animate([first, tmp_path / "c.tif"], output, Pace())
    with pytest.raises(ConfigError, match="pixels: expected from 16 to 4096"):
        Pace(8000)
    assert not [path for path in tmp_path.iterdir() if "webp" in path.name or "gif" in path.name]
