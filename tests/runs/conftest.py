from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.windows import Window

import nst_rs
from nst_rs.runs.finish import Result


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory, olinda: Path) -> Path:
    """Two tiles cut from the sample, with a gap below the narrower one, and some nodata."""
    folder = tmp_path_factory.mktemp("scene")
    for number, (left, width, height) in enumerate([(0, 90, 130), (90, 60, 100)]):
        with rasterio.open(olinda / "olinda_r0_c0.tif") as source:
            window = Window(left, 0, width, height)
            profile = {**source.profile, "width": width, "height": height, "nodata": 0}
            values = source.read(window=window)
            values[:, 20:40, 10:25] = 0
            with rasterio.open(
                folder / f"{number}.tif", "w", **{**profile, "transform": source.window_transform(window)}
            ) as target:
                target.write(values)
                target.descriptions = source.descriptions
    return folder


@pytest.fixture(scope="session")
def result(scene: Path, harvest: Path, quick: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The scene's map by a quick run, to be read only."""
    return nst_rs.stylize(scene, harvest, tmp_path_factory.mktemp("out") / "map.tif", settings=quick)
