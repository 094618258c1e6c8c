"""Learning, whole: real files, VGG16's first blocks, a few steps of a small network."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nst_rs
from nst_rs.cli.terminal import console, show_learned
from nst_rs.config.loading import name_files, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.learned.style_file import LearnedStyle, read_learned
from nst_rs.learning.job import prepare
from nst_rs.learning.session import LearningProgress, LearningSession, learn, saturated

SMALL = {
    "learn.widths": (4, 8, 8),
    "learn.blocks": 1,
    "learn.deep_blocks": 1,
    "learn.steps": 6,
    "learn.window": 64,
    "learn.rate": 0.01,
    "learn.held_out_size": 64,
    "learn.held_out_windows": 1,
    "learn.licence": "CC0-1.0",
}


@pytest.fixture(scope="module")
def config(olinda: Path, harvest: Path, deep: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    output = tmp_path_factory.mktemp("learned") / "small.style"
    return name_files(override(RunConfig(), deep | SMALL), [olinda], harvest, output)


@pytest.fixture(scope="module")
def heard() -> list[LearningProgress]:
    return []


@pytest.fixture(scope="module")
def style(config: RunConfig, heard: list[LearningProgress]) -> LearnedStyle:
    return learn(prepare(config), heard.append)


def with_output(config: RunConfig, path: Path, **settings: Any) -> RunConfig:
    return override(config, {"output.path": path} | {key.replace("__", "."): x for key, x in settings.items()})


def test_the_style_is_written_with_what_it_is(style: LearnedStyle, config: RunConfig) -> None:
    assert config.output.path is not None
    found = read_learned(config.output.path)
    assert found.facts == style.facts
    assert found.facts.learning.steps == 6
    assert [source.name for source in found.facts.styles] == ["harvest.jpg"]
    assert len(found.facts.scenes) == 4
    assert found.facts.metres_per_pixel == pytest.approx(28.5)
    assert sorted(path.name for path in config.output.path.parent.iterdir()) == ["small.png", "small.style"]


def test_the_style_says_nothing_of_where_files_lay(style: LearnedStyle, config: RunConfig) -> None:
    assert "/" not in json.dumps(style.facts.model_dump(mode="json"))


def test_it_is_judged_against_stylize_on_windows_kept_out(style: LearnedStyle) -> None:
    found = style.facts.held_out
    assert found is not None
    assert found.size == (64,)
    assert not found.other_scenes
    assert found.optimised_total is not None
    assert found.optimised_total < found.scene_total
    assert found.ratio == pytest.approx(found.learned_total / found.optimised_total)


def test_its_preview_shows_the_scene_the_learned_and_the_optimised_picture(
    style: LearnedStyle, config: RunConfig
) -> None:
    assert config.output.path is not None
    with Image.open(config.output.path.with_suffix(".png")) as sheet:
        assert sheet.size == (3 * 64, 64)
    assert style.preview.startswith(b"\x89PNG")


def test_progress_tells_time_left_and_loss(style: LearnedStyle, heard: list[LearningProgress]) -> None:
    steps = [state for state in heard if state.doing.startswith("step")]
    assert len(steps) == 6
    assert steps[-1].fraction == 1
    assert "loss" in str(steps[-1])
    assert "left" in str(steps[-1])


def test_scenes_can_be_styled_with_it(style: LearnedStyle, config: RunConfig, olinda: Path, tmp_path: Path) -> None:
    assert config.output.path is not None
    made = nst_rs.stylize(olinda, config.output.path, tmp_path / "map.tif")
    assert made.output.exists()


def test_interrupted_it_keeps_what_was_learned(config: RunConfig, tmp_path: Path) -> None:
    def interrupt(state: LearningProgress) -> None:
        if state.doing == "step 3":
            raise KeyboardInterrupt

    found = learn(prepare(with_output(config, tmp_path / "cut.style")), interrupt)
    assert found.facts.learning.steps == 3
    assert found.facts.held_out is not None
    assert found.facts.held_out.ratio is None
    assert (tmp_path / "cut.style").exists()


def test_a_killed_run_goes_on_to_the_same_weights(style: LearnedStyle, config: RunConfig, tmp_path: Path) -> None:
    """But for the time limit, which the steps come before here."""

    class KilledError(Exception):
        pass

    job = prepare(with_output(config, tmp_path / "killed.style"))
    first = LearningSession(job, lambda _: None)

    def kill(state: LearningProgress) -> None:
        if state.doing == "step 4":
            first.keep()
            raise KilledError

    first._listener = kill
    with pytest.raises(KilledError):
        first.learn()
    second = LearningSession(job, lambda _: None)
    second.learn()
    assert len(second.course.losses) == 6
    made = second.finish(compared=False)
    assert all((made.weights[name] == value).all() for name, value in style.weights.items())


def test_classes_of_ground_are_not_learned(tmp_path: Path) -> None:
    regions = [{"name": "sea", "where": "ndwi > 0", "images": "a.jpg"}, {"name": "land"}]
    settings = {"scene.paths": ["a.tif"], "style.regions": regions, "output.path": tmp_path / "a.style"}
    with pytest.raises(ConfigError, match=r"style.regions: expected a style for all ground, got classes of ground; le"):
        prepare(override(RunConfig(), settings))


def test_a_style_can_begin_from_another(style: LearnedStyle, config: RunConfig, tmp_path: Path) -> None:
    settings = {"learn__start": config.output.path, "learn__steps": 1, "learn__rate": 1e-9}
    made = LearningSession(prepare(with_output(config, tmp_path / "more.style", **settings)), lambda _: None)
    made.learn()
    more = made.finish(compared=False)
    assert all(np.allclose(more.weights[name], value, atol=1e-4) for name, value in style.weights.items())
    told, before = more.facts.learning, style.facts.learning
    assert told.start is not None
    assert told.start.name == Path(str(config.output.path)).name
    assert (told.start_steps, told.steps) == (before.steps, before.steps + 1)
    screen = io.StringIO()
    show_learned(console(screen), more.facts, tmp_path / "more.style")
    assert f"({before.steps} those of {told.start.name})" in screen.getvalue()
    with pytest.raises(ConfigError, match="a network of widths"):
        prepare(with_output(config, tmp_path / "more.style", **settings, learn__blocks=2))


def test_a_network_that_is_learned_on_keeps_its_size(
    style: LearnedStyle, config: RunConfig, olinda: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    unsized = override(RunConfig(), quick | {"learn.start": config.output.path})
    job = prepare(name_files(unsized, [olinda], harvest, tmp_path / "more.style"))
    assert job.architecture == style.facts.architecture


def test_the_descent_can_start_from_the_learned_picture(
    style: LearnedStyle, config: RunConfig, olinda: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    once = {"schedule.levels": 1, "schedule.iterations": 1}
    plain = nst_rs.stylize(olinda, harvest, tmp_path / "plain.tif", settings=quick | once)
    learned = {"schedule.init": "learned", "style.learned": config.output.path}
    begun = nst_rs.stylize(olinda, harvest, tmp_path / "begun.tif", settings=quick | once | learned)
    assert begun.losses[0] != plain.losses[0]
    assert config.output.path.name in begun.record.read_text() if config.output.path else False


def test_a_stroke_asks_for_scenes_of_one_resolution(config: RunConfig, olinda: Path, tmp_path: Path) -> None:
    job = prepare(with_output(config, tmp_path / "stroke.style", style__stroke=285.0))
    assert job.config.style.size == 320  # a stroke of ten pixels, 32 of which are the style


@pytest.mark.parametrize("held_out", [False, True])
def test_levels_that_a_window_held_out_has_not_are_refused_before_anything_is_learned(
    config: RunConfig, olinda: Path, tmp_path: Path, held_out: bool
) -> None:
    small = {"learn__held_out": [str(olinda)]} if held_out else {}
    refused = with_output(config, tmp_path / "deep.style", schedule__levels=7, schedule__iterations=2, **small)
    with pytest.raises(ConfigError, match=r"schedule.levels 7: expected a coarsest level of .* for a scene of 64 × 64"):
        prepare(refused)
    assert list(tmp_path.iterdir()) == []


def test_the_output_is_a_style(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a name ending in \.style"):
        prepare(with_output(config, tmp_path / "map.tif"))


def test_saturation_counts_pixels_with_any_channel_at_an_end() -> None:
    pictures = [np.array([[[0, 9, 9], [9, 255, 9], [9, 9, 9], [254.4, 1, 1]]], np.float32)]
    assert saturated(pictures) == 0.5
