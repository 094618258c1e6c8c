"""Rounds on real clusters of several processes, with pixels for a network, and what they do when parts are killed."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from distributed import LocalCluster, Status
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

import nst_rs
from nst_rs.errors import NstError, OutputError, ResourceError
from nst_rs.executors.dask import cluster as dask
from nst_rs.executors.dask.cluster import Cluster
from nst_rs.executors.dask.rounds import ClusterRounds, WorkersState, assign_blocks
from nst_rs.files.storage import DiskStorage
from nst_rs.optimise.descent import Step
from nst_rs.optimise.iterate import Move
from nst_rs.optimise.state import Form, State
from nst_rs.pyramid.tiling import Tile
from tests import cluster_run
from tests.cluster_run import CANVAS, go
from tests.learned_styles import small_style
from tests.operated import ROOT, free_address, operated, wait_for
from tests.pixel_kernel import PixelKernel, problem_of
from tests.rasters import random_values, write_raster

TILES = len(CANVAS.tiles)


def wait_until_whole(cluster: Cluster) -> None:
    """Wait until both workers are back, also in the eyes of who starts them: one killed before would not be again."""
    nannies = cluster.client.cluster.workers.values()
    for _ in range(600):
        if all(nanny.status is Status.running and nanny.process.is_alive() for nanny in nannies):
            break
        time.sleep(0.1)
    cluster.client.wait_for_workers(2, timeout=300)


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    """Two workers, each in a process of its own."""
    with dask.started(2, 1) as found:
        wait_until_whole(found)
        yield found


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """The picture that a run without a cluster comes to."""
    return cluster_run.expected()


def ignore(_: object) -> None:
    pass


def drawn(folder: Path) -> State:
    """A level's beginning, on disk."""
    state = Form(CANVAS.level, averaged=False, layers=None, by_core=True).create(DiskStorage(folder), "start")
    state.picture[:, :] = CANVAS.image[:, :]
    return state


def test_a_cluster_comes_to_the_bits_of_one_process(two: Cluster, expected: np.ndarray, tmp_path: Path) -> None:
    found, _ = go(tmp_path, two, ignore)
    assert (found == expected).all()


def test_the_bits_do_not_depend_on_the_number_of_workers(expected: np.ndarray, tmp_path: Path) -> None:
    with dask.started(3, 1) as three:
        assert len(three.workers) == 3
        found, _ = go(tmp_path, three, ignore)
    assert (found == expected).all()


def test_after_every_window_the_tile_is_told(two: Cluster, tmp_path: Path) -> None:
    kind = ClusterRounds(two, problem_of(CANVAS), PixelKernel, kept=0)
    state = drawn(tmp_path)
    told: list[Tile] = []
    kind(kind.begin(state), WorkersState(kind), [Move(1, 4.0)], told.append)
    assert len(told) == kind.windows(0) == 2 * TILES
    assert set(told) == set(CANVAS.tiles)


def test_what_goes_wrong_on_a_worker_is_told_as_it_is_here(two: Cluster, tmp_path: Path) -> None:
    state = drawn(tmp_path)
    kind = ClusterRounds(two, problem_of(CANVAS), PixelKernel, kept=0)
    held = kind.begin(state)
    shutil.rmtree(tmp_path / "start-picture" / "c")
    (tmp_path / "start-picture" / "c").write_text("in the way of the chunks")
    with pytest.raises(OutputError, match=f"workspace {tmp_path}: expected room and leave to write"):
        held.copy_to(state)


@pytest.mark.parametrize("window", [1, TILES, TILES + 2, 3 * TILES + 1])
def test_a_worker_killed_in_a_round_changes_no_bit(
    two: Cluster, expected: np.ndarray, tmp_path: Path, window: int
) -> None:
    heard: list[Step] = []

    def kill(step: Step) -> None:
        heard.append(step)
        if len(heard) == window:
            os.kill(next(iter(two.client.run(os.getpid).values())), signal.SIGKILL)

    found, _ = go(tmp_path, two, kill, kept=window < 3 * TILES)
    assert (found == expected).all()
    wait_until_whole(two)


def test_all_workers_killed_at_once_change_no_bit(two: Cluster, expected: np.ndarray, tmp_path: Path) -> None:
    heard: list[Step] = []

    def kill(step: Step) -> None:
        heard.append(step)
        if len(heard) == TILES:
            for process in two.client.run(os.getpid).values():
                os.kill(process, signal.SIGKILL)

    found, _ = go(tmp_path, two, kill)
    assert (found == expected).all()
    wait_until_whole(two)


def leave_a_mark(folder: Path, part: str) -> None:
    """Leave one the second time, and with ``die`` end the worker the first time."""
    begun = folder / f"{part}-begun"
    if begun.exists():
        (folder / part).touch()
        return
    begun.touch()
    if part == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("only the first time")


def test_a_part_that_fails_or_loses_its_worker_is_done_again(two: Cluster, tmp_path: Path) -> None:
    done: list[None] = []
    two.each(leave_a_mark, tmp_path, ["fail", "die"], lambda _part: done.append(None))
    assert (tmp_path / "fail").exists()
    assert (tmp_path / "die").exists()
    assert len(done) == 2
    wait_until_whole(two)


def always_fails(folder: Path, part: str) -> None:
    raise OutputError(f"workspace {folder}", got=part)


def test_a_part_that_fails_again_and_again_is_told_as_it_is_here(two: Cluster, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"workspace {tmp_path}: got a part"):
        two.each(always_fails, tmp_path, ["a part"], lambda _part: None)


def test_a_scheduler_killed_ends_the_run_with_one_line_and_it_goes_on_when_started_again(
    expected: np.ndarray, tmp_path: Path
) -> None:
    address = free_address()
    with operated(address) as (scheduler, *_), dask.at_address(address) as found:
        found.client.wait_for_workers(2, timeout=300)

        def kill(step: Step) -> None:
            if step.iteration == 3 and step.windows_done == 2:
                scheduler.kill()

        with pytest.raises(ResourceError, match=f"cluster {address}: expected an answer of its scheduler, got none"):
            go(tmp_path, found, kill)
    with operated(address), dask.at_address(address) as again:
        picture, done = go(tmp_path, again, ignore)
    assert done == 2
    assert (picture == expected).all()


def test_a_driver_killed_goes_on_when_started_again(two: Cluster, expected: np.ndarray, tmp_path: Path) -> None:
    for rounds in (1, 3):
        command = [sys.executable, "-m", "tests.cluster_run", str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
            assert run.stdout is not None
            for line in run.stdout:
                if line == f"round {rounds}\n":
                    run.kill()
    picture, done = go(tmp_path, two, ignore)
    assert done >= 3
    assert (picture == expected).all()


def hide_all_files() -> None:
    """Have this worker see no file of the disk, like a machine that does not share it."""

    def read_text(path: Path, *_: Any, **__: Any) -> str:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    Path.read_text = read_text  # type: ignore[method-assign]


def test_a_worker_that_does_not_see_the_workspace_is_refused_by_name(tmp_path: Path) -> None:
    address = free_address()
    with operated(address), dask.at_address(address) as found:
        found.client.wait_for_workers(2, timeout=300)
        found.prove(tmp_path)
        blind = found.workers[1]
        found.client.run(hide_all_files, workers=[blind])
        need = f"worker {blind}: expected the folder {tmp_path} as this machine has it, got No such file or directory; "
        with pytest.raises(ResourceError, match=need):
            found.prove(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_workers_in_another_folder_make_the_same_maps_of_relative_paths(
    small: Path, harvest: Path, quick: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere, address = tmp_path / "elsewhere", free_address()
    elsewhere.mkdir()
    Path("scene.tif").write_bytes(small.read_bytes())
    small_style().save(Path("small.style"))
    Path("harvest.jpg").write_bytes(harvest.read_bytes())
    memory = {"compute.memory": "1GB"}
    own: dict[str, dict[str, Any]] = {
        "small.style": {**memory, "compute.precision": "float32"},
        "harvest.jpg": {**memory, **quick, "schedule.levels": 1, "schedule.iterations": 2},
    }
    with operated(address, elsewhere, workers=1):
        for style, settings in own.items():
            alone, made = Path(f"{style}-alone.tif"), Path(f"{style}.tif")
            nst_rs.stylize("scene.tif", style, alone, settings=settings)
            spread = {**settings, "compute.executor": "dask", "compute.address": address}
            nst_rs.stylize("scene.tif", style, made, settings=spread)
            with rasterio.open(made) as first, rasterio.open(alone) as second:
                # Other numbers of threads add up otherwise.
                assert np.abs(first.read().astype(int) - second.read()).max() <= 1
    assert list(elsewhere.iterdir()) == []


def test_an_address_without_a_scheduler_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "SECONDS_TO_ANSWER", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://here"):
        with (
            pytest.raises(NstError, match=f"compute.address {address}: expected a Dask scheduler"),
            dask.at_address(address),
        ):
            pass


@pytest.mark.parametrize(
    "address",
    ["tcp://host", "tcp://host:", "tcp://host:abc", "tcp://host:99999", "tcp://:8786", "tcp://host:8786/x", "8786", ""],
)
def test_what_can_be_no_schedulers_address_is_told_before_the_scene_is_read(
    address: str, small: Path, harvest: Path, tmp_path: Path
) -> None:
    settings = {"compute.executor": "dask", "compute.address": address}
    with pytest.raises(ResourceError, match=rf"^compute.address {address}: expected a Dask scheduler, such as tcp://"):
        nst_rs.stylize(small, harvest, tmp_path / "map.tif", settings=settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("style", ["harvest", "an image"])
def test_a_scheduler_that_does_not_answer_is_told_before_the_scene_is_read(
    style: str, small: Path, harvest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the scene was read")

    monkeypatch.setattr(dask, "SECONDS_TO_ANSWER", 0.2)
    monkeypatch.setattr("nst_rs.runs.compose.compose", read)
    settings = {"compute.executor": "dask", "compute.address": free_address()}
    with pytest.raises(ResourceError, match=r"^compute.address tcp://.*: expected a Dask scheduler, such as tcp://"):
        nst_rs.stylize(small, harvest if style == "an image" else style, tmp_path / "map.tif", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_tls_without_certificates_is_told_in_one_line() -> None:
    with pytest.raises(ResourceError, match=r"^address tls://host:8786: expected certificates for tls, .*, got none; "):
        dask.check_address("address tls://host:8786", "tls://host:8786")


def test_a_scheduler_that_lacks_the_program_is_told_in_one_line() -> None:
    address = free_address()
    lacking = "import sys; sys.modules['nst_rs'] = None; from dask.__main__ import main; main()"
    host, port = address.removeprefix("tcp://").split(":")
    command = [sys.executable, "-c", lacking, "scheduler", "--host", host, "--port", port]
    with subprocess.Popen([*command, "--dashboard-address", "127.0.0.1:0"], stderr=subprocess.DEVNULL) as scheduler:
        wait_for(host, port)
        with (
            pytest.raises(ResourceError, match=f"cluster {address}: expected a scheduler that can import nst_rs, got "),
            dask.at_address(address),
        ):
            pass
        scheduler.kill()


def test_a_scheduler_without_workers_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "_SECONDS_WITHOUT_WORKERS", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ResourceError, match="expected workers, got none"),
        dask.at_address(empty.scheduler_address),
    ):
        pass


workers = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True)


@given(st.integers(1, 40), workers, workers)
def test_blocks_are_assigned_evenly_and_stay_where_they_were(count: int, before: list[str], now: list[str]) -> None:
    first = assign_blocks(count, {}, before)
    assert [first[number] for number in range(count)] == sorted(first.values(), key=before.index)
    then = assign_blocks(count, first, now)
    most = -(-count // len(now))
    assert sorted(then) == list(range(count))
    assert all(list(then.values()).count(worker) <= most for worker in now)
    for worker in set(now) & set(before):
        stayed = [number for number in first if first[number] == then[number] == worker]
        assert len(stayed) == min(most, list(first.values()).count(worker))


@pytest.fixture(scope="module")
def small(olinda: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corner of the sample scene, of 3 × 2 tiles with its border."""
    path = tmp_path_factory.mktemp("scene") / "small.tif"
    with rasterio.open(olinda / "olinda_r0_c0.tif") as source:
        window = Window(0, 0, 120, 64)
        with rasterio.open(path, "w", **{**source.profile, "width": 120, "height": 64}) as target:
            target.write(source.read(window=window))
            target.descriptions = source.descriptions
    return path


def place_of(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as source:
        return {"crs": source.crs, "transform": source.transform}


def test_the_map_of_two_workers_is_that_of_one_process(
    small: Path, harvest: Path, deep: dict[str, object], tmp_path: Path
) -> None:
    start = write_raster(tmp_path / "start.tif", random_values((3, 64, 60)), **place_of(small))
    settings = {**deep, "schedule.levels": 1, "schedule.iterations": 3, "tiling.tile": 64, "compute.memory": "1GB"}
    settings["schedule.init"] = start  # which covers the scene's left half
    dask = {"compute.executor": "dask", "compute.workers": 2, "output.every": 2}
    (tmp_path / "dask").mkdir()
    alone = nst_rs.stylize(small, harvest, tmp_path / "alone.tif", settings={**settings, "tiling.statistics": "exact"})
    made = nst_rs.stylize(small, harvest, tmp_path / "dask" / "map.tif", settings={**settings, **dask})
    # One thread each instead of all: TensorFlow's sums differ in their last bits, and Adam divides by the gradient.
    assert made.losses == pytest.approx(alone.losses, rel=1e-6)
    with rasterio.open(made.output) as found, rasterio.open(alone.output) as expected:
        difference = np.abs(found.read().astype(int) - expected.read())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001
    assert not (tmp_path / "dask" / ".map.tif.work").exists()
    assert re.findall(r"<figcaption>Level 1, iteration (\d)<", made.report.read_text()) == ["2", "3"]
