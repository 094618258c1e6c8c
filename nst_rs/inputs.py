"""A run's files, opened and checked before anything is computed: scene, bands, style, the outputs' names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nst_rs.composite import resolve_bands
from nst_rs.config import RunConfig, override
from nst_rs.errors import ConfigError, SceneError
from nst_rs.mosaic import check_crs
from nst_rs.publish import Outputs, check_output, check_profile
from nst_rs.scene import Scene, open_scene
from nst_rs.stroke import settle_stroke
from nst_rs.style import Style, read_styles

Stamp = tuple[int, int, int]
"""A file's inode, its size in bytes, and when it was last written to, in nanoseconds."""


@dataclass(frozen=True)
class Inputs:
    """What a run reads, and where it will write."""

    scene: Scene
    bands: tuple[int, int, int]
    styles: tuple[Style, ...]
    files: tuple[Path, ...]
    """What the run reads: the scene's tiles and, last, the style images."""
    outputs: Outputs | None
    stamps: Mapping[Path, Stamp]
    """File → what it was when the run was prepared."""

    def check_unchanged(self) -> None:
        """Raise SceneError where a file is no longer the one that the run was prepared with."""
        for path in self.files:
            if _stamps([path]) != {path: self.stamps[path]}:
                raise SceneError(
                    f"input {path}",
                    expected="a file that stays as it is while it is read",
                    got="another one than at the start",
                    do="give the command again when it is whole",
                )


def settle(config: RunConfig, scene: Scene) -> RunConfig:
    """Return `config` with what the scene decides: bands by number, and what a stroke asks of size and levels."""
    bands = resolve_bands(scene, config.composite.bands)
    return override(settle_stroke(config, scene.grid), {"composite.bands": bands})


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
    scene = open_scene(config.scene.paths, config.scene.nodata)
    bands = resolve_bands(scene, config.composite.bands)
    files = (*(tile.path for tile in scene.tiles), *config.style.images)
    stamps = _stamps(files)
    styles = read_styles(config.style.shares, settle(config, scene).style.size)
    outputs = None if config.output.path is None else Outputs(config.output.path)
    inputs = Inputs(scene, bands, styles, files, outputs, stamps)
    if outputs is not None:
        check_output(outputs, list(files), [path for path in config.scene.paths if path.is_dir()])
        check_crs(scene.grid)
        check_profile(config.output.profile)
    return inputs


def _stamps(paths: Iterable[Path]) -> dict[Path, Stamp]:
    """Return the stamps of the files that are there."""
    found = {path: path.stat() for path in paths if path.exists()}
    return {path: (state.st_ino, state.st_size, state.st_mtime_ns) for path, state in found.items()}
