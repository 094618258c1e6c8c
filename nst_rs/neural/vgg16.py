"""VGG16 as a frozen encoder: weights as Keras stores them, arithmetic in plain TensorFlow operations.

The only place that knows that these weights want BGR order with the ImageNet means subtracted.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import h5py
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_rs.errors import ModelError
from nst_rs.vgg16 import VGG16

Pooling = Literal["max", "average"]

PACKAGED_SHA256 = "4149bc4147a2b78cb0d4f12786ee87c62f5d422949ef0bb467198719dfc30ed5"
_BGR_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Convolution:
    """One convolution layer's parameters."""

    name: str
    kernel: npt.NDArray[np.float32]  # (3, 3, in, out)
    bias: npt.NDArray[np.float32]  # (out,)

    @property
    def block(self) -> int:
        """The block of VGG16 it stands in; pooling lies between blocks."""
        return int(self.name.removeprefix("conv").split("_")[0])


def load_convolutions(weights: str) -> list[Convolution]:
    """Load the 13 convolution layers, from the picture inwards.

    `weights` is ``packaged``, ``imagenet`` (Keras' own download) or the path of a Keras weights file.
    Raises ModelError when the file is missing, damaged or of another network.
    """
    if weights == "packaged":
        with resources.as_file(resources.files("nst_rs") / "data" / "vgg16_imagenet_notop_f16.h5") as path:
            check_sha256(path)
            return _read(path)
    if weights == "imagenet":
        model = _downloaded_model()
    else:
        if not Path(weights).is_file():
            raise ModelError(f"model.weights {weights}", expected="a weights file", got="no such file")
        model = _keras_model(weights)
    return [
        Convolution(name, *(np.asarray(part, np.float32) for part in model.get_layer(_keras_name(name)).get_weights()))
        for name in VGG16
    ]


def _keras_name(name: str) -> str:
    return name.replace("conv", "block").replace("_", "_conv")


def check_sha256(path: Path) -> None:
    """Raise ModelError unless `path` holds the packaged weights, bit for bit."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != PACKAGED_SHA256:
        raise ModelError(
            f"packaged weights {path}",
            expected=f"SHA-256 {PACKAGED_SHA256[:12]}…",
            got=f"{digest[:12]}…",
            do="the file is damaged: install nst-rs again",
        )


def _read(path: Path) -> list[Convolution]:
    """Read a file that is known to hold VGG16. Keras would build its own model first, which takes seconds."""
    with h5py.File(path) as file:
        groups = {name: file[_keras_name(name)][_keras_name(name)] for name in VGG16}
        return [
            Convolution(name, *(group[part][()].astype(np.float32) for part in ("kernel:0", "bias:0")))
            for name, group in groups.items()
        ]


def _keras_model(path: str) -> Any:
    try:
        return keras.applications.VGG16(include_top=False, weights=path)
    except (OSError, ValueError, KeyError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"model.weights {path}", expected="VGG16's convolution weights as Keras saves them", got=first_line
        ) from error


def _downloaded_model() -> Any:
    try:
        return keras.applications.VGG16(include_top=False, weights="imagenet")
    except Exception as error:  # Keras' downloader raises a bare Exception when there is no network.
        raise ModelError(
            "model.weights imagenet",
            expected="Keras to download VGG16",
            got=str(error).splitlines()[0],
            do="use model.weights=packaged, which needs no network",
        ) from error


class Encoder:
    """The features of pictures at all layers, after the ReLU, and the way back from features to pixels."""

    def __init__(self, convolutions: Sequence[Convolution], dtype: str = "float32", pooling: Pooling = "max") -> None:
        """Hold the layers given, in the order given, computing in `dtype`."""
        self.dtype = tf.as_dtype(dtype)
        self.pooling = pooling
        self.convolutions = list(convolutions)
        # Tensors, not arrays: a trace holds its own copy of an array's 60 MB, and every shape of window has a trace.
        self._parameters = {c.name: _Parameters.of(c, self.dtype) for c in convolutions}

    def features(self, pictures: Any) -> dict[str, Any]:
        """Return layer → features (N, H / stride, W / stride, C) in `dtype`.

        `pictures` is (N, H, W, 3) RGB in [0, 255]. Beyond its borders the network sees zeros, as it did in training.
        """
        x = tf.cast(pictures[..., ::-1] - tf.constant(_BGR_MEANS, pictures.dtype), self.dtype)
        features: dict[str, Any] = {}
        for convolution, before in self._with_layer_before():
            if before is not None and before.block != convolution.block:
                x = self._pool(x)
            parameters = self._parameters[convolution.name]
            x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, parameters.kernel, 1, "SAME"), parameters.bias))
            features[convolution.name] = x
        return features

    def carry_back(self, features: Mapping[str, Any], upstream: Mapping[str, Any]) -> Any:
        """Return Σ_l (∂F^l/∂x)ᵀ upstream^l, (N, H, W, 3) in `dtype`: the gradient with respect to the pictures.

        `features` is what :meth:`features` returned for them; `upstream` maps any of its layers to arrays of their
        shape and type. The gradient of a 3×3 stride-1 "SAME" convolution to its input is the convolution with the
        mirrored, transposed kernel. In this form it takes the fast forward path; benchmarks/engine.py measures by how
        much.
        """
        flow = tf.zeros_like(features[self.convolutions[-1].name])
        for convolution, before in reversed(self._with_layer_before()):
            x = features[convolution.name]
            if convolution.name in upstream:
                flow += upstream[convolution.name]
            flow = tf.raw_ops.ReluGrad(gradients=flow, features=x)
            flow = tf.nn.conv2d(flow, self._parameters[convolution.name].mirrored, 1, "SAME")
            if before is not None and before.block != convolution.block:
                flow = self._pool_back(features[before.name], flow)
        return flow[..., ::-1]

    def _with_layer_before(self) -> list[tuple[Convolution, Convolution | None]]:
        return list(zip(self.convolutions, [None, *self.convolutions], strict=False))

    def _pool(self, x: Any) -> Any:
        pool = tf.nn.max_pool2d if self.pooling == "max" else tf.nn.avg_pool2d
        return pool(x, 2, 2, "VALID")

    def _pool_back(self, x: Any, flow: Any) -> Any:
        window = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
        if self.pooling == "max":
            return tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=self._pool(x), grad=flow, **window)
        return tf.raw_ops.AvgPoolGrad(orig_input_shape=tf.shape(x), grad=flow, **window)


@dataclass(frozen=True)
class _Parameters:
    """A convolution's tensors."""

    kernel: Any  # (3, 3, in, out)
    mirrored: Any  # (3, 3, out, in)
    bias: Any  # (out,)

    @classmethod
    def of(cls, convolution: Convolution, dtype: Any) -> "_Parameters":
        mirrored = convolution.kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        return cls(*(tf.constant(part, dtype) for part in (convolution.kernel, mirrored, convolution.bias)))
