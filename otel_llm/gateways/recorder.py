"""Where a gateway's facts go: the journal, and the gateway's own metrics."""

from typing import Protocol

from opentelemetry import trace

from otel_llm import __version__
from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.isolation import Guard


class FactWriter(Protocol):
    """What the middleware needs of a journal."""

    def write(self, record: GatewayCallStarted | GatewayCall | Attempt) -> None:
        """Write one fact; never raises."""

    def count_swallowed(self) -> None:
        """Count an error that was kept from the gateway."""

    def close(self) -> None:
        """Mark the journal as closed on purpose."""


class Recorder:
    """Takes the facts of one gateway process.

    Args:
        journal: where facts are written; None keeps none.
        metrics: the gateway's metrics.
        tracer_provider: whose spans attempts become; the global one if None.
        clock: monotonic clock.

    Attributes:
        enabled: whether new calls are observed.
    """

    def __init__(
        self,
        journal: FactWriter | None,
        metrics: GatewayMetrics,
        tracer_provider: trace.TracerProvider | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.metrics = metrics
        self.clock = clock
        self.tracer = trace.get_tracer("otel_llm.gateways", __version__, tracer_provider)
        self.enabled = True
        self._journal = journal
        self._open = 0
        self._closing = False

    def guard(self, place: str) -> Guard:
        """A guard whose swallowed errors are counted by the metrics and by the journal."""
        name = f"gateway.{place}"

        def swallowed() -> None:
            self.metrics.swallowed(name)
            if self._journal is not None:
                self._journal.count_swallowed()

        return Guard(name, swallowed)

    def call_started(self, fact: GatewayCallStarted) -> None:
        """A call has its ids."""
        self._open += 1
        self.metrics.call_started()
        self._write(fact)

    def call_ended(self, fact: GatewayCall) -> None:
        """A call has ended."""
        self._write(fact)
        self._open -= 1
        self._close_if_idle()
        self.metrics.call_ended(fact)

    def attempt_ended(self, fact: Attempt) -> None:
        """An attempt has ended."""
        self._write(fact)
        self.metrics.attempt_ended(fact)

    def close(self) -> None:
        """Observe no new call; close the journal once the last open one has ended."""
        self.enabled = False
        self._closing = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._closing and self._open == 0 and self._journal is not None:
            self._journal.close()

    def _write(self, fact: GatewayCallStarted | GatewayCall | Attempt) -> None:
        if self._journal is not None:
            self._journal.write(fact)
