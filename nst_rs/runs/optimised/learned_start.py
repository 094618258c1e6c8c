"""The learned style from whose picture a descent starts: the one that is named, or the one of the same paintings."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nst_rs.config.named_styles import named_styles
from nst_rs.config.sections import Color, RunConfig
from nst_rs.errors import ConfigError, StyleError
from nst_rs.files.fingerprint import fingerprints
from nst_rs.learned.style_file import LearnedStyle, read_learned


@dataclass(frozen=True)
class LearnedStart:
    """A learned style, and the file that it was read from."""

    path: Path
    style: LearnedStyle


def learned_start(config: RunConfig) -> LearnedStart | None:
    """Return what the descent starts from, None where that is no learned style. Raises NstError."""
    if config.schedule.init != "learned":
        return None
    if config.style.learned is None:
        return _of_the_same_images(config)
    start = LearnedStart(config.style.learned, read_learned(config.style.learned))
    if not _fits(start.style, config.style.color):
        raise ConfigError(
            "style.learned", expected=f"a style of color {config.style.color}", got=start.style.facts.color
        )
    return start


def _of_the_same_images(config: RunConfig) -> LearnedStart:
    """Return the style among those that have a name that was learned from the images of `config`."""
    images, color = list(config.style.images), config.style.color
    try:
        wanted = {entry["sha256"] for entry in fingerprints(images)}
    except OSError as error:
        raise StyleError(f"style {error.filename}", expected="a readable image", got=str(error.strerror)) from error
    for start in _named():
        if {source.sha256 for source in start.style.facts.styles} == wanted and _fits(start.style, color):
            return start
    names = ", ".join(path.name for path in images) or "classes of ground"
    raise ConfigError(
        "schedule.init: learned",
        expected="a learned style of the same painting to start from",
        got=f"none of {names}, of color {color}, among those that nst-rs styles lists",
        do="name one in style.learned, learn one with nst-rs learn, or choose another schedule.init or preset",
    )


def _named() -> Iterator[LearnedStart]:
    """Yield the styles that have a name, a user's own before a shipped one; what cannot be read is left out."""
    for named in sorted(named_styles().values(), key=lambda style: style.shipped):
        with suppress(StyleError):
            yield LearnedStart(named.path, read_learned(named.path))


def _fits(style: LearnedStyle, color: Color) -> bool:
    """Return whether a style paints in the colours that a run of `color` optimises."""
    return (style.facts.color == "scene") == (color == "scene")
