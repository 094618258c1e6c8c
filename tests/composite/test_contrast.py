import numpy as np

from nst_rs.composite.contrast import most_contrast
from tests.rasters import random_values


def scene(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.float32)


def test_the_part_of_the_largest_variance_is_taken() -> None:
    image = scene(320, 480)
    image[160:256, 224:352] = np.moveaxis(random_values((3, 96, 128)), 0, -1)
    rows, columns = most_contrast(image, np.ones((320, 480)), 96)
    assert (rows, columns.start in range(224, 257)) == (slice(160, 256), True)


def test_a_part_that_holds_no_data_is_not_taken_whatever_its_contrast() -> None:
    image = np.moveaxis(random_values((3, 192, 192)), 0, -1).astype(np.float32)
    weight = np.zeros((192, 192))
    weight[64:160, 16:112] = 1
    assert most_contrast(image, weight, 96) == (slice(64, 160), slice(16, 112))


def test_where_no_part_is_whole_that_which_holds_the_most_is_taken() -> None:
    weight = np.zeros((128, 256))
    weight[40:70, 100:130] = 1
    rows, columns = most_contrast(scene(128, 256), weight, 64)
    assert weight[rows, columns].sum() == 900


def test_a_scene_smaller_than_the_part_is_taken_whole() -> None:
    assert most_contrast(scene(100, 300), np.ones((100, 300)), 128)[0] == slice(0, 100)
    assert most_contrast(scene(20, 30), np.ones((20, 30)), 128) == (slice(0, 20), slice(0, 30))


def test_parts_at_the_far_edge_lie_inside_the_scene() -> None:
    image = scene(130, 270)
    image[-20:, -20:] = 255
    rows, columns = most_contrast(image, np.ones((130, 270)), 100)
    assert rows.stop <= 130
    assert columns.stop <= 270
