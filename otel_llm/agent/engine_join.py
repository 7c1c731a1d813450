"""Joins an engine's records into requests, steps and kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from otel_llm.agent.hygiene import checked_result, ordered
from otel_llm.agent.identity import identify, rooted
from otel_llm.agent.join import Join, Limits
from otel_llm.agent.kernel_totals import OpenKernelTotals
from otel_llm.agent.open_facts import Kept, OpenFacts, OpenRequest, OpenStep, Recent
from otel_llm.agent.progress import (
    emitted,
    included,
    rejected,
    told_by_steps,
    unfinished,
    without_result,
)
from otel_llm.clock import Anchor
from otel_llm.facts import (
    Producer,
    RequestArrived,
    RequestFinished,
    StepDone,
    StepKernels,
    StepScheduled,
)
from otel_llm.facts.joined import (
    Joined,
    JoinedKernels,
    JoinedRequest,
    JoinedRequestOutcome,
    JoinedStep,
    SpanIds,
    StepStatus,
)
from otel_llm.journal.records import Record
from otel_llm.spans.ids import span_id
from otel_llm.spans.step import step_ids

MAX_OPEN_STEPS = 64
"""Steps in flight at once. A step still open behind so many later ones has lost its result."""


class EngineJoin(Join):
    """Joins one engine's journal."""

    handled = frozenset(
        {Anchor, RequestArrived, RequestFinished, StepScheduled, StepDone, StepKernels}
    )

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        super().__init__(producer, limits, fallback)
        self.requests = OpenFacts("request", OpenRequest, limits.max_open_requests)
        self.steps = OpenFacts("step", OpenStep, MAX_OPEN_STEPS)
        self._given_up = Recent("step.given_up")
        self._kernel_totals = OpenKernelTotals(producer)
        self._handlers: dict[type[msgspec.Struct], Callable[[Any], list[Joined]]] = {
            RequestArrived: self._arrived,
            RequestFinished: self._finished,
            StepScheduled: self._scheduled,
            StepDone: self._done,
            StepKernels: self._kernels,
        }

    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        return (self.requests, self.steps, self._given_up, self._kernel_totals)

    def _take(self, record: Record) -> list[Joined]:
        joined = super()._take(record)
        if isinstance(record, Anchor):  # one comes each second, with kernels or without
            joined += self._kernel_totals.give_before(self.anchor.wall_ns)
        return joined

    def _handle(self, record: Record) -> list[Joined]:
        return self._handlers[type(record)](record)

    def _mark_open(self) -> None:
        for request in self.requests:
            if not request.incomplete:
                request.incomplete = True
                self.requests.touch(request.index)

    def _in_flight(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        steps = tuple(step.scheduled.seq for step in self.steps)
        ids = tuple(each.arrived.request_id for each in self.requests if each.arrived)
        return steps, ids

    def _end_open(self) -> list[Joined]:
        steps = self.steps.end_all()
        for step in steps:
            for position, index in enumerate(step.scheduled.request_index):
                request = self.requests.get(index)
                if request is not None:
                    without_result(request, step.scheduled, position)
        requests = [
            self._request(request, unfinished(request, self.state.last_ns), "engine_died")
            for request in self.requests.end_all()
        ]
        totals = self._kernel_totals.give_all()
        return [*(self._step(step, None, "in_flight") for step in steps), *requests, *totals]

    # -- requests

    def _arrived(self, record: RequestArrived) -> list[Joined]:
        if self.requests.has_ended(record.index):
            return []
        request = self._open_request(record.index)
        if request.arrived is None:
            request.arrived = record
            name = record.api_request_id or str(record.index)
            root = self._rooted(record.index, name, record.frontend)
            request.trace, request.tenant = identify(record, root, self.breaches)
            self.requests.touch(record.index)
        return []

    def _finished(self, record: RequestFinished) -> list[Joined]:
        if self.requests.has_ended(record.index):
            return []
        request = self.requests.end(record.index)
        if request is None:
            request = OpenRequest(record.index, self.anchor)
        return [self._request(request, told_by_steps(request, record), record.outcome)]

    def _open_request(self, index: int) -> OpenRequest:
        """The open request of this index; a new one if nothing was heard of it yet."""
        request = self.requests.get(index)
        if request is None:
            request = OpenRequest(index, self.anchor, incomplete=self._damaged)
            if self.requests.put(index, request) is not None:
                self.lost["state_full"] += 1
        return request

    def _rooted(self, index: int, name: str, frontend: str = "") -> SpanIds:
        """Ids without a caller's context; an API server's cores share the traces of its calls."""
        own = span_id(self.producer.instance_id, "request", index)
        return rooted(frontend or self.producer.instance_id, name, own, self.limits.trace_ratio)

    def _request(
        self, request: OpenRequest, finished: RequestFinished, outcome: JoinedRequestOutcome
    ) -> JoinedRequest:
        arrived = request.arrived or _unknown_arrival(request, finished)
        return JoinedRequest(
            producer=self.producer,
            anchor=request.anchor,
            outcome=outcome,
            arrived=arrived,
            finished=ordered(arrived, finished, self.breaches),
            trace=request.trace or self._rooted(request.index, str(request.index)),
            tenant=request.tenant,
            incomplete=request.incomplete or request.arrived is None,
            resumed=tuple(request.resumed),
        )

    # -- steps

    def _scheduled(self, record: StepScheduled) -> list[Joined]:
        if self.steps.has_ended(record.seq) or self.steps.get(record.seq):
            return []
        members = [
            self._open_request(index) if not self.requests.has_ended(index) else None
            for index in record.request_index
        ]
        for position, request in enumerate(members):
            if request is not None:
                included(request, record, position)
                self.requests.touch(request.index)
        oldest = self.steps.put(record.seq, self._open_step(record, members))
        if oldest is None:
            return []
        self.steps.end(oldest.scheduled.seq)
        self._given_up.add(oldest.scheduled.seq)
        return [self._step(oldest, None, "unknown")]

    def _open_step(self, record: StepScheduled, members: list[OpenRequest | None]) -> OpenStep:
        ids = step_ids(self.producer.instance_id, record.seq, self.limits.step_span_ratio)
        if ids is None:
            return OpenStep(record, self.anchor)
        links = [each.trace for each in members if each and each.trace and each.trace.sampled]
        limit = self.limits.span_link_limit
        return OpenStep(record, self.anchor, ids, tuple(links[:limit]), max(0, len(links) - limit))

    def _done(self, record: StepDone) -> list[Joined]:
        step = self.steps.get(record.seq)
        if step is None:
            # Without a schedule its other half was lost and counted, or it was read before.
            self.lost["state_full"] += record.seq in self._given_up
            return []
        self.steps.end(record.seq)
        record = checked_result(step.scheduled, record, self.breaches)
        for index, tokens in zip(step.scheduled.request_index, record.emitted, strict=False):
            request = self.requests.get(index)
            if request is not None and tokens:
                emitted(request, tokens, record.result_ns)
                self.requests.touch(index)
        self._reject(step.scheduled, record.accepted)
        return [self._step(step, record, "done")]

    def _reject(self, scheduled: StepScheduled, accepted: Sequence[int]) -> None:
        parts = zip(scheduled.request_index, scheduled.drafts, accepted, strict=False)
        for index, drafts, taken in parts:
            request = self.requests.get(index)
            if request is not None and taken < drafts:
                rejected(request, drafts - taken)
                self.requests.touch(index)

    def _step(self, step: OpenStep, done: StepDone | None, status: StepStatus) -> JoinedStep:
        scheduled_ns = step.scheduled.schedule_ns
        return JoinedStep(
            producer=self.producer,
            anchor=step.anchor,
            status=status,
            scheduled=step.scheduled,
            done=done,
            ended_ns=done.result_ns if done else max(scheduled_ns, self.state.last_ns),
            trace=step.trace,
            links=step.links,
            links_dropped=step.links_dropped,
        )

    def _kernels(self, record: StepKernels) -> list[Joined]:
        ids = step_ids(self.producer.instance_id, record.seq, self.limits.step_span_ratio)
        step = self.steps.get(record.seq)
        anchor = step.anchor if step else self.anchor
        joined = JoinedKernels(self.producer, anchor, record, ids, incomplete=self._damaged)
        over = self._kernel_totals.give_before(anchor.wall(record.base_ns))
        return [joined, *over, *self._kernel_totals.add(record, anchor)]


def _unknown_arrival(request: OpenRequest, finished: RequestFinished) -> RequestArrived:
    """Stands for an arrival that was lost: the earliest stamp known, and nothing made up."""
    known = (finished.queued_ns, finished.scheduled_ns, request.scheduled_ns, finished.finished_ns)
    return RequestArrived(
        index=request.index,
        request_id="",
        api_request_id="",
        operation="",
        model="",
        arrival_ns=min(stamp for stamp in known if stamp is not None),
        prompt_tokens=0,
    )
