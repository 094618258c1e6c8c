from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import Affine

from nst_rs.geo.grid import Grid
from nst_rs.geo.webgrid import CRS_OF_WEB, halvings, on_whole_pixels, pixel_side, zoom_of

ZOOM = 12
SIDE = pixel_side(ZOOM)


@given(st.integers(0, 24))
def test_the_pixels_of_a_zoom_level_are_that_levels(zoom: int) -> None:
    assert zoom_of(pixel_side(zoom)) == zoom


@given(st.floats(0.02, 100_000))
def test_pixels_are_at_most_a_quarter_of_a_level_coarser(side: float) -> None:
    found = pixel_side(zoom_of(side))
    assert side * 2**-0.751 < found < side * 2**0.251


@given(st.integers(-100_000, 100_000), st.integers(-100_000, 100_000), st.integers(1, 5000), st.integers(1, 5000))
def test_a_box_grows_to_pixels_that_are_whole_at_every_zoom(row: int, column: int, height: int, width: int) -> None:
    grid = Grid(CRS_OF_WEB, Affine(SIDE, 0, column * SIDE, 0, -SIDE, -row * SIDE), 1, 1)
    box = (-3, 5, height - 3, width + 5)
    top, left, bottom, right = grown = on_whole_pixels(box, grid)
    assert all(a <= b for a, b in zip(grown[:2], box[:2], strict=True))
    assert all(a >= b for a, b in zip(grown[2:], box[2:], strict=True))
    step = 2 ** halvings((bottom - top, right - left))
    assert [(row + edge) % step for edge in (top, bottom)] == [0, 0]
    assert [(column + edge) % step for edge in (left, right)] == [0, 0]
    # It grows by less than a pixel of the coarsest zoom, of which the map has more than 128.
    assert max(abs(a - b) for a, b in zip(grown, box, strict=True)) < step
    assert step == 1 or max(bottom - top, right - left) > 128 * step
