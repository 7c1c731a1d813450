"""The join of an API server's journal."""

from otel_llm.agent.frontend_join import FrontendJoin
from otel_llm.agent.join import Limits
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts.joined import JoinedDelivery, ProducerEvent, SpanIds
from otel_llm.spans.ids import span_id, trace_id
from tests.agent.builders import (
    ATTEMPT_SPAN_ID,
    FRONTEND,
    FRONTEND_ID,
    TRACE_ID,
    anchor,
    arrived,
    at,
    delivered,
)

FALLBACK = Anchor(EpochNs(77), MonotonicNs(7), 5)


def make(**limits: float) -> FrontendJoin:
    """A fresh join."""
    return FrontendJoin(FRONTEND, Limits()._replace(**limits), FALLBACK)  # type: ignore[arg-type]


def test_halves_are_numbered() -> None:
    """Each record is one half, with ids, tenant and a number of its own."""
    first, second = [
        JoinedDelivery(
            FRONTEND, anchor(), index, delivered(index),
            SpanIds(TRACE_ID, span_id(FRONTEND_ID, "request", index), ATTEMPT_SPAN_ID),
            TenantTag("acme", "gold", 2),
        )
        for index in (1, 2)
    ]  # fmt: skip
    join = make()
    assert join.feed([anchor(), delivered(1)]) == [
        ProducerEvent(FRONTEND, anchor(), "started", at(0)),
        first,
    ]
    assert join.feed([delivered(2)]) == [second]


def test_a_record_that_comes_twice() -> None:
    """It is one half; the same id at another time is another."""
    join = make()
    join.feed([anchor()])
    again = delivered(1, finished_ns=at(900))
    found = join.feed([delivered(1), delivered(1), again])
    assert [half.index for half in found if isinstance(half, JoinedDelivery)] == [1, 2]


def test_two_that_end_in_one_instant() -> None:
    """One call of vLLM may end many: what differs in anything is another half, and is not lost."""
    join = make()
    _, *found = join.feed([anchor(), delivered(1), delivered(1, arrival_ns=at(-0.25))])
    assert [half.index for half in found if isinstance(half, JoinedDelivery)] == [1, 2]


def test_without_a_context() -> None:
    """Samples of one call share a trace, under the caller's rate."""
    join = make(trace_ratio=0.0)
    records = [delivered(n, traceparent=None, api_request_id="api-9") for n in (1, 2)]
    _, *found = join.feed([anchor(), *records])
    shared = trace_id(FRONTEND_ID, "request", "api-9")
    assert [half.trace for half in found if isinstance(half, JoinedDelivery)] == [
        SpanIds(shared, span_id(FRONTEND_ID, "request", n), "", sampled=False) for n in (1, 2)
    ]


def test_malformed_headers_count_where_the_core_read_them() -> None:
    """The same headers came to both; they are counted once."""
    join = make()
    join.feed([anchor(), delivered(1, traceparent="00-xyz", tracestate="otelllm=t:not a tag")])
    assert not join.breaches


def test_records_of_another_layer() -> None:
    """A core's record means nothing here."""
    join = make()
    join.feed([anchor(), arrived()])
    assert join.lost == {"undecodable": 1}


def test_its_end() -> None:
    """It leaves nothing open: what it had not written it cannot tell."""
    join = make()
    join.feed([anchor(), delivered(1)])
    assert join.end(clean_close=False) == [ProducerEvent(FRONTEND, anchor(), "died", at(33))]
