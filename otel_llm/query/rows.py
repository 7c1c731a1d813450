"""What the statements of `sql/` return: one struct per kind of row.

Times are wall nanoseconds (`EpochNs`); a time that did not come to pass is None.
"""

import msgspec

from otel_llm.clock import EpochNs


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One API call at the gateway. Fields are columns of `llm_gateway_calls`."""

    instance_id: str
    service: str
    host: str
    call_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    tenant: str
    tier: str
    arrival_ns: EpochNs
    first_content_ns: EpochNs | None
    last_content_ns: EpochNs | None
    finished_ns: EpochNs
    method: str
    route: str
    operation: str
    model: str
    outcome: str
    status_code: int | None
    error_class: str
    stream: bool
    samples: int | None
    chunks: int
    inter_chunk_us: list[int]
    prompt_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    attempts: int
    response_id: str
    request_bytes: int
    response_bytes: int
    clock_error_ns: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a call at an upstream. Fields are columns of `llm_attempts`."""

    call_id: str
    trace_id: str
    span_id: str
    attempt: int
    upstream: str
    started_ns: EpochNs
    first_byte_ns: EpochNs | None
    finished_ns: EpochNs
    outcome: str
    status_code: int | None
    error_class: str
    breaker: str
    backoff_ns: int


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One engine request. Fields are columns of `llm_requests`."""

    instance_id: str
    service: str
    host: str
    engine: str
    engine_version: str
    model: str
    dp_rank: int
    request_index: int
    request_id: str
    api_request_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    tenant: str
    tier: str
    attempt: int
    operation: str
    arrival_ns: EpochNs
    queued_ns: EpochNs | None
    scheduled_ns: EpochNs | None
    first_token_ns: EpochNs | None
    first_output_ns: EpochNs | None
    last_token_ns: EpochNs | None
    finished_ns: EpochNs
    outcome: str
    finish_reason: str
    error_type: str
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    recomputed_tokens: int
    rejected_tokens: int
    discarded_tokens: int
    unscheduled_tokens: int
    delivered_tokens: int | None
    max_tokens: int | None
    preemptions: int
    sample_index: int
    sample_count: int
    lora: str
    incomplete: bool
    clock_error_ns: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One engine step, seen by some of its members ("own").

    Attributes:
        batch_size: members of the batch, own ones included.
        own_index, own_phase, own_tokens: shape (own members,); as in `llm_steps`.
        own_drafts, own_accepted: shape (own members,), or empty where the step tells nothing.
    """

    seq: int
    status: str
    scheduled_ns: EpochNs
    result_ns: EpochNs | None
    execute_ns: int | None
    cudagraph_mode: str
    running: int
    waiting: int
    kv_used: int
    kv_total: int
    prefill_tokens: int
    decode_tokens: int
    batch_size: int
    own_index: list[int]
    own_phase: list[int]
    own_tokens: list[int]
    own_drafts: list[int]
    own_accepted: list[int]

    @property
    def duration_ns(self) -> int | None:
        """From scheduling to the result, in nanoseconds; None without a result."""
        return None if self.result_ns is None else self.result_ns - self.scheduled_ns


class KernelTime(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of one kernel in a set of steps.

    Attributes:
        launches: how often it ran.
        total_ns: sum of its durations, over all members of the batches, in nanoseconds.
        longest_ns: longest of them, in nanoseconds.
    """

    source: str
    device: str
    name: str
    launches: int
    total_ns: int
    longest_ns: int


class ClassTime(msgspec.Struct, frozen=True, kw_only=True):
    """All kernels of one class in a set of steps.

    Attributes:
        kind: the class.
        launches: how many.
        total_ns: sum of their durations, over all members of the batches, in nanoseconds.
    """

    source: str
    kind: str
    launches: int
    total_ns: int


class Joules(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was charged, over all amounts and devices.

    Attributes:
        energy_j, prefill_j, decode_j: in joules.
        error_j: bound of the error of `energy_j`.
        methods, sharings, sources: how it was metered and shared, and who read the devices.
        scope: `local` if devices of other nodes are missing, else `all`.
        devices: how many it was charged on.
        incomplete: facts about a part of it were lost.
    """

    instance_id: str
    request_index: int
    energy_j: float
    prefill_j: float
    decode_j: float
    error_j: float
    methods: list[str]
    sharings: list[str]
    sources: list[str]
    scope: str
    devices: int
    incomplete: bool


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """An engine or gateway that went without closing its journal."""

    instance_id: str
    time_ns: EpochNs
    steps_in_flight: list[int]


class NativeSpan(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's own span of a request, beside ours.

    Attributes:
        trace_id, parent_span_id: where it stands.
        request_id: the id it names.
    """

    trace_id: str
    parent_span_id: str
    request_id: str


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A call or an engine request, by the keys that lead to the rest of it.

    Attributes:
        kind: `call` or `request`.
        field: which of its ids was asked for; empty if none was.
        value: that id in full.
        time_ns: its arrival.
        call_id: of a call; empty for a request.
        instance_id, request_index, api_request_id: of a request; empty and 0 for a call.
    """

    kind: str
    field: str
    value: str
    time_ns: EpochNs
    call_id: str
    trace_id: str
    instance_id: str
    request_index: int
    api_request_id: str
