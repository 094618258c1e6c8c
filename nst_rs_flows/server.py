"""Prefect's server while a run goes on: it may be away for a while, and nothing that is computed depends on it.

What a run shows is sent when there is someone to take it. What a run must know is asked for with patience.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ExternalSignal, MissingContextError, ObjectNotFound, PrefectException
from prefect.settings import PREFECT_API_URL

from nst_rs.errors import ResourceError

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_OUTAGE_SECONDS = 24 * 3600.0
_SECONDS_BETWEEN_LOOKS = 5.0
_SECONDS_TO_ANSWER = 10.0
_UNANSWERED = (httpx.HTTPError, PrefectException, OSError)
"""What Prefect's client raises where the server cannot be asked."""


def is_outage(error: object) -> bool:
    """Return whether an error comes from a server that was away, and from nothing that a run did.

    A run that is told to stop and cannot tell the server so is to stop all the same: a server that Prefect has started
    for the run ends by the same signal, and never comes back.
    """
    return any(map(_is_unanswered, _causes(error))) and request_to_stop(error) is None


def request_to_stop(error: object) -> ExternalSignal | KeyboardInterrupt | None:
    """Return the signal, or Ctrl-C, that an error came of; None where it came of something else."""
    return next((each for each in _causes(error) if isinstance(each, ExternalSignal | KeyboardInterrupt)), None)


def _causes(error: object) -> Iterator[BaseException]:
    """Return an error and those that it came of."""
    while isinstance(error, BaseException):
        yield error
        error = error.__cause__ or error.__context__


def _is_unanswered(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    return isinstance(error, httpx.TransportError)


def check_answers() -> None:
    """Raise ResourceError where a server is named and does not answer; where none is named Prefect starts one."""
    address = PREFECT_API_URL.value()
    if address and not _answers():
        raise _away(address, "start it, or unset PREFECT_API_URL and Prefect starts one for the run")


def wait_for_answer() -> None:
    """Wait until the server answers. Raises ResourceError after a day."""
    if _answers():
        return
    started, address = time.monotonic(), str(PREFECT_API_URL.value())
    _log().warning("Prefect's server %s is away: waiting for it", address)
    while not _answers():
        if time.monotonic() - started > LONGEST_OUTAGE_SECONDS:
            raise _away(address, "start it, and run again: what is made is not made twice")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    _log().warning("Prefect's server is back after %.0f s", time.monotonic() - started)


def patiently(ask: Callable[[], T]) -> T:
    """Return what `ask` returns, asking again when the server is back where it was away. Raises ResourceError."""
    while True:
        try:
            return ask()
        except Exception as error:
            if not is_outage(error):
                raise
            wait_for_answer()


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Have `what` done in this context where the server takes it; say so where it does not, and go on."""
    try:
        yield
    except _UNANSWERED as error:
        _log().warning("Prefect's server did not take %s: %s", what, str(error) or type(error).__name__)


@contextmanager
def place(limit: str) -> Iterator[None]:
    """Hold a place under Prefect's global concurrency limit of that name, where there is one."""
    free = patiently(lambda: _free_places(limit))
    if free is None:
        yield
        return
    if free < 1:
        _log().info("waiting for a place under Prefect's limit %s: none is free", limit)
    give_back = patiently(lambda: _entered(limit))
    try:
        yield
    finally:
        with best_effort(f"a place back under the limit {limit}"):  # it is free again by itself in five minutes
            give_back()


def _entered(limit: str) -> Callable[[], None]:
    """Wait for a place; return what gives it back."""
    held = ExitStack()
    held.enter_context(concurrency(limit))
    return held.close


def _free_places(limit: str) -> int | None:
    """Return how many places are free under a limit; None where it is not set."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_global_concurrency_limit_by_name(limit)
        except ObjectNotFound:
            return None
        return found.limit - found.active_slots


def _answers() -> bool:
    """Ask the server once, and shortly. A client of its own: the run's asks for a minute before it says no."""
    try:
        with get_client(httpx_settings={"timeout": _SECONDS_TO_ANSWER}, sync_client=True) as client:
            return client.api_healthcheck() is None
    except (*_UNANSWERED, RuntimeError):
        return False


def _away(address: str, do: str) -> ResourceError:
    return ResourceError(f"Prefect's server {address}", expected="an answer", got="none", do=do)


def _log() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """Return the run's log, where there is a run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return log
