"""Joins an engine's records into requests, steps and kernels."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.arrays import ints
from otel_llm.agent.hygiene import checked_result, ordered
from otel_llm.agent.identity import identify, rooted
from otel_llm.agent.join import Join, JoinState, Limits
from otel_llm.agent.kernel_totals import OpenKernelTotals
from otel_llm.agent.open_facts import Kept, Key, OpenFacts, OpenRequest, OpenStep, Recent
from otel_llm.agent.open_requests import OpenRequests
from otel_llm.agent.progress import (
    MAX_RESUMPTIONS,
    emitted,
    included,
    members,
    rejected,
    told_by_steps,
    unfinished,
    without_result,
)
from otel_llm.agent.seats import NOWHERE, UNSEEN, Progress
from otel_llm.clock import Anchor
from otel_llm.energy.rounding import Ints
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
from otel_llm.facts.step import Numbers
from otel_llm.journal.records import Record
from otel_llm.spans.ids import span_id
from otel_llm.spans.step import step_ids

MAX_OPEN_STEPS = 64
"""Steps in flight at once. A step still open behind so many later ones has lost its result."""


class _Found(NamedTuple):
    """Seats of a batch, as long as no other request has left its own."""

    numbers: Numbers
    left: int
    seats: Ints


class EngineJoin(Join):
    """Joins one engine's journal."""

    handled = frozenset(
        {Anchor, RequestArrived, RequestFinished, StepScheduled, StepDone, StepKernels}
    )

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        super().__init__(producer, limits, fallback)
        self.requests = OpenRequests(limits.max_open_requests)
        self.steps = OpenFacts("step", OpenStep, MAX_OPEN_STEPS)
        self._found = _Found((), 0, NOWHERE)
        self._given_up = Recent("step.given_up")
        self._kernel_totals = OpenKernelTotals(producer)
        self._handlers: dict[type[msgspec.Struct], Callable[[Any], list[Joined]]] = {
            RequestArrived: self._arrived,
            RequestFinished: self._finished,
            StepScheduled: self._scheduled,
            StepDone: self._done,
            StepKernels: self._kernels,
        }

    def restore(self, state: JoinState, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """As `Join.restore`."""
        super().restore(state, saved)
        for step in self.steps:
            step.scheduled = step.scheduled.packed()

    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        return (self.requests, self.steps, self._given_up, self._kernel_totals)

    def _take(self, record: Record) -> list[Joined]:
        if isinstance(record, StepScheduled):
            with suppress(OverflowError):  # the rules mend such numbers
                record = record.packed()
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
            self._without_result(step.scheduled)
        requests = [self._died(request) for request in list(self.requests)]
        totals = self._kernel_totals.give_all()
        return [*(self._step(step, None, "in_flight") for step in steps), *requests, *totals]

    def _without_result(self, step: StepScheduled) -> None:
        for position, index in enumerate(step.request_index):
            request = self.requests.get(index)
            if request is not None and request.arrived is not None:
                # Without an arrival nobody knows where its prompt ends.
                seats, prompt_tokens = self.requests.seats, request.arrived.prompt_tokens
                without_result(seats, step, position, seats.take(index), prompt_tokens)

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
        table, seats = self.requests.seats, self._seated(record)
        for place in included(table, members(record, seats), record.schedule_ns):
            self._resumed(record, place)
        oldest = self.steps.put(record.seq, self._open_step(record))
        if oldest is None:
            return []
        self.steps.end(oldest.scheduled.seq)
        self._given_up.add(oldest.scheduled.seq)
        return [self._step(oldest, None, "unknown")]

    def _seated(self, record: StepScheduled) -> Ints:
        """Seats of a batch's members; -1 for those that have ended."""
        index = ints(record.request_index)
        seats = self.requests.seats.find(index)
        given_up = self.lost["state_full"]
        for place in (seats < 0).nonzero()[0].tolist():
            number = int(index[place])
            if not self.requests.has_ended(number):
                self._open_request(number)
                seats[place] = self.requests.seats.take(number)
        if self.lost["state_full"] != given_up:
            seats = self.requests.seats.find(index)  # some may be of those that made room
        self._found = _Found(record.request_index, self.requests.seats.left, seats)
        return seats

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
        record = checked_result(step.scheduled, record, self.breaches).packed()
        if record.emitted or record.accepted:
            self._progress(step.scheduled, record)
        return [self._step(step, record, "done")]

    def _progress(self, step: StepScheduled, done: StepDone) -> None:
        table = self.requests.seats
        seats = self._still_seated(step.request_index)
        if done.emitted:
            emitted(table, *_counted(seats, ints(done.emitted)), done.result_ns)
        if done.accepted:
            rejected(table, *_counted(seats, ints(step.drafts) - ints(done.accepted)))

    def _still_seated(self, numbers: Numbers) -> Ints:
        """Seats of those that are open; -1 for others."""
        if numbers is self._found.numbers and self.requests.seats.left == self._found.left:
            return self._found.seats
        index = ints(numbers)
        seats = self.requests.seats.find(index)
        for place in (seats < 0).nonzero()[0].tolist():
            number = int(index[place])
            if self.requests.get(number) is not None:  # given up, and heard of again
                seats[place] = self.requests.seats.take(number)
        return seats

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


def _counted(seats: Ints, tokens: Ints) -> tuple[Ints, Ints]:
    """Seats of those that are open and have tokens, and how many."""
    some = (tokens > 0) & (seats >= 0)
    if np.count_nonzero(some) == len(seats):
        return seats, tokens
    return seats[some], tokens[some]


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
