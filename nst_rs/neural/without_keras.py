"""TensorFlow, imported without Keras, which it would import only to register optimisers: a third of its import."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

__all__ = ["tf"]


@contextmanager
def _keras_held_back() -> Iterator[None]:
    """Have what imports a part of Keras meet an ImportError, which TensorFlow expects.

    A module without parts stands in for Keras meanwhile. TensorFlow still learns where Keras lies, so that
    ``tf.keras`` and ``import tensorflow.keras`` work afterwards for who uses this program from Python.
    """
    spec = find_spec("keras")
    if {"keras", "tensorflow"} & sys.modules.keys() or spec is None:
        yield
        return
    sys.modules["keras"] = ModuleType("keras")
    sys.modules["keras"].__spec__ = spec
    try:
        yield
    finally:
        del sys.modules["keras"]


with _keras_held_back():
    import tensorflow as tf
