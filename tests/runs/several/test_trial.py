import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_rs import stylize
from nst_rs.config.area import PixelsArea
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import OutputError
from nst_rs.output.pictures.sheet import Cell
from nst_rs.runs import progress
from nst_rs.runs.several import trial
from nst_rs.runs.several.trial import attempts, try_styles
from tests.learned_styles import small_style
from tests.rasters import random_values, write_raster


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only style that has a name."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("NST_RS_STYLES", str(folder))
    monkeypatch.setattr("nst_rs.config.named_styles.shipped_folder", lambda: tmp_path / "none")
    small_style().save(folder / "mine.style")
    return folder / "mine.style"


@pytest.fixture
def config(harvest: Path, tmp_path: Path, quick: dict[str, Any]) -> RunConfig:
    """A scene of 300 × 320 pixels, dark in the west, and a painting."""
    values = random_values((3, 300, 320)) // 2
    values[:, :, :100] //= 8
    scene = write_raster(tmp_path / "scene.tif", values)
    return override(RunConfig(), {**quick, "scene.paths": [str(scene)], "style.images": [str(harvest)]})


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """What is drawn of learned styles alone, on a part of 96 pixels, in place of a sheet."""
    drawn: list[Cell] = []
    monkeypatch.setattr(trial, "SIDE", 96)
    monkeypatch.setattr(trial, "PRESETS", {})
    monkeypatch.setattr(trial, "write_sheet", lambda _path, cells, _foot: drawn.extend(cells))
    return drawn


def command(named: str, preset: str | None) -> str:
    return f"make {named} {preset}"


@contextmanager
def listening(_: str) -> Iterator[progress.Listener]:
    yield progress.ignore


def test_there_is_a_picture_for_every_learned_style_and_for_every_preset_of_a_painting(
    own: Path, config: RunConfig, harvest: Path
) -> None:
    made = list(attempts(config, command))
    assert [attempt.title for attempt in made] == [
        "mine",
        "legible, harvest",
        "balanced, harvest",
        "painterly, harvest",
    ]
    assert made[0].words == "make mine None"
    assert made[1].words == f"make {harvest} legible\ncut short: 2 of 5 iterations"
    assert [attempt.config.objective.alpha for attempt in made[1:]] == [1.0, 0.2, 0.05]


def test_a_painting_that_a_style_was_learned_from_is_shown_as_it_comes_out_quickly(
    harvest: Path,
) -> None:
    (*_, last) = attempts(override(RunConfig(), {"style.images": [str(harvest)]}), command)
    assert last.title == "quick, harvest"
    assert last.words == f"make {harvest} quick\ncut short: 5 of 20 iterations"


def test_a_learned_style_that_is_named_is_shown_once_and_others_by_their_path(
    own: Path, config: RunConfig, tmp_path: Path
) -> None:
    other = tmp_path / "other.style"
    small_style().save(other)
    made = attempts(override(config, {"style.images": ["mine", str(other)]}), command)
    assert [attempt.words for attempt in made] == ["make mine None", f"make {other} None"]


def test_iterations_are_cut_most_at_the_finest_level() -> None:
    config = override(RunConfig(), {"style.images": ["a.jpg"]})
    (*_, painterly) = attempts(config, command)
    assert painterly.config.schedule.level_iterations == (24, 6, 2)
    (*_, by_stroke) = attempts(override(config, {"style.stroke": 600}), command)
    assert by_stroke.config.schedule.iterations == 6


def test_a_style_that_cannot_be_read_is_left_out_and_told_of(
    own: Path, config: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    own.write_bytes(b"damaged")
    assert "mine" not in [attempt.title for attempt in attempts(config, command)]
    assert "the sheet goes without mine" in caplog.text


def test_the_part_of_most_contrast_is_shown_stretched_as_the_whole_scene_is(
    own: Path, config: RunConfig, tmp_path: Path, cells: list[Cell]
) -> None:
    config = override(config, {"style.strength": 0})  # a learned style then shows the scene as it is
    try_styles(config, tmp_path / "sheet.png", command, listening)
    whole = stylize(config.scene.paths, own, tmp_path / "whole.tif", settings={"style.strength": 0}).read()
    _, assignment = shlex.split(cells[0].words)
    area = load_config(None, [assignment]).scene.area
    assert isinstance(area, PixelsArea)
    assert [cell.title for cell in cells] == ["the scene", "mine"]
    for cell in cells:
        np.testing.assert_array_equal(cell.picture, whole.data[slice(*area.rows), slice(*area.columns)])
    assert area.columns[0] in range(17, 85)  # it has both the dark and the bright part


def test_a_style_that_is_normalised_by_its_scene_is_shown_as_it_is_in_the_map_of_the_whole_scene(
    own: Path, config: RunConfig, tmp_path: Path, cells: list[Cell]
) -> None:
    style = small_style(normalised=True)
    style.save(own)
    try_styles(config, tmp_path / "sheet.png", command, listening)
    settings = {"compute.precision": config.compute.precision}
    whole = stylize(config.scene.paths, own, tmp_path / "whole.tif", settings=settings).read()
    area = load_config(None, [shlex.split(cells[0].words)[1]]).scene.area
    assert isinstance(area, PixelsArea)
    # What is mirrored beyond the part's edges is other than what the whole scene has there.
    inside = slice(style.facts.architecture.margin, 96 - style.facts.architecture.margin)
    shown, expected = cells[1].picture, whole.data[slice(*area.rows), slice(*area.columns)]
    # The part is painted in a block of another shape, whose convolutions add up in another order, and then rounded.
    difference = np.abs(shown[inside, inside].astype(int) - expected[inside, inside])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    assert shown[inside, inside].std() > 1


def test_an_area_that_is_named_is_shown_whole(own: Path, config: RunConfig, tmp_path: Path) -> None:
    area = {"scene.area": {"rows": [10, 90], "columns": [0, 64]}, "style.images": {}}
    try_styles(override(config, area), tmp_path / "sheet.png", command, listening)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 2 * 64 * (512 // 80) + 3 * 16
    assert [path.name for path in tmp_path.iterdir() if "sheet" in path.name or "trial" in path.name] == ["sheet.png"]


def test_an_interrupted_sheet_leaves_nothing(own: Path, config: RunConfig, tmp_path: Path) -> None:
    @contextmanager
    def interrupted(_: str) -> Iterator[progress.Listener]:
        raise KeyboardInterrupt
        yield

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        try_styles(config, tmp_path / "sheet.png", command, interrupted)
    assert sorted(tmp_path.iterdir()) == before


def test_a_sheet_does_not_replace_an_input(config: RunConfig, tmp_path: Path) -> None:
    painting = tmp_path / "painting.png"
    Image.new("RGB", (64, 64)).save(painting)
    with pytest.raises(OutputError, match="an input"):
        try_styles(override(config, {"style.images": [str(painting)]}), painting, command, listening)
