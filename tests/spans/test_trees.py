"""Span trees, compared whole as they go over the wire."""

from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm import __version__
from otel_llm.context import TenantTag
from otel_llm.facts.joined import (
    Joined,
    JoinedCall,
    JoinedKernels,
    JoinedRequest,
    JoinedStep,
    Resumption,
    SpanIds,
)
from otel_llm.spans.ids import span_id
from otel_llm.spans.otlp import encode, spans_of
from otel_llm.spans.step import step_ids
from tests.agent.builders import (
    ATTEMPT_SPAN_ID,
    ENGINE,
    ENGINE_ID,
    FRONTEND,
    GATEWAY,
    TRACE_ID,
    anchor,
    arrived,
    at,
    call,
    done,
    finished,
    kernels,
    scheduled,
    wall,
)

REQUEST_SPAN_ID = span_id(ENGINE_ID, "request", 1)
IDS = SpanIds(TRACE_ID, REQUEST_SPAN_ID, ATTEMPT_SPAN_ID)
REQUEST = JoinedRequest(
    ENGINE, anchor(), "finished", arrived(), finished(), IDS, TenantTag("acme", "gold", 2)
)
STEP_IDS = step_ids(ENGINE_ID, 1, 1.0)
assert STEP_IDS is not None
STEP = JoinedStep(
    ENGINE,
    anchor(),
    "done",
    scheduled(1, 3, (1, 2)),
    done(1, 8, (1, 0)),
    at(8),
    STEP_IDS,
    (IDS,),
    3,
)
REQUEST_ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "reference",
    "gen_ai.request.model": "tiny",
    "gen_ai.request.max_tokens": 17,
    "gen_ai.response.id": "api-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 11,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "otel_llm.tenant": "acme",
    "otel_llm.tier": "gold",
    "otel_llm.attempt": 2,
    "otel_llm.instance.id": ENGINE_ID,
    "otel_llm.dp_rank": 3,
    "otel_llm.request.id": "req-1",
    "otel_llm.request.index": 1,
    "otel_llm.sample.index": 0,
    "otel_llm.clock.error_ns": 41,
    "otel_llm.outcome": "finished",
    "otel_llm.preemptions": 0,
    "otel_llm.recomputed_tokens": 0,
    "otel_llm.rejected_tokens": 0,
    "otel_llm.discarded_tokens": 0,
    "otel_llm.unscheduled_tokens": 0,
    "otel_llm.queue.time_s": 0.002,
    "otel_llm.ttft_engine_s": 0.009,
}
STEP_ATTRIBUTES = {
    "otel_llm.instance.id": ENGINE_ID,
    "otel_llm.dp_rank": 3,
    "otel_llm.step.seq": 1,
    "otel_llm.step.batch_size": 2,
    "otel_llm.step.prefill_tokens": 7,
    "otel_llm.step.decode_tokens": 1,
    "otel_llm.step.running": 6,
    "otel_llm.step.waiting": 2,
    "otel_llm.step.links_dropped": 3,
    "otel_llm.clock.error_ns": 41,
}
KERNEL_ATTRIBUTES = {
    "otel_llm.step.seq": 1,
    "otel_llm.kernel.source": "cpu",
    "otel_llm.kernel.device": "cpu:0",
}


def _attributes(carrier: Any) -> dict[str, Any]:  # noqa: ANN401  protobuf is untyped
    return {pair.key: _value(pair.value) for pair in carrier.attributes}


def _value(value: Any) -> Any:  # noqa: ANN401
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


def sent(*facts: Joined) -> ExportTraceServiceRequest:
    """The request that the facts' spans make."""
    request = ExportTraceServiceRequest()
    request.ParseFromString(encode([span for fact in facts for span in spans_of(fact)]))
    return request


def tree(*facts: Joined) -> list[dict[str, Any]]:
    """The spans as plain values."""
    return [
        {
            "name": span.name,
            "kind": span.kind,
            "trace": span.trace_id.hex(),
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "attributes": _attributes(span),
            "events": [
                (event.name, event.time_unix_nano, _attributes(event)) for event in span.events
            ],
            "links": [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            "status": (span.status.code, span.status.message),
        }
        for resource in sent(*facts).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


SERVER, INTERNAL = 2, 1
UNSET, ERROR = (0, ""), 2
PLAIN: dict[str, Any] = {"attributes": {}, "events": [], "links": [], "status": UNSET}


def request_span(**changes: object) -> dict[str, Any]:
    """The request's span."""
    return {
        **PLAIN,
        "name": "llm.request",
        "kind": SERVER,
        "trace": TRACE_ID,
        "id": REQUEST_SPAN_ID,
        "parent": ATTEMPT_SPAN_ID,
        "start": wall(0),
        "end": wall(31),
        "attributes": REQUEST_ATTRIBUTES,
        **changes,
    }


def phase_span(name: str, start: float, end: float) -> dict[str, Any]:
    """A phase of the request."""
    return {
        **PLAIN,
        "name": name,
        "kind": INTERNAL,
        "trace": TRACE_ID,
        "id": span_id(ENGINE_ID, "request", 1, name),
        "parent": REQUEST_SPAN_ID,
        "start": wall(start),
        "end": wall(end),
    }


def test_a_finished_request() -> None:
    """Request, queue, prefill and decode; each phase ends where the next begins."""
    assert tree(REQUEST) == [
        request_span(),
        phase_span("llm.queue", 1, 3),
        phase_span("llm.prefill", 3, 8),
        phase_span("llm.decode", 8, 28),
    ]


def test_an_api_server_of_its_own() -> None:
    """Then intake and delivery are spans too; all parts together are the request's time."""
    fact = msgspec.structs.replace(REQUEST, delivered_tokens=3)
    parts = phases(fact)
    assert parts == [
        ("llm.intake", wall(0), wall(1)),
        ("llm.queue", wall(1), wall(3)),
        ("llm.prefill", wall(3), wall(8)),
        ("llm.decode", wall(8), wall(28)),
        ("llm.delivery", wall(28), wall(31)),
    ]
    assert tree(fact)[0]["attributes"] == {**REQUEST_ATTRIBUTES, "otel_llm.delivered_tokens": 3}
    gone = msgspec.structs.replace(changed(), delivered_tokens=3)
    assert [name for name, _, _ in phases(gone)] == [name for name, _, _ in parts[:4]]
    unqueued = msgspec.structs.replace(fact, finished=finished(queued_ns=None))
    assert [name for name, _, _ in phases(unqueued)] == [name for name, _, _ in parts[1:]]


def test_the_half_of_an_api_server_alone() -> None:
    """What happened in the core nobody told: no phase is made up."""
    alone = msgspec.structs.replace(REQUEST, producer=FRONTEND, delivered_tokens=3)
    assert phases(alone) == []


def test_a_request_with_an_adapter_and_speculation() -> None:
    """Its adapter and every term of its account stand on its span."""
    end = finished(rejected_tokens=6, discarded_tokens=7, unscheduled_tokens=8)
    fact = msgspec.structs.replace(REQUEST, arrived=arrived(lora="french"), finished=end)
    assert tree(fact)[0]["attributes"] == {
        **REQUEST_ATTRIBUTES,
        "otel_llm.lora": "french",
        "otel_llm.rejected_tokens": 6,
        "otel_llm.discarded_tokens": 7,
        "otel_llm.unscheduled_tokens": 8,
    }


def test_resource_and_scope() -> None:
    """Spans come from the engine's process and this package."""
    [resource] = sent(REQUEST, STEP).resource_spans
    assert _attributes(resource.resource) == {
        "service.name": "chat-prod",
        "service.instance.id": ENGINE_ID,
        "host.name": "node-7",
    }
    [scope] = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("otel_llm", __version__)


def changed(**changes: object) -> JoinedRequest:
    """The request with another end."""
    outcome = changes.pop("joined_outcome", "cancelled")
    end = finished(outcome="cancelled", finish_reason="abort")
    return msgspec.structs.replace(
        REQUEST, outcome=outcome, finished=msgspec.structs.replace(end, **changes)
    )


def phases(fact: JoinedRequest) -> list[tuple[str, int, int]]:
    """Names and times of the request's phases."""
    return [(span["name"], span["start"], span["end"]) for span in tree(fact)[1:]]


def test_cancelled_in_each_phase() -> None:
    """The phase that a request was in when it ended ends with it; later ones are not there."""
    in_decode = changed()
    in_prefill = changed(first_token_ns=None, first_output_ns=None, last_token_ns=None)
    in_queue = msgspec.structs.replace(
        in_prefill, finished=msgspec.structs.replace(in_prefill.finished, scheduled_ns=None)
    )
    queue, prefill = ("llm.queue", wall(1), wall(3)), ("llm.prefill", wall(3), wall(8))
    assert phases(in_decode) == [queue, prefill, ("llm.decode", wall(8), wall(31))]
    assert phases(in_prefill) == [queue, ("llm.prefill", wall(3), wall(31))]
    assert phases(in_queue) == [("llm.queue", wall(1), wall(31))]
    assert all(span["status"] == UNSET for span in tree(in_decode))


def test_one_token() -> None:
    """A request of one token has a decode without length."""
    fact = msgspec.structs.replace(REQUEST, finished=finished(last_token_ns=at(8), output_tokens=1))
    assert phases(fact)[2] == ("llm.decode", wall(8), wall(8))


def test_a_failed_request() -> None:
    """Its status is an error, and its class stands in `error.type`."""
    span = tree(changed(joined_outcome="failed", error_type="oom"))[0]
    assert span["status"] == (ERROR, "oom")
    assert span["attributes"]["error.type"] == "oom"


def test_a_dead_engine() -> None:
    """A request whose engine died is an error, even if no class of it is known."""
    span = tree(changed(joined_outcome="engine_died"))[0]
    assert span["status"] == (ERROR, "engine_died")
    assert span["attributes"]["error.type"] == "engine_died"


def test_an_incomplete_request() -> None:
    """A request about which facts were lost says so."""
    span = tree(msgspec.structs.replace(REQUEST, incomplete=True))[0]
    assert span == request_span(attributes={**REQUEST_ATTRIBUTES, "otel_llm.incomplete": True})


def test_preemptions() -> None:
    """A step that took the request in again is an event."""
    fact = msgspec.structs.replace(REQUEST, resumed=(Resumption(7, at(12), 2),))
    event = ("llm.resumed", wall(12), {"otel_llm.step.seq": 7, "otel_llm.context_tokens": 2})
    assert tree(fact)[0] == request_span(events=[event])


def test_a_root() -> None:
    """Without a caller's context the request's span has no parent, and no gateway's tags."""
    fact = msgspec.structs.replace(
        REQUEST,
        trace=SpanIds("9" * 32, REQUEST_SPAN_ID),
        tenant=TenantTag(),
        arrived=arrived(max_tokens=None, sample_count=4, sample_index=3),
    )
    span = tree(fact)[0]
    gone = {"otel_llm.tier", "otel_llm.attempt", "gen_ai.request.max_tokens"}
    expected: dict[str, Any] = {k: v for k, v in REQUEST_ATTRIBUTES.items() if k not in gone}
    expected.update(
        {
            "otel_llm.tenant": "unknown",
            "gen_ai.request.choice.count": 4,
            "otel_llm.sample.index": 3,
        }
    )
    assert span == request_span(trace="9" * 32, parent="", attributes=expected)


def test_not_sampled() -> None:
    """A request that its caller did not sample, a step beyond the share, kernels under it."""
    hidden = msgspec.structs.replace(IDS, sampled=False)
    assert tree(msgspec.structs.replace(REQUEST, trace=hidden)) == []
    assert tree(msgspec.structs.replace(STEP, trace=None, links=())) == []
    assert tree(JoinedKernels(ENGINE, anchor(), kernels())) == []


def test_calls_get_no_span_here() -> None:
    """The gateway's own SDK makes its spans."""
    assert tree(JoinedCall(GATEWAY, anchor(), "finished", call())) == []


def test_a_step_and_its_kernels() -> None:
    """The step stands in a trace of its own, links to its requests, and holds its kernels."""
    assert STEP_IDS is not None
    step = {
        **PLAIN,
        "name": "llm.step",
        "kind": INTERNAL,
        "trace": STEP_IDS.trace_id,
        "id": STEP_IDS.span_id,
        "parent": "",
        "start": wall(3),
        "end": wall(8),
        "attributes": STEP_ATTRIBUTES,
        "links": [(TRACE_ID, REQUEST_SPAN_ID)],
    }
    base = at(3.5)
    launches = [("gemm", 0, 1_500), ("attention", 2_000, 2_500), ("gemm", 5_000, 700)]
    under = [
        {
            **PLAIN,
            "name": name,
            "kind": INTERNAL,
            "trace": STEP_IDS.trace_id,
            "id": span_id(STEP_IDS.span_id, "kernel", "cpu:0", base, number),
            "parent": STEP_IDS.span_id,
            "start": wall(3.5) + offset,
            "end": wall(3.5) + offset + duration,
            "attributes": KERNEL_ATTRIBUTES,
        }
        for number, (name, offset, duration) in enumerate(launches)
    ]
    assert tree(STEP, JoinedKernels(ENGINE, anchor(), kernels(), STEP_IDS)) == [step, *under]


def test_a_step_with_drafts() -> None:
    """Tokens proposed and accepted, and the mode of its CUDA graphs, where they were told."""
    result = msgspec.structs.replace(done(1, 8, (1, 0)), accepted=[2, 0], cudagraph_mode="FULL")
    fact = msgspec.structs.replace(
        STEP, scheduled=scheduled(1, 3, (1, 2), drafts=[3, 1]), done=result
    )
    assert tree(fact)[0]["attributes"] == {
        **STEP_ATTRIBUTES,
        "otel_llm.step.draft_tokens": 4,
        "otel_llm.step.accepted_tokens": 2,
        "otel_llm.step.cudagraph_mode": "FULL",
    }


def test_a_step_in_flight() -> None:
    """A step whose engine died is an error that ends with the last sign of life."""
    fact = msgspec.structs.replace(STEP, status="in_flight", done=None, ended_ns=at(77))
    [span] = tree(fact)
    assert (span["end"], span["status"]) == (wall(77), (ERROR, "engine_died"))
    assert span["attributes"] == {**STEP_ATTRIBUTES, "error.type": "engine_died"}


def test_same_fact_same_bytes() -> None:
    """Encoding is deterministic, so that an agent that starts again sends the same spans."""
    assert encode(spans_of(REQUEST)) == encode(spans_of(REQUEST))


def test_a_step_of_unknown_end() -> None:
    """A step whose result was lost did not fail: its engine lives, and no error is claimed."""
    [lost] = tree(msgspec.structs.replace(STEP, status="unknown", done=None))
    assert lost["status"] == UNSET
    assert "error.type" not in lost["attributes"]
