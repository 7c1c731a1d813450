"""An estimate of the CPU's power from its busy time, where nothing measures it.

Power goes in a straight line from the watts of idle CPUs to those of busy ones, both settings, with
the share of busy time. It knows no clocks and no memory, and every row is marked `estimate`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.devices.source import CallCost, Reading, Silent
from otel_llm.facts.device import Device, DeviceSample, DeviceSourceName

STAT = Path("/proc/stat")
_IDLE_FIELDS = (3, 4)
"""`idle` and `iowait`, of the line `cpu` in /proc/stat (proc(5))."""


def cpu_times(path: Path = STAT) -> tuple[int, int]:
    """Busy and all ticks of all CPUs since boot.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not what proc(5) says.
    """
    line = path.read_text(encoding="ascii").split("\n", 1)[0].split()
    # guest and guest_nice, the last two, are within user and nice.
    ticks = [int(field) for field in line[1:9]]
    if line[:1] != ["cpu"] or len(ticks) < max(_IDLE_FIELDS) + 1:
        message = f"{path} does not begin with the times of all CPUs"
        raise ValueError(message)
    return sum(ticks) - sum(ticks[field] for field in _IDLE_FIELDS), sum(ticks)


class EstimateSource(Silent):
    """Estimates what the CPUs draw.

    Args:
        clock: the machine's.
        idle_w: watts with nothing to do (setting `cpu_idle_watts`).
        busy_w: watts with all CPUs busy (setting `cpu_busy_watts`).
        times: gives busy and all ticks.
    """

    name: DeviceSourceName = "estimate"

    def __init__(
        self,
        clock: Clock,
        idle_w: float,
        busy_w: float,
        times: Callable[[], tuple[int, int]] = cpu_times,
    ) -> None:
        self._clock = clock
        self._idle_w = idle_w
        self._busy_w = busy_w
        self._times = times
        self._device = Device(id="cpu:estimate", kind="cpu", source="estimate", name="all CPUs")
        self._last: tuple[int, int] = (0, 0)
        self._last_ns = 0
        self._energy_mj = 0.0
        self._made = self._failed = 0
        self.devices: Sequence[Device] = ()
        self.problems: list[str] = []

    @property
    def calls(self) -> Mapping[str, CallCost]:
        """As `DeviceSource` says."""
        return {"stat": CallCost(self._made, self._failed, 0, len(self.devices), 0)}

    def open(self) -> bool:
        """As `DeviceSource` says."""
        self.problems = []
        try:
            self._last = self._times()
        except (OSError, ValueError) as error:
            self.problems.append(f"the times of the CPUs cannot be read ({error})")
            return False
        self._last_ns = self._clock.monotonic_ns()
        self.devices = (self._device,)
        return True

    def read(self, *, full: bool) -> Reading:  # noqa: ARG002  one file either way
        """As `DeviceSource` says."""
        self._made += 1
        try:
            busy, total = self._times()
        except (OSError, ValueError):
            self._failed += 1
            return Reading()
        now_ns = self._clock.monotonic_ns()
        passed, share = total - self._last[1], 0.0
        if passed <= 0:
            return Reading()  # less than a tick: nothing is known of it yet
        share = min(1.0, max(0.0, (busy - self._last[0]) / passed))
        watts = self._idle_w + (self._busy_w - self._idle_w) * share
        self._energy_mj += watts * (now_ns - self._last_ns) / 1e6
        self._last, self._last_ns = (busy, total), now_ns
        sample = DeviceSample(
            device=self._device,
            at_ns=MonotonicNs(now_ns),
            anchor=self._clock.anchor(),
            energy_mj=round(self._energy_mj),
            power_average_mw=round(watts * 1000),
        )
        return Reading([sample])

    def close(self) -> None:
        """As `DeviceSource` says."""
        self.devices = ()
