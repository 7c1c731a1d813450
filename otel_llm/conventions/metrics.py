"""Every Prometheus metric: name, kind, unit, labels, buckets."""

from typing import Literal, NamedTuple

MetricKind = Literal["counter", "gauge", "histogram"]
Layer = Literal["gateway", "engine", "step", "device", "agent", "store"]


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

_CALL = ("model", "tenant", "tier")
_REQUEST = ("model", "tenant", "tier", "service_name")
# Attributes of the hardware conventions: https://opentelemetry.io/docs/specs/semconv/hardware/
_HW = ("hw_id", "hw_name", "hw_type")
# Attributes of the GenAI conventions, then ours.
_GENAI = (
    "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "tenant", "tier",
    "service_name",
)  # fmt: skip


class Metrics:
    """Every metric, as data. `exporters/prometheus` makes them; `docs/metrics.md` lists them."""

    # gateway
    CALLS = Metric(
        "otel_llm_gateway_calls_total", "counter", "gateway", "1",
        (*_CALL, "route", "outcome", "status_code"), "API calls, by how they ended.",
    )  # fmt: skip
    CALL_DURATION = Metric(
        "otel_llm_gateway_call_duration_seconds", "histogram", "gateway", "s", _CALL,
        "From receiving a call to its last byte.", _DURATION_S,
    )  # fmt: skip
    TTFT_CALLER = Metric(
        "otel_llm_gateway_ttft_caller_seconds", "histogram", "gateway", "s", _CALL,
        "From receiving a call to sending its first content chunk.", _TTFT_S,
    )  # fmt: skip
    TARGET_CALLS = Metric(
        "otel_llm_gateway_target_calls_total", "counter", "gateway", "1", (*_CALL, "missed"),
        "Calls measured against the targets `target_ttft_s`, `target_tpot_s` and "
        "`target_duration_s`, by the first that was missed: outcome, ttft, tpot, duration, or none "
        "(goodput). Calls that the caller gave up are not measured.",
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
    ENGINE_STALLED = Metric(
        "otel_llm_engine_stalled_seconds", "gauge", "engine", "s", ("service_name", "instance_id"),
        "Time for which an engine has had requests and begun or ended no step; 0 without requests.",
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
    KERNEL_SHIMS = Metric(
        "otel_llm_kernel_shims", "gauge", "device", "1", ("state",),
        "Processes with a CUPTI shim, by its state: off, dormant, callbacks, on, waiting, thinned, "
        "stopped.",
    )  # fmt: skip
    KERNEL_COST = Metric(
        "otel_llm_kernel_shim_cost_ratio", "gauge", "device", "1", (),
        "Share of one core's time that a shim took in its last second; of several, the greatest.",
    )  # fmt: skip
    KERNEL_RECORDS = Metric(
        "otel_llm_kernel_records_total", "counter", "device", "1", ("kind",),
        "Kernels, copies and fills that shims recorded: kernel, memcpy, memset.",
    )  # fmt: skip
    KERNEL_LOST = Metric(
        "otel_llm_kernel_lost_total", "counter", "device", "1", ("reason",),
        "Kernels that a shim could not record as they were: dropped_by_cupti, zero_timestamps, "
        "absurd_timestamps, ring_errors; truncated and buffers_declined count buffers; untagged "
        "kernels are under step 0, names_over ones without their name.",
    )  # fmt: skip
    KERNEL_THINNED = Metric(
        "otel_llm_kernel_thinned_total", "counter", "device", "1", ("what",),
        "Kernels that settings or the budget left out of single rows (raw) or counted without "
        "their name (names); changes of the budget's level (levels).",
    )  # fmt: skip
    KERNEL_YIELDS = Metric(
        "otel_llm_kernel_yields_total", "counter", "device", "1", (),
        "Times a shim made way for another user of CUPTI.",
    )  # fmt: skip
    KERNEL_LATE = Metric(
        "otel_llm_kernel_late_steps_total", "counter", "agent", "1", ("result",),
        "Steps of slow, failed or expensive requests to be kept in detail: kept, gone (the ring no "
        "longer had them), over (past the setting keep_late_steps_per_s).",
    )  # fmt: skip
    LOST_RECORDS = Metric(
        "otel_llm_agent_lost_records_total", "counter", "agent", "1", ("reason",),
        "Facts lost: overwritten, corrupt, undecodable, dropped_by_writer, spool_full, refused, "
        "state_full, late, unencodable.",
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
        "otel_llm_otlp_rejected_total", "counter", "store", "1", ("signal", "reason"),
        "Spans, log records and data points of acknowledged requests that were not kept, as the "
        "answer said: invalid (an id or a time that cannot be one), outside (older than a table "
        "keeps its rows, or more than a day ahead).",
    )  # fmt: skip
    OTLP_QUARANTINED = Metric(
        "otel_llm_otlp_quarantined_total", "counter", "store", "1", ("table",),
        "Rows that could not be stored, set aside in the spool's quarantine.",
    )  # fmt: skip
    OTLP_DAMAGED = Metric(
        "otel_llm_otlp_damaged_total", "counter", "store", "1", (),
        "Damaged records of spool segments, set aside in the spool's quarantine.",
    )  # fmt: skip
    OTLP_LOST_SEGMENTS = Metric(
        "otel_llm_otlp_lost_segments_total", "counter", "store", "1", (),
        "Segments of the spool that somebody removed before they were stored.",
    )  # fmt: skip
    OTLP_ROWS = Metric(
        "otel_llm_otlp_rows_total", "counter", "store", "1", ("table",),
        "Rows of OTLP requests stored in ClickHouse.",
    )  # fmt: skip
    OTLP_UNSEEN_ROWS = Metric(
        "otel_llm_otlp_unseen_rows_total", "counter", "store", "1", ("table",),
        "Rows stored in ClickHouse in blocks that a dependent view failed on and does not have.",
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
    UP_CERTIFICATE_NOT_AFTER = Metric(
        "otel_llm_up_certificate_not_after_seconds", "gauge", "store", "s", (),
        "Unix time until which the certificate of `up` is valid; absent without TLS.",
    )  # fmt: skip
    # device, made by the agent from samples and events; `hw_*` are names of the conventions
    HW_ENERGY = Metric(
        "hw_energy_joules_total", "counter", "device", "J", _HW,
        "Energy that a device drew since the agent began to read it.",
    )  # fmt: skip
    HW_POWER = Metric(
        "hw_power_watts", "gauge", "device", "W", _HW,
        "Power that a device draws; its own average where it tells no other.",
    )  # fmt: skip
    HW_STATUS = Metric(
        "hw_status", "gauge", "device", "1", (*_HW, "hw_state"),
        "1 in the state that a device is in: ok or failed (lost).",
    )  # fmt: skip
    HW_ERRORS = Metric(
        "hw_errors_total", "counter", "device", "1", (*_HW, "error_type"),
        "Errors of a device: ecc_corrected, ecc_uncorrected, lost, unavailable, reset.",
    )  # fmt: skip
    DEVICE_INFO = Metric(
        "otel_llm_device_info", "gauge", "device", "1",
        (*_HW, "mig", "mig_profile", "driver_version", "source"),
        "1 for each device and MIG instance that is read; by source estimate is no measurement, "
        "replay none of this machine.",
    )  # fmt: skip
    HW_TEMPERATURE = Metric(
        "hw_temperature_celsius", "gauge", "device", "Cel", _HW, "Temperature of a device.",
    )  # fmt: skip
    HW_GPU_UTILIZATION = Metric(
        "hw_gpu_utilization_ratio", "gauge", "device", "1", _HW,
        "Share of time with a kernel on the GPU.",
    )  # fmt: skip
    HW_GPU_MEMORY = Metric(
        "hw_gpu_memory_usage_bytes", "gauge", "device", "By", (*_HW, "mig"),
        "Memory in use, of a GPU or of a MIG instance.",
    )  # fmt: skip
    HW_GPU_MEMORY_LIMIT = Metric(
        "hw_gpu_memory_limit_bytes", "gauge", "device", "By", (*_HW, "mig"),
        "Memory of a GPU or of a MIG instance.",
    )  # fmt: skip
    DEVICE_CLOCK = Metric(
        "otel_llm_device_clock_hertz", "gauge", "device", "Hz", (*_HW, "clock"),
        "Clock of a GPU: sm or memory.",
    )  # fmt: skip
    DEVICE_THROTTLED = Metric(
        "otel_llm_device_throttled", "gauge", "device", "1", (*_HW, "reason"),
        "1 while a GPU's clocks are held down for a reason, else 0.",
    )  # fmt: skip
    DEVICE_IO = Metric(
        "otel_llm_device_io_bytes_per_second", "gauge", "device", "By/s",
        (*_HW, "link", "direction"), "Bytes per second by pcie or nvlink, receive or transmit.",
    )  # fmt: skip
    DEVICE_ACTIVITY = Metric(
        "otel_llm_device_activity_ratio", "gauge", "device", "1", (*_HW, "mig", "part"),
        "Share of time or capacity in use of a GPU or of a MIG instance, by GPM: sm, sm_occupancy, "
        "tensor, dram.",
    )  # fmt: skip
    DEVICE_REMAPPED = Metric(
        "otel_llm_device_remapped_rows", "gauge", "device", "1", (*_HW, "cause"),
        "Memory rows remapped for good, for corrected or uncorrected errors.",
    )  # fmt: skip
    DEVICE_REMAP_PENDING = Metric(
        "otel_llm_device_remap_pending", "gauge", "device", "1", _HW,
        "1 while a remapping waits for a reset, else 0.",
    )  # fmt: skip
    DEVICE_XIDS = Metric(
        "otel_llm_device_xids_total", "counter", "device", "1", (*_HW, "code", "fault"),
        "XIDs by number (other: not in the table) and by whose fault they usually are.",
    )  # fmt: skip
    DEVICE_PROCESSES = Metric(
        "otel_llm_device_processes", "gauge", "device", "1", (*_HW, "mig"),
        "Processes with work on a GPU or on a MIG instance.",
    )  # fmt: skip
    DEVICE_CALLS = Metric(
        "otel_llm_device_calls_total", "counter", "device", "1", ("source", "call"),
        "Calls made to read devices.",
    )  # fmt: skip
    DEVICE_CALL_FAILURES = Metric(
        "otel_llm_device_call_failures_total", "counter", "device", "1", ("source", "call"),
        "Of these, how many failed.",
    )  # fmt: skip
    DEVICE_CALL_SECONDS = Metric(
        "otel_llm_device_call_seconds_total", "counter", "device", "s", ("source", "call"),
        "Time they took, as the driver says, else as measured.",
    )  # fmt: skip
    DEVICE_UNSUPPORTED = Metric(
        "otel_llm_device_unsupported", "gauge", "device", "1", ("source", "call"),
        "Devices that do not support a call.",
    )  # fmt: skip
    DEVICE_AGE = Metric(
        "otel_llm_device_age_seconds", "gauge", "device", "s", ("source",),
        "Time since the last round of readings ended; -1 while nothing can be read.",
    )  # fmt: skip
    DEVICE_MISSED = Metric(
        "otel_llm_device_missed_rounds_total", "counter", "device", "1", ("source",),
        "Rounds left out because the one before took too long.",
    )  # fmt: skip
    DEVICE_FAILED = Metric(
        "otel_llm_device_failed_rounds_total", "counter", "device", "1", ("source",),
        "Rounds that ended in an error of ours.",
    )  # fmt: skip
    DEVICE_ELSEWHERE = Metric(
        "otel_llm_device_elsewhere", "gauge", "device", "1", _HW,
        "Each device that this agent does not read. 1: it is missed, for another agent of the host "
        "has it although engines of this one are on it, or it cannot be claimed (see the log). "
        "0: it is left to another agent, and nothing is missing here.",
    )  # fmt: skip
    DEVICE_DROPPED = Metric(
        "otel_llm_device_dropped_samples_total", "counter", "device", "1", (),
        "Samples that the agent did not take in time.",
    )  # fmt: skip
    # energy, made by the agent from readings and steps
    ENERGY = Metric(
        "otel_llm_energy_joules_total", "counter", "engine", "J", (*_REQUEST, "phase"),
        "Energy charged to requests on this node's devices; phase is prefill or decode.",
    )  # fmt: skip
    ENERGY_PER_TOKEN = Metric(
        "otel_llm_energy_per_output_token_joules", "histogram", "engine", "J",
        ("model", "service_name", "batch_size"),
        "A request's energy in decode per output token, by the batch that it was mostly in (the "
        "next power of two); requests that finished and were metered on all their devices.",
        (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0),
    )  # fmt: skip
    ENERGY_ATTRIBUTED = Metric(
        "otel_llm_device_attributed_joules_total", "counter", "device", "J", _HW,
        "Energy of closed windows that was charged to requests.",
    )  # fmt: skip
    ENERGY_IDLE = Metric(
        "otel_llm_device_idle_joules_total", "counter", "device", "J", _HW,
        "Energy of closed windows drawn while no step was on the device.",
    )  # fmt: skip
    ENERGY_UNATTRIBUTED = Metric(
        "otel_llm_device_unattributed_joules_total", "counter", "device", "J", _HW,
        "Energy of closed windows drawn for work that is no request's.",
    )  # fmt: skip
    ENERGY_WINDOWS = Metric(
        "otel_llm_device_windows_total", "counter", "device", "1", (*_HW, "state"),
        "Windows of energy closed; state is whole, or incomplete where facts about them were lost.",
    )  # fmt: skip
    FINISH_TO_ROW = Metric(
        "otel_llm_agent_finish_to_row_seconds", "histogram", "agent", "s", (),
        "From a request's end to its row being acknowledged.",
        (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 30.0, 60.0),
    )  # fmt: skip


ALL_METRICS: tuple[Metric, ...] = tuple(
    value for value in vars(Metrics).values() if isinstance(value, Metric)
)
