from pathlib import Path

import numpy as np
import pytest

from nst_rs.files.storage import DiskStorage, MemoryStorage
from nst_rs.optimise.iterate import Iterate
from nst_rs.optimise.state import Form, State
from tests.pixel_kernel import level_of

LAYERS = (("conv1_1", "conv4_2"), ("conv1_1",))


def filled(state: State, seed: int) -> State:
    rng = np.random.default_rng(seed)
    for array in (state.picture, state.first, state.second, state.mean, state.moments and state.moments.array):
        if array is not None:
            array[:, :] = rng.random(array.shape, np.float32)
    return state


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("layers", [None, LAYERS])
def test_a_state_is_found_again_by_its_name(
    tmp_path: Path, averaged: bool, layers: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> None:
    form = Form(level_of((100, 90), 64), averaged, layers)
    made = filled(form.create(DiskStorage(tmp_path), "a"), 1)
    found = form.open(DiskStorage(tmp_path), "a")
    assert (found.mean is not None, found.moments is not None) == (averaged, layers is not None)
    for name in ("picture", "first", "second"):
        assert (getattr(found, name)[:, :] == getattr(made, name)[:, :]).all()
    if found.moments is not None and made.moments is not None:
        assert (found.moments.array[:, :] == made.moments.array[:, :]).all()


def test_a_deleted_state_is_gone(tmp_path: Path) -> None:
    form, storage = Form(level_of((100, 90), 64), True, LAYERS), DiskStorage(tmp_path)
    form.create(storage, "a")
    form.delete(storage, "a")
    with pytest.raises(KeyError):
        form.open(storage, "a")
    assert list(tmp_path.glob("a-*")) == []


def test_a_copy_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    form = Form(level_of((600, 90), 64), True, LAYERS)
    source, target = filled(form.create(MemoryStorage(), "a"), 1), form.create(DiskStorage(tmp_path), "b")
    source.copy_to(target)
    for name in ("picture", "first", "second", "mean"):
        assert (getattr(source, name) == getattr(target, name)[:, :]).all()


def test_a_part_is_a_copy_until_it_is_put_back() -> None:
    state = filled(Form(level_of((100, 90), 64), True, None).create(MemoryStorage(), "a"), 1)
    rows = slice(3, 9), slice(None)
    part = state.part(rows)
    part.pixels[...] = 7
    assert not (state.picture[rows] == 7).any()
    state.put(rows, Iterate(part.pixels, part.first, part.second, part.mean))
    assert (state.picture[rows] == 7).all()


def test_the_result_is_the_mean_where_there_is_one() -> None:
    plain, averaged = (Form(level_of((100, 90), 64), mean, None).create(MemoryStorage(), "a") for mean in (False, True))
    assert plain.result is plain.picture
    assert averaged.result is averaged.mean
