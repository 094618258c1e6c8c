from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nst_rs.learned.architecture import STRIDE, Architecture, first_weights
from nst_rs.learned.style_file import read_learned
from nst_rs.learned.windows import paint
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.pyramid.tiling import Span
from tests.learned_styles import small_style

ARCHITECTURE = small_style().facts.architecture


@pytest.fixture(scope="module")
def network() -> GeneratorNetwork:
    return GeneratorNetwork(ARCHITECTURE, small_style().weights, "/CPU:0")


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (96, 112, 3)).astype(np.float32)


def whole(network: GeneratorNetwork, scene: np.ndarray) -> np.ndarray:
    return paint(network, scene, Span(0, scene.shape[0]), Span(0, scene.shape[1]))


def test_before_anything_is_learned_the_picture_is_the_scene_smoothed() -> None:
    """A slope stays, speckle goes, and nothing has the period of a cell."""
    network = GeneratorNetwork(ARCHITECTURE, first_weights(ARCHITECTURE, 0), "/CPU:0")
    slope = np.broadcast_to(np.linspace(20, 200, 96, dtype=np.float32)[:, np.newaxis, np.newaxis], (96, 64, 3))
    inner = slice(16, -16)  # beyond the scene stands its mirror image
    np.testing.assert_allclose(whole(network, slope)[inner], slope[inner], rtol=0, atol=1e-3)
    speckle = np.random.default_rng(0).normal(128, 20, (128, 128, 3)).astype(np.float32)
    assert whole(network, speckle).std() < 20 / 5
    edge = np.zeros((64, 64, 3), np.float32)
    edge[:, 31:] = 255
    rise = np.diff(whole(network, edge)[32, :, 0])
    assert (np.diff(rise[20:30]) >= -1e-3).all()


def test_a_network_of_the_second_version_smooths_by_cells(scene: np.ndarray) -> None:
    architecture = Architecture((4, 8, 8), 1, enlarging="repeated")
    network = GeneratorNetwork(architecture, first_weights(architecture, 0), "/CPU:0")
    cells = scene.reshape(24, STRIDE, 28, STRIDE, 3).mean(axis=(1, 3)).repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)
    around = np.pad(cells, [(2, 2), (2, 2), (0, 0)], mode="edge")  # the scene is mirrored, so are its cells
    means = np.lib.stride_tricks.sliding_window_view(around, (5, 5), axis=(0, 1)).mean(axis=(-2, -1))
    np.testing.assert_allclose(whole(network, scene), means, rtol=0, atol=1e-3)  # sums in another order


@pytest.mark.parametrize("tile", [16, 28, 64])
def test_tiles_are_the_untiled_picture(network: GeneratorNetwork, scene: np.ndarray, tile: int) -> None:
    made = np.zeros_like(scene)
    for top in range(0, 96, tile):
        for left in range(0, 112, tile):
            part = paint(network, scene, Span(top, top + tile), Span(left, left + tile))
            place = made[top : top + tile, left : left + tile]
            place[:] = part[: place.shape[0], : place.shape[1]]
    # Rounding: TensorFlow may add up in another order for windows of another shape.
    np.testing.assert_allclose(made, whole(network, scene), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "network", [{}, {"deep_blocks": 2}, {"enlarging": "repeated"}], ids=["plain", "deep", "of version 2"]
)
def test_nothing_beyond_the_margin_changes_a_pixel_and_what_lies_within_does(network: dict[str, Any]) -> None:
    """The margin is the receptive radius, neither more nor less."""
    made = small_style(**network)
    architecture = made.facts.architecture
    apply = GeneratorNetwork(architecture, made.weights, "/CPU:0")
    side, margin = 32, architecture.margin
    generator = np.random.default_rng(0)
    scene = generator.uniform(0, 255, (side + 2 * margin, side + 2 * margin, 3)).astype(np.float32)
    grain = generator.uniform(-1, 1, (*scene.shape[:2], 2)).astype(np.float32)
    before, changed = apply(scene, grain), scene.copy()
    changed[0] = 255 - changed[0]
    rows = np.flatnonzero((apply(changed, grain) != before).any(axis=(1, 2)))
    assert rows.min() == 0
    assert rows.max() < architecture.stride


def test_the_same_flat_colour_is_not_one_colour_in_the_picture(network: GeneratorNetwork) -> None:
    assert whole(network, np.full((64, 64, 3), 60, np.float32)).std(axis=(0, 1)).max() > 0.5


def test_a_style_of_the_second_version_paints_as_it_did() -> None:
    """The picture is the one that the program made which wrote the file."""
    folder = Path(__file__).parents[1] / "learned" / "version2"
    style = read_learned(folder / "small.style")
    rows, columns = np.mgrid[:64, :96].astype(np.float32)
    scene = np.stack([2 * rows + 20, 2 * columns + 10, 255 - rows - columns], axis=-1)
    made = whole(GeneratorNetwork(style.facts.architecture, style.weights, "/CPU:0"), scene)
    with Image.open(folder / "picture.png") as picture:
        # Half a step for its rounding to whole numbers, and float32 sums in another order.
        np.testing.assert_allclose(made, np.asarray(picture, np.float32), rtol=0, atol=0.51)


def test_bfloat16_differs_by_rounding_only(network: GeneratorNetwork, scene: np.ndarray) -> None:
    half = GeneratorNetwork(ARCHITECTURE, small_style().weights, "/CPU:0", "bfloat16")
    # Seven bits of mantissa on a correction of up to 127.5.
    assert np.abs(whole(half, scene) - whole(network, scene)).max() < 4


def test_the_default_network_is_within_two_megabytes_in_float16() -> None:
    assert sum(2 * np.prod(shape) for shape in Architecture().shapes.values()) < 1e6
