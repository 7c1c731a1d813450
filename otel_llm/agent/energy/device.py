"""One device: its meter, the loads of windows that are not closed, and its accounts.

A MIG instance shares its device's meter and has loads, idle power and accounts of its own.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.energy.loads import MOST_WINDOWS, Open, joined
from otel_llm.energy.account import Account, Amount, LedgerRow
from otel_llm.energy.attribution import Loads, covered_ns, share_out
from otel_llm.energy.idle import IdlePower
from otel_llm.energy.meter import Meter, Window
from otel_llm.energy.mig import split
from otel_llm.facts.device import Device, DeviceSample

LOST = "lost_facts"
"""Flag of a window that records of an engine were lost in."""
FOREIGN_PART = 0.1
"""So much more busy time than steps explain is work without a journal; less may be the reading."""


class Closed(NamedTuple):
    """A window that was shared out.

    Attributes:
        device: whose; with the MIG instance if it is one's.
        row: its line in the ledger.
        instances: engines with a step in it.
        early: amounts of requests handed out because too many are open.
    """

    device: Device
    row: LedgerRow
    instances: frozenset[str]
    early: Sequence[Amount]


class Part:
    """A device, or a MIG instance of it.

    Args:
        device: which.
        most: requests with an open account.
    """

    def __init__(self, device: Device, most: int) -> None:
        self.device = device
        self.account = Account("work", max_open=most)
        self.idle = IdlePower()
        self.open: dict[int, list[Open]] = {}

    def take(self, number: int, loads: Open) -> None:
        """Steps touched a window. Past `MOST_WINDOWS` the oldest is given up."""
        self.open.setdefault(number, []).append(loads)
        if len(self.open[number]) > 16:
            self.open[number] = [joined(self.open[number])]
        while len(self.open) > MOST_WINDOWS:
            del self.open[min(self.open)]

    def all_open(self) -> list[tuple[int, Open]]:
        """All that is open, one for each window, and kept so."""
        self.open = {number: [joined(opens)] for number, opens in self.open.items()}
        return [(number, opens[0]) for number, opens in self.open.items()]

    def loads(self, window: Window, length: int, running: Sequence[Open]) -> Open:
        """What weighs in a window; a long one has several numbers."""
        first, last = window.start_ns // length, (window.end_ns - 1) // length
        found = [one for number in self.open if first <= number <= last
                 for one in self.open[number]]  # fmt: skip
        return joined([*found, *running])

    def forget(self, before_ns: int, length: int) -> None:
        """Windows that end before a moment are closed."""
        for number in [one for one in self.open if (one + 1) * length <= before_ns]:
            del self.open[number]


class MeteredDevice:
    """A device with a meter.

    Args:
        device: which.
        window_ns: length of a window.
        most: requests with an open account, per part.
    """

    def __init__(self, device: Device, window_ns: int, most: int) -> None:
        self.device = device
        self.window_ns = window_ns
        self.meter = Meter(window_ns)
        self.parts: dict[str, Part] = {"": Part(device, most)}
        self.windows: deque[Window] = deque()
        self.closed_ns = 0
        self.broken: set[int] = set()
        self._most = most
        self._busy: dict[int, tuple[float, int]] = {}
        self._seen_ns = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the meter is in a window: its device answers."""
        return self.meter.is_open

    def part(self, mig: str) -> Part | None:
        """The part that a UUID names; None if it is not known."""
        return self.parts.get(mig)

    def sample(self, sample: DeviceSample) -> None:
        """Take in a reading; of an instance only that it is there."""
        device = sample.device
        if device.mig:
            if device.mig not in self.parts:
                self.parts[device.mig] = Part(device, self._most)
            return
        power = sample.power_mw if sample.power_mw is not None else sample.power_average_mw
        if sample.gpu_utilization is not None and sample.at_ns > self._seen_ns:
            self._note_busy(sample.at_ns, sample.gpu_utilization)
        self.windows.extend(self.meter.add(sample.at_ns, sample.energy_mj, power))

    def lost(self) -> None:
        """The device is gone."""
        self.windows.extend(self.meter.lose())

    def damage(self, now_ns: int) -> None:
        """Records were lost, of a time not known: all windows not closed are incomplete."""
        last = now_ns // self.window_ns
        first = max(self.closed_ns // self.window_ns, last - MOST_WINDOWS)
        self.broken |= set(range(first, last + 1))

    def close(self, window: Window, running: Mapping[str, Sequence[Open]]) -> list[Closed]:
        """Share a window out.

        Args:
            window: the first of `windows`, which is taken out.
            running: steps without a result in it, by MIG instance.
        """
        self.windows.popleft()
        length = self.window_ns
        parts = {mig: part for mig, part in self.parts.items() if mig or len(self.parts) == 1}
        loads = {mig: part.loads(window, length, running.get(mig, ()))
                 for mig, part in parts.items()}  # fmt: skip
        whole = self._flagged(window)
        windows = {"": whole} if "" in parts else self._split(whole, loads)
        closed = [
            self._shared(part, windows[mig], loads[mig]) for mig, part in sorted(parts.items())
        ]
        self.closed_ns = window.end_ns
        for part in self.parts.values():
            part.forget(window.end_ns, length)
        done = window.end_ns // length
        self.broken = {number for number in self.broken if number >= done}
        self._busy = {number: one for number, one in self._busy.items() if number >= done}
        return closed

    def _shared(self, part: Part, window: Window, loads: Open) -> Closed:
        span = window.end_ns - window.start_ns
        idle_ns = span - covered_ns(window, loads.loads)
        if part.device.kind != "gpu":  # nobody tells its idle time from work for requests
            return self._nobodys(part, window, loads)
        foreign_ns = self._foreign_ns(window, span - idle_ns) if not part.device.mig else 0.0
        if not foreign_ns:
            part.idle.add(window, idle_ns)
        working = float(loads.loads.prefill.sum() + loads.loads.decode.sum()) + loads.loads.nobody
        rate = working / (span - idle_ns) if working > 0 and idle_ns < span else 1.0
        shares = share_out(
            window, loads.loads, idle_power_mw=part.idle.mw, foreign_busy=rate * foreign_ns
        )
        row, early = part.account.add(shares, loads.sharing, loads.busy)
        return Closed(part.device, row, loads.instances, early)

    def _nobodys(self, part: Part, window: Window, loads: Open) -> Closed:
        shares = share_out(window, loads.loads, idle_power_mw=0.0, foreign_busy=1.0)
        row, early = part.account.add(shares)
        return Closed(part.device, row, loads.instances, early)

    def _flagged(self, window: Window) -> Window:
        first, last = window.start_ns // self.window_ns, (window.end_ns - 1) // self.window_ns
        flags = set(window.flags)
        if any(first <= number <= last for number in self.broken):
            flags.add(LOST)
        measured = self.device.source not in ("estimate", "replay")
        method = window.method if measured else "estimate"
        return window._replace(flags=tuple(sorted(flags)), method=method)

    def _split(self, window: Window, loads: Mapping[str, Open]) -> dict[str, Window]:
        span = window.end_ns - window.start_ns
        slices = {mig: _slices(self.parts[mig].device.mig_profile) for mig in loads}
        active = {mig: min(1.0, covered_ns(window, one.loads) / span) for mig, one in loads.items()}
        return split(window, slices, active)

    def _note_busy(self, at_ns: int, percent: int) -> None:
        """Utilization is of the time before the reading."""
        number, before = at_ns // self.window_ns, self._seen_ns
        self._seen_ns = at_ns
        if 0 < at_ns - before <= 2 * self.window_ns:
            busy_ns, told_ns = self._busy.get(number, (0.0, 0))
            passed = at_ns - before
            self._busy[number] = (busy_ns + min(percent, 100) / 100 * passed, told_ns + passed)
        while len(self._busy) > MOST_WINDOWS:
            del self._busy[min(self._busy)]

    def _foreign_ns(self, window: Window, covered: int) -> float:
        """Busy time that no step explains; 0 where the device does not tell how busy it is."""
        if self.device.source == "replay":
            return 0.0  # what was recorded knows nothing of the steps of now
        first, last = window.start_ns // self.window_ns, (window.end_ns - 1) // self.window_ns
        told = [one for number, one in self._busy.items() if first <= number <= last]
        told_ns = sum(one[1] for one in told)
        span = window.end_ns - window.start_ns
        if not told_ns:
            return 0.0
        more = sum(one[0] for one in told) / told_ns * span - covered
        return more if more > FOREIGN_PART * span else 0.0

    def state(self) -> dict[str, Any]:
        """All it knows, as plain data."""
        return {
            "device": msgspec.to_builtins(self.device),
            "window_ns": self.window_ns,
            "meter": self.meter.state(),
            "windows": [list(one) for one in self.windows],
            "closed_ns": self.closed_ns,
            "broken": sorted(self.broken),
            "parts": [
                {
                    "device": msgspec.to_builtins(part.device),
                    "account": part.account.packed(),
                    "idle": part.idle.state(),
                    "open": [(number, *_plain(one)) for number, one in part.all_open()],
                }
                for part in self.parts.values()
            ],
        }

    @classmethod
    def restored(cls, state: dict[str, Any], most: int) -> "MeteredDevice":
        """One that goes on from `state()`.

        Raises:
            ValueError, KeyError, TypeError, msgspec.ValidationError: it is damaged.
        """
        device = cls(msgspec.convert(state["device"], Device), state["window_ns"], most)
        device.meter = Meter.restored(state["meter"])
        device.windows.extend(_window(one) for one in state["windows"])
        device.closed_ns, device.broken = state["closed_ns"], set(state["broken"])
        for saved in state["parts"]:
            part = Part(msgspec.convert(saved["device"], Device), most)
            part.account = Account.restored(saved["account"])
            part.idle = IdlePower.restored(saved["idle"])
            part.open = {one[0]: [_unplain(one[1:])] for one in saved["open"]}
            device.parts[part.device.mig] = part
        return device


def _plain(one: Open) -> tuple[Any, ...]:
    arrays = [np.asarray(column).tobytes() for column in one.loads]
    return arrays, one.sharing, one.busy, sorted(one.instances), one.busy_ns


def _unplain(saved: Sequence[Any]) -> Open:
    request, prefill, decode, crowd, nobody, start, end = saved[0]
    loads = Loads(
        np.frombuffer(request, dtype=np.int64),
        np.frombuffer(prefill, dtype=np.float64),
        np.frombuffer(decode, dtype=np.float64),
        np.frombuffer(crowd, dtype=np.float64),
        float(np.frombuffer(nobody, dtype=np.float64)[0]),
        np.frombuffer(start, dtype=np.int64),
        np.frombuffer(end, dtype=np.int64),
    )
    return Open(loads, saved[1], saved[2], frozenset(saved[3]), saved[4])


def _window(saved: Sequence[Any]) -> Window:
    return Window(saved[0], saved[1], saved[2], saved[3], saved[4], tuple(saved[5]))


def _slices(profile: str) -> int:
    """Compute slices of a MIG profile such as `1g.10gb`; 1 if it does not tell."""
    head = profile.partition("g")[0]
    return max(int(head), 1) if head.isdigit() else 1
