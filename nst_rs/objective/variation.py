"""Total variation: a price on the steps from pixel to pixel, which calms what the network does not see."""

import numpy as np

from nst_rs.arrays import Pixels


def variation(window: Pixels, weight: Pixels) -> float:
    """Return Σ weight · (squared steps to the pixel below and to the one on the right), over all three channels.

    `window` is (H, W, 3) in [0, 255], `weight` (H, W); a step weighs as its first pixel does.
    The squared form of Mahendran and Vedaldi, arXiv 1412.0035, equation 3 with β = 2.
    """
    down, right = _steps(window)
    return float((weight[:-1, :, np.newaxis] * down**2).sum() + (weight[:, :-1, np.newaxis] * right**2).sum())


def variation_gradient(window: Pixels, weight: Pixels) -> Pixels:
    """Return the derivative of :func:`variation` with respect to the window's pixels, (H, W, 3)."""
    down, right = _steps(window)
    down *= 2 * weight[:-1, :, np.newaxis]
    right *= 2 * weight[:, :-1, np.newaxis]
    gradient = np.zeros_like(window)
    gradient[1:] += down
    gradient[:-1] -= down
    gradient[:, 1:] += right
    gradient[:, :-1] -= right
    return gradient


def _steps(window: Pixels) -> tuple[Pixels, Pixels]:
    return np.diff(window, axis=0), np.diff(window, axis=1)
