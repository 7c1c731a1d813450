"""A scripted node: the fake's clock and ours go together."""

from collections.abc import Collection

from otel_llm.devices.fake_nvml import FakeNvml
from otel_llm.devices.nvml import NvmlSource
from otel_llm.devices.nvml.readings import Group
from otel_llm.devices.nvml.source import GROUPS
from otel_llm.facts.device import DeviceEvent, DeviceSample
from otel_llm.testing import FakeClock

DRIVER = ("0 - driver 580.95.05", "0 - cuda 13000")


def gpu(index: int, **more: object) -> list[str]:
    """Lines of a healthy H100 that draws 100 W, with other values where given."""
    values: dict[str, object] = {
        "uuid": f"GPU-{index}", "name": "NVIDIA H100 80GB HBM3", "pci": f"00000000:0{index}:00.0",
        "limit_watts": 700, "memory_total": 85_899_345_920, "memory_used": 1_000_000, "watts": 100,
        "watts_average": 101, "utilization": 40, "memory_utilization": 20, "sm_mhz": 1980,
        "memory_mhz": 2619, "temperature": 45, "throttle": 0, "pcie_rx_bytes": 0,
        "pcie_tx_bytes": 0, "nvlink_rx_kib": 0, "nvlink_tx_kib": 0, "ecc_corrected": 0,
        "ecc_uncorrected": 0, "remapped_corrected": 0, "remapped_uncorrected": 0,
        "remapped_pending": 0, "remapped_failure": 0, "recovery_action": 0, "gpm": 1,
        "sm_active": 50, "sm_occupancy": 30, "tensor_active": 25, "dram_active": 60,
    }  # fmt: skip
    return [f"0 {index} {key} {value}" for key, value in (values | more).items() if value != ""]


class Node:
    """What a test does with a fake node.

    Attributes:
        fake: the library's script and clock.
        clock: ours.
        sources: all that were made here.
    """

    def __init__(self, fake: FakeNvml, clock: FakeClock) -> None:
        self.fake = fake
        self.clock = clock
        self.sources: list[NvmlSource] = []
        self._at_s = 0.0

    def play(self, *lines: str | list[str]) -> None:
        """Set the script, driver included. Lines are put in order of time."""
        told = [line for each in lines for line in ([each] if isinstance(each, str) else each)]
        self.fake.play(sorted([*DRIVER, *told], key=lambda line: float(line.split()[0])))

    def go(self, seconds: float) -> None:
        """Let time pass, in the script and here."""
        self._at_s += seconds
        self.fake.at(self._at_s)
        self.clock.advance(round(seconds * 1e9))

    def source(self, groups: Collection[Group] = GROUPS, slow_s: float = 10.0) -> NvmlSource:
        """Another source; closed at the test's end."""
        made = NvmlSource(self.clock, groups, slow_s)
        self.sources.append(made)
        return made


def told(events: list[DeviceEvent]) -> list[tuple[str, str]]:
    """Device and name of each event."""
    return [(each.device.id, each.event) for each in events]


def run(
    node: Node, source: NvmlSource, seconds: int
) -> tuple[list[DeviceSample], list[DeviceEvent]]:
    """Read once a second for so long."""
    samples, events = list[DeviceSample](), list[DeviceEvent]()
    for _ in range(seconds):
        node.go(1)
        reading = source.read(full=True)
        samples += reading.samples
        events += reading.events
    return samples, events
