import re

import pytest

from nst_rs.config.loading import load_config
from nst_rs.config.reference import Setting, describe
from nst_rs.config.sections import RunConfig, sections, setting_names
from nst_rs.errors import ConfigError

EVERY = describe()
WITHOUT = [setting for setting in EVERY if setting.default == "not set"]
WITH_A_DEFAULT = [setting for setting in EVERY if setting not in WITHOUT]
by_name = pytest.mark.parametrize("setting", EVERY, ids=[setting.name for setting in EVERY])


def test_every_setting_is_described_in_the_order_of_the_configuration() -> None:
    assert [setting.name for setting in EVERY] == setting_names()


@by_name
def test_a_meaning_is_made_of_whole_sentences_of_its_own(setting: Setting) -> None:
    assert re.fullmatch(r"[A-Z].*\.", setting.meaning)
    assert "``" not in setting.meaning
    assert setting.meaning not in [other.meaning for other in EVERY if other.name != setting.name]


@by_name
def test_the_settings_that_a_meaning_names_are_there(setting: Setting) -> None:
    named = re.findall(rf"\b((?:{'|'.join(sections())})\.[a-z_]+)\b", setting.meaning)
    assert set(named) <= set(setting_names())


@by_name
def test_values_are_told_in_words(setting: Setting) -> None:
    assert setting.values
    assert not re.search(r"[<>_\[\]{}|]|None|Annotated|str\b|int\b|float\b", setting.values.replace("float32", ""))


@pytest.mark.parametrize("setting", WITH_A_DEFAULT, ids=[setting.name for setting in WITH_A_DEFAULT])
def test_a_default_given_as_it_is_described_changes_nothing(setting: Setting) -> None:
    assert load_config(None, [f"{setting.name}={setting.default}"]) == RunConfig()


@pytest.mark.parametrize("setting", WITHOUT, ids=[setting.name for setting in WITHOUT])
def test_a_setting_that_is_not_set_has_no_value(setting: Setting) -> None:
    section, key = setting.name.split(".")
    assert not getattr(getattr(RunConfig(), section), key)


@pytest.mark.parametrize(
    ("name", "default", "values"),
    [
        ("tiling.tile", "auto", "a whole number of 64 or more, or auto"),
        ("schedule.levels", "3", "a whole number from 1 to 12"),
        ("schedule.tolerance", "0", "a number of 0 or more, below 1"),
        ("schedule.step_size", "5", "a number above 0, 255 at most"),
        ("learn.window", "192", "a whole number from 64 to 1024, a multiple of 16"),
        ("learn.widths", "[16, 32, 64]", "a list of 3, each a whole number from 1 to 512"),
        ("composite.percentiles", "[2, 98]", "a list of 2, each a number"),
        ("composite.stretch", "percentile", "percentile or minmax"),
        ("composite.mask", "none", "none or clouds"),
        ("objective.content_layers", "{conv4_2: 6e-05}", "layers of VGG16 with weights"),
        ("style.stroke", "not set", "a number above 0"),
        ("style.learned", "not set", "a path, or a learned style's name"),
        ("scene.nodata", "not set", "a number, guess, or none"),
        ("scene.paths", "not set", "a list, each a path or a location such as s3://bucket/name"),
        ("model.weights", "packaged", "packaged, imagenet, or a path"),
        ("output.bands", "not set", "all, or a list, each a band's number from 1 or its name"),
        ("learn.licence", "not set", "text"),
    ],
)
def test_a_setting_is_described(name: str, default: str, values: str) -> None:
    (setting,) = [each for each in EVERY if each.name == name]
    assert (setting.default, setting.values) == (default, values)


@pytest.mark.parametrize("section", sections())
def test_a_sections_settings_are_described_by_themselves(section: str) -> None:
    assert describe(section) == [each for each in EVERY if each.name.startswith(f"{section}.")]


@pytest.mark.parametrize("section", ["nosuch", "", "tiling.tile", "Tiling"])
def test_an_unknown_section_is_refused_naming_those_there_are(section: str) -> None:
    known = ", ".join(sections())
    with pytest.raises(ConfigError, match=f"^unknown section {section}: expected one of {known}$"):
        describe(section)
