"""Energy of CPU packages and their DRAM, by RAPL counters of the Linux kernel's powercap.

Each zone has `energy_uj`, a counter in microjoules that wraps at `max_energy_range_uj`, and `name`
(`package-0`, `dram`, …). Source: Linux, Documentation/power/powercap/powercap.rst. Since
CVE-2020-8694 only root may read the counter.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from otel_llm.clock import Anchor, Clock, MonotonicNs
from otel_llm.devices.source import CallCost, Reading, Silent
from otel_llm.facts.device import (
    Device,
    DeviceEvent,
    DeviceKind,
    DeviceSample,
    DeviceSourceName,
)

ROOT = Path("/sys/class/powercap")
MOST_W = 2_000
"""More than any package or its memory draws. A counter that says more has begun anew."""
_CALL = "energy_uj"


class _Zone(NamedTuple):
    device: Device
    path: Path
    wraps_at_uj: int


class _Last(NamedTuple):
    """Of the last read: the counter, the counter without its wraps, and when."""

    counter_uj: int
    total_uj: int
    at_ns: MonotonicNs


class RaplSource(Silent):
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
        self._last: dict[str, _Last] = {}
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
        samples: list[DeviceSample] = []
        events: list[DeviceEvent] = []
        for zone in self._zones:
            self._read(zone, samples, events)
        return Reading(samples, events)

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

    def _read(self, zone: _Zone, samples: list[DeviceSample], events: list[DeviceEvent]) -> None:
        began = self._clock.monotonic_ns()
        self._made += 1
        try:
            counter_uj = int(zone.path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            self._failed += 1
            return
        ended = self._clock.monotonic_ns()
        self._spent_ns += ended - began
        at_ns, anchor = MonotonicNs((began + ended) // 2), self._clock.anchor()
        last = self._last.get(zone.device.id)
        grown_uj = None if last is None else _grown(last, counter_uj, at_ns, zone.wraps_at_uj)
        if last is not None and grown_uj is None:
            events.append(_reset(zone.device, at_ns, anchor))
        total_uj = (counter_uj if last is None else last.total_uj) + (grown_uj or 0)
        self._last[zone.device.id] = _Last(counter_uj, total_uj, at_ns)
        samples.append(
            DeviceSample(
                device=zone.device,
                at_ns=at_ns,
                anchor=anchor,
                energy_mj=total_uj // 1000,
                power_average_mw=_power_mw(last, grown_uj, at_ns),
                read_ns=ended - began,
            )
        )


def _grown(last: _Last, counter_uj: int, at_ns: MonotonicNs, wraps_at_uj: int) -> int | None:
    """By how much the counter grew, one wrap undone; None if it began anew.

    Two wraps between two reads cannot be told from one. Neither can a counter that began anew from
    one that wrapped, where the power between both reads is one that there is: the error is then
    MOST_W times that time at most.
    """
    grown_uj = counter_uj - last.counter_uj
    if grown_uj < 0:
        grown_uj += wraps_at_uj
    most_uj = MOST_W * (at_ns - last.at_ns) // 1000
    return grown_uj if 0 <= grown_uj <= most_uj else None


def _power_mw(last: _Last | None, grown_uj: int | None, at_ns: MonotonicNs) -> int | None:
    """Mean power since the last read; None if it is not known."""
    if last is None or grown_uj is None or at_ns <= last.at_ns:
        return None
    return round(grown_uj * 1_000_000 / (at_ns - last.at_ns))


def _reset(device: Device, at_ns: MonotonicNs, anchor: Anchor) -> DeviceEvent:
    return DeviceEvent(
        device=device, at_ns=at_ns, anchor=anchor, event="reset", message="its counter began anew"
    )
