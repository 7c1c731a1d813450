"""A device, what it draws and how it fares, and what befalls it.

The meter belongs to the device, not to an engine: these facts know no request. They are made by the
agent, from the sources in `otel_llm/devices`, and never by a hook.
"""

from typing import Literal

import msgspec

from otel_llm.clock import Anchor, MonotonicNs

DeviceKind = Literal["gpu", "cpu", "dram"]
DeviceSourceName = Literal["nvml", "rapl", "estimate", "replay"]
DeviceEventName = Literal[
    "xid", "ecc", "ecc_corrected", "lost", "recovered", "reset", "remapped", "recovery_action",
    "unavailable", "parted",
]  # fmt: skip
Fault = Literal["", "user", "hardware", "driver"]


class Device(msgspec.Struct, frozen=True):
    """What a device is. A MIG instance is a device of its own; its power is its parent's.

    Attributes:
        id: the UUID; of a MIG instance its parent's. `cpu:0`, `dram:0` where there is none.
        kind: what it is.
        source: who reads it. `estimate` is no measurement, `replay` none of this machine.
        name: product name, for example `NVIDIA H100 80GB HBM3`.
        index: as the driver counts, from 0. It may change at a boot; the id does not.
        mig: UUID of the MIG instance; empty for a whole device.
        mig_profile: for example `1g.10gb`; empty for a whole device.
        pci: bus id, `domain:bus:device.function`; empty if it has none.
        driver_version: of its driver; empty if not known.
        cuda_version: highest CUDA version of the driver, `13.0`; empty if not known.
        memory_bytes: its memory; None if it has none or does not tell.
        power_limit_mw: its limit now, in milliwatts; None if it has none or does not tell.
        links: ids of devices that it reaches by NVLink, one entry per active link.
    """

    id: str
    kind: DeviceKind
    source: DeviceSourceName
    name: str = ""
    index: int = 0
    mig: str = ""
    mig_profile: str = ""
    pci: str = ""
    driver_version: str = ""
    cuda_version: str = ""
    memory_bytes: int | None = None
    power_limit_mw: int | None = None
    links: tuple[str, ...] = ()


class ProcessUse(msgspec.Struct, frozen=True):
    """A process's use of a device.

    Attributes:
        pid: as the driver tells it: of the host's namespace.
        memory_bytes: device memory it holds; None if not told.
        utilization: percent of the last interval with its kernels; None if not told.
    """

    pid: int
    memory_bytes: int | None = None
    utilization: int | None = None


class DeviceReadings(msgspec.Struct, frozen=True, kw_only=True):
    """What a device tells at one time. None is what it does not tell; 0 is a reading of 0.

    Attributes:
        energy_mj: the device's counter, in millijoules; it starts anew with its driver.
        power_mw: drawn at that moment, in milliwatts.
        power_average_mw: the device's own average (1 s on most), in milliwatts.
        gpu_utilization: percent of time with a kernel.
        memory_utilization: percent of time with memory traffic.
        memory_used_bytes: memory in use.
        sm_clock_mhz: clock of the multiprocessors.
        memory_clock_mhz: clock of the memory.
        temperature_c: degrees Celsius.
        throttle_reasons: NVML's bits of clock event reasons; 0 for none.
        pcie_rx_bytes_s, pcie_tx_bytes_s: bytes per second by PCIe, received and sent.
        nvlink_rx_bytes_s, nvlink_tx_bytes_s: bytes per second by NVLink, received and sent.
        ecc_corrected, ecc_uncorrected: errors since the driver's start.
        remapped_rows_corrected, remapped_rows_uncorrected: memory rows remapped for good.
        remap_pending: a remapping waits for a reset.
        sm_active, sm_occupancy, tensor_active, dram_active: GPM, percent of the interval.
    """

    energy_mj: int | None = None
    power_mw: int | None = None
    power_average_mw: int | None = None
    gpu_utilization: int | None = None
    memory_utilization: int | None = None
    memory_used_bytes: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    throttle_reasons: int | None = None
    pcie_rx_bytes_s: int | None = None
    pcie_tx_bytes_s: int | None = None
    nvlink_rx_bytes_s: int | None = None
    nvlink_tx_bytes_s: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    remapped_rows_corrected: int | None = None
    remapped_rows_uncorrected: int | None = None
    remap_pending: bool | None = None
    sm_active: float | None = None
    sm_occupancy: float | None = None
    tensor_active: float | None = None
    dram_active: float | None = None


class DeviceSample(DeviceReadings, frozen=True, kw_only=True):
    """One reading of a device.

    Attributes:
        device: whose.
        at_ns: middle of the read, in monotonic nanoseconds.
        anchor: clock reading nearest to it.
        processes: who has work on it; None if not read.
        read_ns: how long the reading took, in nanoseconds.
    """

    device: Device
    at_ns: MonotonicNs
    anchor: Anchor
    processes: tuple[ProcessUse, ...] | None = None
    read_ns: int = 0


class DeviceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that befell a device.

    Attributes:
        device: whom.
        at_ns: when, in monotonic nanoseconds; of several, the first.
        anchor: clock reading nearest to it.
        event: what.
        code: number of the XID or of the recovery action; None for others.
        fault: whose fault; empty if not known.
        message: what it means, for people.
        action: what to do; empty if not known.
        occurrences: how many like it this one stands for.
    """

    device: Device
    at_ns: MonotonicNs
    anchor: Anchor
    event: DeviceEventName
    code: int | None = None
    fault: Fault = ""
    message: str = ""
    action: str = ""
    occurrences: int = 1
