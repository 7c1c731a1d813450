"""All readings of one device, as one sample."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import pynvml

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.devices.nvml import fields
from otel_llm.devices.nvml.describe import Found, memory
from otel_llm.devices.nvml.gpm import Gpm
from otel_llm.devices.nvml.library import Calls
from otel_llm.facts.device import DeviceReadings, DeviceSample, ProcessUse
from otel_llm.settings import DeviceGroup

Group: TypeAlias = DeviceGroup
"""Readings that are switched on and off together (setting `device_groups`)."""
SECOND_NS = 1_000_000_000


class Read(NamedTuple):
    """What one read of a device gave.

    Attributes:
        sample: its readings.
        values: all field values by name, among them some that no sample has.
    """

    sample: DeviceSample
    values: Mapping[str, int]


class Readings:
    """Reads one device.

    Args:
        calls: makes the calls.
        found: the device and its handle.
        groups: what to read.
        slow_s: how often the groups in SLOW are read, in seconds.
        clock: the machine's.
    """

    def __init__(
        self, calls: Calls, found: Found, groups: frozenset[Group], slow_s: float, clock: Clock
    ) -> None:
        self.device, self._handle = found
        self._calls = calls
        self._groups = groups
        self._slow_ns = round(slow_s * SECOND_NS)
        self._clock = clock
        # By whether everything is read, and the slow groups too.
        self._fields = {
            (full, slow): fields.FieldReader(
                calls, self._calls_name, self._handle, self._field_groups(full=full, slow=slow)
            )
            for full, slow in ((False, False), (True, False), (True, True))
        }
        self._gpm = Gpm(calls, self._calls_name, self._handle, is_instance=bool(self.device.mig))
        self._next_slow_ns = 0
        self._counters: dict[str, tuple[int, int]] = {}
        self._since_us = 0

    def read(self, *, full: bool) -> Read:
        """Read everything that is due.

        Raises:
            DeviceLostError: the device is lost.
        """
        began = self._clock.monotonic_ns()
        slow = full and began >= self._next_slow_ns
        values = self._fields[full, slow].read()
        told = self._told(values)
        if full:
            told |= self._plain()
            if "gpm" in self._groups:
                told |= self._gpm.read()
        if slow and "processes" in self._groups:
            told["processes"] = self._processes()
        ended = self._clock.monotonic_ns()
        if full:
            told |= self._rates(values, ended)
        if slow:
            self._next_slow_ns = began + self._slow_ns
        sample = DeviceSample(
            device=self.device,
            at_ns=MonotonicNs((began + ended) // 2),
            anchor=self._clock.anchor(),
            read_ns=ended - began,
            **told,
        )
        return Read(sample, values)

    def close(self) -> None:
        """Give back what NVML lent."""
        self._gpm.close()

    @property
    def _calls_name(self) -> str:
        return self.device.mig or self.device.id

    def _told(self, values: Mapping[str, int]) -> dict[str, Any]:
        """Fields of the sample among the field values; power by its older call if there is none."""
        told: dict[str, Any] = {name: value for name, value in values.items() if name in _READINGS}
        if "remap_pending" in told:
            told["remap_pending"] = bool(told["remap_pending"])
        powers = not self.device.mig and "power" in self._groups
        if powers and "power_mw" not in told and "power_average_mw" not in told:
            told["power_average_mw"] = self._ask("nvmlDeviceGetPowerUsage")
        return told

    def _processes(self) -> tuple[ProcessUse, ...] | None:
        """Who has work on it; None if it does not tell."""
        running = self._ask("nvmlDeviceGetComputeRunningProcesses_v3")
        if running is None:
            return None
        used = self._calls.ask(
            "nvmlDeviceGetProcessUtilization", self._calls_name, self._utilization
        )
        shares = dict(used or ())
        return tuple(
            ProcessUse(each.pid, each.usedGpuMemory, shares.get(each.pid)) for each in running
        )

    def _field_groups(self, *, full: bool, slow: bool) -> list[Mapping[str, fields.Field]]:
        if self.device.mig:
            return []
        wanted = (
            ("power", True, fields.POWER),
            ("power", full, fields.AVERAGE),
            ("links", full, fields.LINKS),
            ("ecc", slow, fields.ECC),
        )
        return [group for name, due, group in wanted if due and name in self._groups]

    def _plain(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if "memory" in self._groups:
            holds = memory(self._calls, self._calls_name, self._handle)
            told["memory_used_bytes"] = None if holds is None else holds.used
        if self.device.mig:
            return told
        if "utilization" in self._groups:
            rates = self._ask("nvmlDeviceGetUtilizationRates")
            told["gpu_utilization"] = None if rates is None else rates.gpu
            told["memory_utilization"] = None if rates is None else rates.memory
        if "clocks" in self._groups:
            told["sm_clock_mhz"] = self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
            told["memory_clock_mhz"] = self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM)
            told["throttle_reasons"] = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if "temperature" in self._groups:
            told["temperature_c"] = self._ask(
                "nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU
            )
        return told

    def _ask(self, name: str, *arguments: int) -> Any:  # noqa: ANN401  what NVML gives
        call: Callable[..., Any] = getattr(pynvml, name)
        return self._calls.ask(name, self._calls_name, lambda: call(self._handle, *arguments))

    def _rates(self, values: Mapping[str, int], now_ns: int) -> dict[str, int]:
        """Bytes per second since the last read of each counter; a counter that fell gives none."""
        rates = {}
        for name in fields.LINKS:
            if name not in values:
                continue
            before, at_ns = self._counters.get(name, (-1, 0))
            self._counters[name] = (values[name], now_ns)
            if 0 <= before <= values[name] and now_ns > at_ns:
                unit = 1024 if name.endswith("_kib") else 1
                grown = (values[name] - before) * unit
                rates[_RATES[name]] = round(grown * SECOND_NS / (now_ns - at_ns))
        return rates

    def _utilization(self) -> list[tuple[int, int]]:
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(self._handle, self._since_us)
        except pynvml.NVMLError_NotFound:
            return []  # nobody used it since: an answer, not a failure
        self._since_us = max((each.timeStamp for each in samples), default=self._since_us)
        return [(each.pid, each.smUtil) for each in samples]


_READINGS = frozenset(DeviceReadings.__struct_fields__)
_RATES = {
    "nvlink_tx_kib": "nvlink_tx_bytes_s",
    "nvlink_rx_kib": "nvlink_rx_bytes_s",
    "pcie_tx_bytes": "pcie_tx_bytes_s",
    "pcie_rx_bytes": "pcie_rx_bytes_s",
}
