"""A descent starts from the learned style that is named, or from the one that was learned from the same paintings."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nst_rs
from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import Color, RunConfig
from nst_rs.errors import ConfigError, StyleError
from nst_rs.learned.style_file import Source
from nst_rs.runs.optimised.learned_start import learned_start
from nst_rs.runs.prepare import prepare
from tests.learned_styles import small_style


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own styles."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("NST_RS_STYLES", str(folder))
    return folder


def learned_from(paintings: list[Path], path: Path, color: Color = "style") -> Path:
    """Write a style that says it was learned from these paintings."""
    style = small_style(color)
    sources = tuple(
        Source(name=painting.name, bytes=1, sha256=hashlib.sha256(painting.read_bytes()).hexdigest())
        for painting in paintings
    )
    replace(style, facts=style.facts.model_copy(update={"styles": sources})).save(path)
    return path


def after(*paintings: Path, **settings: Any) -> RunConfig:
    """A run after some paintings that starts from a learned picture."""
    return override(RunConfig(), {"style.images": list(paintings), "schedule.init": "learned"} | settings)


def found(config: RunConfig) -> Path:
    start = learned_start(config)
    assert start is not None
    return start.path


@pytest.mark.parametrize("name", ["cafe_terrace", "church_at_auvers", "harvest", "langlois_bridge", "night_cafe"])
def test_every_painting_of_the_sample_data_has_a_shipped_style_to_start_from(
    harvest: Path, own: Path, name: str
) -> None:
    assert found(after(harvest.with_name(f"{name}.jpg"))).name == f"{name}.style"


def test_a_users_own_style_comes_before_a_shipped_one(harvest: Path, own: Path) -> None:
    mine = learned_from([harvest], own / "zz.style")
    assert found(after(harvest)) == mine


def test_a_blend_starts_from_a_style_of_the_same_paintings_in_any_order(harvest: Path, own: Path) -> None:
    other = harvest.with_name("night_cafe.jpg")
    learned_from([harvest], own / "a.style")
    both = learned_from([harvest, other], own / "b.style")
    assert found(after(other, harvest)) == both


def test_a_style_that_is_named_is_taken_whatever_it_was_learned_from(harvest: Path, own: Path) -> None:
    named = learned_from([harvest], own / "a.style")
    assert found(after(harvest.with_name("night_cafe.jpg"), **{"style.learned": named})) == named


def test_what_cannot_be_read_is_passed_over(harvest: Path, own: Path) -> None:
    (own / "a.style").write_bytes(b"damaged")
    assert found(after(harvest)).name == "harvest.style"


def test_a_style_in_the_scenes_own_colours_is_for_runs_in_those(harvest: Path, own: Path) -> None:
    mine = learned_from([harvest], own / "mine.style", "scene")
    assert found(after(harvest, **{"style.color": "scene"})) == mine
    assert found(after(harvest)).name == "harvest.style"
    with pytest.raises(ConfigError, match=r"^style\.learned: expected a style of color style, got scene$"):
        learned_start(after(harvest, **{"style.learned": mine}))


def test_a_painting_that_nothing_was_learned_from_is_refused_with_what_to_do(tmp_path: Path, own: Path) -> None:
    painting = tmp_path / "mine.jpg"
    painting.write_bytes(b"another")
    with pytest.raises(ConfigError, match=r"^schedule\.init: learned: .* got none of mine\.jpg.*; name one in style"):
        learned_start(after(painting))
    painting.unlink()
    with pytest.raises(StyleError, match=r"^style .*mine\.jpg: expected a readable image, got No such file"):
        learned_start(after(painting))


def test_other_starts_need_no_learned_style(harvest: Path) -> None:
    assert learned_start(override(after(harvest), {"schedule.init": "noise"})) is None


def test_the_style_that_was_found_is_in_the_prepared_configuration_and_in_the_record(
    harvest: Path, olinda: Path, own: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    mine = learned_from([harvest], own / "mine.style")
    settings = [f"scene.paths=[{olinda}]", f"style.images={harvest}"]
    assert prepare(load_config(None, settings, "quick"), to_write=False).config.style.learned == mine
    once = quick | {"schedule.init": "learned", "schedule.levels": 1, "schedule.iterations": 1}
    result = nst_rs.stylize(olinda, harvest, tmp_path / "map.tif", settings=once)
    assert str(mine) in result.record.read_text()
