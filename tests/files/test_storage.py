import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_rs.errors import OutputError
from nst_rs.files.storage import (
    STRIP_ROWS,
    DiskStorage,
    Inset,
    MemoryStorage,
    PixelArray,
    Storage,
    check_written,
    stored_bytes,
    strips,
)
from tests.full_disk import files_of_at_most

# Files take their time on a busy disk.
with_files = settings(max_examples=30, deadline=None)
MAKERS: dict[str, Callable[[Path], Storage]] = {"memory": lambda _folder: MemoryStorage(), "disk": DiskStorage}


@pytest.fixture(params=MAKERS)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MAKERS[request.param](tmp_path)


@st.composite
def windows(draw: Any, shape: tuple[int, ...]) -> tuple[slice, slice]:
    starts = [draw(st.integers(0, size - 1)) for size in shape[:2]]
    rows, columns = (slice(a, draw(st.integers(a + 1, size))) for a, size in zip(starts, shape, strict=False))
    return rows, columns


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@with_files
@given(data=st.data(), dtype=st.sampled_from(["float32", "uint8", "bool"]), channels=st.sampled_from([(), (3,)]))
def test_what_is_written_in_any_windows_is_read_back_in_any_other(
    tmp_path_factory: pytest.TempPathFactory,
    make: Callable[[Path], Storage],
    data: st.DataObject,
    dtype: str,
    channels: tuple[int, ...],
) -> None:
    shape = (data.draw(st.sampled_from([1, 5, 512, 1030])), data.draw(st.sampled_from([1, 9, 600])), *channels)
    storage, expected = make(tmp_path_factory.mktemp("arrays")), np.zeros(shape, dtype)
    array = storage.create("array", shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    for window in data.draw(st.lists(windows(shape), max_size=4)):
        # Negative zeros among them: all bits come back.
        values = (rng.integers(-1, 2, expected[window].shape) * 0.5).astype(dtype)
        array[window] = values
        expected[window] = values
    for found in (array, storage.open("array")):
        for window in [data.draw(windows(shape)), (slice(0, shape[0]), slice(0, shape[1]))]:
            assert found[window].dtype == dtype
            assert found[window].tobytes() == expected[window].tobytes()
        np.testing.assert_array_equal(found[window[0]], expected[window[0]])


def test_a_new_array_is_zero_and_replaces_an_earlier_one(storage: Storage) -> None:
    storage.create("array", (600, 7), "float32")[0:600] = 9
    assert (storage.create("array", (600, 7), "float32")[0:600] == 0).all()


def test_negative_zeros_come_back(storage: Storage) -> None:
    array = storage.create("array", (2, 2), "float32")
    array[0:2] = np.full((2, 2), -0.0, np.float32)
    assert np.signbit(array[0:2]).all()


def test_arrays_are_kept_apart_by_name(storage: Storage) -> None:
    for value, name in enumerate(["a", "b"], start=1):
        storage.create(name, (3, 4), "uint8")[0:3] = value
    assert (storage.open("a")[0:3] == 1).all()
    assert (storage.open("b")[0:3] == 2).all()


def test_a_deleted_array_is_not_there(storage: Storage) -> None:
    storage.create("array", (3, 4), "uint8")
    storage.delete("array")
    storage.delete("never made")
    with pytest.raises(KeyError, match="array"):
        storage.open("array")


def test_an_array_on_disk_outlives_its_storage(tmp_path: Path) -> None:
    DiskStorage(tmp_path / "new").create("array", (3, 4), "uint8")[1:2] = 5
    assert (DiskStorage(tmp_path / "new").open("array")[0:3].sum(axis=1) == [0, 20, 0]).all()


@pytest.mark.parametrize("shape", [(10, 600), (600, 10, 3), (1030, 513), (70, 65, 512)])
def test_an_array_takes_the_disk_that_was_expected(tmp_path: Path, shape: tuple[int, ...]) -> None:
    DiskStorage(tmp_path).create("array", shape, "float32")[0 : shape[0]] = 1
    taken = sum(path.stat().st_size for path in tmp_path.rglob("c/**/*") if path.is_file())
    assert taken == stored_bytes(shape, "float32")


def test_a_full_disk_is_told_in_plain_words_and_leaves_no_chunk_half_written(tmp_path: Path) -> None:
    array = DiskStorage(tmp_path).create("array", (600, 600), "float32")
    array[0:600] = 1
    complaint = f"workspace {tmp_path}: expected room and leave to write, got .*; free some space"
    with files_of_at_most(10_000), pytest.raises(OutputError, match=complaint) as caught:
        array[0:600] = 2
    assert isinstance(caught.value.__cause__, OSError)
    # Chunks are written side by side: some may have been waiting when the disk had room again.
    edges = slice(0, 512), slice(512, 600)
    assert all(len(np.unique(array[rows, columns])) == 1 for rows in edges for columns in edges)


def test_a_folder_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"workspace .*: expected room and leave to write"):
        DiskStorage(tmp_path / "file" / "arrays").create("array", (6, 6), "float32")


def sent(array: PixelArray) -> PixelArray:
    """An array as another process gets it."""
    found: PixelArray = pickle.loads(pickle.dumps(array))  # noqa: S301
    return found


@pytest.mark.parametrize(
    "use",
    [
        lambda array: array[0:3],
        lambda array: array.__setitem__(slice(0, 3), 1),
        lambda array: check_written(array, slice(0, 3)),
    ],
    ids=["read", "written", "checked"],
)
def test_an_array_that_is_not_there_is_an_error_and_is_not_made_anew(
    use: Callable[[PixelArray], object], tmp_path: Path
) -> None:
    folder = tmp_path / "arrays"
    array = DiskStorage(folder).create("array", (3, 4), "uint8")
    array[0:3] = 7
    shutil.rmtree(folder)
    for each in (array, sent(array)):
        with pytest.raises(OutputError, match=f"workspace {folder}: expected pixels of array, .*, got no such array"):
            use(each)
    assert not folder.exists()


def test_an_array_means_the_same_files_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = DiskStorage(Path("arrays")).create("array", (3, 4), "uint8")
    array[0:3] = 7
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert (array[0:3] == 7).all()
    assert (sent(array)[0:3] == 7).all()


@with_files
@given(data=st.data())
def test_a_part_that_was_never_written_is_told_from_one_that_was(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape = (1030, 600, 3)
    array = DiskStorage(tmp_path_factory.mktemp("arrays")).create("array", shape, "uint8")
    written = data.draw(windows(shape))
    array[written] = 0  # zeros are pixels too
    check_written(array, written)
    check_written(Inset(array, written), (slice(None), slice(None)))
    asked = data.draw(windows(shape))
    chunks = [
        {place // 512 for place in (part.start, part.stop - 1)} | set(range(part.start // 512, (part.stop - 1) // 512))
        for part in (*written, *asked)
    ]
    if chunks[2] <= chunks[0] and chunks[3] <= chunks[1]:
        check_written(array, asked)
    else:
        with pytest.raises(OutputError, match="expected pixels of array, written by this run, got none at"):
            check_written(array, asked)


def test_an_array_in_memory_is_always_there() -> None:
    check_written(MemoryStorage().create("array", (3, 4), "uint8"), slice(0, 3))


@given(st.data())
def test_an_inset_is_a_part_of_the_array(data: st.DataObject) -> None:
    array = np.arange(20 * 30 * 3).reshape(20, 30, 3)
    rows, columns = data.draw(windows(array.shape))
    inset, expected = Inset(array, (rows, columns)), array[rows, columns].copy()
    assert inset.shape == expected.shape
    window = data.draw(windows(expected.shape))
    np.testing.assert_array_equal(inset[window], expected[window])
    np.testing.assert_array_equal(inset[window[0]], expected[window[0]])
    inset[window] = expected[window] = -1
    np.testing.assert_array_equal(array[rows, columns], expected)
    assert (array == -1).sum() == (expected == -1).sum()


@given(st.integers(1, 3000), st.integers(1, 700))
def test_strips_partition_the_rows(height: int, rows: int) -> None:
    found = [row for strip in strips(height, rows) for row in range(height)[strip]]
    assert found == list(range(height))
    assert max(strip.stop - strip.start for strip in strips(height, rows)) <= rows


def test_a_strip_is_as_high_as_a_chunk() -> None:
    assert next(strips(10**6)) == slice(0, STRIP_ROWS)
