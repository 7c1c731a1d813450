"""Facts to batches for both sinks."""

import msgspec

from otel_llm.agent.batches import SPANS_PER_BATCH, make_batches, weight
from otel_llm.facts.joined import JoinedKernels, JoinedRequest, JoinedStep, SpanIds, by_kind
from otel_llm.testing import Swallowed
from tests.agent.builders import (
    ENGINE,
    TRACE_ID,
    anchor,
    arrived,
    at,
    finished,
    kernels,
    scheduled,
)

REQUEST = JoinedRequest(
    ENGINE, anchor(), "finished", arrived(), finished(), SpanIds(TRACE_ID, "1" * 16)
)
STRANGER = msgspec.structs.replace(
    REQUEST, producer=msgspec.structs.replace(ENGINE, boot_id="boot-0"), outcome="cancelled"
)


def test_rows_and_spans() -> None:
    """Rows go to ClickHouse by table, spans to OTLP; ends count where our clock counts."""
    [rows, spans], lost = make_batches([REQUEST, STRANGER], "boot-1")
    assert not lost
    assert (rows.sink, rows.target, rows.items) == ("clickhouse", "llm_requests", 2)
    assert (spans.sink, spans.target, spans.items) == ("otlp", "traces", 8)
    assert (rows.ended.boot_id, rows.ended.finished_ns) == ("boot-1", [at(31)])


def test_many_spans_are_split() -> None:
    """No body grows past what an endpoint takes."""
    batches, _ = make_batches([REQUEST] * (SPANS_PER_BATCH // 4 + 1), "boot-1")
    assert [batch.items for batch in batches if batch.sink == "otlp"] == [SPANS_PER_BATCH, 4]


def test_unsampled_facts_make_no_span_batch() -> None:
    """Nothing is sent where there is nothing to send."""
    hidden = msgspec.structs.replace(REQUEST, trace=SpanIds(TRACE_ID, "1" * 16, "", sampled=False))
    assert [batch.sink for batch in make_batches([hidden], "boot-1").batches] == ["clickhouse"]
    assert make_batches([], "boot-1") == ([], {})


def test_a_fact_of_which_nothing_can_be_made(swallowed: Swallowed) -> None:
    """Neither row nor span of it is sent, which is counted; the others' are."""
    bad = msgspec.structs.replace(REQUEST, arrived=arrived(max_tokens=1 << 40))
    worse = msgspec.structs.replace(REQUEST, trace=SpanIds("no hex", "1" * 16))
    (rows, spans), lost = make_batches([REQUEST, bad, worse, REQUEST], "boot-1")
    assert (rows.target, rows.items) == ("llm_requests", 3)
    assert spans.items == 12
    assert lost == {"llm_requests": 1, "spans": 1}
    assert {place for place, _ in swallowed} == {"rows.llm_requests", "batches.spans"}
    swallowed.clear()


def test_weight() -> None:
    """A step's kernels weigh as many rows as they are, a step by its members, all else one."""
    step = JoinedStep(
        ENGINE, anchor(), "unknown", scheduled(1, 3, tuple(range(1, 257))), None, at(8)
    )
    assert weight(by_kind([JoinedKernels(ENGINE, anchor(), kernels())])) == 4
    assert weight(by_kind([step])) == 9
    assert weight(by_kind([REQUEST])) == 1
