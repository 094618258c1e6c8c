"""Prefect's runs whose process is gone: Prefect does not know, so the next run of the same tells it.

A run writes its id beside the lock that it holds. Who comes to hold the lock finds the id of a run that did not end.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from nst_rs_flows.server import best_effort


@contextmanager
def signed(lock: Path) -> Iterator[None]:
    """Name this run beside `lock`, which it holds, for the time of the context; end the run that is named there."""
    end_left(lock)
    path = _path(lock)
    with suppress(OSError):  # a full disk, which is told where it matters
        path.write_text(json.dumps({"flow_run": flow_run.id}), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def end_left(lock: Path) -> None:
    """End the run that held `lock` before and did not end, on Prefect's page. Its caller holds the lock now."""
    path = _path(lock)
    try:
        left = UUID(str(json.loads(path.read_text(encoding="utf-8"))["flow_run"]))
    except (OSError, ValueError, KeyError, TypeError):
        return
    with best_effort("the end of a run whose process is gone"):
        _end(left)
    with suppress(OSError):
        path.unlink()


def _end(left: UUID) -> None:
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(left).state
        except ObjectNotFound:  # another server's, or deleted
            return
        if state is not None and state.is_final():
            return
        gone = (
            "The process ended without saying so: killed, or its machine restarted. The next run of the same found it."
        )
        client.set_flow_run_state(left, Crashed(message=gone), force=True)
        get_run_logger().warning("run %s is ended: its process is gone", left)


def _path(lock: Path) -> Path:
    return lock.with_suffix(".flow-run")
