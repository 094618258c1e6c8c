"""The device that computes, its memory, and the precision in which it is faster. Nothing happens on import."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import tensorflow as tf

from nst_rs.errors import ResourceError
from nst_rs.files.extras import naming_extras
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.neural.heap import keep_few_heaps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """One place to compute."""

    name: str
    """TensorFlow's name for it: ``/CPU:0``, ``/GPU:1``."""
    free_bytes: int
    """Memory that a run may take."""

    @property
    def is_gpu(self) -> bool:
        """Whether this is a GPU, with memory of its own."""
        return self.name.startswith("/GPU")

    def scope(self) -> AbstractContextManager[Any]:
        """Return a context in which TensorFlow puts what it makes on this device."""
        scope: AbstractContextManager[Any] = tf.device(self.name)
        return scope


def choose_device(wanted: str) -> Device:
    """Return the device for ``auto`` (a GPU where there is one), ``cpu`` or ``gpu:N``.

    A GPU's memory is taken as it is needed, not all at once, and the host's is shared by its threads. Raises
    ResourceError for a GPU that is not there.
    """
    keep_few_heaps()
    with native_notes_hidden():
        gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    # Else float32 would be a GPU's TensorFloat-32, of ten bits, and maps would differ from a CPU's.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if wanted == "cpu" or (wanted == "auto" and not gpus):
        return Device("/CPU:0", psutil.virtual_memory().available)
    index = 0 if wanted == "auto" else int(wanted.removeprefix("gpu:"))
    if index >= len(gpus):
        raise ResourceError(
            f"compute.device {wanted}",
            expected="a GPU that TensorFlow can use",
            got=f"{len(gpus)} of them",
            do="install nst-rs[gpu], or use compute.device=cpu",
        )
    return Device(f"/GPU:{index}", _gpu_free_bytes(index))


@contextmanager
def rounded_products() -> Iterator[None]:
    """Let a GPU round the factors of float32's products to TensorFloat-32, of ten bits: enough to learn with."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def limit_threads(count: int) -> None:
    """Let this process compute with `count` threads. Call it before anything is computed.

    Raises ResourceError where the process has begun with another number.
    """
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() == threading.get_inter_op_parallelism_threads() == count:
        return
    try:
        threading.set_intra_op_parallelism_threads(count)
        threading.set_inter_op_parallelism_threads(count)
    except RuntimeError as error:
        raise ResourceError(
            "threads of a worker",
            expected=f"{count}, in a process that has not computed yet",
            got=f"one that computes with {threading.get_intra_op_parallelism_threads()}",
            do="start the workers again",
        ) from error


def _gpu_free_bytes(index: int) -> int:
    with naming_extras(f"compute.device gpu:{index}"):
        import pynvml
    # TensorFlow counts what CUDA_VISIBLE_DEVICES leaves of the machine's GPUs; the library counts, or names, them all.
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[index] if visible else str(index)
    pynvml.nvmlInit()
    try:
        by_number = name.isdigit()
        gpu = pynvml.nvmlDeviceGetHandleByIndex(int(name)) if by_number else pynvml.nvmlDeviceGetHandleByUUID(name)
        return int(pynvml.nvmlDeviceGetMemoryInfo(gpu).free)
    finally:
        pynvml.nvmlShutdown()


def choose_precision(wanted: str, device: Device) -> str:
    """Return ``float32`` or ``bfloat16``; ``auto`` takes whichever convolves faster on this device, by trial."""
    if wanted != "auto":
        return wanted
    trials = {dtype: _convolution_trial(dtype, device) for dtype in ("float32", "bfloat16")}
    # In turn, so that both meet the same neighbours on a shared machine; the shortest, because noise only adds.
    times = [{dtype: trial() for dtype, trial in trials.items()} for _ in range(8)][1:]
    seconds = {dtype: min(turn[dtype] for turn in times) for dtype in trials}
    # Half the digits are worth it only for a clear gain.
    chosen = "bfloat16" if seconds["bfloat16"] < 0.8 * seconds["float32"] else "float32"
    ratio = seconds["float32"] / seconds["bfloat16"]
    log.info("precision %s: bfloat16 convolves at %.2f times the rate of float32", chosen, ratio)
    return chosen


def _convolution_trial(dtype: str, device: Device) -> Callable[[], float]:
    """Return a function that runs one of VGG16's convolutions on a picture and returns the seconds it took."""
    # On a GPU a small picture would time how long a convolution takes to begin.
    side = 512 if device.is_gpu else 96

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def convolve(x: Any, kernel: Any) -> Any:
        return tf.reduce_sum(tf.cast(tf.nn.conv2d(x, kernel, 1, "SAME"), tf.float32))

    with device.scope():
        x, kernel = tf.ones((1, side, side, 128), dtype), tf.ones((3, 3, 128, 128), dtype)

    def trial() -> float:
        start = time.perf_counter()
        with device.scope():
            convolve(x, kernel).numpy()
        return time.perf_counter() - start

    return trial
