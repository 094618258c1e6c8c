"""The flow on a real Prefect server."""

import asyncio
import base64
import contextvars
import importlib
import io
import os
import threading
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import rasterio
from PIL import Image

from nst_rs.config.loading import PRESETS
from nst_rs.errors import SceneError
from nst_rs.files import lock
from nst_rs.learned.style_file import read_learned
from tests.forked import use_pixels_for_features
from tests.learned_styles import small_style
from tests.operated import free_address, operated
from tests.rasters import write_raster

Settings = dict[str, Any]

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def flows() -> Any:
    return importlib.import_module("nst_rs_flows.stylize_scene")


def read_artifacts() -> dict[str, Any]:
    """Key → the latest artifact of that key."""
    from prefect import get_client

    async def read() -> dict[str, Any]:
        async with get_client() as client:
            found = sorted(await client.read_artifacts(), key=lambda artifact: artifact.created)
            return {artifact.key: artifact for artifact in found}

    return asyncio.run(read())


@pytest.fixture(scope="module")
def finished(
    flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Path]:
    output = tmp_path_factory.mktemp("flow") / "map.tif"
    relative = os.path.relpath(output)
    state = flows.stylize_scene(
        scene=[str(olinda)],
        style=[str(harvest)],
        output=relative,
        settings={**quick, "output.every": "level"},
        return_state=True,
    )
    return state, output


def test_the_flow_makes_the_map_its_preview_and_its_record(finished: tuple[Any, Path], olinda: Path) -> None:
    state, output = finished
    assert state.is_completed()
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "map.html",
        "map.png",
        "map.run.json",
        "map.stac.json",
        "map.tif",
    ]
    with rasterio.open(output) as made, rasterio.open(olinda / "olinda_r0_c0.tif") as first:
        assert made.transform == first.transform
        assert (made.width, made.height) == (349, 352)


def test_the_run_is_named_after_its_map(finished: tuple[Any, Path]) -> None:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        run = client.read_flow_run(finished[0].state_details.flow_run_id)
    assert run.name == "map"


def test_the_flow_makes_the_same_map_as_the_pipeline_alone(
    finished: tuple[Any, Path], olinda: Path, harvest: Path, quick: Settings, tmp_path: Path
) -> None:
    import nst_rs

    alone = nst_rs.stylize(olinda, harvest, tmp_path / "map.tif", settings=quick)
    assert alone.output.read_bytes() == finished[1].read_bytes()


def test_the_flow_leaves_progress_figures_and_files_as_artifacts(finished: tuple[Any, Path]) -> None:
    _, output = finished
    artifacts = read_artifacts()
    assert artifacts["level-1"].data == artifacts["level-2"].data == 100.0
    assert "iteration 2/2" in artifacts["level-2"].description
    assert "time, level 2" in artifacts["figures"].data
    assert "frame ratio" in artifacts["figures"].data
    assert output.as_uri() in artifacts["map"].data
    assert str(output.with_suffix(".run.json")) in artifacts["result"].data
    assert output.with_suffix(".html").as_uri() in artifacts["report"].data
    assert artifacts["preview"].data in artifacts["result"].data
    assert artifacts["on-the-way"].data.startswith("data:image/webp;base64,")
    assert artifacts["on-the-way"].data in output.with_suffix(".html").read_text()
    assert artifacts["on-the-way"].description.startswith("level 2, iteration 2, loss ")


def test_the_picture_on_prefects_page_is_the_preview_scaled_down_on_white(flows: Any, tmp_path: Path) -> None:
    preview = Image.new("RGBA", (1024, 600), (200, 30, 30, 255))
    preview.paste((0, 0, 0, 0), (0, 0, 512, 600))
    preview.save(tmp_path / "map.png")
    kind, _, data = flows.thumbnail(tmp_path / "map.png").partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert shown.size == (512, 300)
        left, right = shown.getpixel((100, 150)), shown.getpixel((400, 150))
    assert np.abs(np.subtract([*left, *right], [255, 255, 255, 200, 30, 30])).max() < 8  # JPEG's own error


def test_the_presets_to_choose_from_are_all_that_there_are(flows: Any) -> None:
    assert get_args(flows.Preset) == tuple(PRESETS)


def test_a_flow_to_an_output_that_another_run_is_at_fails_with_one_line(
    flows: Any, olinda: Path, harvest: Path, tmp_path: Path
) -> None:
    output = tmp_path / "map.tif"
    with lock.alone(lock.path_for(output), "output"):
        state = flows.stylize_scene(scene=[str(olinda)], style=[str(harvest)], output=str(output), return_state=True)
    assert state.is_failed()
    assert state.message.startswith(f"output {output}: expected no other run at it, got process {os.getpid()} on ")


def test_levels_wait_for_a_place_under_prefects_limit_and_say_so(
    flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate

    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="cpu", limit=1, active_slots=1))

    freed: list[float] = []

    def free() -> None:
        freed.append(time.time())
        with get_client(sync_client=True) as client:
            client.update_global_concurrency_limit("cpu", GlobalConcurrencyLimitUpdate(active_slots=0))

    output = tmp_path / "map.tif"
    timer = threading.Timer(8, contextvars.copy_context().run, [free])
    timer.start()
    made = flows.stylize_scene(
        scene=[str(olinda.with_name("olinda_centre.tif"))], style=[str(harvest)], output=str(output), settings=quick
    )
    timer.join()
    with get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name("cpu")
    assert Path(made).stat().st_mtime > freed[0]
    assert caplog.text.count("waiting for a place under Prefect's limit cpu: none is free") == 1


def test_a_wrong_scene_fails_the_flow_with_its_one_line_and_no_traceback(
    flows: Any, harvest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "map.tif"
    state = flows.stylize_scene(scene=["nowhere"], style=[str(harvest)], output=str(output), return_state=True)
    assert state.is_failed()
    assert state.message == "scene nowhere: expected a file or folder, got nothing of that name"
    with pytest.raises(SceneError):
        state.result()
    assert "Traceback" not in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_fails_once_is_tried_again(
    flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_rs.runs.session import Session

    attempts: list[int] = []
    compute = Session.compute

    def fails_at_first(session: Any, index: int) -> None:
        attempts.append(index)
        if attempts == [0]:
            raise OSError("a disk that was away for a moment")
        compute(session, index)

    monkeypatch.setattr(Session, "compute", fails_at_first)
    state = flows.stylize_scene(
        scene=[str(olinda)], style=[str(harvest)], output=str(tmp_path / "map.tif"), settings=quick, return_state=True
    )
    assert state.is_completed()
    assert attempts == [0, 0, 1]


def test_the_command_line_prints_one_line_for_a_users_mistake(flows: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["nowhere", "--style", "no.jpg", "--output", "o.tif"]) == 2
    assert "error: scene nowhere: expected a file or folder" in capsys.readouterr().err


def test_the_command_line_takes_several_styles(flows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(flows, "stylize_scene", given.update)
    assert flows.main(["scene.tif", "--style", "a.jpg", "--style", "b.jpg"]) == 0
    assert given["style"] == ["a.jpg", "b.jpg"]


def test_a_users_mistake_that_shows_late_is_not_tried_again(
    flows: Any, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_rs.runs.session import Session

    attempts: list[int] = []
    compose = Session.compose
    monkeypatch.setattr(Session, "compose", lambda session: (attempts.append(1), compose(session)))
    empty = write_raster(tmp_path / "empty.tif", np.zeros((3, 80, 80), np.uint8), nodata=0)
    state = flows.stylize_scene(
        scene=[str(empty)], style=[str(harvest)], output=str(tmp_path / "map.tif"), settings=quick, return_state=True
    )
    assert state.is_failed()
    assert "expected some valid pixels" in str(state.result(raise_on_failure=False))
    assert attempts == [1]


def test_the_flow_applies_a_learned_style(flows: Any, olinda: Path, tmp_path: Path) -> None:
    small_style().save(tmp_path / "small.style")
    output = tmp_path / "map.tif"
    settings = {"compute.precision": "float32"}
    named = {"scene": [str(olinda)], "style": [str(tmp_path / "small.style")], "output": str(output)}
    state = flows.stylize_scene(**named, settings=settings, return_state=True)
    assert state.is_completed()
    with rasterio.open(output) as made:
        assert (made.width, made.height) == (349, 352)
    assert "time, apply" in read_artifacts()["figures"].data


def test_the_flow_learns_a_style(flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path: Path) -> None:
    learn_style = importlib.import_module("nst_rs_flows.learn_style").learn_style
    few = {"learn.widths": (4, 8, 8), "learn.blocks": 1, "learn.steps": 1, "learn.window": 64}
    judged = {"learn.held_out_size": 64, "learn.held_out_windows": 1}
    output = tmp_path / "small.style"
    named = {"scene": [str(olinda)], "style": [str(harvest)], "output": str(output)}
    assert learn_style(**named, settings=quick | few | judged) == str(output)
    assert read_learned(output).facts.learning.steps == 1
    assert "optimised total" in read_artifacts()["held-out"].data


def test_learning_from_a_wrong_scene_fails_with_its_one_line(flows: Any, harvest: Path, tmp_path: Path) -> None:
    learn_style = importlib.import_module("nst_rs_flows.learn_style").learn_style
    named = {"scene": ["nowhere"], "style": [str(harvest)], "output": str(tmp_path / "no.style")}
    state = learn_style(**named, return_state=True)
    assert state.is_failed()
    assert state.message == "scene nowhere: expected a file or folder, got nothing of that name"


@pytest.fixture
def tasked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What Prefect's task runners for Dask are made with, in this test."""
    dask_workers = importlib.import_module("nst_rs_flows.workers")
    made: list[Settings] = []

    class Seen(dask_workers.DaskTaskRunner):
        def __init__(self, **given: Any) -> None:
            made.append(given)
            super().__init__(**given)

    monkeypatch.setattr(dask_workers, "DaskTaskRunner", Seen)
    return made


def test_on_a_cluster_the_tiles_go_through_prefects_task_runner_to_the_same_map(
    flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path: Path, tasked: list[Settings], monkeypatch: Any
) -> None:
    import nst_rs

    use_pixels_for_features(monkeypatch.setattr)
    scene = olinda.with_name("olinda_centre.tif")
    layers = {"objective.content_layers": {"conv1_1": 1}, "objective.style_layers": {"conv1_1": 1}}
    dask = {**quick, **layers, "compute.executor": "dask", "compute.workers": 2}
    alone = nst_rs.stylize(scene, harvest, tmp_path / "alone.tif", settings=dask)
    assert tasked == []

    def made(name: str, **more: Any) -> bytes:
        given = {"scene": [str(scene)], "style": [str(harvest)], "output": str(tmp_path / name)}
        return Path(flows.stylize_scene(**given, settings={**dask, **more})).read_bytes()

    assert made("started.tif") == alone.output.read_bytes()
    address = free_address()
    with operated(address):
        assert made("at-address.tif", **{"compute.address": address}) == alone.output.read_bytes()
    started, at_address = tasked
    assert started["cluster_kwargs"]["n_workers"] == 2
    assert at_address["address"] == address


def test_a_cluster_that_is_not_there_fails_the_flow_with_one_line(
    flows: Any, olinda: Path, harvest: Path, quick: Settings, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(importlib.import_module("nst_rs_flows.workers"), "SECONDS_TO_ANSWER", 1)
    monkeypatch.setattr(flows.compute, "retries", 0)
    settings = {**quick, "compute.executor": "dask", "compute.address": "tcp://127.0.0.1:9"}
    given = {"scene": [str(olinda)], "style": [str(harvest)], "output": str(tmp_path / "map.tif")}
    state = flows.stylize_scene(**given, settings=settings, return_state=True)
    assert state.is_failed()
    assert state.message.startswith("compute.address tcp://127.0.0.1:9: expected a Dask scheduler, such as tcp://")


@pytest.mark.parametrize(
    ("served_at", "found"),
    [
        (None, "file:///maps/a%20b.html"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/a%20b.html"),
        ("http://127.0.0.1:8000/night/", "http://127.0.0.1:8000/night/a%20b.html"),
    ],
)
def test_a_link_opens_where_a_file_is_served_and_names_the_file_where_it_is_not(
    served_at: str | None, found: str
) -> None:
    from nst_rs_flows.stylize_scene import link

    assert link(Path("/maps/a b.html"), served_at) == found
