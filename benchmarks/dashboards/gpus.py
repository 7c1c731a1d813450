"""GPUs for the recorded run, played by the fake NVML: with load, faults and held clocks in them.

The demo's own recording shows power and temperature alone. Everything here is made up; what it
proves is that each panel shows what a device tells.
"""

import math
from collections.abc import Iterator

SECONDS = 120
NAMES = ("GPU-made-up-0", "GPU-made-up-1")
"""Those of the demo's own recording."""
_STILL = {
    "name": "made-up GPU, like an NVIDIA H100 80GB HBM3", "limit_watts": 700,
    "memory_total": 80 << 30, "memory_used": 72 << 30, "memory_mhz": 2619, "ecc_corrected": 0,
    "ecc_uncorrected": 0, "remapped_corrected": 0, "remapped_uncorrected": 0, "remapped_pending": 0,
    "remapped_failure": 0, "recovery_action": 0, "gpm": 1, "throttle": 0,
}  # fmt: skip
_POWER_CAP = 0x4
"""NVML's bit of a clock held down by the power limit."""
_FAULTS = (
    f"40 0 throttle {_POWER_CAP}", "55 0 throttle 0", "45 1 xid 13", "48 1 xid 48",
    "50 1 ecc_corrected 3", "62 1 ecc_uncorrected 1", "62 1 ecc_event 1",
)  # fmt: skip


def script() -> list[str]:
    """Lines for `FakeNvml.play`, in order of time."""
    lines = ["0 - driver 580.95.05", "0 - cuda 13000", *_FAULTS]
    for device, name in enumerate(NAMES):
        lines += [f"0 {device} uuid {name}", f"0 {device} pci 00000000:0{device + 1}:00.0"]
        lines += [f"0 {device} {key} {value}" for key, value in _STILL.items()]
        lines += list(_load(device))
    return sorted(lines, key=lambda line: float(line.split()[0]))


def _load(device: int) -> Iterator[str]:
    """A load that rises and falls, second by second."""
    for second in range(SECONDS):
        load = 0.5 - 0.5 * math.cos(2 * math.pi * (second / 50 + device / 5))
        values = {
            "watts": 90 + 550 * load, "watts_average": 90 + 550 * load,
            "utilization": round(100 * load), "memory_utilization": round(60 * load),
            "sm_mhz": 1980 - round(300 * load), "temperature": 38 + round(40 * load),
            "pcie_rx_bytes": int(2e9 * load * second), "pcie_tx_bytes": int(1e9 * load * second),
            "nvlink_rx_kib": int(4e6 * second), "nvlink_tx_kib": int(3e6 * second),
            "sm_active": round(80 * load), "sm_occupancy": round(40 * load),
            "tensor_active": round(35 * load), "dram_active": round(85 * load),
            "processes": f"4{device},{72 << 30},{round(90 * load)}",
        }  # fmt: skip
        yield from (f"{second} {device} {key} {value}" for key, value in values.items())
