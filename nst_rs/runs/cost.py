"""What a run costs: the processor time of its processes and the time in its network on a GPU."""

from typing import Any

import psutil

from nst_rs.runs.job import Job


class Meter:
    """Counts the processor time of a run from the time at which it is made.

    Workers that the run has started on this machine are counted, also those that have ended since. Those of a cluster
    at an address are not: they may serve others as well, and do not tell.
    """

    def __init__(self, job: Job) -> None:
        """Begin to count for `job`."""
        self._device = job.device
        self._in_process = job.traits.in_process
        self._has_own_workers = not self._in_process and not job.config.compute.address
        self._before = self._processor_seconds()

    def cost(self, seconds_in_network: float | None) -> dict[str, Any]:
        """Return the part of the record; `seconds_in_network` are this process's, None where others compute."""
        return {
            "core_seconds": round(max(0.0, self._processor_seconds() - self._before), 3),
            "gpu_seconds": self._gpu_seconds(seconds_in_network),
            "counted": self._counted,
        }

    @property
    def _counted(self) -> str:
        if self._has_own_workers:
            return "this process and the workers that it started"
        return "this process" if self._in_process else "this process, without the cluster's workers"

    def _gpu_seconds(self, seconds_in_network: float | None) -> float | None:
        """Return 0 without a GPU, and None where it is not known."""
        if not self._in_process:
            return None
        if not self._device.is_gpu:
            return 0.0
        return None if seconds_in_network is None else round(seconds_in_network, 3)

    def _processor_seconds(self) -> float:
        process = psutil.Process()
        own = process.cpu_times()
        total = own.user + own.system
        if not self._has_own_workers:
            return float(total)
        return float(
            total + own.children_user + own.children_system + sum(map(_with_ended, process.children(recursive=True)))
        )


def _with_ended(process: psutil.Process) -> float:
    """Return the processor time of a process and of those that it has started and that have ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has just ended
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
