import re
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from nst_rs.errors import ResourceError
from nst_rs.neural import device
from nst_rs.neural.device import Device, choose_device, choose_precision

CPU = Device("/CPU:0", 10**9)


def test_cpu_is_what_it_says() -> None:
    chosen = choose_device("cpu")
    assert chosen.name == "/CPU:0"
    assert not chosen.is_gpu
    assert chosen.free_bytes > 10**8


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ResourceError, match=re.escape("compute.device gpu:99: expected a GPU that TensorFlow can use")):
        choose_device("gpu:99")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A machine with two GPUs, as far as TensorFlow's and NVIDIA's lists go; returns which grow on demand."""
    growing: dict[str, bool] = {}
    monkeypatch.setattr(device.tf.config, "list_physical_devices", lambda _kind: ["first", "second"])
    monkeypatch.setattr(device.tf.config.experimental, "set_memory_growth", growing.__setitem__)
    monkeypatch.setattr(device, "_gpu_free_bytes", lambda index: (index + 1) * 10**9)
    return growing


@pytest.mark.parametrize(
    ("wanted", "name", "free"), [("auto", "/GPU:0", 10**9), ("gpu:1", "/GPU:1", 2 * 10**9), ("gpu:0", "/GPU:0", 10**9)]
)
def test_a_gpu_is_taken_where_there_is_one_and_its_memory_grows(
    two_gpus: dict[str, bool], wanted: str, name: str, free: int
) -> None:
    assert choose_device(wanted) == Device(name, free)
    assert two_gpus == {"first": True, "second": True}


def test_a_gpus_float32_is_the_cpus(two_gpus: dict[str, bool]) -> None:
    tf.config.experimental.enable_tensor_float_32_execution(True)
    choose_device("gpu:0")
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


def test_the_cpu_can_be_asked_for_in_spite_of_a_gpu_whose_memory_is_then_left_alone(two_gpus: dict[str, bool]) -> None:
    assert choose_device("cpu").name == "/CPU:0"
    assert two_gpus == {"first": True, "second": True}


def test_a_gpu_without_the_library_that_knows_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.tf.config, "list_physical_devices", lambda _kind: ["first"])
    monkeypatch.setattr(device.tf.config.experimental, "set_memory_growth", lambda _gpu, _grow: None)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(ResourceError, match=r"compute.device gpu:0 needs pynvml, .* install 'nst-rs\[gpu\]'"):
        choose_device("auto")


@pytest.mark.parametrize(("visible", "free"), [(None, 0), ("2,1", 2), ("GPU-c", 99), ("", 0)])
def test_the_memory_is_that_of_the_gpu_that_the_process_sees(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, free: int
) -> None:
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID={"GPU-c": 99}.__getitem__,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=handle),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device._gpu_free_bytes(0) == free


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_asked_for_is_taken(precision: str) -> None:
    assert choose_precision(precision, CPU) == precision


@pytest.mark.parametrize(("bfloat16_seconds", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (30.0, "float32")])
def test_auto_takes_bfloat16_only_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, bfloat16_seconds: float, chosen: str
) -> None:
    seconds = {"float32": 1.0, "bfloat16": bfloat16_seconds}
    monkeypatch.setattr(device, "_convolution_trial", lambda dtype, _device: lambda: seconds[dtype])
    assert choose_precision("auto", CPU) == chosen


def test_auto_measures_this_machine() -> None:
    assert choose_precision("auto", CPU) in ("float32", "bfloat16")


def test_products_are_rounded_for_a_while_only() -> None:
    execution = device.tf.config.experimental.tensor_float_32_execution_enabled
    choose_device("cpu")
    with device.rounded_products():
        assert execution()
    assert not execution()
