"""The flow over an inbox, on a real Prefect server. Where it does not matter a stand-in styles the scenes."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest
import rasterio

from nst_rs.files import lock
from nst_rs.output.files import Outputs
from tests.items import item_of

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def flows() -> Any:
    return importlib.import_module("nst_rs_flows.stylize_inbox")


@pytest.fixture
def centre(olinda: Path) -> Path:
    return olinda.with_name("olinda_centre.tif")


@pytest.fixture
def inbox(tmp_path: Path, centre: Path) -> Path:
    """A file and a folder."""
    folder = tmp_path / "inbox"
    (folder / "tiles").mkdir(parents=True)
    shutil.copy(centre, folder / "centre.tif")
    shutil.copy(centre, folder / "tiles" / "r0_c0.tif")
    return folder


class Stylist:
    """Stands in for the flow of one scene: its maps are copies of the scenes. It fails for the reasons it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.reasons: dict[str, str] = {}
        self.before: Callable[[], object] = lambda: None
        self.served_at: str | None = None

    def __call__(self, scene: list[str], output: str, **parameters: Any) -> Any:
        from prefect.states import Completed, Failed

        self.served_at = parameters["served_at"]
        name = Path(output).stem
        self.seen.append(name)
        self.before()
        if name in self.reasons:
            return Failed(message=self.reasons[name])
        found = Path(scene[0])
        shutil.copy(found if found.is_file() else next(found.iterdir()), output)
        Outputs(Path(output)).item.write_text(json.dumps(item_of(name)))
        return Completed(data=output)


@pytest.fixture
def stylist(flows: Any, monkeypatch: pytest.MonkeyPatch) -> Stylist:
    found = Stylist()
    monkeypatch.setattr("nst_rs_flows.scenes.stylize_scene", found)
    return found


@pytest.fixture
def night(flows: Any, inbox: Path, harvest: Path) -> Callable[..., Any]:
    """Run the flow once, as every night, and return its state."""

    def run(**changes: Any) -> Any:
        output = str(inbox.with_name("maps"))
        given = {"inbox": str(inbox), "output": output, "style": [str(harvest)], "settle_seconds": 0, **changes}
        return flows.stylize_inbox(**given, return_state=True)

    return run


def product(inbox: Path) -> Path:
    (found,) = inbox.with_name("maps").iterdir()
    return found


def entries(inbox: Path) -> dict[str, dict[str, Any]]:
    features = json.loads((product(inbox) / "catalogue.geojson").read_text())["features"]
    return {feature["id"]: feature["properties"] for feature in features}


def test_every_scene_gets_a_map_and_a_second_run_does_nothing_twice(
    night: Callable[..., Any], inbox: Path, quick: dict[str, Any], centre: Path
) -> None:
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 1}
    assert night(settings=settings).message == "2 made, 0 failed, 0 given up, 0 arriving"
    maps = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in product(inbox).iterdir()}
    names = {path.name for scene in ("centre", "tiles") for path in Outputs(product(inbox) / f"{scene}.tif")}
    assert {path.name for path in maps} == {*names, "catalogue.geojson"}
    assert night(settings=settings).message == "0 made, 0 failed, 0 given up, 0 arriving"
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in product(inbox).iterdir()} == maps
    # A run that was killed after it had moved the map into place, and before it could say so.
    catalogue = product(inbox) / "catalogue.geojson"
    data = json.loads(catalogue.read_text())
    data["features"][0]["properties"] |= {"state": "failed", "map": ""}
    catalogue.write_text(json.dumps(data))
    assert night(settings=settings).message == "1 made, 0 failed, 0 given up, 0 arriving"
    assert {path: path.stat().st_ino for path in maps if path != catalogue} == {
        path: inode for path, (_, inode) in maps.items() if path != catalogue
    }
    with rasterio.open(product(inbox) / "tiles.tif") as made, rasterio.open(centre) as source:
        assert made.transform == source.transform


def test_maps_agree_with_those_made_before_where_they_meet(
    night: Callable[..., Any], inbox: Path, centre: Path, quick: dict[str, Any]
) -> None:
    with rasterio.open(centre) as source:
        profile, pixels = source.profile, source.read()
    far = {**profile, "transform": profile["transform"] @ rasterio.Affine.translation(5000, 0)}
    with rasterio.open(inbox / "far.tif", "w", **far) as target:
        target.write(pixels)
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 1, "schedule.step_size": 1e-6}
    assert night(settings=settings, agree=True).message == "3 made, 0 failed, 0 given up, 0 arriving"
    told = {name: json.loads((product(inbox) / f"{name}.run.json").read_text()) for name in ("centre", "far", "tiles")}
    assert {name: len(record["configuration"]["style"]["agree"]) for name, record in told.items()} == {
        "centre": 0,
        "far": 0,
        "tiles": 1,  # the same ground as the centre's
    }
    maps = [rasterio.open(product(inbox) / f"{name}.tif").read() for name in ("centre", "tiles")]
    assert (maps[0] == maps[1]).all()
    assert night(settings=settings, agree=True).message == "0 made, 0 failed, 0 given up, 0 arriving"


def aged(inbox: Path, name: str) -> None:
    """Have the catalogue say that a map was made long ago."""
    path = product(inbox) / "catalogue.geojson"
    data = json.loads(path.read_text())
    (properties,) = [feature["properties"] for feature in data["features"] if feature["id"] == name]
    properties["time"] = "2001-01-01T00:00:00+00:00"
    path.write_text(json.dumps(data))


def beside(inbox: Path, name: str) -> list[Path]:
    """Every file that may go with a map, and others of its name."""
    tif = product(inbox) / f"{name}.tif"
    paths = [*Outputs.all_beside(tif), tif.with_name(f"{name}.tif.aux.xml")]
    for path in paths:
        path.touch()
    return paths


def test_old_maps_whose_scenes_have_left_the_inbox_are_removed_whole_and_no_others(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    for name in ("left", "young"):
        shutil.copy(inbox / "centre.tif", inbox / f"{name}.tif")
    night(keep_days=30)
    files = {name: beside(inbox, name) for name in ("centre", "left", "young")}
    for name in ("left", "young"):
        (inbox / f"{name}.tif").unlink()
    for name in ("centre", "left"):
        aged(inbox, name)
    assert night().is_completed()  # maps are kept for good
    assert all(path.exists() for paths in files.values() for path in paths)
    assert night(keep_days=30).message == "0 made, 0 failed, 0 given up, 0 arriving"
    assert not any(path.exists() for path in files["left"])
    assert all(path.exists() for name in ("centre", "young") for path in files[name])
    assert entries(inbox)["left"]["state"] == "removed"
    assert entries(inbox)["left"]["reason"] == "made 2001-01-01T00:00:00+00:00, kept 30 days"
    shutil.copy(inbox / "centre.tif", inbox / "left.tif")
    assert night(keep_days=30).message == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_removal_that_was_killed_is_gone_on_with(night: Callable[..., Any], stylist: Stylist, inbox: Path) -> None:
    night()
    files = beside(inbox, "tiles")
    shutil.rmtree(inbox / "tiles")
    aged(inbox, "tiles")
    (product(inbox) / "tiles.tif").unlink()
    assert night(keep_days=30).is_completed()
    assert not any(path.exists() for path in files)
    assert entries(inbox)["tiles"]["state"] == "removed"


def test_a_map_that_another_run_is_at_is_not_removed_and_nothing_is_while_the_inbox_is_empty(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    night()
    files = beside(inbox, "tiles")
    aged(inbox, "tiles")
    shutil.move(inbox / "tiles", inbox.with_name("away"))
    with lock.alone(lock.path_for(product(inbox) / "tiles.tif"), "the map of another"):
        assert night(keep_days=30).is_completed()
    shutil.move(inbox / "centre.tif", inbox.with_name("away.tif"))
    assert night(keep_days=30).is_completed()
    assert all(path.exists() for path in files)
    assert entries(inbox)["tiles"]["state"] == "made"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "soon"])
def test_a_time_to_keep_maps_that_is_none_is_told_on_the_command_line(
    flows: Any, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        flows.main(["inbox", "maps", f"--keep-days={text}"])
    assert f"expected a number of days above 0, got {text}" in capsys.readouterr().err


def test_another_style_or_setting_makes_another_product_and_touches_no_other(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, harvest: Path
) -> None:
    night()
    first = product(inbox)
    before = {path: path.read_bytes() for path in first.iterdir()}
    night(settings={"objective.alpha": 0.7})
    night(style=[str(harvest.with_name("night_cafe.jpg"))])
    assert len(list(inbox.with_name("maps").iterdir())) == 3
    assert {path: path.read_bytes() for path in first.iterdir()} == before
    assert stylist.seen == ["centre", "tiles"] * 3


def test_a_scene_that_fails_stops_no_other_and_is_tried_again_so_often_and_no_more(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    stylist.reasons["centre"] = "scene centre.tif: expected a CRS, got none"
    first = night(attempts=2)
    assert first.is_failed()
    assert first.message == "1 made, 1 failed, 0 given up, 0 arriving"
    assert entries(inbox)["tiles"]["state"] == "made"
    assert entries(inbox)["centre"]["reason"] == "scene centre.tif: expected a CRS, got none"
    assert night(attempts=2).message == "0 made, 1 failed, 1 given up, 0 arriving"
    third = night(attempts=2)
    assert third.is_completed()
    assert third.message == "0 made, 0 failed, 1 given up, 0 arriving"
    assert stylist.seen == ["centre", "tiles", "centre"]
    os.utime(inbox / "centre.tif", (0, 0))  # delivered anew
    stylist.reasons.clear()
    assert night(attempts=2).message == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_scene_still_being_copied_is_left_for_the_next_run(
    flows: Any, night: Callable[..., Any], stylist: Stylist, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more(_seconds: float) -> None:
        with (inbox / "centre.tif").open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(flows.time, "sleep", more)
    assert night().message == "1 made, 0 failed, 0 given up, 1 arriving"
    assert stylist.seen == ["tiles"]
    assert night().message == "0 made, 0 failed, 0 given up, 1 arriving"
    monkeypatch.setattr(flows.time, "sleep", lambda _seconds: None)
    assert night().message == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_scene_that_changes_while_it_is_styled_has_not_failed(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    stylist.reasons["centre"] = "scene centre.tif: expected readable pixels"
    stylist.before = lambda: os.utime(inbox / "centre.tif", (len(stylist.seen), 0))
    assert night(attempts=1).is_completed()
    assert entries(inbox)["centre"]["state"] == "arriving"
    stylist.reasons.clear()
    stylist.before = lambda: None
    assert night(attempts=1).message == "1 made, 0 failed, 0 given up, 0 arriving"


def test_a_scene_elsewhere_is_fetched_and_its_copy_removed(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, centre: Path
) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/recife/a.tif", centre.read_bytes())
    assert night(inbox="memory://bucket").message == "1 made, 0 failed, 0 given up, 0 arriving"
    assert {path.name for path in product(inbox).iterdir()} == {"catalogue.geojson", "recife.tif", "recife.stac.json"}
    system.rm("/bucket", recursive=True)


def artifacts_of(state: Any) -> dict[str, str]:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        body = {"artifacts": {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}}
        return {found["key"]: found["data"] for found in client._client.post("/artifacts/filter", json=body).json()}


def test_what_became_of_every_scene_is_shown_with_what_it_cost(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    def recorded() -> None:
        text = json.dumps({"seconds": {"compose": 1, "level 1": 2.5}, "cost": {"core_seconds": 6.5, "gpu_seconds": 0}})
        (product(inbox) / f"{stylist.seen[-1]}.run.json").write_text(text)

    stylist.before = recorded
    stylist.reasons["tiles"] = "no CRS"
    rows = {row["scene"]: row for row in json.loads(artifacts_of(night())["inbox"])}
    costs = {name: [row[key] for key in ("seconds", "core-seconds", "GPU-seconds")] for name, row in rows.items()}
    assert costs == {"centre": [3.5, 6.5, 0], "tiles": [None, None, None]}


def test_links_open_where_the_maps_are_served_and_name_files_where_they_are_not(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    left = artifacts_of(night())
    assert "reports" not in left
    assert f"(file://{product(inbox)}/catalogue.geojson)" in left["catalogue"]
    assert stylist.served_at is None
    os.utime(inbox / "centre.tif", (0, 0))  # delivered anew
    left = artifacts_of(night(served_at="http://127.0.0.1:8000/"))
    assert stylist.served_at == f"http://127.0.0.1:8000/{product(inbox).name}"
    assert f"({stylist.served_at}/catalogue.geojson)" in left["catalogue"]
    assert left["reports"].splitlines() == [
        f"- [{name}]({stylist.served_at}/{name}.html)" for name in ("centre", "tiles")
    ]


def test_two_scenes_of_one_name_are_told_apart_by_refusing_the_second(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, centre: Path
) -> None:
    (inbox / "centre").mkdir()
    shutil.copy(centre, inbox / "centre")
    found = night()
    assert found.is_failed()
    assert found.message == "2 made, 1 failed, 0 given up, 0 arriving"
    assert stylist.seen == ["centre", "tiles"]


def test_a_second_run_over_the_same_inbox_is_refused_while_one_is_at_it(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    inside: list[Any] = []

    def another() -> None:
        stylist.before = lambda: None
        inside.append(night())

    stylist.before = another
    assert night().is_completed()
    assert inside[0].is_cancelled()
    assert f"product {product(inbox)}: expected no other run at it, got process {os.getpid()} on " in inside[0].message
    assert stylist.seen == ["centre", "tiles"]


def test_a_run_whose_process_was_killed_is_ended_by_the_next_one_on_prefects_page(
    flows: Any, night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    from prefect import get_client
    from prefect.states import Completed, Running

    night()
    left = product(inbox) / ".catalogue.flow-run"
    assert not left.exists()
    with get_client(sync_client=True) as client:
        killed, done = (client.create_flow_run(flows.stylize_inbox, state=Running()).id for _ in range(2))
        client.set_flow_run_state(done, Completed(message="made"))
        for run in (killed, done):
            left.write_text(json.dumps({"flow_run": str(run)}))
            assert night().is_completed()
            assert not left.exists()
        ended = client.read_flow_run(killed).state
        assert ended.is_crashed()
        assert ended.message.startswith("The process ended without saying so: killed, or its machine restarted.")
        assert client.read_flow_run(done).state.is_completed()


UNKNOWN = json.dumps({"flow_run": "8d0b3f0e-3c1c-4d35-9d0a-3f1f8e7c2a11"})
"""A run that no server has. The same in every process: tests are told apart by their parameters."""


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"flow_run": 3}', UNKNOWN])
def test_a_note_of_a_run_that_cannot_be_read_or_that_the_server_does_not_know_stops_no_run(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, text: str
) -> None:
    night()
    (product(inbox) / ".catalogue.flow-run").write_text(text)
    assert night().is_completed()


@pytest.mark.parametrize(
    "outage",
    [httpx.ConnectError("no connection"), httpx.ReadTimeout("no answer")],
    ids=["refused", "silent"],
)
def test_a_server_that_goes_away_under_a_scene_costs_it_no_attempt(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, outage: Exception
) -> None:
    def away() -> None:
        if stylist.seen.count("centre") == 1:
            raise outage

    stylist.before = away
    assert night().message == "2 made, 0 failed, 0 given up, 0 arriving"
    assert stylist.seen == ["centre", "centre", "tiles"]
    assert entries(inbox)["centre"]["attempts"] == 1


def test_a_scene_that_a_process_is_still_at_is_waited_for(
    night: Callable[..., Any], stylist: Stylist, inbox: Path
) -> None:
    """A worker that has lost its scheduler computes on for half a minute: its scene has not failed."""
    night()
    os.utime(inbox / "centre.tif", (0, 0))  # delivered anew
    path, held, free = lock.path_for(product(inbox) / "centre.tif"), ExitStack(), []
    held.enter_context(lock.alone(path, "the map of a worker"))
    stylist.before = lambda: free.append(not path.exists())
    threading.Timer(2, held.close).start()
    assert night().message == "1 made, 0 failed, 0 given up, 0 arriving"
    assert free == [True]


def test_a_scene_that_a_process_stays_at_fails_when_it_has_been_waited_for(
    night: Callable[..., Any], stylist: Stylist, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_rs_flows.scenes.SECONDS_TO_LET_GO", 0.5)
    night()
    os.utime(inbox / "centre.tif", (0, 0))  # delivered anew
    stylist.reasons["centre"] = "output centre.tif: expected no other run at it"
    with lock.alone(lock.path_for(product(inbox) / "centre.tif"), "the map of a worker"):
        assert night().message == "0 made, 1 failed, 0 given up, 0 arriving"


def test_a_run_that_is_told_to_stop_when_its_server_has_gone_is_no_outage_to_wait_out() -> None:
    from prefect.exceptions import TerminationSignal

    from nst_rs_flows.server import is_outage

    for request in (TerminationSignal(15), KeyboardInterrupt()):
        unreported = httpx.ConnectError("no connection")
        unreported.__context__ = request
        assert not is_outage(unreported)
        assert is_outage(httpx.ConnectError("no connection"))


def test_the_command_line_takes_a_preset_and_settings(flows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.states import Completed

    given: dict[str, Any] = {}

    def styled(**parameters: Any) -> Any:
        given.update(parameters)
        return Completed(message="", data="catalogue.geojson")

    monkeypatch.setattr(flows, "stylize_inbox", styled)
    settings = ["--set", "schedule.levels=4", "--set", "objective.style_layers={conv1_1: 1}"]
    assert flows.main(["inbox", "maps", "--preset", "legible", *settings]) == 0
    assert given["preset"] == "legible"
    assert given["settings"] == {"schedule.levels": 4, "objective.style_layers": {"conv1_1": 1}}


def test_a_setting_without_a_value_is_one_line_and_exit_code_2(flows: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["inbox", "maps", "--set", "schedule.levels"]) == 2
    assert capsys.readouterr().err.startswith("error: --set schedule.levels: expected SECTION.KEY=VALUE")


def test_a_server_that_does_not_answer_is_one_line_and_exit_code_2(
    flows: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert flows.main(["inbox", "maps"]) == 2
    assert capsys.readouterr().err == (
        "error: Prefect's server http://127.0.0.1:9/api: expected an answer, got none; "
        "start it, or unset PREFECT_API_URL and Prefect starts one for the run\n"
    )


def test_an_inbox_that_is_not_there_is_one_line_and_exit_code_2(
    flows: Any, harvest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flows.main([str(tmp_path / "no"), str(tmp_path / "maps"), "--style", str(harvest)]) == 2
    assert capsys.readouterr().err.endswith("no: expected a folder, got none of that name\n")


def test_a_flow_is_deployed_without_tensorflow_and_dask() -> None:
    loaded = "import sys, nst_rs_flows.stylize_inbox, nst_rs_flows.learn_style"
    said = f"{loaded}; print({{'tensorflow', 'distributed'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
