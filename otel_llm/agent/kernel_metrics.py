"""Metrics of CUPTI shims: what they record and lose, what they cost, and when they make way."""

from collections.abc import Callable, Mapping

from otel_llm.agent.kernel_late import LateKeeping
from otel_llm.agent.kernel_ring import RingReading
from otel_llm.clock import Clock
from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.kernels.control import Report
from otel_llm.kernels.records import STATES

_RECORDS = {"kernels": "kernel", "memcpys": "memcpy", "memsets": "memset"}
_LOST = (
    "dropped_by_cupti", "zero_timestamps", "absurd_timestamps", "ring_errors", "truncated",
    "buffers_declined", "untagged", "names_over",
)  # fmt: skip
_THINNED = {"raw_thinned": "raw", "names_thinned": "names", "budget_changes": "levels"}
_LATE = ("kept", "gone", "over")
_SHOW_EVERY_NS = 1_000_000_000


class KernelMetrics:
    """Counts what rings tell; counters stand at 0 from the start.

    Args:
        metrics: where they are kept.
        clock: the machine's: shims are asked once a second.
    """

    def __init__(self, metrics: MetricSet, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._next_ns = 0
        for kind in _RECORDS.values():
            metrics.counter(Metrics.KERNEL_RECORDS).labels(kind)
        for reason in _LOST:
            metrics.counter(Metrics.KERNEL_LOST).labels(reason)
        for what in _THINNED.values():
            metrics.counter(Metrics.KERNEL_THINNED).labels(what)
        for result in _LATE:
            metrics.counter(Metrics.KERNEL_LATE).labels(result)

    def read(self, reading: RingReading) -> None:
        """A ring was looked at."""
        told, counter = reading.told, self._metrics.counter
        for name, kind in _RECORDS.items():
            counter(Metrics.KERNEL_RECORDS).labels(kind).inc(told[name])
        for reason in _LOST:
            counter(Metrics.KERNEL_LOST).labels(reason).inc(told[reason])
        for name, what in _THINNED.items():
            counter(Metrics.KERNEL_THINNED).labels(what).inc(told[name])
        for result in _LATE:
            counter(Metrics.KERNEL_LATE).labels(result).inc(reading.late[result])
        counter(Metrics.KERNEL_YIELDS).labels().inc(reading.yields)

    def left_out(self, late: LateKeeping) -> None:
        """Take over what the rate of late keeping left out."""
        self._metrics.counter(Metrics.KERNEL_LATE).labels("over").inc(late.over)
        late.over = 0

    def show(self, reports: Callable[[], Mapping[str, Report]]) -> None:
        """Set the gauges of what is now, if it is time."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + _SHOW_EVERY_NS
        found = list(reports().values())
        gauge = self._metrics.gauge
        for state in STATES:
            many = sum(report.state == state for report in found)
            gauge(Metrics.KERNEL_SHIMS).labels(state).set(many)
        gauge(Metrics.KERNEL_COST).labels().set(max((report.cost for report in found), default=0.0))
