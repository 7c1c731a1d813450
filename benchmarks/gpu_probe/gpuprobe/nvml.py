"""NVML through ctypes: each call as a function of no arguments, ready to be timed."""

from __future__ import annotations

import ctypes as c
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gpuprobe.cuda import Argument, load

CANDIDATES = (
    "libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "/usr/lib64/libnvidia-ml.so.1",
)
LIBRARY_VARIABLE = "OTEL_LLM_PROBE_LIBNVML"

FIELD_ENERGY, FIELD_POWER_AVERAGE, FIELD_POWER_INSTANT = 83, 185, 186
POWER_FIELDS = (FIELD_ENERGY, FIELD_POWER_AVERAGE, FIELD_POWER_INSTANT)
LINK_FIELDS = (138, 139, 140, 141)
VIOLATION_FIELDS = (74, 75, 76, 77, 78, 79, 80, 81)
THROTTLE_FIELDS = (269, 270, 271)

CODES = {
    0: "ok",
    1: "uninitialized",
    2: "invalid argument",
    3: "not supported",
    4: "no permission",
    6: "not found",
    7: "insufficient size",
    15: "GPU is lost",
    16: "reset required",
    21: "no data",
    27: "not ready",
    999: "unknown",
    -2: "this NVML has no such function",
}
INSUFFICIENT_SIZE, NO_SUCH_FUNCTION = 7, -2

_TOTAL_POWER_SAMPLES = 0
_GPM_SUPPORT_VERSION = 1
_SAMPLES_ROOM = 4096


class FieldValue(c.Structure):
    """nvmlFieldValue_t, 40 bytes; `value` is read by `type`."""

    _fields_ = (
        ("id", c.c_uint),
        ("scope", c.c_uint),
        ("at_us", c.c_longlong),
        ("latency_us", c.c_longlong),
        ("type", c.c_int),
        ("code", c.c_int),
        ("value", c.c_uint8 * 8),
    )

    def number(self) -> float:
        """The value as NVML typed it: double, unsigned 32 or 64 bit, or signed."""
        kinds = {
            0: c.c_double,
            1: c.c_uint,
            2: c.c_ulong,
            3: c.c_ulonglong,
            4: c.c_longlong,
            5: c.c_int,
        }
        kind: Any = kinds.get(self.type, c.c_ulonglong)
        return float(kind.from_buffer(self.value).value)


class _Sample(c.Structure):
    _fields_ = (("at_us", c.c_ulonglong), ("value", c.c_uint8 * 8))


class _GpmSupport(c.Structure):
    _fields_ = (("version", c.c_uint), ("supported", c.c_uint))


class Stamp(NamedTuple):
    """A read with the wall and monotonic nanoseconds around its middle, and how long it took."""

    wall_ns: int
    monotonic_ns: int
    took_ns: int
    code: int
    values: tuple[float, ...]


def in_words(code: int) -> str:
    """A code of NVML, as `3 (not supported)`."""
    return f"{code} ({CODES.get(code, 'not in the list')})"


class Nvml:
    """Device 0. Every function returned by `calls` gives NVML's code."""

    def __init__(self) -> None:
        self.library = load(CANDIDATES, LIBRARY_VARIABLE)
        code = self.call("nvmlInit_v2")
        self._device = c.c_void_p()
        code = code or self.call("nvmlDeviceGetHandleByIndex_v2", 0, c.byref(self._device))
        if code:
            msg = f"NVML did not start: {in_words(code)}"
            raise RuntimeError(msg)

    def call(self, name: str, *arguments: Argument) -> int:
        """Call by name; -2 when this NVML lacks it."""
        function = getattr(self.library, name, None)
        return int(function(*arguments)) if function else NO_SUCH_FUNCTION

    def energy_mj(self) -> Callable[[], Stamp]:
        """A reader of the energy counter."""
        value = c.c_ulonglong()
        return self._reader("nvmlDeviceGetTotalEnergyConsumption", value)

    def power_mw(self) -> Callable[[], Stamp]:
        """A reader of the power gauge that `nvidia-smi` shows."""
        return self._reader("nvmlDeviceGetPowerUsage", c.c_uint())

    def fields(self, ids: tuple[int, ...]) -> Callable[[], Stamp]:
        """A reader of several field values in one call; a field that fails reads as NaN."""
        array = (FieldValue * len(ids))()
        for slot, field in zip(array, ids, strict=True):
            slot.id = field

        def read() -> Stamp:
            stamp = self._timed("nvmlDeviceGetFieldValues", c.c_int(len(ids)), array)
            values = tuple(f.number() if f.code == 0 else float("nan") for f in array)
            return stamp._replace(values=values)

        return read

    def field_report(self, ids: tuple[int, ...]) -> list[dict[str, Any]]:
        """Each field's own code, type, timestamp lag and latency as NVML states them."""
        array = (FieldValue * len(ids))()
        for slot, field in zip(array, ids, strict=True):
            slot.id = field
        code = self.call("nvmlDeviceGetFieldValues", self._device, c.c_int(len(ids)), array)
        now_us = time.time_ns() // 1000
        return [
            {
                "field": f.id,
                "code": in_words(code or f.code),
                "type": f.type,
                "latency_us": f.latency_us,
                "age_us": now_us - f.at_us if f.at_us else None,
            }
            for f in array
        ]

    def power_samples(self) -> tuple[int, list[tuple[int, float]]]:
        """(code, [(wall microseconds, mW)]): the driver's own ring of past power samples."""
        kind, count = c.c_int(), c.c_uint(_SAMPLES_ROOM)
        room = (_Sample * _SAMPLES_ROOM)()
        code = self.call(
            "nvmlDeviceGetSamples",
            self._device,
            _TOTAL_POWER_SAMPLES,
            c.c_ulonglong(0),
            c.byref(kind),
            c.byref(count),
            room,
        )
        taken = room[: min(count.value, _SAMPLES_ROOM)] if code == 0 else []
        return code, [
            (s.at_us, float(c.c_uint.from_buffer(s.value).value)) for s in taken if s.at_us
        ]

    def calls(self) -> dict[str, Callable[[], int]]:
        """Every call that a sampler would make, by name."""
        device, call = self._device, self.call
        number, pair = c.c_ulonglong(), (c.c_uint * 8)()
        energy, gauge, power = self.energy_mj(), self.power_mw(), self.fields(POWER_FIELDS)
        out = {
            "TotalEnergyConsumption": lambda: energy().code,
            "PowerUsage": lambda: gauge().code,
            "FieldValues: energy, power average, power instant": lambda: power().code,
            "Samples: total power": lambda: self.power_samples()[0],
        }
        one = {
            "Temperature: GPU": ("nvmlDeviceGetTemperature", 0, c.byref(number)),
            "ClockInfo: SM": ("nvmlDeviceGetClockInfo", 1, c.byref(number)),
            "ClockInfo: memory": ("nvmlDeviceGetClockInfo", 2, c.byref(number)),
            "UtilizationRates": ("nvmlDeviceGetUtilizationRates", pair),
            "MemoryInfo": ("nvmlDeviceGetMemoryInfo", (c.c_ulonglong * 3)()),
            "CurrentClocksEventReasons": (
                "nvmlDeviceGetCurrentClocksEventReasons",
                c.byref(number),
            ),
            "EnforcedPowerLimit": ("nvmlDeviceGetEnforcedPowerLimit", c.byref(number)),
            "TotalEccErrors: uncorrected": ("nvmlDeviceGetTotalEccErrors", 1, 0, c.byref(number)),
            "RemappedRows": ("nvmlDeviceGetRemappedRows", *_addresses(c.c_uint, 4)),
            "PcieThroughput: sent": ("nvmlDeviceGetPcieThroughput", 0, c.byref(number)),
            "NvLinkState: link 0": ("nvmlDeviceGetNvLinkState", 0, c.byref(number)),
            "ComputeRunningProcesses": (
                "nvmlDeviceGetComputeRunningProcesses_v3",
                c.byref(c.c_uint(64)),
                (c.c_uint8 * (64 * 24))(),
            ),
            "MigMode": ("nvmlDeviceGetMigMode", *_addresses(c.c_uint, 2)),
        }
        for name, (function, *arguments) in one.items():
            out[name] = _bound(call, function, device, arguments)
        return {**out, **self._field_calls(), **self._wide_calls()}

    def _field_calls(self) -> dict[str, Callable[[], int]]:
        groups = {
            "FieldValues: NVLink throughput": LINK_FIELDS,
            "FieldValues: performance limits": VIOLATION_FIELDS,
            "FieldValues: throttle reasons": THROTTLE_FIELDS,
        }
        readers = {name: self.fields(ids) for name, ids in groups.items()}
        return {name: _code_of(reader) for name, reader in readers.items()}

    def _wide_calls(self) -> dict[str, Callable[[], int]]:
        """Calls whose first answer may be `insufficient size`, and GPM's."""
        device = self._device
        room = (c.c_uint8 * (512 * 32))()
        count = c.c_uint()

        def processes() -> int:
            count.value = 512
            since = c.c_ulonglong(0)
            return self.call("nvmlDeviceGetProcessUtilization", device, room, c.byref(count), since)

        out: dict[str, Callable[[], int]] = {"ProcessUtilization": processes}
        support = _GpmSupport(_GPM_SUPPORT_VERSION, 0)
        sample = c.c_void_p()
        code = self.call("nvmlGpmQueryDeviceSupport", device, c.byref(support))
        if (
            code == 0
            and support.supported
            and self.call("nvmlGpmSampleAlloc", c.byref(sample)) == 0
        ):
            out["GpmSampleGet"] = lambda: self.call("nvmlGpmSampleGet", device, sample)
        return out

    def _reader(self, name: str, value: Argument) -> Callable[[], Stamp]:
        def read() -> Stamp:
            stamp = self._timed(name, c.byref(value))
            return stamp._replace(values=(float(value.value),))

        return read

    def _timed(self, name: str, *arguments: Argument) -> Stamp:
        function = getattr(self.library, name, None)
        if function is None:
            return Stamp(time.time_ns(), time.monotonic_ns(), 0, NO_SUCH_FUNCTION, ())
        before = time.monotonic_ns()
        wall = time.time_ns()
        began = time.perf_counter_ns()
        code = int(function(self._device, *arguments))
        took = time.perf_counter_ns() - began
        return Stamp(wall + took // 2, before + took // 2, took, code, ())


def _addresses(kind: Argument, count: int) -> list[Any]:
    return [c.byref(kind()) for _ in range(count)]


def _code_of(read: Callable[[], Stamp]) -> Callable[[], int]:
    return lambda: read().code


def _bound(
    call: Callable[..., int], name: str, device: Argument, arguments: list[Any]
) -> Callable[[], int]:
    return lambda: call(name, device, *arguments)
