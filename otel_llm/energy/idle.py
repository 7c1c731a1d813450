"""What a device draws with nothing on it, learnt from its own windows."""

from collections import deque

import numpy as np

from otel_llm.energy.meter import Window


class IdlePower:
    """Idle power by a straight line through recent windows: mean power over idle part.

    A window without a step counts for itself. Until one part of the windows differs enough from
    the others it is not known.

    Args:
        windows: how many to look back on.
    """

    def __init__(self, windows: int = 64) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=windows)

    def add(self, window: Window, idle_ns: int) -> None:
        """Take in a window with so many nanoseconds without a step; a flagged one is not."""
        span = window.end_ns - window.start_ns
        if not window.incomplete:
            self._seen.append((idle_ns / span, window.delta_mj * 1e9 / span))

    @property
    def mw(self) -> float | None:
        """In milliwatts; None if not known. Never above the least that a window drew."""
        if not self._seen:
            return None
        idle, power = np.array(self._seen).T
        empty = power[idle > 0.98]
        if len(empty):
            return float(np.median(empty))
        if len(idle) < 8 or float(np.ptp(idle)) < 0.2:
            return None
        slope, base = np.polyfit(idle, power, 1)
        return float(np.clip(base + slope, 0.0, power.min()))

    def state(self) -> list[list[float]]:
        """All it knows, as plain data."""
        return [list(pair) for pair in self._seen]

    @classmethod
    def restored(cls, state: list[list[float]]) -> "IdlePower":
        """One that goes on from `state()`."""
        found = cls()
        found._seen.extend((idle, power) for idle, power in state)
        return found
