"""The gateway's own Prometheus metrics, made from its facts."""

from prometheus_client import CollectorRegistry

from otel_llm.clock import MonotonicNs
from otel_llm.conventions import OTHER_TENANT, Metrics
from otel_llm.exporters.prometheus import Histogram, MetricSet, TenantLabels
from otel_llm.facts.gateway import Attempt, GatewayCall
from otel_llm.gateways.targets import Targets

MAX_MODELS = 100
"""Most model labels. Callers can ask for any name; the rest share `_other`."""
MAX_TIERS = 20
"""Most tier labels; the rest share `_other`."""


class GatewayMetrics:
    """Counts calls, attempts and breakers.

    Args:
        registry: where to register; a fresh one if None.
        targets: what calls are measured against.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, targets: Targets | None = None
    ) -> None:
        metrics = MetricSet(("gateway",), registry)
        self.registry = metrics.registry
        self._models = TenantLabels(MAX_MODELS)
        self._served_models: set[str] = set()
        self._tenants = TenantLabels()
        self._tiers = TenantLabels(MAX_TIERS)
        self._targets = targets or Targets()
        self._target_calls = metrics.counter(Metrics.TARGET_CALLS)
        self._calls = metrics.counter(Metrics.CALLS)
        self._duration = metrics.histogram(Metrics.CALL_DURATION)
        self._ttft = metrics.histogram(Metrics.TTFT_CALLER)
        self._inter_chunk = metrics.histogram(Metrics.INTER_CHUNK)
        self._open = metrics.gauge(Metrics.CALLS_OPEN).labels()
        self._attempts = metrics.counter(Metrics.ATTEMPTS)
        self._breaker_open = metrics.gauge(Metrics.BREAKER_OPEN)
        self._transitions = metrics.counter(Metrics.BREAKER_TRANSITIONS)
        self._refused = metrics.counter(Metrics.REFUSED_VALUES)
        self._swallowed = metrics.counter(Metrics.GATEWAY_SWALLOWED)

    def call_started(self) -> None:
        """A call is in flight."""
        self._open.inc()

    def inter_chunk(self, model: str | None, tenant: str) -> Histogram:
        """Where one call's inter-chunk times go, in seconds. The call is being served."""
        return self._inter_chunk.labels(
            self._model(model, served=True), self._tenants.label(tenant)
        )

    def call_ended(self, call: GatewayCall) -> None:
        """A call has ended. Exemplars carry its trace id."""
        self._open.inc(-1)
        served = call.outcome == "finished" or call.first_content_ns is not None
        who = (
            self._model(call.model, served=served),
            self._tenants.label(call.tenant),
            self._tiers.label(call.tier),
        )
        exemplar = {"trace_id": call.trace_id}
        status = "" if call.status_code is None else str(call.status_code)
        self._calls.labels(*who, call.route, call.outcome, status).inc(1, exemplar)
        missed = self._targets.missed(call)
        if missed is not None:
            self._target_calls.labels(*who, missed).inc(1, exemplar)
        took_s = _seconds(call.arrival_ns, call.finished_ns)
        self._duration.labels(*who).observe(took_s, exemplar)
        if call.stream and call.first_content_ns is not None:
            ttft_s = _seconds(call.arrival_ns, call.first_content_ns)
            self._ttft.labels(*who).observe(ttft_s, exemplar)

    def attempt_ended(self, attempt: Attempt) -> None:
        """An attempt has ended."""
        labels = (attempt.upstream, attempt.outcome, attempt.error_class or "")
        self._attempts.labels(*labels).inc(1, {"trace_id": attempt.trace_id})

    def breaker_known(self, upstream: str) -> None:
        """An upstream has a circuit breaker, and it is closed."""
        self._breaker_open.labels(upstream).set(0)

    def breaker(self, upstream: str, state: str) -> None:
        """An upstream's circuit breaker entered `closed`, `open` or `half_open`."""
        self._breaker_open.labels(upstream).set(state == "open")
        self._transitions.labels(upstream, state).inc()

    def refused(self, what: str) -> None:
        """A value that a caller sent could not be used."""
        self._refused.labels(what).inc()

    def swallowed(self, place: str) -> None:
        """An error of ours was kept from the gateway."""
        self._swallowed.labels(place).inc()

    def _model(self, model: str | None, *, served: bool) -> str:
        """A name becomes a label once it was served, so that invented names do not fill the cap."""
        if model is None:
            return ""
        if not served and model not in self._served_models:
            return OTHER_TENANT
        label = self._models.label(model)
        if label == model:
            self._served_models.add(model)
        return label


def _seconds(start: MonotonicNs, end: MonotonicNs) -> float:
    return (end - start) / 1e9
