"""What a map shows from afar: at every coarser zoom a picture of its own, half as large as the one before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_rs.config.sections import RunConfig
from nst_rs.files.storage import STRIP_ROWS, PixelArray, Storage, stored_bytes, strips
from nst_rs.files.workspace import Workspace
from nst_rs.geo.webgrid import halvings
from nst_rs.pyramid.resample import halve


@dataclass(frozen=True)
class Zoom:
    """The picture of one zoom."""

    factor: int
    """Pixels of the map, along one axis, to one of the picture's."""
    picture: PixelArray  # (h, w, 3) RGB in [0, 255]
    weight: PixelArray  # (h, w): 0 where there is no data
    unstyled: PixelArray | None = None  # (h, w, 4) uint8 RGB, and 255 where the scene is shown as it is
    statistics: Mapping[str, Any] | None = None
    """What a learned style was normalised by, where it was: :data:`nst_rs.runs.painted.scene_statistics.Recorded`."""

    def described(self) -> dict[str, Any]:
        """Return what the record says of it."""
        own = {} if self.statistics is None else {"statistics": self.statistics}
        return {"factor": self.factor, "shape": list(self.weight.shape), **own}


def zooms_of(config: RunConfig, shape: tuple[int, int]) -> int:
    """Return how many coarser zooms a map of `shape`, (H, W), has pictures for: down to one web tile, or none."""
    return halvings(shape) if config.output.zooms == "styled" else 0


def zoom_shapes(shape: tuple[int, int], zooms: int) -> list[tuple[int, int]]:
    """Return (h, w) of every zoom's picture, from fine to coarse.

    >>> zoom_shapes((700, 301), 2)
    [(350, 151), (175, 76)]
    """
    return [(-(-shape[0] // 2**zoom), -(-shape[1] // 2**zoom)) for zoom in range(1, zooms + 1)]


def zoom_bytes(shape: tuple[int, int], zooms: int, with_clouds: bool) -> int:
    """Return the bytes of disk that the zooms' pictures take; clouds that are shown as they are have sheets too."""
    kinds = [(3, "uint8"), *([(4, "uint8"), (4, "float32")] if with_clouds else [])]
    shapes = zoom_shapes(shape, zooms)
    return sum(stored_bytes((*each, channels), kind) for each in shapes for channels, kind in kinds)


class KeptZooms:
    """The pictures of one run's zooms in its workspace, so that a run that goes on need not make them again.

    A run's checkpoint at some level says that those of the levels before are whole.
    """

    def __init__(self, workspace: Workspace, run: Mapping[str, Any]) -> None:
        """Keep the pictures of `run`."""
        self._workspace = workspace
        self._run = run

    def keep(self, factor: int, picture: PixelArray) -> None:
        """Keep a picture, (h, w, 3) in [0, 255], rounded as the map is. Raises OutputError."""
        other = self._workspace.read_checkpoint()
        if other is not None and other.get("run") != self._run:
            self._workspace.checkpoint.unlink()  # another run's, which would take this picture for its own
        self._workspace.create()
        kept = self._workspace.arrays.create(_name(factor), picture.shape, np.uint8)
        for rows in strips(picture.shape[0]):
            kept[rows] = np.rint(picture[rows]).astype(np.uint8)

    def open(self, factor: int) -> PixelArray:
        """Return a picture that was kept; raises KeyError where there is none."""
        return self._workspace.arrays.open(_name(factor))

    def has(self, factor: int) -> bool:
        """Whether a picture is there."""
        try:
            self.open(factor)
        except KeyError:
            return False
        return True


def _name(factor: int) -> str:
    return f"zoom-{factor}"


def with_clouds(zooms: tuple[Zoom, ...], unstyled: PixelArray | None, storage: Storage) -> Iterator[Zoom]:
    """Return the zooms with what the map shows as it is in the scene, `unstyled`, (H, W, 4) uint8.

    It is averaged. A pixel shows it where it covers no less of it than the picture does.
    """
    if unstyled is None:
        yield from zooms
        return
    fine = unstyled
    for zoom in zooms:
        shape = (*zoom.weight.shape, 4)
        coarse = storage.create(f"clouds-{zoom.factor}", shape, np.float32)
        shown = storage.create(f"unstyled-{zoom.factor}", shape, np.uint8)
        for rows in strips(shape[0], STRIP_ROWS // 2):
            source = fine[2 * rows.start : min(2 * rows.stop, fine.shape[0])].astype(np.float32)
            colors, share = halve(source[..., :3], source[..., 3] / np.float32(255))
            coarse[rows] = np.concatenate([colors, 255 * share[..., np.newaxis]], axis=-1)
            over = (share > 0) & (share >= zoom.weight[rows])
            shown[rows] = np.dstack([np.rint(colors), np.full(over.shape, 255)]) * over[..., np.newaxis]
        yield replace(zoom, unstyled=shown)
        fine = coarse
