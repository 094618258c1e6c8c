import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nst_rs.composite.percentiles import Counter

percentages = st.lists(st.floats(0, 100), min_size=1, max_size=4)
sizes = st.integers(1, 200)


def counted(values: np.ndarray, wanted: list[float], cuts: int) -> list[float]:
    parts = np.array_split(values, cuts)
    counter = Counter(values.dtype)
    for part in parts:
        counter.add(part)
    return counter.percentiles(wanted, lambda: parts)


@given(st.data(), percentages, st.integers(1, 5), st.sampled_from(["uint8", "uint16", "int16"]))
def test_percentiles_of_whole_numbers_are_numpys(
    data: st.DataObject, wanted: list[float], cuts: int, dtype: str
) -> None:
    values = data.draw(arrays(dtype, sizes))
    assert counted(values, wanted, cuts) == np.percentile(values.astype(np.float32), wanted).tolist()


@given(
    arrays("float32", sizes, elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)),
    percentages,
    st.integers(1, 5),
)
def test_percentiles_of_floats_are_numpys(values: np.ndarray, wanted: list[float], cuts: int) -> None:
    assert counted(values, wanted, cuts) == np.percentile(values, wanted).tolist()


@given(st.data(), percentages)
def test_percentiles_among_many_equal_values_are_numpys(data: st.DataObject, wanted: list[float]) -> None:
    few = data.draw(arrays("float32", st.integers(1, 3), elements=st.floats(-5, 5, width=32, allow_subnormal=False)))
    values = data.draw(arrays("float32", sizes, elements=st.sampled_from(few.tolist())))
    assert counted(values, wanted, 2) == np.percentile(values, wanted).tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_percentiles_of_many_values_are_numpys(dtype: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 3000, 30_001)
    values = np.abs(values).astype(dtype) if dtype == "uint16" else values.astype(dtype)
    wanted = [0, 2, 33.3, 50, 98, 99.99, 100]
    assert counted(values, wanted, 7) == np.percentile(values.astype(np.float32), wanted).tolist()


def test_neighbouring_floats_are_told_apart() -> None:
    one = np.float32(1)
    values = np.array([one, np.nextafter(one, np.float32(2)), -one, np.nextafter(-one, np.float32(0))], np.float32)
    assert counted(values, [0, 100 / 3, 200 / 3, 100], 1) == pytest.approx(sorted(values.tolist()), rel=1e-9)


def test_every_value_is_counted() -> None:
    counter = Counter("int16")
    counter.add(np.array([-32768, 32767], np.int16))
    counter.add(np.array([], np.int16))
    assert counter.total == 2
    assert counter.percentiles([0, 50, 100], list) == [-32768, -0.5, 32767]
