import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.learned.architecture import STRIDE, Architecture, first_weights, grain


@given(st.integers(1, 12))
def test_the_margin_is_a_multiple_of_the_stride(blocks: int) -> None:
    assert Architecture(blocks=blocks).margin % STRIDE == 0


def test_first_weights_have_the_architectures_shapes_and_leave_the_scene_as_it_is() -> None:
    architecture = Architecture((4, 8, 8), 1)
    weights = first_weights(architecture, seed=0)
    assert {name: value.shape for name, value in weights.items()} == architecture.shapes
    assert not weights["last.kernel"].any()


@given(st.integers(-1000, 20_000), st.integers(-1000, 20_000), st.integers(1, 30), st.integers(1, 30))
def test_grain_depends_on_the_place_alone(top: int, left: int, height: int, width: int) -> None:
    window = grain(np.arange(top, top + height), np.arange(left, left + width))
    around = grain(np.arange(top - 5, top + height + 5), np.arange(left - 7, left + width + 7))
    assert (window == around[5:-5, 7:-7]).all()


def test_grain_is_uniform_and_without_a_pattern() -> None:
    fine = grain(np.arange(400), np.arange(400))[..., 0]
    assert fine.min() >= -1
    assert fine.max() <= 1
    assert abs(fine.mean()) < 0.01
    assert abs(fine.var() - 1 / 3) < 0.01
    for step in (1, 2, 4, 64):  # 0.0025 is the standard error of a correlation of 160,000 pairs
        assert abs(np.corrcoef(fine[:-step].ravel(), fine[step:].ravel())[0, 1]) < 0.012
        assert abs(np.corrcoef(fine[:, :-step].ravel(), fine[:, step:].ravel())[0, 1]) < 0.012
