"""The reference is read from the program."""

from nst_rs.config.sections import setting_names
from website import reference


def test_every_command_has_a_heading_and_says_how_it_is_called() -> None:
    text = reference.commands()
    for name in reference.subcommands():
        assert f"## nst-rs {name}\n\n    nst-rs {name} " in text


def test_an_option_is_shown_with_its_value_its_meaning_and_its_default() -> None:
    assert (
        "| `--paper SIZE` | The paper: a4, a3, a2, a1, a0, letter or tabloid. Default: `a4`. |" in reference.commands()
    )


def test_every_setting_is_a_row() -> None:
    text = reference.settings()
    assert [name for name in setting_names() if f"\n| `{name}` |" not in text] == []


def test_a_setting_is_shown_with_default_values_and_meaning() -> None:
    text = reference.settings()
    assert "| `schedule.tolerance` | `0` | a number of 0 or more, below 1 | A level ends early" in text


def test_a_page_that_a_section_names_is_a_link() -> None:
    assert "[products.md](../products.md)" in reference.settings()
