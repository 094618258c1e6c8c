"""The learned network as it is applied: enlarging, and changes of resolution, folded into the convolutions.

Pixels interpolated between others, or repeated twice, and then convolved are four convolutions of the others, one for
each place in the new cells of 2 × 2 (Shi et al., arXiv 1609.05158, in reverse). The last convolution takes such cells
as they are, as channels. It is the same function, to rounding, and no array has many channels at full resolution. Cells
are channels in the order of :func:`tensorflow.nn.depth_to_space`: row, column, channel.
"""

import numpy as np
import numpy.typing as npt

from nst_rs.learned.architecture import Architecture, Weights

Filters = npt.NDArray[np.float32]
"""(height, width, in, out)."""


def folded(architecture: Architecture, weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of the same network, in which what halves the scene and what enlarges work on cells."""
    enlarged = of_interpolated if architecture.enlarging == "interpolated" else of_doubled
    cells = dict(weights)
    for name in ("first", "detail"):
        if f"{name}.kernel" in weights:
            cells[f"{name}.kernel"] = of_cells(weights[f"{name}.kernel"])
    cells["last.kernel"] = from_cells_to_cells(weights["last.kernel"])
    enlarging = [name for name in ("up0", "up1", "up2") if f"{name}.kernel" in weights]
    for name in enlarging:
        cells[f"{name}.kernel"] = enlarged(weights[f"{name}.kernel"])
    for name in (*enlarging, "last"):
        cells[f"{name}.bias"] = np.tile(weights[f"{name}.bias"], 4)
    return cells


def of_cells(kernel: Filters) -> Filters:
    """Turn a kernel of even size and stride 2 into one over cells, of stride 1: (h / 2, w / 2, 4 · in, out)."""
    height, width, channels, out = kernel.shape
    parts = kernel.reshape(height // 2, 2, width // 2, 2, channels, out)
    return parts.transpose(0, 2, 1, 3, 4, 5).reshape(height // 2, width // 2, 4 * channels, out)


def of_doubled(kernel: Filters) -> Filters:
    """Turn a 3 × 3 kernel over doubled pixels into one from the pixels themselves to cells: (2, 2, in, 4 · out)."""
    # [place in the cell, pixel, place in the kernel]: which pixel is under which part of the kernel.
    under = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]], np.float32)
    parts: Filters = np.einsum("aik,bjl,klco->ijcabo", under, under, kernel)
    return parts.reshape(2, 2, kernel.shape[2], 4 * kernel.shape[3])


def of_interpolated(kernel: Filters) -> Filters:
    """Turn a 3 × 3 kernel over pixels interpolated between others into one from those to cells: (3, 3, in, 4 · out)."""
    # [place in the cell, pixel, place in the kernel]: what each pixel weighs under each part of the kernel.
    under = np.array([[[3, 1, 0], [1, 3, 3], [0, 0, 1]], [[1, 0, 0], [3, 3, 1], [0, 1, 3]]], np.float32) / 4
    parts: Filters = np.einsum("aik,bjl,klco->ijcabo", under, under, kernel)
    return parts.reshape(3, 3, kernel.shape[2], 4 * kernel.shape[3])


def from_cells_to_cells(kernel: Filters) -> Filters:
    """Turn a 5 × 5 kernel over pixels into one from cells to cells: (3, 3, 4 · in, 4 · out)."""
    # [place in the new cell, cell, place in it, place in the kernel].
    under = np.zeros((2, 3, 2, 5), np.float32)
    for place in range(2):
        for part in range(5):
            under[place, (place + part) // 2, (place + part) % 2, part] = 1
    parts: Filters = np.einsum("aspk,btql,klco->stpqcabo", under, under, kernel)
    return parts.reshape(3, 3, 4 * kernel.shape[2], 4 * kernel.shape[3])
