"""Metrics of engines, made from facts: the standard `gen_ai.server.*` and ours."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from otel_llm.agent.arrays import joined
from otel_llm.agent.bounded import Bounded
from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import Histogram, MetricSet, TenantLabels
from otel_llm.facts import Producer, RequestFinished
from otel_llm.facts.joined import JoinedRequest, JoinedStep, ProducerEvent
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL, StepScheduled

MOST_LABELS = 4_096
"""Sets of labels of requests that are kept ready; past it they are made anew."""
_TOKENS = ("prompt", "cached", "output", "recomputed", "rejected", "discarded")

_Exemplar: TypeAlias = dict[str, str] | None


class _Load(NamedTuple):
    """What an engine's last step said."""

    service: str
    running: int
    waiting: int
    kv_used: int
    kv_total: int


class _Whose:
    """What is counted of requests with the same labels; histograms once they have a value.

    Args:
        metrics: where it is counted.
        genai: labels of the GenAI conventions, then ours; the last four are those of our own.
        error: label of what went wrong.
        outcome: how they ended.
    """

    def __init__(
        self, metrics: MetricSet, genai: tuple[str, ...], error: str, outcome: str
    ) -> None:
        self._metrics, self._genai, self._error = metrics, genai, error
        self._stages = genai[2:]
        model, tenant, _, service = self._stages
        tokens = metrics.counter(Metrics.TOKENS)
        self.ended = metrics.counter(Metrics.REQUESTS).labels(model, tenant, service, outcome)
        self._tokens = [tokens.labels(model, tenant, service, kind) for kind in _TOKENS]
        self.preemptions = metrics.counter(Metrics.PREEMPTIONS).labels(model, service)

    def count_tokens(self, prompt: int, end: RequestFinished) -> None:
        """Count a request's tokens; most requests have two kinds of them."""
        tokens = self._tokens
        if prompt:
            tokens[0].inc(prompt)
        if end.cached_tokens:
            tokens[1].inc(end.cached_tokens)
        if end.output_tokens:
            tokens[2].inc(end.output_tokens)
        if end.recomputed_tokens:
            tokens[3].inc(end.recomputed_tokens)
        if end.rejected_tokens:
            tokens[4].inc(end.rejected_tokens)
        if end.discarded_tokens:
            tokens[5].inc(end.discarded_tokens)

    @cached_property
    def duration(self) -> Histogram:
        return self._metrics.histogram(Metrics.SERVER_DURATION).labels(*self._genai, self._error)

    @cached_property
    def queue(self) -> Histogram:
        return self._metrics.histogram(Metrics.QUEUE_TIME).labels(*self._stages)

    @cached_property
    def prefill(self) -> Histogram:
        return self._metrics.histogram(Metrics.PREFILL_TIME).labels(*self._stages)

    @cached_property
    def ttft(self) -> Histogram:
        return self._metrics.histogram(Metrics.SERVER_TTFT).labels(*self._genai)

    @cached_property
    def tpot(self) -> Histogram:
        return self._metrics.histogram(Metrics.SERVER_TPOT).labels(*self._genai)


class EngineMetrics:
    """Observes joined facts.

    Labels that callers or journals can invent (all but outcomes) are kept within bounds.

    Args:
        metrics: where they are kept.
    """

    def __init__(self, metrics: MetricSet) -> None:
        self._metrics = metrics
        self._known: defaultdict[str, TenantLabels] = defaultdict(TenantLabels)
        self._made: Bounded[tuple[str, ...], _Whose] = Bounded(MOST_LABELS)
        self._loads: dict[str, _Load] = {}
        self._up: dict[str, str] = {}
        self._left_out: dict[str, str] = {}

    def observe(
        self,
        requests: Iterable[JoinedRequest],
        steps: Iterable[JoinedStep],
        events: Iterable[ProducerEvent],
    ) -> None:
        """Count facts. What became of an engine is later than its steps."""
        for request in requests:
            self._request(request)
        by_engine: defaultdict[str, list[JoinedStep]] = defaultdict(list)
        for step in steps:
            by_engine[step.producer.instance_id].append(step)
        for service in {self._steps(of_one) for of_one in by_engine.values()}:
            self._show_load(service)
        for event in events:
            if event.producer.kind == "engine":
                self._event(event)

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
        end, whose = fact.finished, self._whose(fact)
        whose.ended.inc()
        whose.count_tokens(fact.arrived.prompt_tokens, end)
        if end.preemptions:
            whose.preemptions.inc(end.preemptions)
        exemplar = {"trace_id": fact.trace.trace_id} if fact.trace.sampled else None
        self._stages(fact, whose, exemplar)
        if fact.outcome == "finished":
            self._pace(fact, whose, exemplar)

    def _stages(self, fact: JoinedRequest, whose: _Whose, exemplar: _Exemplar) -> None:
        """How long a request took, and what of it before its first token."""
        end = fact.finished
        took_s = (end.finished_ns - fact.arrived.arrival_ns) / 1e9
        whose.duration.observe(took_s, exemplar)
        scheduled_ns = end.scheduled_ns
        if scheduled_ns is None:
            return
        if end.queued_ns is not None:
            queued_s = (scheduled_ns - end.queued_ns) / 1e9
            whose.queue.observe(queued_s, exemplar)
        if end.first_token_ns is not None:
            prefill_s = (end.first_token_ns - scheduled_ns) / 1e9
            whose.prefill.observe(prefill_s, exemplar)

    def _pace(self, fact: JoinedRequest, whose: _Whose, exemplar: _Exemplar) -> None:
        """When output came."""
        end = fact.finished
        if end.first_output_ns is not None:
            ttft_s = (end.first_output_ns - fact.arrived.arrival_ns) / 1e9
            whose.ttft.observe(ttft_s, exemplar)
        first_ns, last_ns, after_first = (
            end.first_token_ns,
            end.last_token_ns,
            end.output_tokens - 1,
        )
        if first_ns is not None and last_ns is not None and after_first > 0:
            each_s = (last_ns - first_ns) / after_first / 1e9
            whose.tpot.observe(each_s, exemplar)

    def _whose(self, fact: JoinedRequest) -> _Whose:
        """Made once for what requests have in common; their counters are there from then on."""
        arrived, producer = fact.arrived, fact.producer
        given = (
            producer.service, arrived.model or producer.model, fact.tenant.tenant,
            fact.tenant.tier, arrived.operation, producer.engine, fact.finished.error_type or "",
            fact.outcome,
        )  # fmt: skip
        whose = self._made.get(given)
        if whose is None:
            whose = self._made[given] = self._make(*given)
        return whose

    def _make(
        self, service: str, model: str, tenant: str, tier: str, operation: str, engine: str,
        error: str, outcome: str,
    ) -> _Whose:  # fmt: skip
        known = self._known
        genai = (
            known["operation"].label(operation), known["provider"].label(engine),
            known["model"].label(model), known["tenant"].label(tenant),
            known["tier"].label(tier), self.service(service),
        )  # fmt: skip
        return _Whose(self._metrics, genai, known["error_type"].label(error), outcome)

    def _steps(self, steps: Sequence[JoinedStep]) -> str:
        """Count steps of one engine; gives its service, whose load has changed."""
        producer, last = steps[-1].producer, steps[-1].scheduled
        labels = (self._known["model"].label(producer.model), self.service(producer.service))
        batches = [step.scheduled for step in steps]
        histogram, counter = self._metrics.histogram, self._metrics.counter
        took_s = [
            (step.done.result_ns - step.scheduled.schedule_ns) / 1e9
            for step in steps
            if step.done is not None
        ]
        if took_s:
            histogram(Metrics.STEP_DURATION).labels(*labels).observe_all(took_s)
        sizes = [len(batch.request_index) for batch in batches]
        histogram(Metrics.STEP_BATCH).labels(*labels).observe_all(sizes)
        prefill, decode = _tokens_by_phase(batches)
        tokens, drafts = counter(Metrics.STEP_TOKENS), counter(Metrics.DRAFT_TOKENS)
        tokens.labels(*labels, "prefill").inc(prefill)
        tokens.labels(*labels, "decode").inc(decode)
        for step in steps:
            if step.done is not None and step.done.accepted:
                drafts.labels(*labels, "proposed").inc(sum(step.scheduled.drafts))
                drafts.labels(*labels, "accepted").inc(sum(step.done.accepted))
        self._loads[producer.instance_id] = _Load(
            labels[1], last.running, last.waiting, last.kv_used, last.kv_total
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


def _tokens_by_phase(batches: Sequence[StepScheduled]) -> tuple[int, int]:
    """Tokens scheduled for prefill and for decode."""
    tokens = joined([batch.tokens for batch in batches])
    phase = b"".join([batch.phase for batch in batches])
    whole = int(np.add.reduce(tokens))
    if phase.count(PHASE_DECODE) == len(tokens):
        return 0, whole
    prefill = int(np.add.reduce(tokens[np.frombuffer(phase, dtype=np.uint8) == PHASE_PREFILL]))
    return prefill, whole - prefill
