"""Metrics of engines, made from facts: the standard `gen_ai.server.*` and ours."""

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import Histogram

from otel_llm.conventions import Metric, Metrics
from otel_llm.exporters.prometheus import MetricSet, TenantLabels
from otel_llm.facts import Producer
from otel_llm.facts.joined import Joined, JoinedRequest, JoinedStep, ProducerEvent


class _Load(NamedTuple):
    """What an engine's last step said."""

    service: str
    running: int
    waiting: int
    kv_used: int
    kv_total: int


class EngineMetrics:
    """Observes joined facts.

    Labels that callers or journals can invent (tenant, model, service) are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._tenants, self._models, self._services = TenantLabels(), TenantLabels(), TenantLabels()
        self._loads: dict[str, _Load] = {}
        self._up: dict[str, str] = {}

    def observe(self, fact: Joined) -> None:
        """Count a fact."""
        if isinstance(fact, JoinedRequest):
            self._request(fact)
        elif isinstance(fact, JoinedStep):
            self._step(fact)
        elif isinstance(fact, ProducerEvent) and fact.producer.kind == "engine":
            self._event(fact)

    def show(self, producers: Iterable[Producer]) -> None:
        """Show which engines hold their journals; those that no longer do stay, at 0."""
        up = self._metrics.gauge(Metrics.ENGINE_UP)
        for producer in producers:
            self._up[producer.instance_id] = self.service(producer.service)
            up.labels(self._up[producer.instance_id], producer.instance_id).set(1)

    def forget(self, instance_id: str) -> None:
        """An engine's journal was removed, and with it the series of its instance."""
        service = self._up.pop(instance_id, None)
        if service is not None:
            self._metrics.gauge(Metrics.ENGINE_UP).remove(service, instance_id)

    def service(self, name: str) -> str:
        """The label of a service."""
        return self._services.label(name)

    def _request(self, fact: JoinedRequest) -> None:
        end, arrival_ns = fact.finished, fact.arrived.arrival_ns
        model = self._models.label(fact.arrived.model or fact.producer.model)
        tenant = self._tenants.label(fact.tenant.tenant)
        service = self.service(fact.producer.service)
        labels = (model, tenant, service)
        self._metrics.counter(Metrics.REQUESTS).labels(*labels, fact.outcome).inc()
        tokens = self._metrics.counter(Metrics.TOKENS)
        tokens.labels(*labels, "prompt").inc(fact.arrived.prompt_tokens)
        tokens.labels(*labels, "cached").inc(end.cached_tokens)
        tokens.labels(*labels, "output").inc(end.output_tokens)
        tokens.labels(*labels, "recomputed").inc(end.recomputed_tokens)
        self._metrics.counter(Metrics.PREEMPTIONS).labels(model, service).inc(end.preemptions)
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None
        generated = end.output_tokens - 1
        spans: list[tuple[Metric, int | None, int | None, int]] = [
            (Metrics.SERVER_DURATION, arrival_ns, end.finished_ns, 1),
            (Metrics.SERVER_TTFT, arrival_ns, end.first_output_ns, 1),
            (Metrics.QUEUE_TIME, end.queued_ns, end.scheduled_ns, 1),
            (Metrics.PREFILL_TIME, end.scheduled_ns, end.first_token_ns, 1),
            (Metrics.SERVER_TPOT, end.first_token_ns, end.last_token_ns, generated),
        ]
        for metric, start_ns, end_ns, parts in spans:
            if start_ns is not None and end_ns is not None and parts > 0:
                series = self._histogram(metric, labels)
                series.observe((end_ns - start_ns) / parts / 1e9, exemplar)

    def _histogram(self, metric: Metric, labels: tuple[str, ...]) -> Histogram:
        return self._metrics.histogram(metric).labels(*labels)

    def _step(self, fact: JoinedStep) -> None:
        step, producer = fact.scheduled, fact.producer
        labels = (self._models.label(producer.model), self.service(producer.service))
        if fact.done is not None:
            duration_ns = fact.done.result_ns - step.schedule_ns
            self._histogram(Metrics.STEP_DURATION, labels).observe(duration_ns / 1e9)
        self._histogram(Metrics.STEP_BATCH, labels).observe(len(step.request_index))
        prefill, decode = fact.tokens_by_phase
        tokens = self._metrics.counter(Metrics.STEP_TOKENS)
        tokens.labels(*labels, "prefill").inc(prefill)
        tokens.labels(*labels, "decode").inc(decode)
        self._loads[producer.instance_id] = _Load(
            labels[1], step.running, step.waiting, step.kv_used, step.kv_total
        )
        self._show_load(labels[1])

    def _show_load(self, service: str) -> None:
        """A service's engines together: sums, and the share of all their blocks."""
        loads = [load for load in self._loads.values() if load.service == service]
        gauge = self._metrics.gauge
        gauge(Metrics.RUNNING).labels(service).set(sum(load.running for load in loads))
        gauge(Metrics.WAITING).labels(service).set(sum(load.waiting for load in loads))
        total = sum(load.kv_total for load in loads)
        used = sum(load.kv_used for load in loads)
        gauge(Metrics.KV_USAGE).labels(service).set(used / total if total else 0.0)

    def _event(self, fact: ProducerEvent) -> None:
        producer = fact.producer
        service = self.service(producer.service)
        deaths = self._metrics.counter(Metrics.ENGINE_DEATHS).labels(service)
        if fact.event == "started":
            return
        self._up[producer.instance_id] = service
        self._metrics.gauge(Metrics.ENGINE_UP).labels(service, producer.instance_id).set(0)
        deaths.inc(fact.event == "died")
        if self._loads.pop(producer.instance_id, None) is not None:
            self._show_load(service)
