"""Small pictures of a map on the way, taken in real runs."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.files.storage import STRIP_ROWS
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.pictures.preview import as_webp, preview
from nst_rs.runs.finish import Result
from nst_rs.runs.optimised import album
from nst_rs.runs.optimised.album import MOST, SIDE, spacing
from nst_rs.runs.prepare import prepare
from nst_rs.runs.progress import Progress
from nst_rs.runs.session import Session, run
from nst_rs.style.color import luminance
from tests.learned_styles import small_style
from tests.rasters import random_values, write_raster

SHAPE = 70, 520
STEPS = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
"""Level and iteration of every step of a run."""

Configured = Callable[..., RunConfig]


class KilledError(Exception):
    """Stands for a process that is killed."""


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory, harvest: Path, quick: dict[str, Any]) -> Configured:
    """Return the configuration of a map of some name with some settings."""
    folder = tmp_path_factory.mktemp("album")
    blocks = np.kron(random_values((3, 7, 52)), np.ones((1, 10, 10), np.uint8))
    blocks[:, :20, :30] = 0
    scene = write_raster(folder / "scene.tif", blocks, names=("red", "green", "blue"), nodata=0)
    named = override(
        name_files(load_config(None), [scene], harvest, None),
        {**quick, "tiling.tile": 256, "tiling.statistics": "exact"},
    )
    return lambda name, **settings: override(
        named,
        {"output.path": folder / f"{name}.tif", **{key.replace("__", "."): value for key, value in settings.items()}},
    )


@pytest.fixture(scope="module")
def plain(configured: Configured) -> Result:
    return run(prepare(configured("plain")))


def shown(page: Path) -> dict[tuple[int, int], Image.Image]:
    """(level, iteration) → the picture, of all that a report shows of the way."""
    pattern = r'<img src="data:image/webp;base64,([^"]+)"[^>]+>\s*<figcaption>Level (\d+), iteration (\d+)<small>loss'
    found = re.findall(pattern, page.read_text(encoding="utf-8"))
    return {
        (int(level), int(iteration)): Image.open(io.BytesIO(base64.b64decode(webp))) for webp, level, iteration in found
    }


def same(one: dict[tuple[int, int], Image.Image], other: dict[tuple[int, int], Image.Image]) -> bool:
    return list(one) == list(other) and all((np.array(one[when]) == np.array(other[when])).all() for when in one)


@given(st.integers(1, 500), st.lists(st.integers(1, 5000), min_size=1, max_size=12))
def test_there_are_never_more_pictures_than_a_page_takes_and_they_are_evenly_apart(
    every: int, iterations: list[int]
) -> None:
    apart = spacing(every, iterations)
    assert apart is not None
    assert apart % every == 0
    assert sum(-(-planned // apart) for planned in iterations) <= MOST
    if apart > every:
        assert sum(-(-planned // (apart - every)) for planned in iterations) > MOST


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
@pytest.mark.parametrize(
    ("every", "expected"), [(1, STEPS), (2, [(1, 2), (1, 3), (2, 2)]), ("level", [(1, 3), (2, 2)])]
)
def test_pictures_are_taken_as_often_as_asked_for_and_the_map_is_the_same_to_the_byte(
    configured: Configured, plain: Result, every: Any, expected: list[tuple[int, int]], memory: str
) -> None:
    taken: list[SmallPicture] = []
    config = configured("watched", output__every=every, compute__memory=memory)
    with Session(prepare(config), show=taken.append) as session:
        session.compute(0)
        session.compute(1)
        made = session.publish()
    assert made.output.read_bytes() == plain.output.read_bytes()
    assert made.losses == plain.losses
    assert [(picture.level, picture.iteration) for picture in taken] == expected
    pictures = shown(made.report)
    assert list(pictures) == expected
    losses = json.loads(made.record.read_text())["levels"]
    for picture in taken:
        assert picture.loss == losses[picture.level - 1]["losses"]["total"][picture.iteration - 1]
    assert max(pictures[2, 2].size) == SIDE
    assert pictures[1, 3].size == (260, 35)  # the level's own
    with Image.open(plain.preview) as published:
        scaled = published.resize(pictures[2, 2].size, Image.Resampling.BOX)
    expected_last = np.array(Image.open(io.BytesIO(as_webp(scaled)))).astype(int)
    last = np.array(pictures[2, 2]).astype(int)
    hidden = expected_last[..., 3] == 0
    assert hidden.any()
    assert (last[..., 3][hidden] == 0).all()
    valid = expected_last[..., 3] == 255
    assert np.abs(last - expected_last)[valid][:, :3].mean() < 2  # rounded twice


def test_no_picture_is_taken_unless_it_is_asked_for(plain: Result) -> None:
    page = plain.report.read_text()
    assert "How it came about" not in page
    assert shown(plain.report) == {}


@pytest.mark.parametrize("memory", ["2GB", "1MB"])
def test_a_killed_run_has_the_pictures_from_before_it_was_killed(configured: Configured, memory: str) -> None:
    settings = {"output__every": 1, "compute__memory": memory}
    whole = run(prepare(configured("whole", **settings)))
    killed = prepare(configured("killed", **settings))

    def die(state: Progress) -> None:
        if state.ends_iteration and (state.level, state.step.iteration) == (2, 1):
            raise KilledError

    with pytest.raises(KilledError):
        run(killed, die)
    kept = [(each["level"], each["iteration"]) for each in (killed.workspace.read_album() or {})["pictures"]]
    assert kept == STEPS[:4]
    taken: list[SmallPicture] = []
    with Session(prepare(configured("killed", **settings)), show=taken.append) as session:
        session.compute(0)
        session.compute(1)
        again = session.publish()
    assert again.output.read_bytes() == whole.output.read_bytes()
    assert same(shown(again.report), shown(whole.report))
    if memory == "1MB":  # states in memory are kept from time to time
        assert [(picture.level, picture.iteration) for picture in taken] == STEPS[4:]


def test_pictures_may_be_asked_for_where_a_run_was_killed_without_them(configured: Configured, plain: Result) -> None:
    def die(state: Progress) -> None:
        if state.ends_iteration and state.level == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run(prepare(configured("later", compute__memory="1MB")), die)
    heard: list[Progress] = []
    made = run(prepare(configured("later", compute__memory="1MB", output__every=1)), heard.append)
    assert (heard[0].level, heard[0].step.before) == (2, 1)
    assert list(shown(made.report)) == STEPS[4:]
    assert made.output.read_bytes() == plain.output.read_bytes()


def test_another_runs_pictures_are_not_taken_for_ones_own(configured: Configured) -> None:
    def die(state: Progress) -> None:
        if state.ends_iteration and state.step.iteration == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run(prepare(configured("other", output__every=1, objective__beta=7.0)), die)
    made = run(prepare(configured("other", output__every="level")))
    assert list(shown(made.report)) == [(1, 3), (2, 2)]


def test_a_round_of_several_steps_is_shown_where_it_ends(configured: Configured) -> None:
    predicted = {"tiling__statistics": "predicted", "tiling__steps_per_round": 2, "schedule__iterations": (5, 3)}
    made = run(prepare(configured("several", output__every=3, **predicted)))
    assert list(shown(made.report)) == [(1, 4), (1, 5), (2, 3)]


def test_a_level_that_ends_early_is_shown_where_it_ends(configured: Configured) -> None:
    flat = {"schedule__iterations": 30, "schedule__levels": 1, "schedule__tolerance": 0.9}
    made = run(prepare(configured("early", output__every="level", **flat)))
    assert list(shown(made.report)) == [(1, len(made.losses))]
    assert len(made.losses) < 30


def test_the_pictures_have_the_maps_colours(configured: Configured) -> None:
    made = run(prepare(configured("colors", output__every="level", style__color="scene")))
    with Image.open(made.preview) as published:
        rgb = np.array(published.convert("RGB"), np.float32)[20:, 40:]
    for picture in shown(made.report).values():
        pixels = np.array(picture.resize((SHAPE[1], SHAPE[0])).convert("RGB"), np.float32)[20:, 40:]
        chroma, expected = (each - luminance(each)[..., np.newaxis] for each in (pixels, rgb))
        assert np.corrcoef(chroma.ravel(), expected.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("error", [OutputError("workspace", got="no room"), ValueError("no such pixels")])
def test_a_picture_that_fails_costs_no_map(
    configured: Configured,
    plain: Result,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(album, "as_webp", fail)
    made = run(prepare(configured("failing", output__every="level")))
    assert made.output.read_bytes() == plain.output.read_bytes()
    assert f"the picture of level 1, iteration 3, failed: {type(error).__name__}: {error}" in caplog.text
    assert shown(made.report) == {}


def test_a_scene_is_read_for_a_picture_in_strips_of_rows() -> None:
    read: list[int] = []

    class Tall:
        shape, dtype = (5000, 40, 3), np.dtype(np.float32)

        def __getitem__(self, rows: slice) -> np.ndarray:
            read.append(rows.stop - rows.start)
            return np.full((rows.stop - rows.start, 40, 3), 7, np.float32)

    small = preview(Tall(), np.ones((5000, 40), np.float32), SIDE)
    assert small.size == (3, SIDE)
    assert max(read) <= STRIP_ROWS + 13  # and a row of the picture at its edge
    assert sum(read) < 1.1 * 5000


@pytest.mark.parametrize(
    ("written", "got"), [("0", "0"), ("-3", "-3"), ("levels", "'levels'"), ("1.5", "1.5"), ("true", "True")]
)
def test_what_is_no_number_of_iterations_is_told_in_one_line(written: str, got: str) -> None:
    with pytest.raises(ConfigError, match=rf"^output\.every: expected .*'level', got {re.escape(got)}$"):
        load_config(None, [f"output.every={written}"])


def test_a_learned_style_has_nothing_to_show_on_the_way_and_says_so(
    configured: Configured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small_style().save(tmp_path / "small.style")
    config = configured("learned", style__images=tmp_path / "small.style", output__every=1)
    made = run(prepare(config))
    assert "small.style was learned already: " in caplog.text
    assert re.search(r"already: .*output\.every.*, set or of a preset, change nothing", caplog.text)
    assert "How it came about" not in made.report.read_text()
