"""Joins an engine's records into requests, steps and kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.agent.hygiene import checked_result, ordered
from otel_llm.agent.identity import identify, rooted
from otel_llm.agent.join import Handler, Join, JoinState, Limits
from otel_llm.agent.kernel_totals import OpenKernelTotals
from otel_llm.agent.open_facts import Kept, Key, OpenFacts, OpenRequest, OpenStep, Recent
from otel_llm.agent.open_requests import OpenRequests
from otel_llm.agent.progress import MAX_RESUMPTIONS, told_by_steps, unfinished
from otel_llm.agent.seats import UNSEEN, Progress
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
    Resumption,
    SpanIds,
    StepStatus,
)
from otel_llm.spans.ids import span_id
from otel_llm.spans.step import step_ids

MAX_OPEN_STEPS = 64
"""Steps in flight at once. A step still open behind so many later ones has lost its result."""


class EngineJoin(Join):
    """Joins one engine's journal."""

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        super().__init__(producer, limits, fallback)
        self.requests = OpenRequests(limits.max_open_requests)
        self.steps = OpenFacts("step", OpenStep, MAX_OPEN_STEPS)
        self._given_up = Recent("step.given_up")
        self._kernel_totals = OpenKernelTotals(producer)

    def restore(self, state: JoinState, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `Join.restore`."""
        super().restore(state, saved)
        if self.requests.missing:
            self.lost["undecodable"] += self.requests.missing
            self.note_lost(0, self.requests.missing)
        for step in self.steps:
            step.scheduled = step.scheduled.packed()

    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        return (self.requests, self.steps, self._given_up, self._kernel_totals)

    def _handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        return {
            RequestArrived: self._arrived,
            RequestFinished: self._finished,
            StepScheduled: self._scheduled,
            StepDone: self._done,
            StepKernels: self._kernels,
        }

    def _anchored(self, anchor: Anchor) -> list[Joined]:
        """As `Join._anchored`. One comes each second, with kernels or without."""
        super()._anchored(anchor)
        return [*self._kernel_totals.give_before(anchor.wall_ns)]

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
            self._without_result(step.scheduled)
        requests = [self._died(request) for request in list(self.requests)]
        totals = self._kernel_totals.give_all()
        return [*(self._step(step, None, "in_flight") for step in steps), *requests, *totals]

    def _without_result(self, step: StepScheduled) -> None:
        for position, index in enumerate(step.request_index):
            request = self.requests.get(index)
            if request is not None and request.arrived is not None:
                # Without an arrival nobody knows where its prompt ends.
                self.requests.seats.take(index)
                prompt_tokens = request.arrived.prompt_tokens
                self.requests.seats.without_result(step, position, prompt_tokens)

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
        request = self.requests.get(record.index) or OpenRequest(record.index, self.anchor)
        told = request.arrived is not None and record.last_token_ns is not None
        progress = UNSEEN if told else self.requests.progress(record.index)
        self.requests.end(record.index)
        end = told_by_steps(progress, record)
        return [self._request(request, progress, end, record.outcome)]

    def _died(self, request: OpenRequest) -> JoinedRequest:
        progress = self.requests.progress(request.index)
        self.requests.end(request.index)
        prompt_tokens = request.arrived.prompt_tokens if request.arrived else 0
        end = unfinished(
            request.index, progress, prompt_tokens, len(request.resumed), self.state.last_ns
        )
        return self._request(request, progress, end, "engine_died")

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
        self,
        request: OpenRequest,
        progress: Progress,
        finished: RequestFinished,
        outcome: JoinedRequestOutcome,
    ) -> JoinedRequest:
        arrived = request.arrived or _unknown_arrival(request.index, progress, finished)
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
        record = record.packed()
        for number in self.requests.seats.unseen(record.request_index):
            if not self.requests.has_ended(number):
                self._open_request(number)
                self.requests.seats.take(number)
        for place in self.requests.seats.included(record):
            self._resumed(record, place)
        oldest = self.steps.put(record.seq, self._open_step(record))
        if oldest is None:
            return []
        self.steps.end(oldest.scheduled.seq)
        self._given_up.add(oldest.scheduled.seq)
        return [self._step(oldest, None, "unknown")]

    def _resumed(self, record: StepScheduled, position: int) -> None:
        request = self.requests.get(record.request_index[position])
        if request is not None and len(request.resumed) < MAX_RESUMPTIONS:
            context = record.context[position]
            resumption = Resumption(record.seq, record.schedule_ns, context)
            request.resumed = [*request.resumed, resumption]
            self.requests.touch(request.index)

    def _open_step(self, record: StepScheduled) -> OpenStep:
        ids = step_ids(self.producer.instance_id, record.seq, self.limits.step_span_ratio)
        if ids is None:
            return OpenStep(record, self.anchor)
        each = map(self.requests.get, record.request_index)
        links = [one.trace for one in each if one and one.trace and one.trace.sampled]
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
        if record.emitted or record.accepted:
            self._progress(step.scheduled, record)
        return [self._step(step, record, "done")]

    def _progress(self, step: StepScheduled, done: StepDone) -> None:
        for number in self.requests.seats.unseen(step.request_index):
            if self.requests.get(number) is not None:  # given up, and heard of again
                self.requests.seats.take(number)
        self.requests.seats.done(step, done)

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


def _unknown_arrival(index: int, progress: Progress, finished: RequestFinished) -> RequestArrived:
    """Stands for an arrival that was lost: the earliest stamp known, and nothing made up."""
    known = (
        finished.queued_ns,
        finished.scheduled_ns,
        progress.scheduled_ns,
        finished.finished_ns,
    )
    return RequestArrived(
        index=index,
        request_id="",
        api_request_id="",
        operation="",
        model="",
        arrival_ns=min(stamp for stamp in known if stamp is not None),
        prompt_tokens=0,
    )
