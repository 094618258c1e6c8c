"""Tiles painted by a stand-in for a network, which shows where it looked."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.arrays import Pixels
from nst_rs.files.storage import DiskStorage
from nst_rs.learned.architecture import Architecture
from nst_rs.learned.painter import Manner, TilePainter, paint_in_turn, paint_tile
from nst_rs.learned.windows import MapTile, Network, cut
from tests.protocols import departures

BLOCK = 512
ARCHITECTURE = Architecture((1, 1, 1), 1)
PLAIN = Manner(found_by="style", shown="style", strength=1.0)


class Shadow:
    """Darkens a scene by a quarter."""

    architecture = ARCHITECTURE

    def __call__(self, scene: Pixels, grain: Pixels) -> Pixels:  # noqa: ARG002
        inner = slice(ARCHITECTURE.margin, -ARCHITECTURE.margin)
        return scene[inner, inner] * np.float32(0.75)


def painter(folder: Path, shape: tuple[int, int], manner: Manner = PLAIN) -> TilePainter:
    storage = DiskStorage(folder)
    image = storage.create("image", (*shape, 3), np.float32)
    image[:] = np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype(np.float32)
    return TilePainter(Shadow, ARCHITECTURE.margin, manner, image, storage.create("result", (*shape, 3), np.uint8))


SIZES = st.integers(1, 3000)
OFFSETS = st.tuples(st.integers(0, 7), st.integers(0, 7))


@given(shape=st.tuples(SIZES, SIZES), blocks=st.integers(1, 3), before=OFFSETS)
def test_tiles_of_whole_blocks_partition_the_scene(
    shape: tuple[int, int], blocks: int, before: tuple[int, int]
) -> None:
    covered = np.zeros(shape, int)
    for tile in cut(shape, blocks * BLOCK, before):
        covered[tile.inside(shape)] += 1
    assert (covered == 1).all()


@given(before=OFFSETS)
def test_a_scene_is_painted_wherever_its_first_block_begins(
    tmp_path_factory: pytest.TempPathFactory, before: tuple[int, int]
) -> None:
    found = replace(painter(tmp_path_factory.mktemp("painted"), (20, 530)), corner=before)
    paint_in_turn(found, cut((20, 530), BLOCK, before), lambda _: None)
    assert (found.result[:] == np.rint(found.image[:] * np.float32(0.75))).all()


def test_every_tile_is_painted_and_told_once(tmp_path: Path) -> None:
    found = painter(tmp_path, (520, 1030))
    told: list[MapTile] = []
    paint_in_turn(found, cut((520, 1030), BLOCK), told.append)
    assert told == cut((520, 1030), BLOCK)
    assert (found.result[:] == np.rint(found.image[:] * np.float32(0.75))).all()


def test_a_painter_sent_elsewhere_paints_the_same_with_a_network_of_its_own(tmp_path: Path) -> None:
    found = painter(tmp_path, (20, 30))
    network = found.network
    sent: TilePainter = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own
    (tile,) = cut((20, 30), BLOCK)
    paint_tile(sent, tile)
    assert sent.network is not network
    assert (found.result[:] == np.rint(found.image[:] * np.float32(0.75))).all()


def test_half_a_strength_is_half_way_from_the_scene(tmp_path: Path) -> None:
    found = painter(tmp_path, (20, 30), Manner("style", "style", strength=0.5))
    paint_in_turn(found, cut((20, 30), BLOCK), lambda _: None)
    # Sums of float32 in another order, then rounded.
    assert np.abs(found.result[:] - found.image[:] * 0.875).max() <= 0.5001


def test_the_stand_in_for_the_network_is_called_as_the_network_is() -> None:
    assert departures(Shadow, Network) == []
    assert isinstance(Shadow().architecture, Architecture)
