"""Every name, declared once: spans, attributes, metrics, tables.

Standard names where a convention exists (`gen_ai.*`, `http.*`); ours are `otel_llm.*`. The GenAI
conventions are unreleased and moving, so their names stand in this file alone. Dashboards and alert
rules import from here: renaming one breaks the build, not the on-call.
"""

from typing import Literal, NamedTuple

GENAI_DIALECT = "2026-08"
"""Which state of the unreleased GenAI conventions the `gen_ai.*` names below follow."""

TRACESTATE_KEY = "otelllm"
UNKNOWN_TENANT = "unknown"
OTHER_TENANT = "_other"
MAX_TENANTS = 200


class SpanName:
    """Names of the spans this package makes."""

    ATTEMPT = "llm.attempt"
    REQUEST = "llm.request"
    QUEUE = "llm.queue"
    PREFILL = "llm.prefill"
    DECODE = "llm.decode"
    INTAKE = "llm.intake"
    DELIVERY = "llm.delivery"
    STEP = "llm.step"

    VLLM_REQUEST = "llm_request"
    """vLLM's own span of a request, where its tracing is on. Recognised, and never counted."""


class Attr:
    """Keys of span attributes."""

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    REQUEST_MODEL = "gen_ai.request.model"
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
    CHOICE_COUNT = "gen_ai.request.choice.count"
    RESPONSE_ID = "gen_ai.response.id"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    VLLM_REQUEST_ID = "gen_ai.request.id"
    """On vLLM's own span: the id of the API call."""
    ERROR_TYPE = "error.type"
    HTTP_STATUS = "http.response.status_code"
    SERVER_ADDRESS = "server.address"

    CALL_ID = "otel_llm.call.id"
    ATTEMPT = "otel_llm.attempt"
    UPSTREAM = "otel_llm.upstream"
    BREAKER = "otel_llm.breaker"
    TENANT = "otel_llm.tenant"
    TIER = "otel_llm.tier"
    OUTCOME = "otel_llm.outcome"
    INSTANCE_ID = "otel_llm.instance.id"
    DP_RANK = "otel_llm.dp_rank"
    REQUEST_ID = "otel_llm.request.id"
    REQUEST_INDEX = "otel_llm.request.index"
    SAMPLE_INDEX = "otel_llm.sample.index"
    PREEMPTIONS = "otel_llm.preemptions"
    RECOMPUTED_TOKENS = "otel_llm.recomputed_tokens"
    REJECTED_TOKENS = "otel_llm.rejected_tokens"
    DISCARDED_TOKENS = "otel_llm.discarded_tokens"
    UNSCHEDULED_TOKENS = "otel_llm.unscheduled_tokens"
    DELIVERED_TOKENS = "otel_llm.delivered_tokens"
    LORA = "otel_llm.lora"
    QUEUE_TIME = "otel_llm.queue.time_s"
    TTFT_CALLER = "otel_llm.ttft_caller_s"
    TTFT_ENGINE = "otel_llm.ttft_engine_s"
    STEP_SEQ = "otel_llm.step.seq"
    STEP_PREFILL_TOKENS = "otel_llm.step.prefill_tokens"
    STEP_DECODE_TOKENS = "otel_llm.step.decode_tokens"
    STEP_BATCH_SIZE = "otel_llm.step.batch_size"
    STEP_RUNNING = "otel_llm.step.running"
    STEP_WAITING = "otel_llm.step.waiting"
    STEP_DRAFT_TOKENS = "otel_llm.step.draft_tokens"
    STEP_ACCEPTED_TOKENS = "otel_llm.step.accepted_tokens"
    STEP_CUDAGRAPH_MODE = "otel_llm.step.cudagraph_mode"
    STEP_LINKS_DROPPED = "otel_llm.step.links_dropped"
    KERNEL_SOURCE = "otel_llm.kernel.source"
    KERNEL_DEVICE = "otel_llm.kernel.device"
    CLOCK_ERROR = "otel_llm.clock.error_ns"
    INCOMPLETE = "otel_llm.incomplete"
    CONTEXT_TOKENS = "otel_llm.context_tokens"


class EventName:
    """Names of the events on spans this package makes."""

    RESUMED = "llm.resumed"


MetricKind = Literal["counter", "gauge", "histogram"]
Layer = Literal["gateway", "engine", "step", "agent", "store"]


class Metric(NamedTuple):
    """One metric of the Prometheus page.

    Attributes:
        name: Prometheus name, unit included; counters end in `_total`.
        kind: counter, gauge or histogram.
        layer: which page shows it and which part of the stack it speaks of.
        unit: UCUM unit.
        labels: label names. All are bounded in number of values.
        help: one sentence.
        buckets: upper bounds in the metric's unit; histograms only.
    """

    name: str
    kind: MetricKind
    layer: Layer
    unit: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


# Buckets of the GenAI conventions; ours add resolution where those have none.
_DURATION_S = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
_TTFT_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_PER_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_ITL_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0, 2.5)
_BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

_REQUEST = ("model", "tenant", "service_name")
# Attributes of the GenAI conventions, then ours.
_GENAI = (
    "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "tenant",
    "service_name",
)  # fmt: skip


class Metrics:
    """Every metric, as data. `exporters/prometheus` makes them; `docs/metrics.md` lists them."""

    # gateway
    CALLS = Metric(
        "otel_llm_gateway_calls_total", "counter", "gateway", "1",
        ("model", "tenant", "route", "outcome", "status_code"), "API calls, by how they ended.",
    )  # fmt: skip
    CALL_DURATION = Metric(
        "otel_llm_gateway_call_duration_seconds", "histogram", "gateway", "s", ("model", "tenant"),
        "From receiving a call to its last byte.", _DURATION_S,
    )  # fmt: skip
    TTFT_CALLER = Metric(
        "otel_llm_gateway_ttft_caller_seconds", "histogram", "gateway", "s", ("model", "tenant"),
        "From receiving a call to sending its first content chunk.", _TTFT_S,
    )  # fmt: skip
    INTER_CHUNK = Metric(
        "otel_llm_gateway_inter_chunk_seconds", "histogram", "gateway", "s", ("model", "tenant"),
        "Between successive content chunks as the caller saw them.", _ITL_S,
    )  # fmt: skip
    CALLS_OPEN = Metric(
        "otel_llm_gateway_calls_open", "gauge", "gateway", "1", (), "Calls in flight.",
    )  # fmt: skip
    ATTEMPTS = Metric(
        "otel_llm_gateway_attempts_total", "counter", "gateway", "1",
        ("upstream", "outcome", "error_class"), "Tries at an upstream, by how they ended.",
    )  # fmt: skip
    BREAKER_OPEN = Metric(
        "otel_llm_gateway_breaker_open", "gauge", "gateway", "1", ("upstream",),
        "1 while an upstream's circuit breaker is open, else 0.",
    )  # fmt: skip
    BREAKER_TRANSITIONS = Metric(
        "otel_llm_gateway_breaker_transitions_total", "counter", "gateway", "1",
        ("upstream", "state"), "Changes of a circuit breaker, by the state entered.",
    )  # fmt: skip
    REFUSED_VALUES = Metric(
        "otel_llm_gateway_refused_values_total", "counter", "gateway", "1", ("what",),
        "Values that could not be read: traceparent, tenant, tier, body, response, usage.",
    )  # fmt: skip
    GATEWAY_SWALLOWED = Metric(
        "otel_llm_gateway_swallowed_errors_total", "counter", "gateway", "1", ("place",),
        "Errors the middleware kept from the gateway, by place.",
    )  # fmt: skip
    # engine, made by the agent from facts
    SERVER_DURATION = Metric(
        "gen_ai_server_request_duration_seconds", "histogram", "engine", "s",
        (*_GENAI, "error_type"), "From arrival at the engine to the end of the request.",
        _DURATION_S,
    )  # fmt: skip
    SERVER_TTFT = Metric(
        "gen_ai_server_time_to_first_token_seconds", "histogram", "engine", "s", _GENAI,
        "From arrival at the engine's API server to its first output (TTFT_engine); finished "
        "requests only.", _TTFT_S,
    )  # fmt: skip
    SERVER_TPOT = Metric(
        "gen_ai_server_time_per_output_token_seconds", "histogram", "engine", "s", _GENAI,
        "A request's mean time per output token after the first; finished requests only.",
        _PER_TOKEN_S,
    )  # fmt: skip
    QUEUE_TIME = Metric(
        "otel_llm_queue_time_seconds", "histogram", "engine", "s", _REQUEST,
        "From entering the queue to the first step.", _TTFT_S,
    )  # fmt: skip
    PREFILL_TIME = Metric(
        "otel_llm_prefill_time_seconds", "histogram", "engine", "s", _REQUEST,
        "From the first step to the core first token.", _TTFT_S,
    )  # fmt: skip
    REQUESTS = Metric(
        "otel_llm_requests_total", "counter", "engine", "1",
        ("model", "tenant", "service_name", "outcome"), "Engine requests, by how they ended.",
    )  # fmt: skip
    TOKENS = Metric(
        "otel_llm_tokens_total", "counter", "engine", "{token}",
        ("model", "tenant", "service_name", "type"),
        "Tokens of ended requests; type is prompt, cached, output, recomputed, rejected or "
        "discarded.",
    )  # fmt: skip
    PREEMPTIONS = Metric(
        "otel_llm_preemptions_total", "counter", "engine", "1", ("model", "service_name"),
        "Preemptions of ended requests.",
    )  # fmt: skip
    REQUESTS_OPEN = Metric(
        "otel_llm_requests_open", "gauge", "engine", "1", ("service_name",), "Requests in flight.",
    )  # fmt: skip
    ENGINE_UP = Metric(
        "otel_llm_engine_up", "gauge", "engine", "1", ("service_name", "instance_id"),
        "1 while the engine holds its journal, 0 once it is dead.",
    )  # fmt: skip
    ENGINE_DEATHS = Metric(
        "otel_llm_engine_deaths_total", "counter", "engine", "1", ("service_name",),
        "Engines that went without closing their journal.",
    )  # fmt: skip
    LEFT_OUT = Metric(
        "otel_llm_hooks_left_out", "gauge", "engine", "1", ("service_name", "instance_id"),
        "Hooks that are not in place in a process of the engine; `otel-llm doctor` says which.",
    )  # fmt: skip
    # step
    STEP_DURATION = Metric(
        "otel_llm_step_duration_seconds", "histogram", "step", "s", ("model", "service_name"),
        "From scheduling a step to its result.", _ITL_S,
    )  # fmt: skip
    STEP_BATCH = Metric(
        "otel_llm_step_batch_size", "histogram", "step", "1", ("model", "service_name"),
        "Members of a step's batch.", _BATCH,
    )  # fmt: skip
    STEP_TOKENS = Metric(
        "otel_llm_step_tokens_total", "counter", "step", "{token}",
        ("model", "service_name", "phase"), "Tokens scheduled in steps, by phase.",
    )  # fmt: skip
    DRAFT_TOKENS = Metric(
        "otel_llm_draft_tokens_total", "counter", "step", "{token}",
        ("model", "service_name", "type"),
        "Speculative tokens of steps whose result told of them; type is proposed or accepted.",
    )  # fmt: skip
    RUNNING = Metric(
        "otel_llm_running", "gauge", "step", "1", ("service_name",), "Running at the last step.",
    )  # fmt: skip
    WAITING = Metric(
        "otel_llm_waiting", "gauge", "step", "1", ("service_name",), "Waiting at the last step.",
    )  # fmt: skip
    KV_USAGE = Metric(
        "otel_llm_kv_usage_ratio", "gauge", "step", "1", ("service_name",),
        "Share of KV-cache blocks in use at the last step.",
    )  # fmt: skip
    # the stack itself
    RECORDS = Metric(
        "otel_llm_agent_records_total", "counter", "agent", "1", ("kind",),
        "Journal records read.",
    )  # fmt: skip
    LOST_RECORDS = Metric(
        "otel_llm_agent_lost_records_total", "counter", "agent", "1", ("reason",),
        "Facts lost: overwritten, corrupt, undecodable, dropped_by_writer, spool_full, refused, "
        "state_full, late.",
    )  # fmt: skip
    UNPAIRED = Metric(
        "otel_llm_agent_unpaired_requests_total", "counter", "agent", "1",
        ("service_name", "half"),
        "Requests of which one half alone came, by that half: engine (its core) or frontend (its "
        "API server).",
    )  # fmt: skip
    SWALLOWED = Metric(
        "otel_llm_swallowed_errors_total", "counter", "agent", "1", ("service_name",),
        "Errors the hooks kept from their host.",
    )  # fmt: skip
    MALFORMED = Metric(
        "otel_llm_malformed_total", "counter", "agent", "1", ("what",),
        "Values that were refused: batch, journal, text, time, tokens, trace, traceparent, "
        "tracestate.",
    )  # fmt: skip
    UNKNOWN_TENANTS = Metric(
        "otel_llm_unknown_tenant_total", "counter", "agent", "1", (),
        "Requests that named no tenant.",
    )  # fmt: skip
    SPOOL_BYTES = Metric(
        "otel_llm_agent_spool_bytes", "gauge", "agent", "By", ("sink",), "Bytes not yet delivered.",
    )  # fmt: skip
    DELIVERED = Metric(
        "otel_llm_agent_delivered_total", "counter", "agent", "1", ("sink",),
        "Rows and spans acknowledged by their sink.",
    )  # fmt: skip
    DELIVERY_FAILURES = Metric(
        "otel_llm_agent_delivery_failures_total", "counter", "agent", "1", ("sink", "reason"),
        "Failed tries to deliver; each is tried again.",
    )  # fmt: skip
    STATE_FAILURES = Metric(
        "otel_llm_agent_state_failures_total", "counter", "agent", "1", (),
        "Failed writes of the agent's own state, for example on a full disk.",
    )  # fmt: skip
    JOURNALS = Metric(
        "otel_llm_agent_journals", "gauge", "agent", "1", (), "Journals being read.",
    )  # fmt: skip
    OTLP_REQUESTS = Metric(
        "otel_llm_otlp_requests_total", "counter", "store", "1", ("signal",),
        "OTLP requests acknowledged: they are on disk.",
    )  # fmt: skip
    OTLP_BYTES = Metric(
        "otel_llm_otlp_bytes_total", "counter", "store", "By", ("signal",),
        "Bytes of the OTLP requests acknowledged, decompressed.",
    )  # fmt: skip
    OTLP_ITEMS = Metric(
        "otel_llm_otlp_items_total", "counter", "store", "1", ("signal",),
        "Spans, log records and data points acknowledged.",
    )  # fmt: skip
    OTLP_REFUSED = Metric(
        "otel_llm_otlp_refused_total", "counter", "store", "1", ("reason",),
        "OTLP requests refused: malformed, media_type, unauthenticated, forbidden, oversize, "
        "incomplete, busy, spool_failed.",
    )  # fmt: skip
    OTLP_REPEATED = Metric(
        "otel_llm_otlp_repeated_total", "counter", "store", "1", (),
        "OTLP requests that came again and were acknowledged without being kept twice.",
    )  # fmt: skip
    OTLP_REJECTED = Metric(
        "otel_llm_otlp_rejected_total", "counter", "store", "1", ("signal",),
        "Spans, log records and data points of acknowledged requests that were not kept, as the "
        "answer said.",
    )  # fmt: skip
    OTLP_QUARANTINED = Metric(
        "otel_llm_otlp_quarantined_total", "counter", "store", "1", ("table",),
        "Rows that ClickHouse refused for ever, set aside in the spool's quarantine.",
    )  # fmt: skip
    OTLP_DAMAGED = Metric(
        "otel_llm_otlp_damaged_total", "counter", "store", "1", (),
        "Damaged records of spool segments, set aside in the spool's quarantine.",
    )  # fmt: skip
    OTLP_ROWS = Metric(
        "otel_llm_otlp_rows_total", "counter", "store", "1", ("table",),
        "Rows of OTLP requests stored in ClickHouse.",
    )  # fmt: skip
    OTLP_STORE_FAILURES = Metric(
        "otel_llm_otlp_store_failures_total", "counter", "store", "1", (),
        "Tries to store a spool segment that failed and are made again.",
    )  # fmt: skip
    OTLP_SPOOL_BYTES = Metric(
        "otel_llm_otlp_spool_bytes", "gauge", "store", "By", (),
        "Bytes of OTLP requests that wait to be stored.",
    )  # fmt: skip
    OTLP_COMMITS = Metric(
        "otel_llm_otlp_commits_total", "counter", "store", "1", (),
        "Times the spool waited for the disk, once for all requests at hand.",
    )  # fmt: skip
    FINISH_TO_ROW = Metric(
        "otel_llm_agent_finish_to_row_seconds", "histogram", "agent", "s", (),
        "From a request's end to its row being acknowledged.",
        (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 30.0, 60.0),
    )  # fmt: skip


ALL_METRICS: tuple[Metric, ...] = tuple(
    value for value in vars(Metrics).values() if isinstance(value, Metric)
)


class Column(NamedTuple):
    """One column of a fact table.

    Attributes:
        name: name of the column.
        type: ClickHouse type.
        doc: what it holds.
        default: expression by which the store fills it; such a column is never sent.
    """

    name: str
    type: str
    doc: str
    default: str = ""


class Table(NamedTuple):
    """One fact table. Its `.sql` file adds keys, codecs and engine; a test holds both together."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def sent_columns(self) -> tuple[Column, ...]:
        """The columns that a writer sends: all but those the store fills."""
        return tuple(column for column in self.columns if not column.default)


_LC = "LowCardinality(String)"
_TIME = "DateTime64(9, 'UTC')"
_MAYBE_TIME = "Nullable(DateTime64(9, 'UTC'))"

_PRODUCER = (
    Column("instance_id", "String", "random id of the writing process, 32 hex digits"),
    Column("service", _LC, "deployment, as in service.name"),
    Column("host", _LC, "host name"),
)
_ENGINE = (
    *_PRODUCER,
    Column("engine", _LC, "engine software"),
    Column("engine_version", _LC, "its version"),
    Column("model", _LC, "model asked for"),
    Column("dp_rank", "UInt16", "data-parallel rank"),
)
_CLOCK = (
    Column("boot_id", _LC, "boot of the host; monotonic time compares only within one"),
    Column("clock_offset_ns", "Int64", "wall minus monotonic clock used for this row's times"),
    Column("clock_error_ns", "UInt32", "error bound of that offset"),
)
_TRACE = (
    Column("trace_id", "String", "32 hex digits; derived where the caller sent none"),
    Column("span_id", "String", "16 hex digits"),
    Column("parent_span_id", "String", "16 hex digits; empty at a root"),
)
_TENANT = (
    Column("tenant", _LC, "tenant tag; 'unknown' without one"),
    Column("tier", _LC, "tenant's tier; empty without one"),
)


class Tables:
    """The fact tables. `otel_traces` follows the collector's clickhouseexporter instead."""

    CALLS = Table("llm_gateway_calls", "one row per API call at the gateway", (
        *_PRODUCER,
        Column("call_id", "String", "32 hex digits"),
        *_TRACE, *_TENANT,
        Column("arrival", _TIME, "received; TTFT_caller starts"),
        Column("first_content", _MAYBE_TIME, "first content chunk sent; TTFT_caller ends"),
        Column("last_content", _MAYBE_TIME, "last content chunk sent"),
        Column("finished", _TIME, "last byte sent, or given up"),
        Column("method", _LC, "HTTP method"),
        Column("route", _LC, "route template"),
        Column("operation", _LC, "gen_ai.operation.name"),
        Column("model", _LC, "model asked for; empty if none"),
        Column("outcome", _LC, "finished, cancelled, failed, shed, gateway_died"),
        Column("status_code", "Nullable(UInt16)", "HTTP status sent"),
        Column("error_class", _LC, "what went wrong; empty if nothing"),
        Column("stream", "Bool", "a stream was asked for"),
        Column("samples", "Nullable(UInt16)", "the call's n"),
        Column("chunks", "UInt32", "content chunks sent; not tokens"),
        Column("inter_chunk_us", "Array(UInt32)", "times between content chunks"),
        Column("prompt_tokens", "Nullable(UInt32)", "from the response's usage"),
        Column("cached_tokens", "Nullable(UInt32)", "from the response's usage"),
        Column("output_tokens", "Nullable(UInt32)", "from the response's usage"),
        Column("attempts", "UInt16", "tries at an upstream"),
        Column("response_id", "String", "the API's id of the response; empty if none"),
        Column("request_bytes", "UInt64", "size of the request's body"),
        Column("response_bytes", "UInt64", "size of the response's body"),
        *_CLOCK,
    ))  # fmt: skip
    ATTEMPTS = Table("llm_attempts", "one row per try of a call at an upstream", (
        *_PRODUCER,
        Column("call_id", "String", "the call"),
        Column("trace_id", "String", "32 hex digits"),
        Column("span_id", "String", "parent of the engine's request spans"),
        Column("attempt", "UInt16", "number of the try, from 1"),
        Column("upstream", _LC, "the upstream's name"),
        Column("started", _TIME, "the try began"),
        Column("first_byte", _MAYBE_TIME, "first byte of the response's body"),
        Column("finished", _TIME, "response ended, or given up"),
        Column("outcome", _LC, "finished, cancelled, failed"),
        Column("status_code", "Nullable(UInt16)", "the upstream's HTTP status"),
        Column("error_class", _LC, "what went wrong; empty if nothing"),
        Column("breaker", _LC, "breaker's state when the try began"),
        Column("backoff_ns", "UInt64", "wait before this try"),
        *_CLOCK,
    ))  # fmt: skip
    REQUESTS = Table("llm_requests", "one row per engine request", (
        *_ENGINE,
        Column("request_index", "UInt64", "names the request in its instance's steps"),
        Column("request_id", "String", "the engine's id"),
        Column("api_request_id", "String", "the API call's id at the engine"),
        *_TRACE, *_TENANT,
        Column("attempt", "UInt16", "the gateway's try that brought it; 0 if unknown"),
        Column("operation", _LC, "gen_ai.operation.name"),
        Column("arrival", _TIME, "the engine's API server received it"),
        Column("queued", _MAYBE_TIME, "entered the queue"),
        Column("scheduled", _MAYBE_TIME, "first included in a step"),
        Column("first_token", _MAYBE_TIME, "core first token"),
        Column("first_output", _MAYBE_TIME, "first output handled; TTFT_engine ends"),
        Column("last_token", _MAYBE_TIME, "result of the step of the last token"),
        Column("finished", _TIME, "end; last sign of life if the engine died"),
        Column("outcome", _LC, "finished, cancelled, failed, engine_died"),
        Column("finish_reason", _LC, "stop, length, abort, or the engine's word"),
        Column("error_type", _LC, "class of the error; empty if none"),
        Column("prompt_tokens", "UInt32", "tokens of the prompt"),
        Column("cached_tokens", "UInt32", "of these, served from the prefix cache"),
        Column("output_tokens", "UInt32", "tokens generated"),
        Column("recomputed_tokens", "UInt32", "computed again after preemptions"),
        Column("rejected_tokens", "UInt32", "speculative tokens computed and rejected"),
        Column("discarded_tokens", "UInt32", "scheduled past the prompt, result thrown away"),
        Column("unscheduled_tokens", "UInt32", "of the prompt, in no step when it ended"),
        Column("delivered_tokens", "Nullable(UInt32)",
               "output tokens its API server handed on; null if none told"),
        Column("max_tokens", "Nullable(UInt32)", "limit asked for"),
        Column("preemptions", "UInt32", "how often it lost its place"),
        Column("sample_index", "UInt16", "which sample of the call"),
        Column("sample_count", "UInt16", "samples the call asked for"),
        Column("lora", _LC, "LoRA adapter; empty without one"),
        Column("incomplete", "Bool", "facts about it were lost"),
        *_CLOCK,
        Column("inserted", "DateTime64(6, 'UTC')", "when the store took the row", "now64(6)"),
    ))  # fmt: skip
    STEPS = Table("llm_steps", "one row per engine step, its batch as arrays", (
        *_ENGINE,
        Column("seq", "UInt64", "number of the step in its instance"),
        Column("status", _LC, "done, in_flight when the engine died, unknown if lost"),
        Column("scheduled", _TIME, "the scheduler decided"),
        Column("result", _MAYBE_TIME, "the result was in"),
        Column("execute_ns", "Nullable(UInt64)", "CPU time around execution; not GPU time"),
        Column("running", "UInt32", "running at schedule time"),
        Column("waiting", "UInt32", "waiting at schedule time"),
        Column("kv_used", "UInt32", "KV blocks in use"),
        Column("kv_total", "UInt32", "KV blocks there are"),
        Column("prefill_tokens", "UInt32", "tokens scheduled for prefill"),
        Column("decode_tokens", "UInt32", "tokens scheduled for decode"),
        Column("request_index", "Array(UInt64)", "members of the batch"),
        Column("phase", "Array(UInt8)", "0 prefill, 1 decode"),
        Column("tokens", "Array(UInt32)", "tokens scheduled per member"),
        Column("context", "Array(UInt32)", "tokens computed before the step per member"),
        Column("emitted", "Array(UInt32)", "output tokens gained per member; may be empty"),
        Column("drafts", "Array(UInt32)", "of tokens, speculative; empty if none is"),
        Column("accepted", "Array(UInt32)", "speculative tokens accepted; empty if none was told"),
        Column("cudagraph_mode", _LC, "how it ran on CUDA graphs; empty if not told"),
        Column("trace_id", "String", "of the step's span; empty if not sampled"),
        Column("span_id", "String", "of the step's span; empty if not sampled"),
        *_CLOCK,
    ))  # fmt: skip
    KERNELS = Table("llm_kernels", "one row per kernel", (
        *_PRODUCER,
        Column("dp_rank", "UInt16", "data-parallel rank"),
        Column("step_seq", "UInt64", "the step that caused it; 0 for none"),
        Column("source", _LC, "cpu or cupti"),
        Column("device", _LC, "device name or UUID"),
        Column("name", _LC, "kernel name"),
        Column("start", _TIME, "start"),
        Column("duration_ns", "UInt64", "duration"),
        *_CLOCK,
    ))  # fmt: skip
    EVENTS = Table("llm_engine_events", "births and deaths, and what was in flight", (
        *_PRODUCER,
        Column("kind", _LC, "engine, frontend (its API server) or gateway"),
        Column("event", _LC, "started, stopped, died"),
        Column("time", _TIME, "when; last sign of life for died"),
        Column("steps_in_flight", "Array(UInt64)", "steps scheduled without a result"),
        Column("requests_in_flight", "Array(String)", "ids of requests or calls not ended"),
        Column("lost_records", "UInt64", "records of this journal lost so far"),
        *_CLOCK,
    ))  # fmt: skip


ALL_TABLES: tuple[Table, ...] = tuple(
    value for value in vars(Tables).values() if isinstance(value, Table)
)
