"""Scenes to their maps: one after the other in this process, or several at a time on the workers of a Dask cluster.

A scene is one task of the cluster's: all its stages run in the worker's process, and only its name and the reason of a
failure move. What is asked of a worker is this program, and the folder of the maps under the same path.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from nst_rs.config.loading import name_files, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import LockedError, NstError, ResourceError
from nst_rs.files import lock
from nst_rs.files.quiet import importing_tensorflow
from nst_rs.schedule.catalogue import Entry
from nst_rs.schedule.inbox import Arrival, Inbox
from nst_rs_flows.leftovers import end_left
from nst_rs_flows.server import is_outage, wait_for_answer
from nst_rs_flows.stylize_scene import stage, stylize_scene

if TYPE_CHECKING:  # they bring Dask, which most runs do without
    from prefect_dask import DaskTaskRunner

    from nst_rs.executors.dask.cluster import Cluster

LONGEST_REASON = 500
MOST_OUTAGES = 20
"""How often Prefect's server may go away in the middle of one scene."""
SECONDS_TO_LET_GO = 60.0
"""How long a process that ends may hold a scene: a worker that has lost its scheduler computes on for half a minute."""


@dataclass(frozen=True)
class Order:
    """A map to be made. Small: it is sent to a worker."""

    inbox: Inbox
    arrival: Arrival
    tif: Path
    config: RunConfig
    """What the map is made by, but for its scene and its name; with absolute paths."""
    stage_hours: float
    before: Entry | None
    """What was known of the scene until now."""
    earlier: tuple[Path, ...] = ()
    """Maps that this one is to agree with where it meets them, the latest first."""
    served_at: str | None = None
    """The address under which the map's folder is served."""


@stage(task_run_name="fetch {arrival.name}")
def fetch(inbox: Inbox, arrival: Arrival, folder: Path) -> Path:
    """Copy a scene from where it was delivered, where that is not this machine."""
    return inbox.fetch(arrival, folder)


def make(order: Order) -> str:
    """Make a scene's map where it is not yet made; return why it could not be, or nothing.

    While Prefect's server is away it waits, and then goes on with the same scene. Raises ResourceError where the server
    stays away.
    """
    for _ in range(MOST_OUTAGES):
        wait_for_answer()
        try:
            return _make(order)
        except Exception as error:
            if not is_outage(error):
                raise
            get_run_logger().warning("%s: Prefect's server went away, going on from there", order.arrival.name)
    raise ResourceError("Prefect's server", expected="answers", got=f"none {MOST_OUTAGES} times in one scene's run")


def _make(order: Order) -> str:
    """Do what :func:`make` does, once. Raises what Prefect's client raises where the server is away."""
    _wait_until_free(order.tif)
    incoming = order.tif.with_name(f".{order.arrival.name}.incoming")
    try:
        fetched = fetch(order.inbox, order.arrival, incoming, return_state=True)
        if not fetched.is_completed():
            return _reason(fetched)
        scene = str(fetched.result())
        config = _agreeing(order, scene)
        if _is_made(order, config, scene):
            return ""
        given = {"settings": changed(config), "stage_hours": order.stage_hours, "served_at": order.served_at}
        state = stylize_scene(scene=[scene], output=str(order.tif), **given, return_state=True)
        return "" if state.is_completed() else _reason(state)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


make_on_worker = task(make, name="scene", task_run_name="{order.arrival.name}", cache_policy=NO_CACHE)


def in_turn(orders: Iterable[Order]) -> Iterator[tuple[Order, str]]:
    """Make the maps here, and say of each why it could not be made, or nothing."""
    for order in orders:
        yield order, make(order)


def on_workers(orders: Iterable[Order], runner: "DaskTaskRunner") -> Iterator[tuple[Order, str]]:
    """Make the maps on a cluster's workers, a scene a worker at a time; say of each what :func:`in_turn` says.

    An order is taken when there is a worker for it. Raises ResourceError where the scheduler or all workers are lost,
    and where a worker does not see the folder of the maps.
    """
    from nst_rs.executors.dask.cluster import Cluster

    cluster, coming = Cluster(runner.client), iter(orders)
    futures: dict[str, Any] = {}
    taken: dict[str, Order] = {}
    while True:
        for order in islice(coming, max(0, len(cluster.workers) - len(futures))):
            cluster.prove(order.tif.parent)
            future = runner.submit(make_on_worker, {"order": order}).wrapped_future
            futures[future.key], taken[future.key] = future, order
        if not futures:
            return
        key = next(cluster.finished(futures))
        yield taken.pop(key), _outcome(cluster, futures.pop(key))


def share_of_memory(count: int) -> int:
    """Return the bytes that a scene may take where `count` are styled on this machine at a time."""
    return psutil.virtual_memory().available // 2 // count


def changed(config: RunConfig) -> dict[str, Any]:
    """Return the settings that are not the defaults, as a flow takes them and its page shows them.

    :func:`nst_rs.config.loading.override` of the defaults with them is `config`.
    """
    sections = config.model_dump(mode="json", exclude_defaults=True).items()
    return {f"{name}.{key}": value for name, section in sections for key, value in section.items()}


def _outcome(cluster: "Cluster", future: Any) -> str:
    """Return what a scene's task has come to: why there is no map, or nothing.

    Raises ResourceError where the cluster is lost, or lacks this program.
    """
    try:
        state = cluster.result(future)
    except ResourceError as error:
        if isinstance(error.__cause__, OSError):  # the scheduler was lost, which is not the scene's fault
            raise
        return _in_a_line(str(error))  # workers died of it
    except (ImportError, RuntimeError) as error:  # a scheduler's has the ImportError for its cause
        need, got = "a scheduler and workers that have this program", str(error.__cause__ or error)
        raise ResourceError(
            f"cluster {cluster.address}", expected=need, got=got, do="install nst-rs[flows] there"
        ) from error
    return str(state.result()) if state.is_completed() else _reason(state)


def _wait_until_free(tif: Path) -> None:
    """Wait for a process that is still at a map and may be about to end. One that stays is told when it is styled."""
    until = time.monotonic() + SECONDS_TO_LET_GO
    while time.monotonic() < until:
        try:
            with lock.alone(lock.path_for(tif), f"output {tif}"):
                return
        except LockedError:
            time.sleep(1)
        except NstError:
            return  # it will be told when the scene is styled


def _agreeing(order: Order, scene: str) -> RunConfig:
    """Return what the map is made by, with the earlier maps that it meets."""
    if not order.earlier:
        return order.config
    with importing_tensorflow():
        from nst_rs.runs.earlier_maps import those_that_meet
    try:
        met = those_that_meet(name_files(order.config, [scene], None, None), order.earlier)
    except NstError:
        return order.config  # it will be told when the scene is styled
    return override(order.config, {"style.agree": [*order.config.style.agree, *met]})


def _is_made(order: Order, config: RunConfig, scene: str) -> bool:
    """Whether a run that could not say so any more has made the map."""
    with importing_tensorflow():
        from nst_rs.runs.several.sweep import Variant, is_done
    try:
        if not is_done(Variant(order.tif.stem, name_files(config, [scene], None, order.tif))):
            return False
        path = lock.path_for(order.tif)
        with lock.alone(path, f"output {order.tif}"):
            end_left(path)
        return True
    except NstError:
        return False  # it will be told when the scene is styled


def _reason(state: State[Any]) -> str:
    """Return why a run failed, in one line. Raises the reason where Prefect's server was away."""
    error = state.result(raise_on_failure=False)
    if is_outage(error):
        raise error
    return _in_a_line(str(error) if isinstance(error, NstError) else str(state.message or error))


def _in_a_line(reason: str) -> str:
    return " ".join(reason.split())[:LONGEST_REASON]
