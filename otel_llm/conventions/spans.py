"""Names of spans, their attributes and events, and of the tenants they speak of."""

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
