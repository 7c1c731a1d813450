"""What a reader should know before trusting a journey's numbers."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from otel_llm.conventions import SpanName
from otel_llm.query.ownership import attempt_of
from otel_llm.query.rows import Attempt, Call, NativeSpan, Request

if TYPE_CHECKING:
    from otel_llm.query.journey import EngineWork


def notes(
    call: Call | None,
    attempts: Sequence[Attempt],
    requests: Sequence[Request],
    engines: Sequence["EngineWork"],
    native_spans: Sequence[NativeSpan] = (),
) -> list[str]:
    """All that is missing or doubtful, or might be taken for something else; one sentence each."""
    return [
        *_missing_sides(call, attempts, requests),
        *_incomplete(requests),
        *_clocks(call, attempts, requests),
        *_missing_steps(requests, engines),
        *_native(requests, native_spans),
    ]


def _missing_sides(
    call: Call | None, attempts: Sequence[Attempt], requests: Sequence[Request]
) -> Iterator[str]:
    if call is None:
        yield "No gateway has recorded this call: it went to the engine directly, or is not over."
    elif not requests and any(attempt.outcome != "failed" for attempt in attempts):
        yield "No engine has recorded this call: the upstream has no hooks, or its facts are late."


def _incomplete(requests: Sequence[Request]) -> Iterator[str]:
    for request in requests:
        if request.incomplete:
            yield f"Facts about request {request.request_id} were lost: its numbers are partial."


def _clocks(
    call: Call | None, attempts: Sequence[Attempt], requests: Sequence[Request]
) -> Iterator[str]:
    """A request cannot arrive before its attempt began, past what the clocks' errors allow."""
    for request in requests:
        attempt = attempt_of(request, attempts)
        if call is None or attempt is None:
            continue
        early = attempt.started_ns - request.arrival_ns
        if early > call.clock_error_ns + request.clock_error_ns:
            yield (
                f"The clocks of {call.host} and {request.host} disagree by at least "
                f"{early / 1e6:.3g} ms: times across them are off by as much."
            )


def _missing_steps(requests: Sequence[Request], engines: Sequence["EngineWork"]) -> Iterator[str]:
    seen = {
        (engine.instance_id, index)
        for engine in engines
        for step in engine.steps
        for index in step.own_index
    }
    for request in requests:
        if request.scheduled_ns and (request.instance_id, request.request_index) not in seen:
            yield f"No steps of request {request.request_id} are stored: lost, late or expired."


def _native(requests: Sequence[Request], native_spans: Sequence[NativeSpan]) -> Iterator[str]:
    """An engine's own span of one of these requests is the same request seen by another eye."""
    parents = {(one.trace_id, one.parent_span_id) for one in requests if one.parent_span_id}
    ids = {one.api_request_id for one in requests} - {""}
    same = sum(
        (span.trace_id, span.parent_span_id) in parents or span.request_id in ids
        for span in native_spans
    )
    if same:
        spans, verb = ("span", "is") if same == 1 else (f"{same} spans", "are")
        yield (
            f"vLLM's own {spans} of this call ({SpanName.VLLM_REQUEST}) "
            f"{verb} stored too: the same work seen twice, counted once."
        )
