"""Quality bands to masks of clouds: what their values mean, by the products' definitions."""

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Mask
from nst_rs.scene.sensors import MaskKind

QA_PIXEL_BITS = (1, 2, 3, 4)
"""Landsat Collection 2: dilated cloud, cirrus, cloud, cloud shadow (LSDS-1619, table 6-2)."""

_BQA_CLOUD = 1 << 4  # Landsat Collection 1 (LSDS-1656, table 4-3)
_BQA_CONFIDENCES = (7, 11)  # of shadow and of cirrus, two bits each: 3 is high

SCL_CLASSES = (3, 8, 9, 10)
"""Sentinel-2 level 2A: cloud shadow, cloud of medium and of high probability, thin cirrus (PSD 14.9, table of SCL)."""


def clouded(kind: MaskKind, values: npt.NDArray[np.integer]) -> Mask:
    """Return where a quality band's `values`, (H, W), say cloud, cirrus or a cloud's shadow.

    >>> clouded("scl", np.array([[4, 9, 3, 0]]))
    array([[False,  True,  True, False]])
    >>> clouded("qa_pixel", np.array([[21824, 22280, 1]]))  # clear land, cloud of high confidence, fill
    array([[False,  True, False]])
    """
    if kind == "scl":
        return np.isin(values, SCL_CLASSES)
    bits = values.astype(np.uint16)
    fill = (bits & 1) > 0
    if kind == "qa_pixel":
        covered = (bits & sum(1 << bit for bit in QA_PIXEL_BITS)) > 0
    else:
        covered = (bits & _BQA_CLOUD) > 0
        for shift in _BQA_CONFIDENCES:
            covered |= (bits >> shift & 3) == 3
    return covered & ~fill
