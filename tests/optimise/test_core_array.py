from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.files.storage import DiskStorage, stored_bytes
from nst_rs.optimise.core_array import CoreArray
from tests.pixel_kernel import level_of

LEVEL = level_of((150, 210), 64)
SHAPE = (*LEVEL.canvas_shape, 3)
PICTURE = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)


def in_memory() -> CoreArray:
    return CoreArray(LEVEL, np.zeros(CoreArray.stack_shape(LEVEL), np.float32))


def spans(size: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, size), st.integers(0, size)).map(lambda ends: slice(min(ends), max(ends)))


@given(spans(SHAPE[0]), spans(SHAPE[1]))
def test_windows_are_read_and_written_as_in_one_array(rows: slice, columns: slice) -> None:
    array, expected = in_memory(), np.zeros(SHAPE, np.float32)
    array[rows, columns] = PICTURE[rows, columns]
    expected[rows, columns] = PICTURE[rows, columns]
    assert (array[:] == expected).all()
    array[:] = PICTURE
    assert (array[rows, columns] == PICTURE[rows, columns]).all()
    assert (array[rows] == PICTURE[rows]).all()
    assert (array[rows, columns, 1:2] == PICTURE[rows, columns, 1:2]).all()


def test_every_core_is_a_file_of_its_own(tmp_path: Path) -> None:
    storage, shape = DiskStorage(tmp_path), CoreArray.stack_shape(LEVEL)
    array = CoreArray(LEVEL, storage.create("picture", shape, np.float32))
    written = []
    for tile in LEVEL.tiles:
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "picture").rglob("*") if path.is_file()}
        array[tile.core_slices] = PICTURE[tile.core_slices]
        after = {path: path.stat().st_mtime_ns for path in (tmp_path / "picture").rglob("*") if path.is_file()}
        written += [path for path, time in after.items() if before.get(path) != time]
    assert len(written) == len(set(written)) == len(LEVEL.tiles)
    assert sum(path.stat().st_size for path in written) == stored_bytes(shape, np.float32)
    assert (CoreArray(LEVEL, storage.open("picture"))[:] == PICTURE).all()
