"""Scenes on the workers of a real Dask cluster, from a real Prefect server, styled by the real pipeline."""

import importlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio

from nst_rs.errors import ResourceError
from nst_rs.executors.dask import cluster as dask
from nst_rs.executors.dask.cluster import Cluster
from tests.operated import free_address, operated

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def flows() -> Any:
    return importlib.import_module("nst_rs_flows.stylize_inbox")


@pytest.fixture(scope="module")
def workers() -> Iterator[Cluster]:
    """Two processes of one thread, at an address."""
    with dask.started(2, 1) as found:
        yield found


@pytest.fixture
def given(olinda: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """An inbox with two scenes and what is none, and what makes their maps."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a", "b"):
        shutil.copy(olinda.with_name("olinda_centre.tif"), inbox / f"{name}.tif")
    (inbox / "broken.tif").write_bytes(b"no raster")
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 2}
    named = {"inbox": str(inbox), "output": str(tmp_path / "maps"), "style": [str(harvest)]}
    return {**named, "settings": settings, "settle_seconds": 0, "return_state": True}


def product(given: dict[str, Any]) -> Path:
    (found,) = Path(given["output"]).iterdir()
    return found


def entries(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    features = json.loads((product(given) / "catalogue.geojson").read_text())["features"]
    return {feature["id"]: feature["properties"] for feature in features}


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read().astype(int)


def test_workers_of_this_machine_make_the_maps_that_this_process_makes(flows: Any, given: dict[str, Any]) -> None:
    state = flows.stylize_inbox(**given, workers=2)
    assert state.message == "2 made, 1 failed, 0 given up, 0 arriving"
    assert "broken.tif: expected a raster that GDAL can read" in entries(given)["broken"]["reason"]
    on_workers = {name: read(product(given) / f"{name}.tif") for name in ("a", "b")}
    made = product(given)
    shutil.rmtree(given["output"])
    assert flows.stylize_inbox(**given).message == state.message
    assert product(given) == made  # where it is made makes no other product
    for name, picture in on_workers.items():
        assert np.abs(picture - read(made / f"{name}.tif")).max() <= 1  # other numbers of threads add up otherwise


def test_workers_at_an_address_take_over_from_one_that_is_killed(
    flows: Any, given: dict[str, Any], workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = Cluster.finished
    killed: list[int] = []

    def kills_one(self: Cluster, futures: Any) -> Iterator[str]:
        if not killed:
            killed.append(min(self.client.run(os.getpid).values()))
            psutil.Process(killed[0]).send_signal(signal.SIGKILL)
        yield from finished(self, futures)

    monkeypatch.setattr(Cluster, "finished", kills_one)
    state = flows.stylize_inbox(**given, address=workers.address)
    assert killed
    assert state.message == "2 made, 1 failed, 0 given up, 0 arriving"
    assert {name: entry["attempts"] for name, entry in entries(given).items()} == {"a": 1, "b": 1, "broken": 1}


def test_a_scheduler_that_is_not_there_is_one_line_and_no_attempt(flows: Any, given: dict[str, Any]) -> None:
    state = flows.stylize_inbox(**given, address="no://scheduler")
    assert state.is_failed()
    assert state.message.startswith("address no://scheduler: expected a Dask scheduler, such as tcp://host:8786, got ")
    assert not (product(given) / "catalogue.geojson").exists()


def test_a_cluster_that_is_lost_is_no_scenes_fault(
    flows: Any, given: dict[str, Any], workers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_lost(_cluster: Cluster, _futures: Any) -> Iterator[str]:
        raise ResourceError("cluster", expected="workers", got="none")

    monkeypatch.setattr(Cluster, "finished", is_lost)
    state = flows.stylize_inbox(**given, address=workers.address)
    assert state.is_failed()
    assert "expected workers, got none" in state.message
    assert {name: (entry["state"], entry["attempts"]) for name, entry in entries(given).items()} == {
        "a": ("arriving", 0),
        "b": ("arriving", 0),
    }


@pytest.mark.parametrize("moment", ["prove", "finished", "result"])
def test_a_scheduler_that_is_killed_ends_the_run_with_one_line_and_no_attempt(
    flows: Any, given: dict[str, Any], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a scene is sent to a worker, while it is styled, and when it is asked what has become of it."""
    address, ask = free_address(), getattr(Cluster, moment)
    with operated(address, workers=1) as (scheduler, _):

        def killed_before(self: Cluster, *arguments: Any) -> Any:
            scheduler.kill()
            scheduler.wait()
            return ask(self, *arguments)

        monkeypatch.setattr(Cluster, moment, killed_before)
        monkeypatch.setattr("nst_rs_flows.workers.SECONDS_TO_ANSWER", 10)  # for so long Dask looks whether it is back
        state = flows.stylize_inbox(**given, address=address)
    assert state.is_failed()
    assert state.message.startswith(f"cluster {address}: expected an answer of its scheduler, got none")
    assert {(entry["state"], entry["attempts"]) for entry in entries(given).values()} == {("arriving", 0)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"address": "tcp://host:8786", "workers": 2}, "address: expected workers left out"),
        ({"workers": 2, "settings": {"compute.executor": "dask"}}, "compute.executor dask: expected local"),
    ],
)
def test_what_contradicts_itself_is_refused(
    flows: Any, given: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    state = flows.stylize_inbox(**{**given, **wrong})
    assert state.is_failed()
    assert state.message.startswith(said)


def test_the_settings_that_a_worker_is_given_are_the_configuration(harvest: Path) -> None:
    from nst_rs.config.loading import load_config, override
    from nst_rs.config.sections import RunConfig
    from nst_rs_flows.scenes import changed

    config = load_config(None, [f"style.images={harvest}", "schedule.iterations=[3, 2, 1]", "compute.memory=2GB"])
    given = json.loads(json.dumps(changed(config)))
    assert override(RunConfig(), given) == config
