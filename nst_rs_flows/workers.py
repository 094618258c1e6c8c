"""Workers of a Dask cluster, had through Prefect's task runner for Dask, for whole scenes and for one scene's tiles."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from prefect_dask import DaskTaskRunner

from nst_rs.executors.dask.cluster import SECONDS_TO_ANSWER, Cluster, connecting, keeping_workers, on_this_machine


@contextmanager
def workers_at(named: str, address: str) -> Iterator[DaskTaskRunner]:
    """Use the workers of a cluster that runs, at `address`, which people call `named`. Raises ResourceError."""
    with _reticent(), DaskTaskRunner(address=address, client_kwargs={"timeout": SECONDS_TO_ANSWER}) as runner:
        with connecting(named, address):
            runner.client  # noqa: B018 - connects
        yield runner


@contextmanager
def started_for_scenes(count: int) -> Iterator[DaskTaskRunner]:
    """Start `count` processes on this machine, among which its cores are divided, and end them afterwards."""
    threads = str(max(1, (os.cpu_count() or 1) // count))
    limits = {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    # One thread of Dask's: one scene at a time.
    size = {**on_this_machine(count, 1), "env": limits}
    with keeping_workers(), _reticent(), DaskTaskRunner(cluster_kwargs=size) as runner:
        yield runner


@contextmanager
def for_tiles(address: str | None, workers: int, threads: int) -> Iterator[Cluster]:
    """Connect to a cluster for one scene's tiles, or start it: nst_rs/executors/dask/cluster.py has the same."""
    if address is not None:
        with workers_at(f"compute.address {address}", address) as runner:
            yield Cluster(runner.client)
        return
    with keeping_workers(), _reticent(), DaskTaskRunner(cluster_kwargs=on_this_machine(workers, threads)) as runner:
        cluster = Cluster(runner.client)
        cluster.wait_for(workers)
        yield cluster


@contextmanager
def _reticent() -> Iterator[None]:
    """Keep Dask's comings and goings out of the run's log, and what it says when it ends out of it altogether."""
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
