"""The deployments on a real server with a real worker, on loopback: deployed, run on a schedule, watched to the end."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from nst_rs.output.files import Outputs
from tests.deployed import CHECKOUT, PATIENT, Server, running, wait_for
from tests.operated import free_address, operated


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server.at(tmp_path_factory.mktemp("prefect"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def deployments(server: Server) -> dict[str, Any]:
    """Name → deployment, made by the command that docs/operations.md names."""
    server.command("work-pool", "create", "styling", "--type", "process")
    server.command("deploy", "--all")
    return {found["name"]: found for found in server.ask("deployments/filter")}


@pytest.fixture(scope="module")
def worker(server: Server, deployments: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A worker's log."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    environment = server.environment | PATIENT | {"PREFECT_WORKER_QUERY_SECONDS": "1"}  # runs begin at once
    with running("worker", "start", "--pool", "styling", environment=environment, log=log):
        yield log


def test_one_scene_on_demand_and_the_inbox_on_a_schedule(deployments: dict[str, Any]) -> None:
    assert set(deployments) == {"stylize-scene", "stylize-inbox"}
    assert deployments["stylize-scene"]["schedules"] == []
    (schedule,) = deployments["stylize-inbox"]["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 2 * * *", True)
    assert deployments["stylize-inbox"]["tags"] == ["nst-rs", "nightly"]
    # A limit's place would be lost while the server is away, and held by a run that was killed.
    assert deployments["stylize-inbox"]["concurrency_limit"] is None
    assert all(found["work_pool_name"] == "styling" for found in deployments.values())


def test_the_worker_that_the_page_starts_outlasts_the_longest_outage_and_gives_its_runs_no_such_patience(
    deployments: dict[str, Any],
) -> None:
    from nst_rs_flows.server import LONGEST_OUTAGE_SECONDS

    # Prefect's worker ends, with its runs, after 12 calls without an answer, in each of which it waits 2, 4, 8 ... s.
    ((name, retries),) = PATIENT.items()
    assert f"{name}={retries} prefect worker start" in (CHECKOUT / "docs" / "operations.md").read_text()
    assert 12 * sum(2**n for n in range(1, int(retries) + 1)) > LONGEST_OUTAGE_SECONDS
    assert all(found["job_variables"] == {"env": {name: "5"}} for found in deployments.values())


def test_the_server_itself_makes_the_runs_of_the_nights_to_come(server: Server, deployments: dict[str, Any]) -> None:
    body = {"flow_runs": {"deployment_id": {"any_": [deployments["stylize-inbox"]["id"]]}}}

    def nights() -> list[dict[str, Any]]:
        return [run for run in server.ask("flow_runs/filter", body) if run["auto_scheduled"]]

    runs = wait_for(nights)
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    assert all(run["expected_start_time"][11:19] == "02:00:00" for run in runs)


def test_every_parameter_has_a_type_and_is_explained(deployments: dict[str, Any]) -> None:
    from nst_rs.config.loading import PRESETS
    from nst_rs.config.named_styles import named_styles

    for found in deployments.values():
        properties = found["parameter_openapi_schema"]["properties"]
        assert all(each.get("description") for each in properties.values())
        assert properties["preset"]["anyOf"][0]["enum"] == list(PRESETS)
        assert found["enforce_parameter_schema"]
        offered, any_other = properties["style"]["anyOf"][0]["items"]["anyOf"]
        assert offered["enum"] == [name for name, style in named_styles().items() if style.shipped]
        assert "enum" not in any_other
    assert deployments["stylize-inbox"]["parameter_openapi_schema"]["required"] == ["inbox", "output"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"preset": "pretty"},
        {"style": 3},
        {"inbox": None},
        {"workers": 0},
        {"keep_days": 0},
        {"served_at": "the viewer"},
        {"settings": {"schedule.iteration": 3}},
        {"settings": {"iterations": 3}},
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_a_run(
    server: Server, deployments: dict[str, Any], wrong: dict[str, Any]
) -> None:
    body = {"parameters": {"inbox": "inbox", "output": "maps", **wrong}}
    with pytest.raises(HTTPError) as refused:
        server.ask(f"deployments/{deployments['stylize-inbox']['id']}/create_flow_run", body)
    with refused.value as answer:
        assert answer.code in (409, 422)


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory, olinda: Path) -> Path:
    folder = tmp_path_factory.mktemp("nightly") / "inbox"
    folder.mkdir()
    shutil.copy(olinda.with_name("olinda_centre.tif"), folder)
    (folder / "broken.tif").write_bytes(b"no raster")
    return folder


@pytest.fixture(scope="module")
def finished(
    server: Server, deployments: dict[str, Any], worker: Path, inbox: Path, harvest: Path, quick: dict[str, Any]
) -> dict[str, Any]:
    """A scheduled run of the inbox, when it has ended."""
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 1}
    parameters = {
        "inbox": str(inbox),
        "output": str(inbox.with_name("maps")),
        "style": [str(harvest)],
        "settings": settings,
        "settle_seconds": 0.1,
    }
    return ended(server, scheduled(server, deployments, parameters))


def scheduled(
    server: Server, deployments: dict[str, Any], parameters: dict[str, Any], **variables: Any
) -> dict[str, Any]:
    body = {"parameters": parameters, "job_variables": variables}
    run: dict[str, Any] = server.ask(f"deployments/{deployments['stylize-inbox']['id']}/create_flow_run", body)
    return run


def ended(server: Server, run: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a run, and return how it ended."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = server.ask(f"flow_runs/{run['id']}", method="GET")
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    found: dict[str, Any] = wait_for(look)
    return found


def artifacts(server: Server, run: dict[str, Any]) -> dict[str, Any]:
    body = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    return {found["key"]: found for found in server.ask("artifacts/filter", body)}


def runs_within(server: Server, run: dict[str, Any]) -> dict[str, Any]:
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [run["id"]]}}}
    return {found["name"]: found for found in server.ask("flow_runs/filter", body)}


def test_a_broken_scene_fails_the_run_by_name_and_stops_no_other(
    server: Server, finished: dict[str, Any], inbox: Path
) -> None:
    assert finished["state_type"] == "FAILED"
    assert finished["state"]["message"] == "1 made, 1 failed, 0 given up, 0 arriving"
    states = {name: run["state_type"] for name, run in runs_within(server, finished).items()}
    assert states == {"olinda_centre": "COMPLETED", "broken": "FAILED"}
    (product,) = inbox.with_name("maps").iterdir()
    assert product.name.startswith("harvest-")
    assert set(product.iterdir()) == {product / "catalogue.geojson", *Outputs(product / "olinda_centre.tif")}
    rows = {row["scene"]: row for row in json.loads(artifacts(server, finished)["inbox"]["data"])}
    assert rows["olinda_centre"]["map or reason"] == "olinda_centre.tif"
    assert "broken.tif: expected a raster that GDAL can read" in rows["broken"]["map or reason"]
    assert str(product) in artifacts(server, finished)["catalogue"]["data"]


def test_the_scenes_run_shows_its_picture_its_figures_and_where_its_map_is(
    server: Server, finished: dict[str, Any]
) -> None:
    found = artifacts(server, runs_within(server, finished)["olinda_centre"])
    assert found["preview"]["data"].startswith("data:image/jpeg;base64,")
    assert len(found["preview"]["data"]) < 200_000
    assert "frame ratio" in found["figures"]["data"]
    assert "olinda_centre.tif" in found["map"]["data"]
    assert found["level-1"]["data"] == 100.0


def test_the_log_says_scene_level_and_tile(server: Server, finished: dict[str, Any]) -> None:
    run = runs_within(server, finished)["olinda_centre"]
    beginning = "olinda_centre: level 1/1, iteration 1/1, tile 1/1, loss "
    deadline = time.monotonic() + 60
    while True:  # Prefect sends the log from time to time, the last of it after the run has ended
        logs = server.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
        if any(line["message"].startswith(beginning) for line in logs) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert beginning in "".join(line["message"] for line in logs)


@pytest.fixture
def parameters(tmp_path: Path, olinda: Path, harvest: Path, quick: dict[str, Any]) -> dict[str, Any]:
    """An inbox with one scene, of which one quick level is made."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(olinda.with_name("olinda_centre.tif"), folder / "a.tif")
    return {
        "inbox": str(folder),
        "output": str(tmp_path / "maps"),
        "style": [str(harvest)],
        "settings": {**quick, "schedule.levels": 1, "schedule.iterations": 1},
        "settle_seconds": 0.1,
    }


def account(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the catalogue says of the scene."""
    (catalogue,) = Path(parameters["output"]).glob("*/catalogue.geojson")
    (feature,) = json.loads(catalogue.read_text())["features"]
    found: dict[str, Any] = feature["properties"]
    return found


def logged(server: Server, run: dict[str, Any], level: int) -> list[str]:
    """What a run's log says at this level of severity and above."""
    body = {"logs": {"flow_run_id": {"any_": [run["id"]]}, "level": {"ge_": level}}}
    return [line["message"] for line in server.ask("logs/filter", body)]


def test_a_deployments_scenes_are_styled_on_a_dask_cluster_that_is_started_in_the_checkout(
    server: Server, deployments: dict[str, Any], worker: Path, parameters: dict[str, Any]
) -> None:
    address = free_address()
    with operated(address, workers=1):
        run = ended(server, scheduled(server, deployments, {**parameters, "address": address}))
    assert run["state"]["message"] == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_deployments_scenes_are_styled_by_several_processes(
    server: Server, deployments: dict[str, Any], worker: Path, parameters: dict[str, Any]
) -> None:
    run = ended(server, scheduled(server, deployments, {**parameters, "workers": 2}))
    assert run["state"]["message"] == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_value_that_does_not_fit_its_setting_fails_the_run_with_one_line_and_no_traceback(
    server: Server, deployments: dict[str, Any], worker: Path, parameters: dict[str, Any]
) -> None:
    wrong = {**parameters, "settings": {"objective.alpha": "lots"}}
    run = ended(server, scheduled(server, deployments, wrong))
    assert run["state_type"] == "FAILED"
    assert run["state"]["message"].startswith("objective.alpha: expected ")
    wait_for(lambda: logged(server, run, 40))
    assert not [line for line in logged(server, run, 0) if "Traceback" in line or "\n" in line]


def test_while_the_server_is_away_computing_goes_on_and_no_attempt_is_counted(
    server: Server, deployments: dict[str, Any], worker: Path, parameters: dict[str, Any], deep: dict[str, Any]
) -> None:
    # Prefect's client asks three times again, after about 2, 4 and 8 seconds; by itself it gives up after a minute.
    less_patient = {"PREFECT_CLIENT_MAX_RETRIES": "3"}
    settings = {**deep, "schedule.levels": 2, "schedule.iterations": (80, 2)}
    before = worker.read_text()
    run = scheduled(server, deployments, {**parameters, "settings": settings}, env=less_patient)

    def said() -> str:
        return worker.read_text()[len(before) :]

    wait_for(lambda: "a: level 1/2, iteration 1/80" in said())
    server.stop()
    try:
        assert "a: level 1/2, iteration 80/80" not in said()
        wait_for(lambda: "a: level 1/2, iteration 80/80" in said() and "is away: waiting for it" in said())
        time.sleep(20)
    finally:
        server.start()
    assert ended(server, run)["state"]["message"] == "1 made, 0 failed, 0 given up, 0 arriving"
    assert (account(parameters)["state"], account(parameters)["attempts"]) == ("made", 1)
    assert not re.search(r"Retry \d", said())
