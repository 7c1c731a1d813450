"""The energy of one device, in windows of monotonic time.

A window's energy is the difference of one running total at its two ends, rounded to millijoules
there, so that windows add up to what the counter says, exactly. The total grows by knots: moments
at which it is known. Between two knots it is taken as straight.

A counter that ticks (about every 100 ms) gives a knot where its value changed: some time between
the last read of the old value and the first of the new. Power gives one at each reading.
"""

import math
from typing import Any, Literal, NamedTuple

Method = Literal["counter", "integrated", "estimate"]

TICK_NS = 100_000_000.0
"""How often counters of NVIDIA's devices tick, about."""
_RANK: dict[Method, int] = {"counter": 0, "integrated": 1, "estimate": 2}


class Window(NamedTuple):
    """What a device drew from `start_ns` to `end_ns`.

    Attributes:
        start_ns: beginning, in monotonic nanoseconds; a multiple of the window's length.
        end_ns: end, likewise. Later than one length where readings were missing.
        delta_mj: energy, in millijoules.
        method: the weakest way by which a part of it was metered.
        error_mj: bound of the error of `delta_mj`, in millijoules: how far ends may be displaced,
            and the spread of power readings. The sensor's own accuracy is not in it.
        flags: what was wrong, sorted: `bad_counter`, `bad_power`, `bad_time`, `gap`, `lost`,
            `partial`, `reset`, `stuck`.
    """

    start_ns: int
    end_ns: int
    delta_mj: int
    method: Method
    error_mj: int
    flags: tuple[str, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether facts about it were lost."""
        return bool(self.flags)


class Meter:
    """Turns readings of one device, in order of time, into windows.

    Its state has one size whatever it is fed. A reading that cannot be true is left out and flags
    its window. A gap makes one long window, flagged, rather than many invented ones.

    Args:
        window_ns: length of a window, in nanoseconds; at least 1 s.
        max_gap_ns: readings further apart than this leave a gap.
        max_power_mw: no device draws more; a counter that says so has been reset or is broken.

    Raises:
        ValueError: a window is shorter than 1 s: the counter's tick would be noise in it.
    """

    def __init__(
        self,
        window_ns: int = 1_000_000_000,
        *,
        max_gap_ns: int = 2_000_000_000,
        max_power_mw: float = 5e6,
    ) -> None:
        if window_ns < 1_000_000_000:
            message = f"window_ns: {window_ns} is less than 1 s, the shortest that can be metered"
            raise ValueError(message)
        self._window_ns = window_ns
        self._max_gap_ns = max_gap_ns
        self._max_power = max_power_mw
        self._seen_ns: int | None = None
        self._knot_ns: int | None = None
        self._counter: float | None = None
        self._power: float | None = None
        self._method: Method = "counter"
        self._flags: set[str] = set()
        self._forget()

    @property
    def is_open(self) -> bool:
        """Whether it is in a window: its device has told something since it was last lost."""
        return self._knot_ns is not None

    def add(self, at_ns: int, energy_mj: float | None, power_mw: float | None) -> list[Window]:
        """Take in one reading.

        Args:
            at_ns: middle of the read, in monotonic nanoseconds.
            energy_mj: the counter, in millijoules; None if it has none.
            power_mw: power at that moment, in milliwatts; None if it does not tell.

        Returns:
            The windows that this reading closes; mostly none or one.
        """
        if self._seen_ns is not None and at_ns <= self._seen_ns:
            self._flags.add("bad_time")
            return []
        power = self._checked(power_mw, "bad_power", self._max_power)
        energy = self._checked(energy_mj, "bad_counter", 2.0**53)
        before, self._seen_ns = self._seen_ns, at_ns
        if self._knot_ns is None:
            self._begin(at_ns, energy, power)
            return []
        if energy is not None:
            return self._count(at_ns, before or at_ns, energy, power)
        if power is None or (self._counter is not None and not self._overdue(at_ns)):
            return []
        self._counter = None
        return self._integrate(at_ns, power)

    def lose(self) -> list[Window]:
        """The device is gone: close what is open at the last knot, and begin anew when it is back.

        Returns:
            The part of a window that was open, flagged; none if nothing was known of it.
        """
        if self._knot_ns is None or self._knot_ns <= self._start_ns:
            self._forget()
            return []
        self._flags |= {"lost", "partial"}
        window = self._window(self._knot_ns, self._total, 0.0)
        self._forget()
        return [window]

    def state(self) -> dict[str, Any]:
        """All it knows, as plain data, to go on from after a restart."""
        return {
            name[1:]: sorted(value) if isinstance(value, set) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Meter":
        """A meter that goes on from `state()`; its next readings may leave a gap."""
        meter = cls()
        for name, value in state.items():
            setattr(meter, f"_{name}", set(value) if name == "flags" else value)
        return meter

    def _forget(self) -> None:
        self._seen_ns = None
        self._knot_ns = None
        self._start_ns = 0
        self._end_ns = 0
        self._total = 0.0
        self._closed = 0
        self._slope = 0.0
        self._start_error = 0.0
        self._doubt = 0.0
        self._counter = None
        self._power = None
        self._method = "counter"
        self._flags = set()
        self._powers = (0, 0.0, 0.0)

    def _begin(self, at_ns: int, energy: float | None, power: float | None) -> None:
        if energy is None and power is None:
            return
        aligned = at_ns // self._window_ns * self._window_ns
        self._knot_ns, self._start_ns, self._end_ns = at_ns, at_ns, aligned + self._window_ns
        self._counter, self._power = energy, power
        self._flags.add("partial")
        self._method = "counter" if energy is not None else "integrated"

    def _count(self, at_ns: int, before: int, energy: float, power: float | None) -> list[Window]:
        knot_ns = self._knot_ns or at_ns
        if self._counter is None:
            windows = self._bridge(at_ns, power, None)
        elif energy == self._counter:
            self._power = power if power is not None else self._power
            if not self._overdue(at_ns):
                return []
            self._flags.add("stuck")
            return self._reach(at_ns, 0.0, 0.0)
        elif not 0 < energy - self._counter <= self._most(at_ns - knot_ns):
            windows = self._bridge(at_ns, power, "reset")
        else:
            # The tick came between two reads; a displaced knot shifts energy, never loses it.
            tick_ns = max((at_ns + before) // 2, knot_ns + 1)
            slack_ns = (at_ns - before) / 2
            if at_ns - before > self._max_gap_ns:
                # Nobody looked: it has ticked many times, the last one a tick ago at most.
                tick_ns, slack_ns = at_ns, TICK_NS
            grown = energy - self._counter
            # The first reading may be as old as a whole tick.
            doubt = grown if "partial" in self._flags and not self._slope else 0.0
            windows = self._reach(tick_ns, grown, slack_ns, doubt)
        self._counter, self._power = energy, power if power is not None else self._power
        return windows

    def _most(self, span_ns: float) -> float:
        """What a counter can grow by in a time: its tick may hold what was drawn before that."""
        return self._max_power * (span_ns + TICK_NS) / 1e9 * 1.5

    def _bridge(self, at_ns: int, power: float | None, flag: str | None) -> list[Window]:
        """From the last knot to now without a counter: by power, else by what it drew before."""
        known = [value for value in (self._power, power) if value is not None]
        rate = sum(known) / len(known) if known else self._slope * 1e9
        energy = rate * (at_ns - (self._knot_ns or at_ns)) / 1e9
        method: Method = "integrated" if known else "estimate"
        windows = self._reach(at_ns, energy, 0.0, energy)
        if self._start_ns < at_ns:  # the window that is open now has a part of it
            self._flags |= {flag} if flag else set()
            self._weaken(method)
        return [_bridged(window, flag, method) for window in windows]

    def _integrate(self, at_ns: int, power: float) -> list[Window]:
        self._weaken("integrated")
        last = self._power if self._power is not None else power
        seconds = (at_ns - (self._knot_ns or at_ns)) / 1e9
        energy = (last + power) / 2 * seconds
        doubt = 0.0
        if self._overdue(at_ns):
            self._weaken("estimate")
            doubt = energy / 2
        count, total, square = self._powers
        self._powers = (count + 1, total + power, square + power * power)
        windows = self._reach(at_ns, energy, 0.0, doubt)
        self._power = power
        return windows

    def _reach(
        self, knot_ns: int, energy: float, slack_ns: float, doubt: float = 0.0
    ) -> list[Window]:
        """Grow the total up to a knot; close the windows that end before it."""
        last_ns = self._knot_ns if self._knot_ns is not None else knot_ns
        span = max(knot_ns - last_ns, 1)
        slope = energy / span
        if span > self._max_gap_ns:
            self._flags.add("gap")
            self._end_ns = -(-knot_ns // self._window_ns) * self._window_ns
        self._doubt += doubt
        windows = []
        while self._end_ns <= knot_ns:
            part = (self._end_ns - last_ns) / span
            bend = abs(slope - self._slope) * min(part, 1 - part) * span
            error = slack_ns * max(slope, self._slope) + bend
            windows.append(self._window(self._end_ns, self._total + energy * part, error))
            self._doubt = doubt
        self._total += energy
        self._knot_ns, self._slope = knot_ns, slope
        return windows

    def _window(self, end_ns: int, total: float, end_error: float) -> Window:
        closed = round(total)
        error = self._start_error + end_error + self._doubt + self._spread(end_ns - self._start_ns)
        window = Window(
            self._start_ns,
            end_ns,
            closed - self._closed,
            self._method,
            math.ceil(error) + 1,
            tuple(sorted(self._flags)),
        )
        self._start_ns, self._end_ns, self._closed = end_ns, end_ns + self._window_ns, closed
        self._start_error, self._powers, self._flags = end_error, (0, 0.0, 0.0), set()
        self._doubt = 0.0
        self._method = "counter" if self._counter is not None else "integrated"
        return window

    def _spread(self, span_ns: int) -> float:
        """Two standard errors of the mean of the window's power readings, as energy."""
        count, total, square = self._powers
        if self._method == "counter" or not count:
            return 0.0
        mean = total / count
        deviation = math.sqrt(max(square / count - mean * mean, (0.05 * mean) ** 2))
        return 2 * deviation / math.sqrt(count) * span_ns / 1e9

    def _weaken(self, method: Method) -> None:
        if _RANK[method] > _RANK[self._method]:
            self._method = method

    def _overdue(self, at_ns: int) -> bool:
        return at_ns - (self._knot_ns or at_ns) > self._max_gap_ns

    def _checked(self, value: float | None, flag: str, most: float) -> float | None:
        if value is None:
            return None
        if not (math.isfinite(value) and 0 <= value <= most):
            self._flags.add(flag)
            return None
        return float(value)


def _bridged(window: Window, flag: str | None, method: Method) -> Window:
    """A window of which a part, or all, is known without a counter."""
    flags = {*window.flags, flag} if flag else window.flags
    weakest = max(window.method, method, key=_RANK.__getitem__)
    return window._replace(flags=tuple(sorted(flags)), method=weakest)
