from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.impressions import places
from benchmarks.quality import SCENE, judge, land_cover
from nst_rs.config.sections import RunConfig
from nst_rs.errors import NstError
from nst_rs.files.storage import MemoryStorage
from tests.conftest import SAMPLES
from tests.rasters import random_values, write_raster


def configured(style: Path, **scene: object) -> RunConfig:
    return RunConfig.model_validate(
        {"scene": {"paths": [str(SAMPLES / "olinda")], **scene}, "style": {"images": str(style), "size": 128}}
    )


def test_maps_are_judged_beside_the_scene_itself_and_a_picture_needs_no_georeference(
    harvest: Path, tmp_path: Path
) -> None:
    part = {"rows": [100, 228], "columns": [221, 349]}
    grey, paint = tmp_path / "grey.png", tmp_path / "paint.png"
    Image.new("RGB", (128, 128), (90, 90, 90)).save(grey)
    with Image.open(harvest) as painting:
        painting.convert("RGB").resize((128, 128)).save(paint)
    judged = judge(configured(harvest, area=part), {"grey": grey, "paint": paint}, MemoryStorage())
    assert list(judged) == [SCENE, "grey", "paint"]
    scene, flat, painted = judged.values()
    assert (scene["CFSD"], scene["comb"], scene["legibility at 4"]) == (pytest.approx(0), 1, 1)
    assert scene["land cover, distance"] == scene["land cover, separability"] == 1
    assert (flat["comb"], flat["legibility at 4"], flat["land cover, distance"]) == (None, None, 0)
    for figure in ("GE textures", "GE colours", "LP likeness", "LP used"):
        assert painted[figure] > scene[figure] > flat[figure]


def test_a_map_of_another_size_is_refused(harvest: Path, tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "small.png")
    with pytest.raises(NstError, match=r"small\.png: expected three bands of \(352, 349\) pixels"):
        judge(configured(harvest), {"small": tmp_path / "small.png"}, MemoryStorage())


def test_the_sea_is_water_and_a_third_of_the_land_is_forest(harvest: Path) -> None:
    config = configured(harvest)
    windows = places(np.ones((352, 349), np.float32))
    cover = land_cover(config, windows)
    counts = {name: sum(int(part[name].sum()) for part in cover) for name in cover[0]}
    assert list(counts) == ["water", "forest", "field", "town"]
    assert sum(counts.values()) == sum(place.rows.size * place.columns.size for place in windows)
    assert counts["forest"] == pytest.approx(counts["town"], rel=0.02)
    *_, south_east = cover
    assert south_east["water"][-40:, -40:].mean() > 0.95


def test_a_scene_without_near_infrared_has_no_land_cover(harvest: Path, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "rgb.tif", random_values((3, 64, 64)))
    config = RunConfig.model_validate({"scene": {"paths": [str(path)]}, "style": {"images": str(harvest)}})
    assert land_cover(config, places(np.ones((64, 64), np.float32))) == ()


def test_windows_cover_a_small_scene_and_are_a_fixed_sample_of_a_large_one() -> None:
    small, large = places(np.ones((352, 700), np.float32)), places(np.ones((2560, 2560), np.float32))
    assert [(place.rows.stop, place.columns.stop) for place in small] == [(352, 224), (352, 464), (352, 688)]
    assert len(large) == 16
    assert large == places(np.ones((2560, 2560), np.float32))


def test_windows_hold_data() -> None:
    weight = np.zeros((512, 512), np.float32)
    weight[:256] = 1
    assert {place.rows.start for place in places(weight)} == {0}
