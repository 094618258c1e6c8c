import shutil
from importlib import resources
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from nst_rs.errors import ModelError
from nst_rs.neural import vgg16
from nst_rs.neural.vgg16 import Convolution, Encoder, load_convolutions
from nst_rs.vgg16 import VGG16, Trunk

PACKAGED = resources.files("nst_rs") / "data" / "vgg16_imagenet_notop_f16.h5"


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, (1, height, width, 3)).astype(np.float32)


def test_the_packaged_weights_are_vgg16s(vgg16: list[Convolution]) -> None:
    assert [c.name for c in vgg16] == list(VGG16)
    assert [c.kernel.shape for c in vgg16] == [(3, 3, layer.in_channels, layer.channels) for layer in VGG16.values()]
    by_name = {c.name: c for c in vgg16}
    # Published values of Keras' VGG16; the file holds float16, which keeps three digits.
    assert by_name["conv1_1"].kernel[0, 0, 0, 0] == pytest.approx(0.42947057, rel=1e-3)
    assert by_name["conv1_1"].bias[25] == pytest.approx(0.7446502, rel=1e-3)
    assert by_name["conv1_2"].kernel[2, 2, 63, 63] == pytest.approx(0.016082443, rel=1e-3)
    assert by_name["conv5_3"].bias.min() == pytest.approx(-0.50036746, rel=1e-3)


def test_features_are_those_of_keras_own_model(vgg16: list[Convolution]) -> None:
    model = keras.applications.VGG16(include_top=False, weights=str(PACKAGED))
    names = ["conv1_1", "conv3_2", "conv5_3"]
    keras_names = ["block1_conv1", "block3_conv2", "block5_conv3"]
    reference = keras.Model(model.input, [model.get_layer(name).output for name in keras_names])
    x = picture(64, 96)
    found = Encoder(vgg16).features(x)
    for name, expected in zip(names, reference(keras.applications.vgg16.preprocess_input(x.copy())), strict=True):
        scale = float(np.abs(expected).max())
        # float32 sums of up to 4,608 products, in another order.
        np.testing.assert_allclose(found[name], expected, atol=1e-5 * scale)


@pytest.mark.parametrize("name", VGG16)
def test_layers_have_the_strides_the_plan_relies_on(vgg16: list[Convolution], name: str) -> None:
    shape = Encoder(vgg16).features(picture(48, 64))[name].shape
    stride = VGG16[name].stride
    assert shape == (1, 48 // stride, 64 // stride, VGG16[name].channels)


@pytest.mark.parametrize("name", ["conv1_2", "conv3_1", "conv4_2", "conv5_1"])
def test_a_position_sees_no_further_than_its_radius(vgg16: list[Convolution], name: str) -> None:
    layer, halo = VGG16[name], Trunk.reaching([name]).halo
    encoder = Encoder(vgg16[: list(VGG16).index(name) + 1])
    near, far = picture(208, 208, 1), picture(208, 208, 2)
    core = slice(96, 112)
    window = slice(96 - halo, 112 + halo)
    far[:, window, window] = near[:, window, window]
    cells = slice(96 // layer.stride, 112 // layer.stride)
    a, b = (encoder.features(x)[name].numpy()[:, cells, cells] for x in (near, far))
    assert core.stop - core.start == layer.stride * (cells.stop - cells.start)
    # The same sums of the same numbers; only the order in which the convolution adds them may differ.
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(np.abs(a).max()))


def test_average_pooling_is_not_max_pooling(small_network: list[Convolution]) -> None:
    x = picture(8, 8)
    most = Encoder(small_network, pooling="max").features(x)
    mean = Encoder(small_network, pooling="average").features(x)
    assert np.array_equal(most["conv1_2"], mean["conv1_2"])
    assert not np.allclose(most["conv2_1"], mean["conv2_1"])


def test_a_file_of_ones_own_is_loaded(vgg16: list[Convolution], tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    shutil.copy(str(PACKAGED), path)
    assert np.array_equal(load_convolutions(str(path))[0].kernel, vgg16[0].kernel)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.h5: expected a weights file, got no such file"):
        load_convolutions(str(tmp_path / "nothing.h5"))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.h5"
    path.write_bytes(PACKAGED.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match=r"short\.h5: expected VGG16's convolution weights"):
        load_convolutions(str(path))


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    shutil.copy(str(PACKAGED), path)
    with h5py.File(path, "r+") as file:
        group = file["block3_conv2/block3_conv2"]
        del group["kernel:0"]
        group["kernel:0"] = np.zeros((3, 3, 256, 128), np.float16)
    with pytest.raises(ModelError, match=r"other\.h5: expected VGG16's convolution weights"):
        load_convolutions(str(path))


def test_a_damaged_packaged_file_is_refused_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    content = bytearray(PACKAGED.read_bytes())
    content[20_000_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"expected SHA-256 4149bc4147a2…, got .*install nst-rs again"):
        vgg16.check_sha256(path)


def test_a_download_that_fails_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A proxy at which nobody listens stands in for a machine without a network.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(ModelError, match=r"model\.weights imagenet: .* use model\.weights=packaged"):
        load_convolutions("imagenet")
