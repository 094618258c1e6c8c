"""The kinds of array that pass between modules."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]
"""(H, W, 3) RGB in [0, 255], or (H, W) weights in [0, 1]."""
Mask = npt.NDArray[np.bool_]
"""(H, W), True where there is data."""
Rgb = npt.NDArray[np.uint8]
"""(H, W, 3)."""
Array = npt.NDArray[np.float64]
"""(C, C): sums and Gram matrices of features."""
