"""Every fact table and its columns, shared by the store's DDL and the rows that are sent."""

from typing import NamedTuple


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
