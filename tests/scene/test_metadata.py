import re
from pathlib import Path

import pytest

from nst_rs.errors import SceneError
from nst_rs.scene.metadata import Calibration, mtl_time, read_mtl, read_safe, safe_time
from tests.products import mtl, safe_metadata

LANDSAT = Path(__file__).parents[2] / "sample_data" / "landsat"


@pytest.mark.parametrize(
    ("product", "band", "expected"),
    [
        ("LC08_L1TP_195025_20130707_20170503_01_T1", "B4", Calibration(2e-5, -0.1)),
        ("LE07_L1TP_195025_20010730_20170204_01_T1", "B3", Calibration(1.3198e-3, -0.011935)),
        ("LT05_L1TP_167055_20000309_20161214_01_T1", "B3", Calibration(2.1704e-3, -0.004603)),
    ],
)
def test_real_landsat_metadata_say_each_bands_reflectance(product: str, band: str, expected: Calibration) -> None:
    found = read_mtl(LANDSAT / product / f"{product}_MTL.txt")
    assert found[band] == expected
    assert "B10" not in found  # of thermal bands a level 1 product has radiances


def test_a_level_2_mtl_holds_both_levels_and_the_second_is_taken(tmp_path: Path) -> None:
    groups = {
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {"REFLECTANCE_MULT_BAND_4": 2.75e-05, "REFLECTANCE_ADD_BAND_4": -0.2},
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            "TEMPERATURE_MULT_BAND_ST_B10": 0.00341802,
            "TEMPERATURE_ADD_BAND_ST_B10": 149.0,
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {"REFLECTANCE_MULT_BAND_4": 2e-05, "REFLECTANCE_ADD_BAND_4": -0.1},
    }
    (tmp_path / "MTL.txt").write_text(mtl("LANDSAT_METADATA_FILE", groups))
    assert read_mtl(tmp_path / "MTL.txt") == {"B4": Calibration(2.75e-5, -0.2), "B10": Calibration(0.00341802, 149.0)}


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize(("offset", "expected"), [(-1000, -0.1), (None, 0.0)])
def test_sentinel_2_metadata_say_the_offset_where_there_is_one(
    tmp_path: Path, level: str, offset: int | None, expected: float
) -> None:
    (tmp_path / "MTD.xml").write_text(safe_metadata(level, offset))
    found = read_safe(tmp_path / "MTD.xml")
    assert len(found) == 13
    assert set(found.values()) == {Calibration(1e-4, expected)}


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("LC08_L1TP_195025_20130707_20170503_01_T1", "2013-07-07T10:17:42.166196+00:00"),
        ("LE07_L1TP_195025_20010730_20170204_01_T1", "2001-07-30T10:04:52.915767+00:00"),
        ("LT05_L1TP_167055_20000309_20161214_01_T1", "2000-03-09T07:08:03.978019+00:00"),
    ],
)
def test_real_landsat_metadata_say_when_the_scene_was_taken(product: str, expected: str) -> None:
    assert str(mtl_time(LANDSAT / product / f"{product}_MTL.txt")) == expected


@pytest.mark.parametrize(
    "values", [{}, {"DATE_ACQUIRED": "2013-07-07"}, {"DATE_ACQUIRED": "no", "SCENE_CENTER_TIME": "1"}]
)
def test_an_mtl_without_a_time_says_none(tmp_path: Path, values: dict[str, str]) -> None:
    (tmp_path / "MTL.txt").write_text(mtl("L1_METADATA_FILE", {"PRODUCT_METADATA": {"A": "1", **values}}))
    assert mtl_time(tmp_path / "MTL.txt") is None


def test_level_2a_metadata_of_before_october_2018_say_what_their_values_mean(tmp_path: Path) -> None:
    """As of processing baselines up to 02.07, and of Sen2Cor up to 2.5, beside level 1C's own value."""
    path = tmp_path / "MTD_MSIL2A.xml"
    values = "<L1C_TOA_QUANTIFICATION_VALUE>1000</L1C_TOA_QUANTIFICATION_VALUE>"
    values += "<L2A_BOA_QUANTIFICATION_VALUE>10000</L2A_BOA_QUANTIFICATION_VALUE>"
    values += "<L2A_AOT_QUANTIFICATION_VALUE>1000.0</L2A_AOT_QUANTIFICATION_VALUE>"
    path.write_text(f"<x><Quantification>{values}</Quantification></x>")
    assert set(read_safe(path).values()) == {Calibration(1e-4)}


def test_sentinel_2_metadata_say_when_sensing_began(tmp_path: Path) -> None:
    text = safe_metadata("2A", -1000)
    (tmp_path / "MTD.xml").write_text(text)
    assert str(safe_time(tmp_path / "MTD.xml")) == "2024-05-18T10:50:31.024000+00:00"
    for wrong in ("soon", "", "0001-01-01T00:00:00+23:00"):
        (tmp_path / "MTD.xml").write_text(text.replace("2024-05-18T10:50:31.024Z", wrong))
        assert safe_time(tmp_path / "MTD.xml") is None


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a Sentinel-2 MTD_MSIL*.xml, got no element found"),
        ("<x>", "expected a Sentinel-2 MTD_MSIL*.xml, got no element found"),
        (LAUGHS, "expected a Sentinel-2 MTD_MSIL*.xml, got DTDForbidden"),
        (OUTSIDE, "expected a Sentinel-2 MTD_MSIL*.xml, got DTDForbidden"),
        ("<x/>", "expected a quantification value, got none"),
        ("<QUANTIFICATION_VALUE>ten</QUANTIFICATION_VALUE>", "expected a scale and an offset in numbers"),
        ("<QUANTIFICATION_VALUE>0</QUANTIFICATION_VALUE>", "expected a scale and an offset in numbers"),
        ("<QUANTIFICATION_VALUE>inf</QUANTIFICATION_VALUE>", "expected a scale and an offset in numbers"),
    ],
)
def test_metadata_that_are_damaged_or_hostile_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "MTD.xml").write_text(text)
    with pytest.raises(SceneError, match=re.escape(complaint)):
        read_safe(tmp_path / "MTD.xml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a Landsat MTL, got no groups of values"),
        ("GROUP = A\n REFLECTANCE_MULT_BAND_1 = nan\nEND", "expected a scale and an offset in numbers"),
        ("GROUP = A\n REFLECTANCE_MULT_BAND_1 = 1e999\nEND", "expected a scale and an offset in numbers"),
        ("\udcff", "expected a readable text"),
    ],
)
def test_an_mtl_that_is_none_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "MTL.txt").write_text(text, errors="surrogateescape")
    with pytest.raises(SceneError, match=re.escape(complaint)):
        read_mtl(tmp_path / "MTL.txt")
