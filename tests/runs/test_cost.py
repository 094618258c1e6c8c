import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nst_rs.runs.cost import Meter

BUSY = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
"""A process that takes half a second of a processor, says so, and lives until it is told to end."""


def meter(in_process: bool = True, address: str | None = None, gpu: bool = False) -> Meter:
    job: Any = SimpleNamespace(
        device=SimpleNamespace(is_gpu=gpu),
        traits=SimpleNamespace(in_process=in_process),
        config=SimpleNamespace(compute=SimpleNamespace(address=address)),
    )
    return Meter(job)


def test_processor_time_is_counted_from_the_meters_start_on() -> None:
    sum(range(10_000_000))
    assert meter().cost(None)["core_seconds"] < 0.1
    begun = meter()
    while begun.cost(None)["core_seconds"] < 0.05:
        sum(range(100_000))


@pytest.mark.parametrize("ended", [False, True], ids=["alive", "ended"])
@pytest.mark.parametrize(
    ("kind", "counted"),
    [({}, False), ({"in_process": False}, True), ({"in_process": False, "address": "tcp://host:8786"}, False)],
    ids=["in this process", "on workers of its own", "on a cluster"],
)
def test_a_runs_own_workers_are_counted_alive_or_ended_and_no_other_processes(
    kind: dict[str, Any], counted: bool, ended: bool
) -> None:
    begun = meter(**kind)
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        if ended:
            worker.communicate(b"\n")
        cost = begun.cost(None)
        if not ended:
            worker.communicate(b"\n")
    assert (cost["core_seconds"] > 0.4) == counted


@pytest.mark.parametrize(
    ("kind", "seconds", "found"),
    [
        ({}, 3.5, 0.0),
        ({"gpu": True}, 3.5, 3.5),
        ({"gpu": True, "in_process": False}, 3.5, None),
        ({"gpu": True}, None, None),
    ],
    ids=["no GPU", "a GPU", "workers", "not told"],
)
def test_the_seconds_of_a_gpu_are_those_of_the_network_where_they_are_known(
    kind: dict[str, Any], seconds: float | None, found: float | None
) -> None:
    assert meter(**kind).cost(seconds)["gpu_seconds"] == found
