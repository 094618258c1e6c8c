"""The files of a run, opened and checked before anything is computed: scene, style pictures, the outputs' names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_rs.composite.rendering import Rendering
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, SceneError
from nst_rs.files.locations import file_of, is_path
from nst_rs.output.companions import COMPANIONS
from nst_rs.output.files import Outputs, check_output
from nst_rs.output.rasters.cog import check_profile
from nst_rs.output.rasters.geotiff import check_crs
from nst_rs.scene.mosaic import Scene
from nst_rs.style.picture import Style

Stamp = tuple[int, int, int]
"""A file's inode, its size in bytes, and when it was last written to, in nanoseconds."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a run, opened, and the names of its outputs."""

    rendering: Rendering
    styles: tuple[Style, ...]
    """The pictures of the style, in the order of the configuration. A learned style has one, its own preview."""
    files: tuple[str, ...]
    """The locations of the scene's rasters and, last, the files of the style."""
    outputs: Outputs | None
    stamps: Mapping[str, Stamp | None]
    """Location → the file's stamp when the run was prepared; None for a file that does not lie on this machine."""

    def check_unchanged(self) -> None:
        """Raise SceneError where a file is no longer the one that the run was prepared with."""
        for location in self.files:
            now = stamp(location)
            if now != self.stamps[location]:
                raise SceneError(
                    f"input {location}",
                    expected="a file that stays as it is while it is read",
                    got="nothing of that name" if now is None else "another one than at the start",
                    do="give the command again when it is whole",
                )

    @property
    def scene(self) -> Scene:
        """The scene that is styled."""
        return self.rendering.scene


def check_named(config: RunConfig, to_write: bool) -> None:
    """Raise ConfigError where no scene or no style is named or, with `to_write`, no output."""
    if not config.scene.paths:
        raise ConfigError("scene.paths", expected="at least one GeoTIFF or folder", got="none")
    if not any(config.style.images.values()) and not config.style.regions:
        raise ConfigError(
            "style.images", expected="an image of a weight above 0", got="none", do="name one with --style"
        )
    if to_write and config.output.path is None:
        raise ConfigError("output.path", expected="the map to write", got="none", do="name it with --output")


def open_outputs(config: RunConfig, rendering: Rendering, files: Sequence[str]) -> Outputs:
    """Return the files to write, which must be writable and none of `files`. Raises NstError."""
    outputs = Outputs.of(config.output)
    read = [*filter(None, map(file_of, files)), *(Path(path) for path in config.scene.paths if is_path(path))]
    check_output(outputs, [path for path in read if path.is_file()], [path for path in read if path.is_dir()])
    check_crs(rendering.scene.grid)
    check_profile(config.output.profile)
    for companion in COMPANIONS:
        if companion.name in outputs.companions:
            companion.check(outputs.companions[companion.name], rendering)
    return outputs


def stamp(location: str) -> Stamp | None:
    """Return a file's stamp; None where it is not there, or not a file of this machine."""
    path = file_of(location)
    if path is None or not path.exists():
        return None
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns
