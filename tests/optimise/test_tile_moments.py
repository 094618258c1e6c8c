from pathlib import Path

import numpy as np
import pytest

from nst_rs.files.storage import DiskStorage, MemoryStorage, Storage
from nst_rs.objective.moments import Moments
from nst_rs.optimise.tile_moments import TileMoments
from nst_rs.pyramid.tiling import Span, Tile
from nst_rs.vgg16 import VGG16


def tile(index: int) -> Tile:
    return Tile(index, (Span(0, 1), Span(0, 1)), (Span(0, 1), Span(0, 1)))


def moments(seed: int) -> Moments:
    rng = np.random.default_rng(seed)
    products = {n: rng.normal(size=(VGG16[n].channels,) * 2).astype(np.float32).astype(np.float64) for n in LAYERS[1]}
    return Moments({n: float(np.float32(rng.uniform(0, 1e6))) for n in LAYERS[0]}, products, {"conv4_2": 3.0})


LAYERS = (("conv1_1", "conv2_1", "conv4_2"), ("conv1_1", "conv2_1"))


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_was_kept_of_a_tile_comes_back(on_disk: bool, tmp_path: Path) -> None:
    storage: Storage = DiskStorage(tmp_path) if on_disk else MemoryStorage()
    kept_moments = TileMoments(*LAYERS, storage.create("moments", TileMoments.shape(3, *LAYERS), np.float32))
    for index in (2, 0, 1):
        kept_moments.put(tile(index), moments(index))
    for index in range(3):
        kept, expected = kept_moments.get(tile(index)), moments(index)
        assert kept.counts == expected.counts
        assert all((kept.products[name] == expected.products[name]).all() for name in LAYERS[1])


def test_distances_to_the_content_are_forgotten() -> None:
    kept_moments = TileMoments(*LAYERS, np.zeros(TileMoments.shape(1, *LAYERS), np.float32))
    kept_moments.put(tile(0), moments(0))
    assert kept_moments.get(tile(0)).half_squares == {}
