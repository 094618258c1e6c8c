import importlib
import signal

import httpx
import pytest
from prefect.exceptions import TerminationSignal

from nst_rs.errors import SceneError
from nst_rs_flows.command import exit_code_of


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


@pytest.mark.parametrize("flow", ["stylize_scene", "stylize_inbox", "learn_style"])
def test_a_flow_is_found_in_a_checkout_by_its_earlier_name_too(flow: str) -> None:
    earlier, now = (importlib.import_module(f"{package}.{flow}") for package in ("flows", "nst_rs_flows"))
    assert getattr(earlier, flow) is getattr(now, flow)
    assert earlier.main is now.main
