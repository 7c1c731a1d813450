"""Which times are taken: those the tables keep, and a clock that is a little ahead."""

import time
from collections.abc import Callable, Iterable, Mapping

from otel_llm.collector.decoder import Signal, Window
from otel_llm.collector.spool.record import SIGNALS
from otel_llm.exporters.clickhouse.schema import Lifetime

AHEAD_S = 86_400
"""An item may be this far ahead of our clock."""

_NS = 10**9


def ages_s(lifetimes: Iterable[Lifetime]) -> dict[Signal, int]:
    """How old an item may be, by signal: the shortest time that a table of its keeps rows.

    Args:
        lifetimes: of all tables; 0 s are for ever.
    """
    kept = [each for each in lifetimes if each.seconds]
    return {
        signal: min((e.seconds for e in kept if e.table.startswith(f"otel_{signal}")), default=0)
        for signal in SIGNALS
    }


class Windows:
    """Gives the window of a request that comes now.

    A row that its table would drop at once is refused at the door, where its sender is told. It
    also bounds the days, and so the parts, of one request.

    Args:
        ages_s: how old an item may be, by signal; 0 is for ever.
        now_ns: the clock, in nanoseconds since 1970.
    """

    def __init__(
        self, ages_s: Mapping[Signal, int], now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._ages_s, self._now_ns = ages_s, now_ns

    def __call__(self, signal: Signal) -> Window:
        """The window of a signal."""
        now, age = self._now_ns(), self._ages_s[signal] * _NS
        return Window(max(0, now - age) if age else 0, now + AHEAD_S * _NS)
