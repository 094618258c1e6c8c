"""What becomes of a run that is killed, disturbed or starved: the same map, byte for byte, or a clear error.

Runs are real processes. Most compute with a stand-in for the network, which has no part in what is tested here.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from nst_rs.config.loading import load_config
from nst_rs.errors import OutputError, SceneError
from nst_rs.output.files import Outputs
from nst_rs.runs import compose as composing
from nst_rs.runs.prepare import prepare
from nst_rs.runs.session import run
from nst_rs.runs.several.sweep import Variant, is_done
from tests.forked import ForkedRun, Orders, Tally, use_pixels_for_features
from tests.full_disk import files_of_at_most
from tests.operated import free_address, operated

OLD = b"an earlier map"
SHALLOW = {
    False: ("objective.content_layers={conv1_1: 1}", "objective.style_layers={conv1_1: 1}"),
    True: ("objective.content_layers={conv2_2: 2e-5}", "objective.style_layers={conv1_1: 6e-7, conv2_1: 3e-10}"),
}


@dataclass(frozen=True)
class Case:
    """A run, what it makes when nothing happens to it, and a folder to make it again in."""

    orders: Orders
    whole: bytes
    tally: Tally
    folder: Path
    workers: tuple[int, ...] = ()
    """The processes that compute, where they are not the run's own."""
    offset: float = 0.0
    """From 0 to 1, for each case to be killed at other moments."""

    @property
    def output(self) -> Path:
        return self.folder / "map.tif"

    def run(self, **orders: object) -> ForkedRun:
        return ForkedRun(replace(self.orders, **orders))

    def put_an_earlier_map(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.output.write_bytes(OLD)

    def check_whole(self) -> None:
        """The map is the undisturbed run's, and nothing lies about."""
        assert self.output.read_bytes() == self.whole
        assert set(self.folder.iterdir()) == set(Outputs(self.output))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, olinda: Path) -> Path:
    """Two tiles of 48 × 80 pixels cut from the sample."""
    folder = tmp_path_factory.mktemp("scene")
    with rasterio.open(olinda / "olinda_r0_c0.tif") as source:
        for left in (0, 48):
            window = Window(left, 0, 48, 80)
            transform = source.window_transform(window)
            profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "crs": source.crs, "transform": transform}
            with rasterio.open(folder / f"{left}.tif", "w", width=48, height=80, **profile) as target:
                target.write(source.read([3, 2, 1], window=window))
    return folder


@pytest.fixture
def tiles(scene: Path, tmp_path: Path) -> Path:
    """A copy of the scene, to be spoilt."""
    return shutil.copytree(scene, tmp_path / "tiles")


def assignments(scene: Path, harvest: Path, memory: str = "2GB", network: bool = False) -> tuple[str, ...]:
    files = (f"scene.paths=[{scene}]", f"style.images={harvest}", "style.size=64")
    schedule = ("schedule.levels=2", "schedule.iterations=[3, 2]")
    tiling = ("tiling.tile=64", "tiling.statistics=predicted", "tiling.tiles_at_once=2")  # whatever the memory is
    compute = ("compute.precision=float32", "compute.device=cpu", f"compute.memory={memory}")
    return (*files, *schedule, *tiling, *compute, *SHALLOW[network])


def case_of(orders: Orders, folder: Path) -> Case:
    folder.mkdir()
    orders = replace(orders, assignments=(*orders.assignments, f"output.path={folder / 'map.tif'}"))
    run = ForkedRun(orders)
    tally = run.said()
    assert run.end() == 0
    return Case(orders, (folder / "map.tif").read_bytes(), tally, folder)


@pytest.fixture(scope="module")
def case_in_memory(scene: Path, harvest: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case_of(Orders(assignments(scene, harvest, "2GB")), tmp_path_factory.mktemp("case") / "made")


@pytest.fixture(scope="module")
def case_on_disk(scene: Path, harvest: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    case = case_of(Orders(assignments(scene, harvest, "1MB")), tmp_path_factory.mktemp("case") / "made")
    return replace(case, offset=1 / 3)


@pytest.fixture(scope="module")
def case_on_a_cluster(scene: Path, harvest: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """The same run, whose tiles are computed by two workers of a cluster that outlives it."""
    address = free_address()
    cluster = ("compute.executor=dask", f"compute.address={address}", "compute.workers=2", "tiling.statistics=exact")
    with operated(address) as (_, *workers):
        orders = Orders((*assignments(scene, harvest), *cluster))
        case_of(orders, tmp_path_factory.mktemp("first") / "made")  # takes longer: workers import the program
        case = case_of(orders, tmp_path_factory.mktemp("case") / "made")
        yield replace(case, workers=tuple(worker.pid for worker in workers), offset=2 / 3)


@pytest.fixture(params=["in memory", "on disk", "on a cluster"])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.getfixturevalue(f"case_{request.param.replace(' ', '_')}")
    return found


@pytest.fixture(params=["in memory", "on disk"])
def case_here(request: pytest.FixtureRequest) -> Case:
    """For what a run does by itself wherever its tiles are computed."""
    found: Case = request.getfixturevalue(f"case_{request.param.replace(' ', '_')}")
    return found


def check_a_killed_run(case: Case, run: ForkedRun) -> None:
    """A killed run leaves the earlier map or the new one, and the next run ends as if nothing had happened."""
    assert run.end() in (-signal.SIGKILL, 0)
    assert case.output.read_bytes() in (OLD, case.whole)
    assert case.run().end() == 0
    case.check_whole()


@pytest.mark.parametrize("half", range(2))
def test_a_run_killed_before_any_change_of_a_file_goes_on_to_the_same_bytes(case: Case, half: int) -> None:
    """Killed once; runs that are killed over and over and while they write are below. These are 6 moments."""
    case.put_an_earlier_map()
    share = (half + case.offset) / 2
    check_a_killed_run(case, case.run(kill_at=1 + int(share * case.tally.changes)))


def test_a_run_killed_whenever_the_output_is_written_goes_on_to_the_same_bytes(case: Case) -> None:
    """Killed five times: what is computed is computed once. All cases write alike, so that these are 15 moments."""
    case.put_an_earlier_map()
    for fifth in range(5):
        share = (fifth + case.offset) / 5
        run = case.run(kill_at=1 + int(share * case.tally.publishing), publishing=True)
        assert run.end() == -signal.SIGKILL
        assert case.output.read_bytes() in (OLD, case.whole)
    assert case.run().end() == 0
    case.check_whole()


def test_a_run_killed_at_any_time_goes_on_to_the_same_bytes(case: Case) -> None:
    """Also while nothing is written. Each case has another moment."""
    case.put_an_earlier_map()
    run = case.run()
    time.sleep((0.2 + case.offset) * case.tally.seconds)
    run.process.kill()
    check_a_killed_run(case, run)


def test_a_run_killed_over_and_over_goes_on_to_the_same_bytes(case: Case) -> None:
    case.put_an_earlier_map()
    for change in np.random.default_rng(8).integers(5, case.tally.changes // 2, 4):
        case.run(kill_at=int(change)).end()
    assert case.run().end() == 0
    case.check_whole()


def test_a_run_with_the_real_network_killed_twice_goes_on_to_the_same_bytes(
    scene: Path, harvest: Path, tmp_path: Path
) -> None:
    case = case_of(Orders(assignments(scene, harvest, network=True), network=True), tmp_path / "made")
    case.put_an_earlier_map()
    for orders in ({"kill_at": case.tally.changes // 2}, {"kill_at": 3, "publishing": True}):
        assert case.run(**orders).end() == -signal.SIGKILL
        assert case.output.read_bytes() == OLD
    assert case.run().end() == 0
    case.check_whole()


def test_files_of_two_runs_are_not_taken_for_those_of_one(case_here: Case) -> None:
    """A run killed between its record and its map: the record is of this run, the map of another."""
    case = case_here
    case.put_an_earlier_map()
    variant = Variant("map", load_config(None, case.orders.assignments))
    assert case.run(before_moving="map.tif").end() == -signal.SIGKILL
    assert case.output.read_bytes() == OLD
    assert Outputs(case.output).record.exists()
    assert not is_done(variant)
    assert case.run().end() == 0
    assert is_done(variant)


def test_a_second_run_to_one_output_is_refused_and_the_first_ends_undisturbed(case_here: Case) -> None:
    case = case_here
    case.put_an_earlier_map()
    first = case.run(wait_after=3)
    assert first.said() == "waiting"
    second = case.run()
    complaint = second.said()
    assert complaint.startswith(f"LockedError: output {case.output}: expected no other run at it, got process ")
    assert f"process {first.process.pid} on " in complaint
    assert second.end() == 2
    first.go_on()
    assert first.end() == 0
    case.check_whole()


@pytest.mark.parametrize("size", [0, 1_000, 12_000])
def test_a_full_disk_is_an_error_that_leaves_the_earlier_map_and_the_next_run_goes_on(
    case_here: Case, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_here
    case.put_an_earlier_map()
    use_pixels_for_features(monkeypatch.setattr)
    job = prepare(load_config(None, case.orders.assignments))
    with pytest.raises(OutputError, match="expected room and leave to write, got"), files_of_at_most(size):
        run(job)
    assert case.output.read_bytes() == OLD
    assert not case.output.with_suffix(".png").exists()
    assert case.run().end() == 0
    case.check_whole()


def test_a_full_disk_of_the_workers_is_an_error_that_leaves_the_earlier_map_and_the_next_run_goes_on(
    case_on_a_cluster: Case,
) -> None:
    case = case_on_a_cluster
    case.put_an_earlier_map()
    with files_of_at_most(0, case.workers):
        run = case.run()
        assert run.said().startswith(
            f"OutputError: workspace {case.folder / '.map.tif.work' / 'arrays'}: expected room and leave"
        )
        assert run.end() == 2
    assert case.output.read_bytes() == OLD
    assert case.run().end() == 0
    case.check_whole()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_with(path: Path, value: int) -> None:
    """Put another raster in a file's place, in one move."""
    with rasterio.open(path) as source:
        profile, pixels = source.profile, source.read()
    other = path.with_suffix(".new")
    with rasterio.open(other, "w", **profile) as target:
        target.write(np.where(pixels % 3 == 0, np.uint8(value), pixels))
    os.replace(other, path)


def test_a_tile_spoilt_after_it_was_read_changes_nothing(case: Case, tiles: Path) -> None:
    case.put_an_earlier_map()
    case = replace(case, orders=on_tiles(case.orders, tiles))
    run = case.run(wait_after=3)
    assert run.said() == "waiting"
    truncate(tiles / "0.tif")
    replace_with(tiles / "48.tif", 7)
    run.go_on()
    assert run.end() == 0
    case.check_whole()


def on_tiles(orders: Orders, tiles: Path) -> Orders:
    return replace(orders, assignments=(*orders.assignments, f"scene.paths=[{tiles}]"))


def test_a_run_killed_whose_tile_was_truncated_goes_on_when_the_tile_is_whole_again(
    case: Case, tiles: Path, scene: Path
) -> None:
    case.put_an_earlier_map()
    case = replace(case, orders=on_tiles(case.orders, tiles))
    run = case.run(wait_after=12)
    assert run.said() == "waiting"
    run.process.kill()
    run.end()
    truncate(tiles / "0.tif")
    refused = case.run()
    assert refused.said().startswith(f"SceneError: scene {tiles / '0.tif'}: expected ")
    assert refused.end() == 2
    assert case.output.read_bytes() == OLD
    assert (case.folder / ".map.tif.work" / "checkpoint.json").exists()
    shutil.copy(scene / "0.tif", tiles / "0.tif")
    assert case.run().end() == 0
    case.check_whole()


def test_a_run_killed_whose_tile_was_replaced_starts_anew_with_the_new_one(
    case: Case, tiles: Path, tmp_path: Path
) -> None:
    case.put_an_earlier_map()
    case = replace(case, orders=on_tiles(case.orders, tiles))
    run = case.run(wait_after=12)
    assert run.said() == "waiting"
    run.process.kill()
    run.end()
    replace_with(tiles / "48.tif", 7)
    assert case.run().end() == 0
    fresh = case_of(case.orders, tmp_path / "fresh")
    assert fresh.whole != case.whole
    replace(case, whole=fresh.whole).check_whole()


@pytest.mark.parametrize(
    ("spoil", "got"),
    [(lambda path: replace_with(path, 7), "another"), (Path.unlink, "nothing of that name"), (truncate, "another")],
)
def test_a_tile_spoilt_while_it_is_read_is_an_error_that_leaves_the_earlier_map(
    scene: Path,
    harvest: Path,
    tiles: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    got: str,
) -> None:
    output = tmp_path / "map.tif"
    output.write_bytes(OLD)
    compose = composing.compose

    def compose_and_spoil(*arguments: object) -> object:
        made = compose(*arguments)
        spoil(tiles / "48.tif")
        return made

    monkeypatch.setattr(composing, "compose", compose_and_spoil)
    job = prepare(load_config(None, (*assignments(tiles, harvest), f"output.path={output}")))
    with pytest.raises(SceneError, match=rf"48\.tif: expected a file that stays as it is while it is read, got {got}"):
        run(job)
    assert output.read_bytes() == OLD
    assert {path.name for path in tmp_path.iterdir()} == {"tiles", "map.tif"}
