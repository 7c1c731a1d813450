"""A vLLM that traces and counts by itself: its own figures are the other side of ours."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

import pytest

from otel_llm.conventions import SpanName
from otel_llm.demo.client import Seen
from tests.stack.harness import store, wait_for
from tests.vllm.conftest import Serving, Tell
from tests.vllm.evidence import (
    Counters,
    Row,
    external_id,
    lost,
    our_counters,
    rows,
    settle,
    swallowed_errors,
    vllm_counters,
    wrong_accounts,
)
from tests.vllm.harness import Site
from tests.vllm.load import drive, mixed, short

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(420)]

CALLS, CANCELLED_CALLS, CANCELLED_SHARE = 500, 90, 0.4
MOST_ROUNDS = 6
# Few at once: the machine stalling a process once is a gap of every request that ends just then.
IN_FLIGHT = 8
# Memory for all calls at once, so that nothing is preempted or waits in the queue. A long prompt
# takes several steps, so that a client can leave in the midst of them.
MUCH_MEMORY = (
    *("--num-gpu-blocks-override", "1200"),
    *("--max-num-seqs", "48", "--max-num-batched-tokens", "256"),
)
GAP_LIMIT_S = 1e-3

_NATIVE = """
SELECT
    SpanAttributes['gen_ai.request.id'] AS external_id, TraceId AS trace_id,
    ParentSpanId AS parent_span_id,
    toFloat64(SpanAttributes['gen_ai.latency.e2e']) AS e2e_s,
    toFloat64(SpanAttributes['gen_ai.latency.time_in_queue']) AS queue_s,
    toFloat64(SpanAttributes['gen_ai.latency.time_in_model_prefill']) AS prefill_s,
    toFloat64(SpanAttributes['gen_ai.latency.time_in_model_decode']) AS decode_s
FROM otel_traces WHERE SpanName = 'llm_request' ORDER BY e2e_s
"""
PARTS = ("frontend", "queue", "prefill", "decode", "delivery")


class Run(NamedTuple):
    """A site, what its clients saw, its requests, and vLLM's own totals and spans."""

    site: Site
    seen: list[Seen]
    requests: list[Row]
    counted: Counters
    native: list[Row]


@pytest.fixture(scope="module")
def site(serving: Serving) -> Iterator[Site]:
    """A vLLM with its own tracing on."""
    with serving(MUCH_MEMORY, native_tracing=True) as serving_site:
        yield serving_site


@pytest.fixture(scope="module")
def uncancelled(site: Site) -> Run:
    """Short calls that nobody gives up, since the server started."""
    seen = drive(site, short(mixed(CALLS, 0.0)), IN_FLIGHT)
    requests = settle(site, seen)
    found = store(site.stack)
    wait_for(lambda: len(rows(found, _NATIVE)) >= len(requests), "vLLM's own spans")
    return Run(site, seen, requests, vllm_counters(site), rows(found, _NATIVE))


def test_our_totals_are_those_of_vllm(uncancelled: Run) -> None:
    """Prompt, cached and output tokens, and requests by reason: equal to the last one."""
    ours = our_counters(uncancelled.requests)
    assert ours == uncancelled.counted
    assert {one.ended for one in uncancelled.seen} == {"completed"}
    assert sum(one.characters for one in uncancelled.seen) <= ours.output
    assert ours.cached > 0
    assert sum(row["preemptions"] for row in uncancelled.requests) == 0
    assert wrong_accounts(uncancelled.requests) == []


def test_the_parts_of_a_request_add_up_to_the_time_vllm_tells(uncancelled: Run, tell: Tell) -> None:
    """Frontend + queue + prefill + decode + delivery is vLLM's own end-to-end time, within 1 ms.

    Held for 99 of 100 requests, with 8 calls in flight (`IN_FLIGHT`). Each larger gap is shown at
    the end of the run, with its parts.
    """
    told = defaultdict(list)
    for span in uncancelled.native:
        told[span["external_id"]].append(span)
    gaps = []
    # Samples of one call share an external id: they are paired in the order of their length.
    for row in sorted(uncancelled.requests, key=whole_s):
        span = told[external_id(row["request_id"])].pop(0)
        mine = parts_s(row)
        gap = sum(mine.values()) - span["e2e_s"]
        gaps.append(abs(gap))
        if abs(gap) > GAP_LIMIT_S:
            shown = " ".join(f"{name}={mine[name] * 1e3:.3f}" for name in PARTS)
            tell(f"{row['request_id']}: gap {gap * 1e3:+.3f} ms; ms: {shown}")
    gaps.sort()
    over = sum(gap > GAP_LIMIT_S for gap in gaps)
    tell(
        f"{IN_FLIGHT} calls in flight: {over} of {len(gaps)} requests with a gap to vLLM's time"
        f" over {GAP_LIMIT_S * 1e3:g} ms; the largest {gaps[-1] * 1e3:.3f} ms"
    )
    assert len(gaps) == len(uncancelled.requests) >= CALLS
    assert gaps[int(len(gaps) * 0.99)] <= GAP_LIMIT_S, [f"{g * 1e3:.3f} ms" for g in gaps[-12:]]


def test_the_core_s_part_is_what_vllm_tells_of_it(uncancelled: Run) -> None:
    """From the queue to the first token and on to the last: the median is within 1 ms of vLLM's.

    Both stamp the engine core, at places of their own: vLLM when it begins to schedule and when it
    has taken in a result, we when it has scheduled and when a result is in.
    """
    told = defaultdict(list)
    for span in uncancelled.native:
        told[span["external_id"]].append(span)
    gaps: dict[str, list[float]] = defaultdict(list)
    for row in uncancelled.requests:
        span, *others = told[external_id(row["request_id"])]
        if others:
            continue  # samples of one call, which vLLM's spans do not tell apart
        mine = parts_s(row)
        to_first = span["queue_s"] + span["prefill_s"]
        gaps["to the first token"].append(abs(mine["queue"] + mine["prefill"] - to_first))
        gaps["to the last token"].append(abs(mine["decode"] - span["decode_s"]))
    for what, found in gaps.items():
        assert len(found) >= CALLS / 2
        assert statistics.median(found) <= GAP_LIMIT_S, what


def test_native_spans_stand_under_the_attempt_and_count_for_nothing(uncancelled: Run) -> None:
    """The caller's context reaches both instruments; each request is counted once."""
    attempts = "SELECT trace_id, span_id FROM llm_attempts"
    known = {(r["trace_id"], r["span_id"]) for r in rows(store(uncancelled.site.stack), attempts)}
    for spans in (uncancelled.native, uncancelled.requests):
        assert {(each["trace_id"], each["parent_span_id"]) for each in spans} == known
    sequences = sum(one.call.samples for one in uncancelled.seen)
    traces = {one.trace_id for one in uncancelled.seen}
    of_calls = [row for row in uncancelled.requests if row["trace_id"] in traces]
    assert len(of_calls) == sequences
    assert len(uncancelled.native) == len(uncancelled.requests)
    ours = "SELECT count() AS spans FROM otel_traces WHERE SpanName = {name:String}"
    [row] = rows(store(uncancelled.site.stack), ours, name=SpanName.REQUEST)
    assert row["spans"] == len(uncancelled.requests)


def test_each_difference_is_a_cancelled_request(uncancelled: Run) -> None:
    """VLLM leaves out what its API server never handled; nothing else differs."""
    site = uncancelled.site
    for seed in range(2, 2 + MOST_ROUNDS):
        calls = mixed(CANCELLED_CALLS, CANCELLED_SHARE, seed, phases=("prefill", "decode"))
        requests = settle(site, drive(site, calls, IN_FLIGHT))
        cancelled = [row for row in requests if row["outcome"] == "cancelled"]
        explained = {row["request_id"]: not_counted(row) for row in cancelled}
        assert vllm_counters(site) == less(our_counters(requests), explained.values()), explained
        assert wrong_accounts(requests) == []
        assert len(cancelled) >= CANCELLED_CALLS * CANCELLED_SHARE
        # Whether a client's leaving meets an output on its way is up to the moment.
        first_outputs = {row["first_output_ns"] is None for row in cancelled}
        if first_outputs == {True, False} and any(each.output for each in explained.values()):
            return
    pytest.fail("no difference of some kind came about, which would prove little")


def less(ours: Counters, left_out: Collection[Counters]) -> Counters:
    """Totals without those of some requests."""
    ends = sum((Counter(each.by_reason) for each in left_out), Counter[str]())
    return Counters(
        prompt=ours.prompt - sum(each.prompt for each in left_out),
        cached=ours.cached - sum(each.cached for each in left_out),
        output=ours.output - sum(each.output for each in left_out),
        by_reason=dict(Counter(ours.by_reason) - ends),
    )


def test_no_fact_is_lost(uncancelled: Run) -> None:
    """The agent counts no lost fact, and no error of a hook was swallowed."""
    assert lost(uncancelled.site) == 0
    assert swallowed_errors(uncancelled.site) == 0


def not_counted(row: Row) -> Counters:
    """What vLLM's counters leave out of a cancelled request.

    It counts a prompt when its API server handles the request's first output, output tokens when
    that server handles them, and a request's end only if the engine ended it.
    """
    handled = row["first_output_ns"] is not None
    return Counters(
        prompt=0 if handled else row["prompt"],
        cached=0 if handled else row["cached"],
        output=row["output"] - row["delivered"],
        by_reason={row["finish_reason"]: 1},
    )


def whole_s(row: Row) -> float:
    """From arrival to end, in seconds."""
    return float(row["finished_ns"] - row["arrival_ns"]) / 1e9


def parts_s(row: Row) -> dict[str, float]:
    """The parts of a finished request, in seconds."""
    stamps = ("arrival", "queued", "scheduled", "first_token", "last_token", "finished")
    values = [row[f"{stamp}_ns"] for stamp in stamps]
    return {
        name: (end - start) / 1e9
        for name, start, end in zip(PARTS, values, values[1:], strict=False)
    }
