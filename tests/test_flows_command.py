import signal

import httpx
import pytest
from prefect.exceptions import TerminationSignal

from flows.command import exit_code_of
from nst_rs.errors import SceneError


def failing(error: BaseException, of: BaseException | None = None) -> int:
    raise error from of


@pytest.mark.parametrize(
    ("request_to_stop", "code"), [(TerminationSignal(signal.SIGTERM), 143), (KeyboardInterrupt(), 130)]
)
def test_a_flow_that_is_told_to_stop_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], request_to_stop: BaseException, code: int
) -> None:
    unreported = httpx.ConnectError("no connection")
    assert exit_code_of(lambda: failing(request_to_stop)) == code
    assert exit_code_of(lambda: failing(unreported, of=request_to_stop)) == code
    assert capsys.readouterr().err == 2 * "stopped: the same command goes on from here\n"


def test_a_mistake_is_one_line_and_a_fault_of_ours_is_none() -> None:
    assert exit_code_of(lambda: failing(SceneError("scene a.tif", expected="a CRS", got="none"))) == 2
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: failing(ZeroDivisionError()))
    assert exit_code_of(lambda: 1) == 1
