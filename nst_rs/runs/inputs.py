"""A run's files, opened and checked before anything is computed: scene, bands, style, the outputs' names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_rs.composite.rendering import Subject, open_subject
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, SceneError
from nst_rs.files.locations import file_of, is_path
from nst_rs.learned.style_file import LearnedStyle, read_learned
from nst_rs.output.cog import check_profile
from nst_rs.output.files import Outputs, check_output
from nst_rs.output.geotiff import check_crs
from nst_rs.output.webtiles import check_place
from nst_rs.scene.mosaic import Scene
from nst_rs.style.images import read_styles
from nst_rs.style.picture import Style
from nst_rs.style.stroke import settle_stroke

Stamp = tuple[int, int, int]
"""A file's inode, its size in bytes, and when it was last written to, in nanoseconds."""


@dataclass(frozen=True)
class Inputs:
    """What a run reads, and where it will write."""

    subject: Subject
    styles: tuple[Style, ...]
    files: tuple[str, ...]
    """What the run reads: where the scene's rasters lie and, last, the style images."""
    outputs: Outputs | None
    learned: LearnedStyle | None
    """Whose picture the descent starts from, where it is to."""
    stamps: Mapping[str, Stamp | None]
    """What is read → what it was when the run was prepared; None of what lies elsewhere."""

    def check_unchanged(self) -> None:
        """Raise SceneError where a file is no longer the one that the run was prepared with."""
        for location in self.files:
            if _stamp(location) != self.stamps[location]:
                raise SceneError(
                    f"input {location}",
                    expected="a file that stays as it is while it is read",
                    got="another one than at the start",
                    do="give the command again when it is whole",
                )

    @property
    def scene(self) -> Scene:
        """What is styled."""
        return self.subject.scene


def settle(config: RunConfig, subject: Subject) -> RunConfig:
    """Return `config` with what the scene decides: channels by number, and what a stroke asks of size and levels."""
    return subject.settled(settle_stroke(config, subject.scene.grid))


def open_inputs(config: RunConfig, to_write: bool) -> Inputs:
    """Open and check what `config` names; `to_write`: it must name an output that can be written. Raises NstError."""
    if not config.scene.paths:
        raise ConfigError("scene.paths", expected="at least one GeoTIFF or folder", got="none")
    if not any(config.style.images.values()):
        raise ConfigError(
            "style.images", expected="an image of a weight above 0", got="none", do="name one with --style"
        )
    if to_write and config.output.path is None:
        raise ConfigError("output.path", expected="the map to write", got="none", do="name it with --output")
    subject = open_subject(config)
    learned = _first_picture(config)
    started_from = [] if learned is None else [str(config.style.learned)]
    files = (*subject.scene.locations, *started_from, *map(str, config.style.images))
    stamps = {location: _stamp(location) for location in files}
    styles = read_styles(config.style.shares, settle(config, subject).style.size)
    outputs = None if config.output.path is None else open_outputs(config, subject, files)
    return Inputs(subject, styles, files, outputs, learned, stamps)


def open_outputs(config: RunConfig, subject: Subject, files: Sequence[str]) -> Outputs:
    """Return the files to write, which must be writable and none of `files`. Raises NstError."""
    if config.output.path is None:
        raise ConfigError("output.path", expected="the map to write", got="none", do="name it with --output")
    outputs = Outputs.of(config.output)
    read = [*filter(None, map(file_of, files)), *(Path(path) for path in config.scene.paths if is_path(path))]
    check_output(outputs, [path for path in read if path.is_file()], [path for path in read if path.is_dir()])
    check_crs(subject.scene.grid)
    check_profile(config.output.profile)
    if outputs.tiles is not None:
        check_place(outputs.tiles, subject.scene.grid)
    return outputs


def _first_picture(config: RunConfig) -> LearnedStyle | None:
    """Return the learned style that the descent starts from. Raises NstError."""
    if config.schedule.init != "learned" or config.style.learned is None:
        return None
    found = read_learned(config.style.learned)
    if (found.facts.color == "scene") != (config.style.color == "scene"):
        raise ConfigError("style.learned", expected=f"a style of color {config.style.color}", got=found.facts.color)
    return found


def _stamp(location: str) -> Stamp | None:
    """Return a file's stamp; None where it is not there, or not a file of this machine."""
    path = file_of(location)
    if path is None or not path.exists():
        return None
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns
