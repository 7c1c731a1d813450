"""Metrics of engines, made from facts: the standard `gen_ai.server.*` and ours."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from otel_llm.agent.arrays import tokens_by_phase
from otel_llm.agent.bounded import Bounded
from otel_llm.conventions import Metric, Metrics
from otel_llm.exporters.prometheus import MetricSet, TenantLabels
from otel_llm.facts import Producer
from otel_llm.facts.joined import Joined, JoinedRequest, JoinedStep, ProducerEvent

MOST_LABELS = 4_096
"""Sets of labels of requests that are kept ready; past it they are made anew."""


class _Load(NamedTuple):
    """What an engine's last step said."""

    service: str
    running: int
    waiting: int
    kv_used: int
    kv_total: int


class _Labels(NamedTuple):
    """Labels of a request's metrics, by name of the metric or of the tokens."""

    requests: tuple[str, ...]
    prompt: tuple[str, ...]
    cached: tuple[str, ...]
    output: tuple[str, ...]
    recomputed: tuple[str, ...]
    rejected: tuple[str, ...]
    discarded: tuple[str, ...]
    preemptions: tuple[str, ...]
    duration: tuple[str, ...]
    genai: tuple[str, ...]
    stages: tuple[str, ...]


class EngineMetrics:
    """Observes joined facts.

    Labels that callers or journals can invent (all but outcomes) are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._known: defaultdict[str, TenantLabels] = defaultdict(TenantLabels)
        self._made: Bounded[tuple[str, ...], _Labels] = Bounded(MOST_LABELS)
        self._loads: dict[str, _Load] = {}
        self._up: dict[str, str] = {}
        self._left_out: dict[str, str] = {}

    def observe(self, facts: Iterable[Joined]) -> None:
        """Count facts."""
        loads: set[str] = set()
        for fact in facts:
            if isinstance(fact, JoinedRequest):
                self._request(fact)
            elif isinstance(fact, JoinedStep):
                loads.add(self._step(fact))
            elif isinstance(fact, ProducerEvent) and fact.producer.kind == "engine":
                self._event(fact)
        for service in loads:
            self._show_load(service)

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
        end, labels = fact.finished, self._labels(fact)
        count = self._metrics.count
        count(Metrics.REQUESTS, labels.requests)
        for tokens, of_kind in (
            (fact.arrived.prompt_tokens, labels.prompt),
            (end.cached_tokens, labels.cached),
            (end.output_tokens, labels.output),
            (end.recomputed_tokens, labels.recomputed),
            (end.rejected_tokens, labels.rejected),
            (end.discarded_tokens, labels.discarded),
        ):
            if tokens:
                count(Metrics.TOKENS, of_kind, tokens)
        if end.preemptions:
            count(Metrics.PREEMPTIONS, labels.preemptions, end.preemptions)
        self._times(fact, labels)

    def _times(self, fact: JoinedRequest, labels: _Labels) -> None:
        end, arrival_ns = fact.finished, fact.arrived.arrival_ns
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None

        def took(
            metric: Metric, labels: tuple[str, ...], start: int | None, stop: int | None
        ) -> None:
            if start is not None and stop is not None:
                self._metrics.observe(metric, labels, (stop - start) / 1e9, exemplar)

        took(Metrics.SERVER_DURATION, labels.duration, arrival_ns, end.finished_ns)
        took(Metrics.QUEUE_TIME, labels.stages, end.queued_ns, end.scheduled_ns)
        took(Metrics.PREFILL_TIME, labels.stages, end.scheduled_ns, end.first_token_ns)
        if fact.outcome != "finished":
            return
        took(Metrics.SERVER_TTFT, labels.genai, arrival_ns, end.first_output_ns)
        first_ns, last_ns, after_first = (
            end.first_token_ns,
            end.last_token_ns,
            end.output_tokens - 1,
        )
        if first_ns is not None and last_ns is not None and after_first > 0:
            each_s = (last_ns - first_ns) / after_first / 1e9
            self._metrics.observe(Metrics.SERVER_TPOT, labels.genai, each_s, exemplar)

    def _labels(self, fact: JoinedRequest) -> _Labels:
        """Made once for what requests have in common; their counters are there from then on."""
        arrived, producer = fact.arrived, fact.producer
        given = (
            producer.service, arrived.model or producer.model, fact.tenant.tenant,
            fact.tenant.tier, arrived.operation, producer.engine, fact.finished.error_type or "",
            fact.outcome,
        )  # fmt: skip
        labels = self._made.get(given)
        if labels is None:
            labels = self._made[given] = self._make(*given)
        return labels

    def _make(
        self, service: str, model: str, tenant: str, tier: str, operation: str, engine: str,
        error: str, outcome: str,
    ) -> _Labels:  # fmt: skip
        known, service = self._known, self.service(service)
        model, tenant = known["model"].label(model), known["tenant"].label(tenant)
        whose = (model, tenant, service)
        stages = (model, tenant, known["tier"].label(tier), service)
        genai = (known["operation"].label(operation), known["provider"].label(engine), *stages)
        kinds = ("prompt", "cached", "output", "recomputed", "rejected", "discarded")
        tokens = {kind: (*whose, kind) for kind in kinds}
        for labels in tokens.values():
            self._metrics.count(Metrics.TOKENS, labels, 0)
        self._metrics.count(Metrics.PREEMPTIONS, (model, service), 0)
        return _Labels(
            requests=(*whose, outcome),
            **tokens,
            preemptions=(model, service),
            duration=(*genai, known["error_type"].label(error)),
            genai=genai,
            stages=stages,
        )

    def _step(self, fact: JoinedStep) -> str:
        """Count a step; gives its engine's service, whose load has changed."""
        step, producer, done = fact.scheduled, fact.producer, fact.done
        labels = (self._known["model"].label(producer.model), self.service(producer.service))
        count, observe = self._metrics.count, self._metrics.observe
        if done is not None:
            duration_ns = done.result_ns - step.schedule_ns
            observe(Metrics.STEP_DURATION, labels, duration_ns / 1e9)
        if done is not None and done.accepted:
            count(Metrics.DRAFT_TOKENS, (*labels, "proposed"), sum(step.drafts))
            count(Metrics.DRAFT_TOKENS, (*labels, "accepted"), sum(done.accepted))
        observe(Metrics.STEP_BATCH, labels, len(step.request_index))
        prefill, decode = tokens_by_phase(step)
        count(Metrics.STEP_TOKENS, (*labels, "prefill"), prefill)
        count(Metrics.STEP_TOKENS, (*labels, "decode"), decode)
        self._loads[producer.instance_id] = _Load(
            labels[1], step.running, step.waiting, step.kv_used, step.kv_total
        )
        return labels[1]

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
