"""Clouds that a map shows as they are in the scene: they are laid over the styled picture as it is read."""

from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.files.storage import Derived, PixelArray, Window


def with_unstyled(
    picture: PixelArray, weight: PixelArray, unstyled: PixelArray | None
) -> tuple[PixelArray, PixelArray]:
    """Return `picture`, (H, W, 3), and `weight`, (H, W), with the pixels of `unstyled`, (H, W, 4) uint8, over them.

    >>> picture, weight = np.zeros((1, 2, 3), np.float32), np.float32([[1, 0]])
    >>> cloud = np.uint8([[[0, 0, 0, 0], [9, 8, 7, 255]]])
    >>> shown, valid = with_unstyled(picture, weight, cloud)
    >>> shown[0:1].tolist(), valid[0:1].tolist()
    ([[[0.0, 0.0, 0.0], [9.0, 8.0, 7.0]]], [[1.0, 1.0]])
    """
    if unstyled is None:
        return picture, weight
    return _Picture(picture, unstyled), _Weight(weight, unstyled)


@dataclass(frozen=True)
class _Over(Derived):
    """An array that is read with another laid over it."""

    unstyled: PixelArray


class _Picture(_Over):
    def __getitem__(self, window: Window) -> Pixels:
        kept = self.unstyled[window]
        return np.where(kept[..., 3:] > 0, kept[..., :3].astype(np.float32), self.under[window])


class _Weight(_Over):
    def __getitem__(self, window: Window) -> Pixels:
        return np.where(self.unstyled[window][..., 3] > 0, np.float32(1), self.under[window])
