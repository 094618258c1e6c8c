import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_rs.composite.stretch import Limits, Stretch

LIMITS = Limits(100.0, 300.0)


@given(gamma=st.floats(0.2, 5), sigmoid=st.just(0.0) | st.floats(0.01, 20))
def test_every_stretch_rises_from_0_to_255_and_clips_beyond(gamma: float, sigmoid: float) -> None:
    values = np.linspace(50, 350, 301, dtype="float32")
    found = Stretch(gamma=gamma, sigmoid=sigmoid).apply(values, LIMITS)
    assert found.dtype == np.float32
    # float32 rounding of numbers up to 255.
    np.testing.assert_allclose([found[0], found[50], found[250], found[-1]], [0, 0, 255, 255], atol=1e-4)
    assert (np.diff(found) >= -1e-4).all()


def test_gamma_above_one_brightens_and_below_darkens() -> None:
    middle = np.float32([200.0])
    assert Stretch(gamma=2).apply(middle, LIMITS)[0] == pytest.approx(255 * 0.5**0.5)
    assert Stretch(gamma=0.5).apply(middle, LIMITS)[0] == pytest.approx(255 * 0.25)


def test_a_sigmoid_steepens_the_middle_and_leaves_it_where_it_is() -> None:
    stretch = Stretch(sigmoid=10)
    below, middle, above = stretch.apply(np.float32([190.0, 200.0, 210.0]), LIMITS)
    assert middle == pytest.approx(127.5)
    assert above - below > 2 * 255 * 20 / 200
