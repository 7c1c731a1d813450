"""The gateway's facts: one per API call, one per try at an upstream.

All stamps are monotonic nanoseconds of the gateway's host.
"""

from typing import Literal

import msgspec

from otel_llm.clock import MonotonicNs

CallOutcome = Literal["finished", "cancelled", "failed", "shed"]
AttemptOutcome = Literal["finished", "cancelled", "failed"]


class GatewayCallStarted(msgspec.Struct, frozen=True, array_like=True):
    """A call was received. Names what is in flight if the gateway dies.

    Attributes:
        call_id: 32 hex digits, random per call.
        trace_id: 32 hex digits.
        span_id: 16 hex digits; the gateway's server span.
        arrival_ns: the gateway received the call.
        route: the route's template, for example `/v1/chat/completions`.
        tenant: tenant tag by the gateway's rule, never a raw key.
    """

    call_id: str
    trace_id: str
    span_id: str
    arrival_ns: MonotonicNs
    route: str
    tenant: str


class GatewayCall(msgspec.Struct, frozen=True, array_like=True):
    """One API call at the gateway, written once, when it ended.

    Attributes:
        call_id, trace_id, span_id: as in `GatewayCallStarted`.
        parent_span_id: the caller's span; None at a trace's root.
        arrival_ns: the gateway received the call; TTFT_caller starts here.
        finished_ns: the last byte was sent, or the call was given up.
        method: HTTP method.
        route: the route's template.
        operation: `gen_ai.operation.name`; empty where the route has none.
        model: model asked for; None if the body named none.
        tenant: tenant tag.
        tier: tenant's tier; empty if none.
        outcome: `shed` was refused by the gateway itself, without an attempt that served it.
        status_code: HTTP status sent; None if no response began.
        error_class: short class of what went wrong, for example `upstream_connect`, `timeout`,
            `client_disconnect`, `breaker_open`; None if nothing did.
        stream: the caller asked for a stream.
        samples: the call's `n`; None if it named none.
        first_content_ns: the first content chunk was sent; TTFT_caller ends here.
        last_content_ns: the last content chunk was sent.
        chunks: content chunks sent. Chunks are not tokens.
        inter_chunk_us: times between successive content chunks, in microseconds; the first
            `MAX_INTER_CHUNKS` of them.
        prompt_tokens, cached_tokens, output_tokens: from the response's `usage`; None without one.
        attempts: tries at an upstream.
        response_id: the API's id of the response; None if there was none.
        request_bytes, response_bytes: sizes of the bodies.
    """

    call_id: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    arrival_ns: MonotonicNs
    finished_ns: MonotonicNs
    method: str
    route: str
    operation: str
    model: str | None
    tenant: str
    tier: str
    outcome: CallOutcome
    status_code: int | None
    error_class: str | None = None
    stream: bool = False
    samples: int | None = None
    first_content_ns: MonotonicNs | None = None
    last_content_ns: MonotonicNs | None = None
    chunks: int = 0
    inter_chunk_us: list[int] = []
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    attempts: int = 0
    response_id: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One try of a call at an upstream, written once, when it ended.

    Attributes:
        call_id, trace_id: the call's.
        span_id: 16 hex digits; the client span whose context the upstream received, so the parent
            of the engine's request spans.
        attempt: number of the try within its call, from 1.
        upstream: the upstream's name.
        started_ns: the try began.
        finished_ns: its response ended, or it was given up.
        outcome: how it ended.
        status_code: the upstream's HTTP status; None if it sent none.
        first_byte_ns: the first byte of the response's body arrived.
        error_class: as in `GatewayCall`.
        breaker: state of the upstream's circuit breaker when the try began: `closed` or
            `half_open`.
        backoff_ns: wait before this try, in nanoseconds.
    """

    call_id: str
    trace_id: str
    span_id: str
    attempt: int
    upstream: str
    started_ns: MonotonicNs
    finished_ns: MonotonicNs
    outcome: AttemptOutcome
    status_code: int | None = None
    first_byte_ns: MonotonicNs | None = None
    error_class: str | None = None
    breaker: str = "closed"
    backoff_ns: int = 0


MAX_INTER_CHUNKS = 4096
"""Most inter-chunk times kept per call."""
