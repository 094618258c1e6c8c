"""Scenes and style pictures that are in memory: a run reads them from files, so that its record can repeat it."""

import filecmp
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_rs.errors import SceneError, StyleError
from nst_rs.files.failures import unwritable
from nst_rs.scene.array import SceneArray
from nst_rs.style.picture_file import write_picture

_USE_PILLOW = "make one with PIL.Image.fromarray"


@dataclass(frozen=True)
class InputFiles:
    """What a run is to read, by its files' names."""

    scene: Any
    """As it was named, or the file of what was in memory."""
    style: Any
    pending: Mapping[Path, SceneArray | Image.Image]
    """The files that are to be written, and what is to be in them."""

    @classmethod
    def of(cls, scene: Any, style: Any, folder: Path) -> "InputFiles":
        """Return files in `folder` for what is in memory of a scene and a style. Raises NstError."""
        pending: dict[Path, SceneArray | Image.Image] = {}
        array = _as_array(scene)
        if array is not None:
            scene = folder / "scene.tif"
            pending[scene] = array
        if isinstance(style, np.ndarray):
            raise StyleError("style image", expected="a path or an image of Pillow's", got="an array", do=_USE_PILLOW)
        if isinstance(style, Image.Image):
            style = [style]
        if isinstance(style, Iterable) and not isinstance(style, str | Mapping):
            style = [_named(part, folder / f"style{number}.png", pending) for number, part in enumerate(style, start=1)]
        return cls(scene, style, pending)

    def write(self) -> None:
        """Write the files that are pending; one that is there and the same stays as it is. Raises NstError."""
        for path, content in self.pending.items():
            new = path.with_name(f".{path.name}.new")
            try:
                path.parent.mkdir(exist_ok=True)
                _write(new, content)
                if path.is_file() and filecmp.cmp(new, path, shallow=False):
                    new.unlink()
                else:
                    os.replace(new, path)
            except OSError as error:
                raise unwritable(f"input {path}", error) from error
            finally:
                new.unlink(missing_ok=True)


def _as_array(scene: Any) -> SceneArray | None:
    """Return the scene that is in memory; None for one in files. Raises SceneError for pixels without a place."""
    if isinstance(scene, np.ndarray):
        raise SceneError(
            "scene array", expected="a transform and a CRS", got="pixels alone", do="put them into a nst_rs.SceneArray"
        )
    xarray = sys.modules.get("xarray")  # who has a DataArray has imported it
    if xarray is not None and isinstance(scene, xarray.Dataset):
        raise SceneError("scene array", expected="one DataArray", got="a Dataset", do="use its to_dataarray()")
    if xarray is not None and isinstance(scene, xarray.DataArray):
        return SceneArray.from_xarray(scene)
    return scene if isinstance(scene, SceneArray) else None


def _named(part: Any, path: Path, pending: dict[Path, SceneArray | Image.Image]) -> Any:
    if not isinstance(part, Image.Image):
        return part
    pending[path] = part
    return path


def _write(path: Path, content: SceneArray | Image.Image) -> None:
    if isinstance(content, SceneArray):
        content.write(path)
    else:
        write_picture(path, content)
