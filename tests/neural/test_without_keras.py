"""TensorFlow begins without Keras, and has it when somebody asks."""

import sys

from tests.forked import from_a_process


def _before_and_after() -> tuple[bool, str, str]:
    """Whether Keras is there before it is asked for, and where two ways of asking for it lead."""
    from nst_rs.neural.without_keras import tf

    before = "keras" in sys.modules
    from tensorflow.keras.layers import Dense

    return before, Dense.__module__, tf.keras.layers.Dense.__module__


def test_keras_is_imported_only_for_who_asks_for_it() -> None:
    where = "keras.src.layers.core.dense"
    assert from_a_process(_before_and_after) == (False, where, where)
