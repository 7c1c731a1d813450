"""Joins a gateway's records into calls and attempts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.agent.hygiene import with_mended_times
from otel_llm.agent.join import Handler, Join, Limits
from otel_llm.agent.open_facts import OpenCall, OpenFacts, Recent
from otel_llm.clock import Anchor
from otel_llm.facts import Attempt, GatewayCall, GatewayCallStarted, Producer
from otel_llm.facts.joined import Joined, JoinedAttempt, JoinedCall


class GatewayJoin(Join):
    """Joins one gateway's journal."""

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        super().__init__(producer, limits, fallback)
        self.calls = OpenFacts("call", OpenCall, limits.max_open_requests)
        self._attempts = Recent("attempt.ended")

    def _memory(self) -> Sequence[OpenFacts[Any] | Recent]:
        return (self.calls, self._attempts)

    def _mark_open(self) -> None:
        """Calls are written whole when they end: a loss takes them or leaves them."""

    def _in_flight(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return (), tuple(call.started.call_id for call in self.calls)

    def _end_open(self) -> list[Joined]:
        return [self._died(call) for call in self.calls.end_all()]

    def _handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        return {GatewayCallStarted: self._started, GatewayCall: self._call, Attempt: self._attempt}

    def _started(self, record: GatewayCallStarted) -> list[Joined]:
        if self.calls.has_ended(record.call_id) or self.calls.get(record.call_id):
            return []
        if self.calls.put(record.call_id, OpenCall(record, self.anchor)) is not None:
            self.lost["state_full"] += 1
        return []

    def _call(self, record: GatewayCall) -> list[Joined]:
        if self.calls.has_ended(record.call_id):
            return []
        started = self.calls.end(record.call_id)
        anchor = started.anchor if started else self.anchor
        call = _ordered(record, self.breaches)
        return [JoinedCall(self.producer, anchor, call.outcome, call)]

    def _attempt(self, record: Attempt) -> list[Joined]:
        key = f"{record.call_id} {record.span_id} {record.attempt}"
        if key in self._attempts:
            return []
        self._attempts.add(key)
        call = self.calls.get(record.call_id)
        if call is not None:
            call.attempts += 1
            self.calls.touch(record.call_id)
        anchor = call.anchor if call else self.anchor
        return [JoinedAttempt(self.producer, anchor, _ordered_attempt(record, self.breaches))]

    def _died(self, open_call: OpenCall) -> JoinedCall:
        started = open_call.started
        call = GatewayCall(
            call_id=started.call_id,
            trace_id=started.trace_id,
            span_id=started.span_id,
            parent_span_id=None,
            arrival_ns=started.arrival_ns,
            finished_ns=max(self.state.last_ns, started.arrival_ns),
            method="",
            route=started.route,
            operation="",
            model=None,
            tenant=started.tenant,
            tier="",
            outcome="failed",
            status_code=None,
            error_class="gateway_died",
            attempts=open_call.attempts,
        )
        return JoinedCall(self.producer, open_call.anchor, "gateway_died", call)


def _ordered(call: GatewayCall, breaches: Counter[str]) -> GatewayCall:
    """Take stamps that run backwards as absent; an end before the arrival is put there."""
    changes: dict[str, Any] = {}
    for stage in ("first_content_ns", "last_content_ns"):
        stamp = getattr(call, stage)
        if stamp is not None and stamp < call.arrival_ns:
            changes[stage] = None
    if call.finished_ns < call.arrival_ns:
        changes["finished_ns"] = call.arrival_ns
    return with_mended_times(call, changes, breaches)


def _ordered_attempt(attempt: Attempt, breaches: Counter[str]) -> Attempt:
    changes: dict[str, Any] = {}
    if attempt.first_byte_ns is not None and attempt.first_byte_ns < attempt.started_ns:
        changes["first_byte_ns"] = None
    if attempt.finished_ns < attempt.started_ns:
        changes["finished_ns"] = attempt.started_ns
    return with_mended_times(attempt, changes, breaches)
