import re
from pathlib import Path

import pytest

from nst_rs.errors import ConfigError
from nst_rs.scene.sensors import COMMON_NAMES, COMPOSITES, SYNONYMS, Label, Sensor, composites_of, load_sensors

REGISTRY = load_sensors()

BAND_FILES = {
    "T31TCJ_20240518T105031_B04.jp2": ("sentinel2-l1c", "B04"),
    "T31TCJ_20240518T105031_B8A.tif": ("sentinel2-l1c", "B8A"),
    "T31TCJ_20240518T105031_B04_10m.jp2": ("sentinel2-l2a", "B04"),
    "T31TCJ_20240518T105031_SCL_20m.jp2": ("sentinel2-l2a", "SCL"),
    "L2A_T31TCJ_20180518T105031_B12_20m.jp2": ("sentinel2-l2a", "B12"),
    "S2A_OPER_MSI_L1C_TL_SGS__20151201T101010_A002345_T32TQR_B02.jp2": ("sentinel2-l1c", "B02"),
    "S2A_USER_MSI_L2A_TL_EPA__20151201T101010_A002345_T32TQR_B8A_20m.jp2": ("sentinel2-l2a", "B8A"),
    "LC08_L1TP_224078_20200518_20200518_01_RT_B4.TIF": ("landsat-oli-l1", "B4"),
    "LC09_L1TP_224078_20220518_20230518_02_T1_B10.TIF": ("landsat-oli-l1", "B10"),
    "LC09_L1TP_224078_20220518_20230518_02_T1_QA_PIXEL.TIF": ("landsat-oli-l1", "QA_PIXEL"),
    "LC08_L2SP_224078_20200518_20200820_02_T1_SR_B5.TIF": ("landsat-oli-l2", "B5"),
    "LC08_L2SP_224078_20200518_20200820_02_T1_ST_B10.TIF": ("landsat-oli-l2", "B10"),
    "LE07_L1TP_195025_20010730_20170204_01_T1_B6_VCID_1.TIF": ("landsat-etm-l1", "B6_VCID_1"),
    "LE07_L2SP_195025_20010730_20200917_02_T1_SR_B7.TIF": ("landsat-tm-l2", "B7"),
    "LT05_L1TP_167055_20000309_20161214_01_T1_B3.TIF": ("landsat-tm-l1", "B3"),
    "LT04_L2SP_167055_19880309_20200917_02_T1_SR_B3.TIF": ("landsat-tm-l2", "B3"),
}


@pytest.mark.parametrize(("name", "expected"), BAND_FILES.items())
def test_a_file_of_one_band_is_known_by_its_name(name: str, expected: tuple[str, str]) -> None:
    found = REGISTRY.of_file(name)
    assert found is not None
    assert (found[0].name, found[2]) == expected
    assert REGISTRY.of_file(name.swapcase()) == (found[0], found[1].swapcase(), found[2])


@pytest.mark.parametrize(
    "name",
    [
        "T31TCJ_20240518T105031_TCI_10m.jp2",
        "T31TCJ_20240518T105031_AOT_10m.jp2",
        "LC08_L2SP_224078_20200518_20200820_02_T1_SR_QA_AEROSOL.TIF",
        "LC08_L1TP_224078_20200518_20200518_01_RT_MTL.txt",
        "map.tif",
    ],
)
def test_what_is_no_band_is_not_taken_for_one(name: str) -> None:
    assert REGISTRY.of_file(name) is None


STACKS = {
    ("m_3811554_se_11_060_20190830_20191203.tif", "", 4): "naip",
    ("20200518_130404_1014_3B_AnalyticMS_SR.tif", "", 4): "planetscope-4",
    ("20200518_130404_1014_3B_AnalyticMS_clip.tif", "", 5): "planetscope-4",
    ("20220518_130404_14_2414_3B_AnalyticMS_SR_8b_harmonized_clip.tif", "", 8): "planetscope-8",
    ("16JUN12123456-M2AS-012345678901_01_P001.TIF", "", 8): "worldview-8",
    ("WV02_20160612_ortho.tif", "", 8): "worldview-8",
    ("delivery.tif", "WV03", 8): "worldview-8",
    ("delivery.tif", "WV03", 4): None,
    ("m_3811554_se_11_060_20190830.tif", "", 3): None,
    ("olinda.tif", "", 8): None,
}


@pytest.mark.parametrize(("file", "expected"), STACKS.items())
def test_a_file_of_several_bands_is_known_by_its_name_or_its_satellite(
    file: tuple[str, str, int], expected: str | None
) -> None:
    found = REGISTRY.of_stack(*file)
    assert (found and found.name) == expected


EXPECTED = {
    "sentinel2-l2a": {
        "true_color": ("B04", "B03", "B02"),
        "color_infrared": ("B08", "B04", "B03"),
        "swir": ("B12", "B8A", "B04"),
        "agriculture": ("B11", "B08", "B02"),
        "natural": ("B11", "B08", "B04"),
        "urban": ("B12", "B11", "B04"),
    },
    "landsat-oli-l1": {
        "true_color": ("B4", "B3", "B2"),
        "color_infrared": ("B5", "B4", "B3"),
        "swir": ("B7", "B5", "B4"),
        "agriculture": ("B6", "B5", "B2"),
        "natural": ("B6", "B5", "B4"),
        "urban": ("B7", "B6", "B4"),
    },
    "landsat-tm-l1": {
        "true_color": ("B3", "B2", "B1"),
        "color_infrared": ("B4", "B3", "B2"),
        "swir": ("B7", "B4", "B2"),
        "agriculture": ("B5", "B4", "B1"),
        "natural": ("B5", "B4", "B3"),
        "urban": ("B7", "B5", "B3"),
    },
    "naip": {"true_color": ("red", "green", "blue"), "color_infrared": ("nir", "red", "green")},
    "planetscope-8": {"true_color": ("red", "green", "blue"), "color_infrared": ("nir", "red", "green")},
    "worldview-8": {"true_color": ("R", "G", "B"), "color_infrared": ("N1", "R", "G")},
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items())
def test_the_composites_of_a_sensor_are_those_of_its_guide(name: str, expected: dict[str, tuple[str, ...]]) -> None:
    sensor = REGISTRY.named(name)

    def band_of(wanted: str) -> str:
        return next(label.name for label in sensor.labels() if label.answers_to(wanted))

    found = composites_of(sensor, sensor.labels())
    assert {name: tuple(map(band_of, bands)) for name, bands in found.items()} == expected


def test_every_sensor_can_make_what_its_bands_allow() -> None:
    for sensor in REGISTRY.sensors:
        made = composites_of(sensor, sensor.labels())
        assert "true_color" in made
        assert set(made) <= set(COMPOSITES)


def test_a_user_adds_a_sensor_in_a_file_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    bands = "[{name: N, common: nir}, {name: R, common: red}, {name: G, common: green}]"
    file.write_text(f"- name: drone\n  title: A camera\n  stacks: 'flight_.*'\n  bands: {bands}\n")
    found = load_sensors(file).of_stack("flight_7.tif", "", 3)
    assert found is not None
    assert composites_of(found, found.labels()) == {"color_infrared": ("nir", "red", "green")}
    assert load_sensors(file).named("naip") == REGISTRY.named("naip")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- {name: drone, title: A camera}", "expected a list of sensors, got 0.bands: Field required"),
        ("- {name: a, title: b, bands: [], wings: 2}", "got 0.wings: Extra inputs"),
        ("- {name: a, title: b, bands: [], files: '('}", "got 0.files: Value error, a regular expression"),
        ("drone", "expected a list of sensors, got "),
        ("!!python/object/apply:os.system ['true']", "expected a readable YAML file, got could not determine"),
    ],
)
def test_a_file_of_sensors_that_is_none_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load_sensors(tmp_path / "mine.yaml")


def test_an_unknown_sensor_is_refused_naming_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"scene.sensor: expected auto, none or one of naip.*, got landsat"):
        REGISTRY.named("landsat")


@pytest.mark.parametrize("called", ["B8A", "b8a", "nir08"])
def test_a_band_answers_to_all_its_names(called: str) -> None:
    assert Label("B8A", "nir08").answers_to(called)


def test_others_common_names_are_understood() -> None:
    assert Label("B11", "swir1").answers_to("swir16")
    assert Label.of("swir22").answers_to("swir2")
    assert not Label().answers_to("")


def test_every_common_name_is_one_that_is_known_and_no_synonym() -> None:
    assert {band.common for sensor in REGISTRY.sensors for band in sensor.bands} <= COMMON_NAMES
    assert not COMMON_NAMES & SYNONYMS.keys()


@pytest.mark.parametrize("sensor", REGISTRY.sensors, ids=lambda sensor: sensor.name)
def test_a_sensor_tells_its_bands_by_any_of_their_names(sensor: Sensor) -> None:
    for label in sensor.labels():
        assert {sensor.label_of(name) for name in (label.name, label.common)} == {label}
    assert sensor.label_of("no such band") is None
