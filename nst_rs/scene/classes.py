"""Quality bands to classes of ground: what their values say that a pixel shows, by the products' definitions."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Mask
from nst_rs.scene.clouds import clouded
from nst_rs.scene.sensors import MaskKind

_SCL: Mapping[str, tuple[int, ...]] = {"vegetation": (4,), "bare": (5,), "water": (6,), "snow": (11,)}
"""Sentinel-2 level 2A (PSD 14.9, table of SCL)."""
_SCL_NO_DATA = 0

_QA_PIXEL: Mapping[str, int] = {"snow": 1 << 5, "water": 1 << 7}
"""Landsat Collection 2 (LSDS-1619, table 6-2)."""
_BQA_SNOW = 9
"""Landsat Collection 1 (LSDS-1656, table 4-3): the first of two bits of confidence, of which 3 is high."""

TOLD: Mapping[MaskKind, tuple[str, ...]] = {
    "scl": ("water", "snow", "cloud", "vegetation", "bare"),
    "qa_pixel": ("water", "snow", "cloud"),
    "bqa": ("snow", "cloud"),
}
"""Kind of quality band → the classes that it tells."""


def showing(kind: MaskKind, values: npt.NDArray[np.integer], classes: Sequence[str]) -> tuple[Mask, Mask]:
    """Return where a quality band's `values`, (H, W), say one of `classes`, and where they say anything.

    `classes` are some of those that the kind tells. A cloud's shadow counts as cloud.

    >>> showing("scl", np.array([[6, 4, 9, 0]]), ["water", "cloud"])
    (array([[ True, False,  True, False]]), array([[ True,  True,  True, False]]))
    >>> showing("qa_pixel", np.array([[21952, 21824, 1]]), ["water"])  # clear water, clear land, fill
    (array([[ True, False, False]]), array([[ True,  True, False]]))
    """
    told = values != _SCL_NO_DATA if kind == "scl" else values.astype(np.uint16) & 1 == 0
    inside = np.zeros(values.shape, np.bool_)
    for name in classes:
        inside |= clouded(kind, values) if name == "cloud" else _ground(kind, values, name)
    return inside & told, told


def _ground(kind: MaskKind, values: npt.NDArray[np.integer], name: str) -> Mask:
    if kind == "scl":
        return np.isin(values, _SCL[name])
    bits = values.astype(np.uint16)
    inside: Mask = bits & _QA_PIXEL[name] > 0 if kind == "qa_pixel" else bits >> _BQA_SNOW & 3 == 3
    return inside
