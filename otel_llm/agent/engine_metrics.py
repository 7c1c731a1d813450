"""Metrics of engines, made from facts: the standard `gen_ai.server.*` and ours."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
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


class _Time(NamedTuple):
    """A time to observe, if both its ends are known: its mean over so many parts."""

    metric: Metric
    labels: tuple[str, ...]
    start_ns: int | None
    end_ns: int | None
    parts: int = 1


class EngineMetrics:
    """Observes joined facts.

    Labels that callers or journals can invent (all but outcomes) are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._known: defaultdict[str, TenantLabels] = defaultdict(TenantLabels)
        self._loads: dict[str, _Load] = {}
        self._up: dict[str, str] = {}
        self._left_out: dict[str, str] = {}

    def observe(self, fact: Joined) -> None:
        """Count a fact."""
        if isinstance(fact, JoinedRequest):
            self._request(fact)
        elif isinstance(fact, JoinedStep):
            self._step(fact)
        elif isinstance(fact, ProducerEvent) and fact.producer.kind == "engine":
            self._event(fact)

    def show(self, producers: Iterable[Producer]) -> None:
        """Show which processes hold their journals; engines that no longer do stay, at 0."""
        up = self._metrics.gauge(Metrics.ENGINE_UP)
        left_out = self._metrics.gauge(Metrics.LEFT_OUT)
        gone = self._left_out
        self._left_out = {}
        for producer in producers:
            service, instance_id = self.service(producer.service), producer.instance_id
            if producer.kind == "engine":
                self._up[instance_id] = service
                up.labels(service, instance_id).set(1)
            if producer.kind != "gateway":
                gone.pop(instance_id, None)
                self._left_out[instance_id] = service
                left_out.labels(service, instance_id).set(len(producer.left_out))
        for instance_id, service in gone.items():
            left_out.remove(service, instance_id)

    def forget(self, instance_id: str) -> None:
        """An engine's journal was removed, and with it the series of its instance."""
        service = self._up.pop(instance_id, None)
        if service is not None:
            self._metrics.gauge(Metrics.ENGINE_UP).remove(service, instance_id)

    def service(self, name: str) -> str:
        """The label of a service."""
        return self._known["service_name"].label(name)

    def _request(self, fact: JoinedRequest) -> None:
        end, service = fact.finished, self.service(fact.producer.service)
        model = self._known["model"].label(fact.arrived.model or fact.producer.model)
        tenant = self._known["tenant"].label(fact.tenant.tenant)
        labels = (model, tenant, service)
        self._metrics.counter(Metrics.REQUESTS).labels(*labels, fact.outcome).inc()
        tokens = self._metrics.counter(Metrics.TOKENS)
        tokens.labels(*labels, "prompt").inc(fact.arrived.prompt_tokens)
        tokens.labels(*labels, "cached").inc(end.cached_tokens)
        tokens.labels(*labels, "output").inc(end.output_tokens)
        tokens.labels(*labels, "recomputed").inc(end.recomputed_tokens)
        tokens.labels(*labels, "rejected").inc(end.rejected_tokens)
        tokens.labels(*labels, "discarded").inc(end.discarded_tokens)
        self._metrics.counter(Metrics.PREEMPTIONS).labels(model, service).inc(end.preemptions)
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None
        for time in self._times(fact, labels):
            if time.start_ns is not None and time.end_ns is not None and time.parts > 0:
                series = self._histogram(time.metric, time.labels)
                series.observe((time.end_ns - time.start_ns) / time.parts / 1e9, exemplar)

    def _times(self, fact: JoinedRequest, labels: tuple[str, ...]) -> Iterator[_Time]:
        end, arrival_ns = fact.finished, fact.arrived.arrival_ns
        genai = (
            self._known["operation"].label(fact.arrived.operation),
            self._known["provider"].label(fact.producer.engine),
            *labels,
        )
        error = self._known["error_type"].label(end.error_type or "")
        yield _Time(Metrics.SERVER_DURATION, (*genai, error), arrival_ns, end.finished_ns)
        yield _Time(Metrics.QUEUE_TIME, labels, end.queued_ns, end.scheduled_ns)
        yield _Time(Metrics.PREFILL_TIME, labels, end.scheduled_ns, end.first_token_ns)
        if fact.outcome == "finished":
            after_first = end.output_tokens - 1
            yield _Time(Metrics.SERVER_TTFT, genai, arrival_ns, end.first_output_ns)
            yield _Time(
                Metrics.SERVER_TPOT, genai, end.first_token_ns, end.last_token_ns, after_first
            )

    def _histogram(self, metric: Metric, labels: tuple[str, ...]) -> Histogram:
        return self._metrics.histogram(metric).labels(*labels)

    def _step(self, fact: JoinedStep) -> None:
        step, producer = fact.scheduled, fact.producer
        labels = (self._known["model"].label(producer.model), self.service(producer.service))
        if fact.done is not None:
            duration_ns = fact.done.result_ns - step.schedule_ns
            self._histogram(Metrics.STEP_DURATION, labels).observe(duration_ns / 1e9)
        if fact.done is not None and fact.done.accepted:
            drafts = self._metrics.counter(Metrics.DRAFT_TOKENS)
            drafts.labels(*labels, "proposed").inc(sum(step.drafts))
            drafts.labels(*labels, "accepted").inc(sum(fact.done.accepted))
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
