import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nst_rs.composite.compose import Sheets, compose
from nst_rs.composite.rendering import open_rendering
from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from tests.products import safe_metadata, write_landsat_level2, write_safe
from tests.rasters import random_values, write_raster

LANDSAT = Path(__file__).parents[2] / "sample_data" / "landsat"


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Any:
    """Compose a scene; return the warnings."""

    def compose_scene(path: Path, **settings: Any) -> list[str]:
        named = {key.replace("__", "."): value for key, value in settings.items()}
        rendering = open_rendering(override(RunConfig(), {"scene.paths": (str(path),), **named}))
        shape = rendering.scene.grid.shape
        sheets = Sheets(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            compose(rendering.scene, rendering.channels, rendering.stretch, sheets)
        return caplog.messages

    return compose_scene


def with_fill(value: float, dtype: str) -> np.ndarray:
    """Values of a scene that lies aslant in its file, as Landsat's and Sentinel's do, with fill in the corners."""
    values = random_values((4, 40, 50), dtype)
    row, column = np.mgrid[:40, :50]
    values[:, (column < 12 - row) | (column > 88 - row)] = value
    return values


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (0, "uint16", "0"),
        (255, "uint8", "255"),
        (-9999, "int16", "-9999"),
        (np.finfo("float32").min, "float32", "-3.4028234663852886e+38"),
    ],
)
def test_a_run_says_so_where_fill_is_likely_and_no_tag_says_it(
    tmp_path: Path, warned: Any, value: float, dtype: str, said: str
) -> None:
    scene = write_raster(tmp_path / "scene.tif", with_fill(value, dtype))
    # The limits are given: the least float would else end the run, with a word of its own.
    (message,) = warned(scene, composite__limits=((0, 250),) * 3)
    assert f"corners hold {said} in every band: it is taken for data" in message
    assert message.endswith(f"set scene.nodata={said}")


def test_nothing_is_guessed_unless_it_is_asked_for(tmp_path: Path, warned: Any) -> None:
    scene = write_raster(tmp_path / "scene.tif", with_fill(0, "uint16"))
    asked = [open_rendering(override(RunConfig(), {"scene.paths": (str(scene),), "scene.nodata": nodata}))
             for nodata in (None, "guess")]  # fmt: skip
    assert [rendering.scene.nodata for rendering in asked] == [None, 0]


@pytest.mark.parametrize("nodata", [0, 251, float("nan"), "guess", "none"])
def test_who_has_said_what_means_no_data_is_not_told(tmp_path: Path, warned: Any, nodata: Any) -> None:
    scene = write_raster(tmp_path / "scene.tif", with_fill(0, "uint16"))
    assert warned(scene, scene__nodata=nodata) == []


def test_a_file_that_says_itself_what_means_no_data_is_believed(tmp_path: Path, warned: Any) -> None:
    values = with_fill(0, "uint16")
    assert warned(write_raster(tmp_path / "tagged.tif", values, nodata=0)) == []
    assert warned(write_raster(tmp_path / "other.tif", values, nodata=251)) == []
    assert warned(write_raster(tmp_path / "masked.tif", values, mask=values[0] > 0)) == []


def test_fill_is_noticed_in_bands_that_are_files_of_their_own(tmp_path: Path, warned: Any) -> None:
    for number, band in enumerate(with_fill(0, "uint16"), start=1):
        write_raster(tmp_path / f"B0{number}.tif", band[np.newaxis])
    (message,) = warned(tmp_path)
    assert message.endswith("set scene.nodata=0")


def test_a_mask_or_alpha_of_any_type_says_what_means_no_data(tmp_path: Path, warned: Any) -> None:
    values = with_fill(0, "int16")
    values[3] = np.where(values[0] > 0, 255, 0)
    assert warned(write_raster(tmp_path / "alpha.tif", values, photometric="rgb", alpha="yes")) == []


def test_pinholes_of_a_wrong_nodata_value_are_noticed(tmp_path: Path, warned: Any) -> None:
    values = random_values((3, 60, 60), "uint16")
    values[1, 5:50:4, 5:50:4] = 777
    tagged = write_raster(tmp_path / "scene.tif", values, nodata=777)
    (message,) = warned(tagged)
    assert message.startswith("144 single pixels in the midst of data hold no data; if their value 777 is")
    assert warned(tagged, scene__nodata="none") == []
    assert warned(tagged, scene__nodata_in="all") == []


def test_areas_without_data_and_a_few_pixels_are_no_pinholes(tmp_path: Path, warned: Any) -> None:
    values = random_values((3, 60, 60), "uint16")
    values[:, :20, :30] = values[:, 40:, 11:13] = values[:, 30, 5:50:5] = 777
    assert warned(write_raster(tmp_path / "scene.tif", values, nodata=777)) == []


def test_the_fill_of_a_known_product_needs_no_tag(tmp_path: Path, warned: Any) -> None:
    assert warned(write_landsat_level2(tmp_path)) == []


@pytest.mark.parametrize("product", sorted(path.name for path in LANDSAT.iterdir()))
def test_real_products_give_no_cause(warned: Any, product: str) -> None:
    assert warned(LANDSAT / product, composite__bands="true_color") == []
    assert warned(LANDSAT / product, composite__bands="color_infrared") == []


def test_the_sample_scene_gives_no_cause(warned: Any, olinda: Path) -> None:
    assert warned(olinda) == []


def test_an_offset_that_was_applied_before_is_noticed(tmp_path: Path, warned: Any) -> None:
    """As in catalogues whose values are corrected while their metadata still have the offset."""
    safe = write_safe(tmp_path, "2A")  # values from 1001 to 1250
    assert warned(safe) == []
    (safe / "MTD_MSIL2A.xml").write_text(safe_metadata("2A", -1100))
    (message,) = warned(safe)
    share = int(message.split(" %")[0].rpartition(" ")[2])
    assert 70 < share < 85  # of three bands, two fifths of each: 1 - (3/5)³ = 0.78
    assert message.endswith("set scene.offset=0")
    assert warned(safe, scene__offset=0.0) == []
    assert warned(safe, scene__offset=-0.2) != []


def test_a_few_negative_pixels_are_no_cause(tmp_path: Path, warned: Any) -> None:
    for share, count in ((0.04, 0), (0.06, 1)):
        values = random_values((3, 50, 40), "uint16") + np.uint16(8000)
        values[0].ravel()[: int(share * 2000)] = 7000
        scene = write_raster(tmp_path / f"{share}.tif", values)
        assert len(warned(scene, scene__scale=2.75e-5, scene__offset=-0.2)) == count


def test_values_that_are_negative_by_themselves_are_no_cause(tmp_path: Path, warned: Any) -> None:
    scene = write_raster(tmp_path / "scene.tif", random_values((3, 50, 40), "int16") - np.int16(125))
    assert warned(scene) == []


def test_what_is_no_data_is_not_counted(tmp_path: Path, warned: Any) -> None:
    values = random_values((3, 50, 40), "uint16") + np.uint16(8000)
    values[:, :25] = 0
    scene = write_raster(tmp_path / "scene.tif", values, nodata=0)
    assert warned(scene, scene__scale=2.75e-5, scene__offset=-0.2) == []
