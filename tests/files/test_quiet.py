import os

import pytest

from nst_rs.files.quiet import native_notes_hidden


def write_and_fail() -> None:
    with native_notes_hidden():
        os.write(2, b"hidden")
        with native_notes_hidden():
            os.write(2, b"hidden")
        os.write(2, b"hidden")
        raise ZeroDivisionError


def test_what_is_written_to_the_descriptor_is_hidden_even_in_a_second_context_and_until_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
