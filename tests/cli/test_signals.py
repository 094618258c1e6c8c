import signal
from collections.abc import Iterator

import pytest

from nst_rs.cli.signals import Stopped, exit_code, stopped_like_ctrl_c

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_as_they_were() -> Iterator[None]:
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_request_to_stop_is_an_interruption_with_the_signals_exit_code(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt) as stopped, stopped_like_ctrl_c():
        signal.raise_signal(number)
    assert isinstance(stopped.value, Stopped)
    assert exit_code(stopped.value) == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_ignored_stays_ignored(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    with stopped_like_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) == signal.SIG_IGN
