"""Energy of CPU packages and their DRAM, by RAPL counters of the Linux kernel's powercap.

Each zone has `energy_uj`, a counter in microjoules that wraps at `max_energy_range_uj`, and `name`
(`package-0`, `dram`, …). Source: Linux, Documentation/power/powercap/powercap.rst. Since
CVE-2020-8694 only root may read the counter.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.devices.source import CallCost, Reading
from otel_llm.facts.device import Device, DeviceEvent, DeviceKind, DeviceSample, DeviceSourceName

ROOT = Path("/sys/class/powercap")
_CALL = "energy_uj"


class _Zone(NamedTuple):
    device: Device
    path: Path
    wraps_at_uj: int


class RaplSource:
    """Reads RAPL zones: packages, and the DRAM of each.

    Args:
        clock: the machine's.
        root: the kernel's folder of zones.
    """

    name: DeviceSourceName = "rapl"

    def __init__(self, clock: Clock, root: Path = ROOT) -> None:
        self._clock = clock
        self._root = root
        self._zones: list[_Zone] = []
        self._last_uj: dict[str, int] = {}
        self._total_uj: dict[str, int] = {}
        self._before: dict[str, tuple[int, int]] = {}
        self._made = self._failed = self._spent_ns = 0
        self.problems: list[str] = []

    @property
    def devices(self) -> Sequence[Device]:
        """As `DeviceSource` says."""
        return [zone.device for zone in self._zones]

    @property
    def calls(self) -> Mapping[str, CallCost]:
        """As `DeviceSource` says."""
        count = len(self._zones)
        return {_CALL: CallCost(self._made, self._failed, self._spent_ns, count, 0)}

    def open(self) -> bool:
        """As `DeviceSource` says."""
        self.problems, self._zones = [], []
        paths = sorted(self._root.glob("intel-rapl:*")) if self._root.is_dir() else []
        if not paths:
            self.problems.append(
                f"{self._root} has no RAPL zone: a virtual machine, or no such CPU"
            )
        for path in paths:
            self._add(path)
        return bool(self._zones)

    def read(self, *, full: bool) -> Reading:  # noqa: ARG002  one file per zone either way
        """As `DeviceSource` says."""
        return Reading([sample for zone in self._zones for sample in self._sample(zone)])

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Sleep it out: the kernel tells no events."""
        threading.Event().wait(timeout_s)
        return ()

    def close(self) -> None:
        """As `DeviceSource` says."""
        self._zones = []

    def _add(self, path: Path) -> None:
        try:
            zone = (path / "name").read_text(encoding="ascii").strip()
            if zone != "dram" and not zone.startswith("package-"):
                return  # core and uncore are parts of their package
            wraps_at_uj = int((path / "max_energy_range_uj").read_text(encoding="ascii"))
            (path / _CALL).read_text(encoding="ascii")
        except PermissionError:
            self.problems.append(
                f"{path / _CALL} cannot be read: let the agent's user read it (chmod by a udev "
                "rule, or CAP_DAC_READ_SEARCH)"
            )
            return
        except (OSError, ValueError) as error:
            self.problems.append(f"{path} is no RAPL zone that can be read ({error})")
            return
        package = path.name.split(":")[1]
        kind: DeviceKind = "dram" if zone == "dram" else "cpu"
        device = Device(
            id=f"{kind}:{package}", kind=kind, source="rapl", name=zone, index=int(package)
        )
        self._zones.append(_Zone(device, path / _CALL, wraps_at_uj))

    def _sample(self, zone: _Zone) -> list[DeviceSample]:
        began = self._clock.monotonic_ns()
        try:
            energy_uj = int(zone.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            self._failed += 1
            self._made += 1
            return []
        ended = self._clock.monotonic_ns()
        self._made += 1
        self._spent_ns += ended - began
        at_ns = MonotonicNs((began + ended) // 2)
        energy_mj = self._grown(zone, energy_uj) // 1000
        return [
            DeviceSample(
                device=zone.device,
                at_ns=at_ns,
                anchor=self._clock.anchor(),
                energy_mj=energy_mj,
                power_average_mw=self._power_mw(zone.device.id, energy_mj, at_ns),
                read_ns=ended - began,
            )
        ]

    def _grown(self, zone: _Zone, energy_uj: int) -> int:
        """The counter without its wraps. Two wraps between two reads cannot be told from one."""
        last_uj = self._last_uj.get(zone.device.id, energy_uj)
        grown = energy_uj - last_uj
        if grown < 0:
            grown += zone.wraps_at_uj
        total = self._total_uj.get(zone.device.id, energy_uj) + grown
        self._last_uj[zone.device.id] = energy_uj
        self._total_uj[zone.device.id] = total
        return total

    def _power_mw(self, device: str, energy_mj: int, at_ns: int) -> int | None:
        """Mean power since the last read."""
        before_mj, before_ns = self._before.get(device, (energy_mj, at_ns))
        self._before[device] = (energy_mj, at_ns)
        if at_ns <= before_ns:
            return None
        return round((energy_mj - before_mj) * 1_000_000_000 / (at_ns - before_ns))
