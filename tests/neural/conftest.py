import numpy as np
import pytest

from nst_rs.neural.vgg16 import Convolution, load_convolutions


@pytest.fixture(scope="session")
def vgg16() -> list[Convolution]:
    return load_convolutions("packaged")


@pytest.fixture(scope="session")
def small_network() -> list[Convolution]:
    """Four convolutions in two blocks, with random weights: a network small enough for float64 and finite steps."""
    rng = np.random.default_rng(0)
    widths = {"conv1_1": (3, 4), "conv1_2": (4, 5), "conv2_1": (5, 6), "conv2_2": (6, 7)}
    return [
        Convolution(
            name,
            rng.normal(0, 1 / np.sqrt(9 * before), (3, 3, before, after)).astype(np.float32),
            rng.normal(size=after).astype(np.float32),
        )
        for name, (before, after) in widths.items()
    ]
