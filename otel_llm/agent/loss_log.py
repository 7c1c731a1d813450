"""Losses in the agent's log: seldom enough to read, and never without their numbers."""

import logging
from collections import Counter
from collections.abc import Mapping

from otel_llm.clock import Clock, MonotonicNs

REPEAT_NS = 60_000_000_000
"""Least time between two warnings about one source and reason."""

_log = logging.getLogger("otel_llm.agent")


class LossLog:
    """Warns of losses by source and reason: the first at once, then at most once a minute.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said_ns: dict[tuple[str, str], MonotonicNs] = {}

    def note(self, source: str, lost: Mapping[str, int]) -> None:
        """Records were lost.

        Args:
            source: file name of the journal, or of the state for what the spool put out.
            lost: how many, by reason.
        """
        for reason, count in lost.items():
            if count > 0:
                self._unsaid[source, reason] += count

    def report(self) -> None:
        """Warn of what was noted and is due."""
        now_ns = self._clock.monotonic_ns()
        self._said_ns = {
            key: said_ns for key, said_ns in self._said_ns.items() if now_ns - said_ns < REPEAT_NS
        }
        for source, reason in sorted(self._unsaid.keys() - self._said_ns.keys()):
            count = self._unsaid.pop((source, reason))
            self._said_ns[source, reason] = now_ns
            _log.warning("%s: records lost: %d (%s)", source, count, reason)
