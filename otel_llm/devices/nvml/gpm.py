"""GPU performance monitoring (Hopper and later): shares of the interval between two samples."""

import contextlib
from typing import Any

import pynvml

from otel_llm.devices.nvml.library import Calls

METRICS = {
    "sm_active": 2,
    "sm_occupancy": 3,
    "tensor_active": 5,
    "dram_active": 10,
}
"""`NVML_GPM_METRIC_*` of nvml.h: SM_UTIL, SM_OCCUPANCY, ANY_TENSOR_UTIL, DRAM_BW_UTIL; percent."""
_PASSING = frozenset({pynvml.NVML_ERROR_INVALID_ARGUMENT})
"""Two samples that are too near to each other are no fault of the device's."""


class Gpm:
    """Two samples of one device or MIG instance, taken in turn.

    Args:
        calls: makes the calls.
        device: its UUID.
        handle: NVML's.
        is_instance: it is a MIG instance. Those that share a GPU instance have the same figures.
    """

    def __init__(self, calls: Calls, device: str, handle: object, *, is_instance: bool) -> None:
        self._calls = calls
        self._device = device
        self._handle = handle
        # Of an instance: its number, by which its device is asked for it.
        self._instance: int | None = None
        self._is_instance = is_instance
        self._samples: list[Any] = []
        self._taken = 0
        self._get: Any = None
        self._is_open = False

    def read(self) -> dict[str, float]:
        """Percent of the time since the last read, by metric; nothing at the first.

        Raises:
            DeviceLostError: the device is lost.
        """
        if not self._is_open:
            self._open()
        if len(self._samples) < 2:
            return {}
        sample = self._samples[self._taken % 2]
        if self._sample(sample) is None:
            return {}
        self._taken += 1
        return self._between() if self._taken > 1 else {}

    def close(self) -> None:
        """Give the samples back."""
        samples, self._samples = self._samples, []
        for sample in samples:
            with contextlib.suppress(pynvml.NVMLError):  # the driver may have gone with them
                pynvml.nvmlGpmSampleFree(sample)

    def _open(self) -> None:
        """Find out whether the device has it, and take room for its samples."""
        if self._is_instance and self._instance is None and not self._find_device():
            return
        support = self._ask(
            "nvmlGpmQueryDeviceSupport", lambda: pynvml.nvmlGpmQueryDeviceSupport(self._handle)
        )
        if support is None:
            return  # asked again the next time, unless it is refused for good
        self._is_open = True
        if not support.isSupportedDevice:
            return
        made = [self._ask("nvmlGpmSampleAlloc", pynvml.nvmlGpmSampleAlloc) for _ in range(2)]
        self._samples = [sample for sample in made if sample is not None]
        self._get = pynvml.c_nvmlGpmMetricsGet_t()
        self._get.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        self._get.numMetrics = len(METRICS)
        for place, number in enumerate(METRICS.values()):
            self._get.metrics[place].metricId = number

    def _find_device(self) -> bool:
        """From an instance to its device and its own number there."""
        name = "nvmlDeviceGetDeviceHandleFromMigDeviceHandle"
        device = self._ask(name, lambda: getattr(pynvml, name)(self._handle))
        instance = self._ask(
            "nvmlDeviceGetGpuInstanceId", lambda: pynvml.nvmlDeviceGetGpuInstanceId(self._handle)
        )
        if device is None or instance is None:
            return False
        self._handle, self._instance = device, instance
        return True

    def _sample(self, room: Any) -> Any:  # noqa: ANN401  what NVML gives
        """Have a sample taken; None if there is none."""
        if self._instance is None:
            return self._ask(
                "nvmlGpmSampleGet", lambda: pynvml.nvmlGpmSampleGet(self._handle, room)
            )
        return self._ask(
            "nvmlGpmMigSampleGet",
            lambda: pynvml.nvmlGpmMigSampleGet(self._handle, self._instance, room),
        )

    def _between(self) -> dict[str, float]:
        self._get.sample1 = self._samples[self._taken % 2]
        self._get.sample2 = self._samples[(self._taken + 1) % 2]
        if self._ask("nvmlGpmMetricsGet", lambda: pynvml.nvmlGpmMetricsGet(self._get)) is None:
            return {}
        return {
            name: self._get.metrics[place].value
            for place, name in enumerate(METRICS)
            if self._get.metrics[place].nvmlReturn == pynvml.NVML_SUCCESS
        }

    def _ask(self, name: str, call: Any) -> Any:  # noqa: ANN401  what NVML gives
        return self._calls.ask(name, self._device, call, _PASSING)
