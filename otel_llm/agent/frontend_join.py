"""Reads an API server's journal: its half of each request, written once, at the request's end."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.agent.identity import identify, rooted
from otel_llm.agent.join import Handler, Join, Limits
from otel_llm.agent.open_facts import OpenFacts, Recent
from otel_llm.clock import Anchor
from otel_llm.facts import Producer, RequestDelivered
from otel_llm.facts.joined import Joined, JoinedDelivery
from otel_llm.spans.ids import span_id


class FrontendJoin(Join):
    """Numbers the halves in one API server's journal."""

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        super().__init__(producer, limits, fallback)
        self._delivered = Recent("delivered")

    def _memory(self) -> Sequence[OpenFacts[Any] | Recent]:
        return (self._delivered,)

    def _mark_open(self) -> None:
        """A half is written whole: a loss takes it or leaves it."""

    def _in_flight(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return (), ()

    def _end_open(self) -> list[Joined]:
        return []

    def _handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        return {RequestDelivered: self._delivery}

    def _delivery(self, record: RequestDelivered) -> list[Joined]:
        # The whole record, not its id: an id may serve again, and two may even end in one instant.
        key = hashlib.sha256(msgspec.msgpack.encode(record)).hexdigest()
        if key in self._delivered:
            return []
        self._delivered.add(key)
        self.state.numbered += 1
        index, instance_id = self.state.numbered, self.producer.instance_id
        own = span_id(instance_id, "request", index)
        name = record.api_request_id or record.request_id
        # The core's half carries the same headers; there they are counted.
        trace, tenant = identify(
            record, rooted(instance_id, name, own, self.limits.trace_ratio), Counter()
        )
        return [JoinedDelivery(self.producer, self.anchor, index, record, trace, tenant)]
