"""The request: one engine sequence, from its arrival at the engine's API server to its end.

A call with `n=4`, a list of prompts or beams has several requests, tied by `api_request_id`.
All stamps are monotonic nanoseconds of the engine's host.
"""

from typing import Literal

import msgspec

from otel_llm.clock import MonotonicNs

RequestOutcome = Literal["finished", "cancelled", "failed"]


class RequestArrived(msgspec.Struct, frozen=True, array_like=True):
    """What is known when the API server has accepted a request.

    Attributes:
        index: the request's number in its journal, from 1; step records name requests by it.
        request_id: the engine's own id of this sequence.
        api_request_id: the id of the API call, shared by its sequences.
        operation: `chat`, `text_completion` or another `gen_ai.operation.name`.
        model: model or adapter asked for.
        arrival_ns: the API server received the call.
        prompt_tokens: tokens of the prompt.
        max_tokens: most tokens to be generated; None if the caller set no limit.
        sample_index: which of the call's samples this is, from 0.
        sample_count: how many samples the call asked for.
        traceparent: the W3C header as received, unparsed. None if absent.
        tracestate: likewise.
        frontend: instance id of the process that serves the API, where that is another one and
            will write a `RequestDelivered`; empty where there will be none.
        lora: name of the LoRA adapter; empty without one.
    """

    index: int
    request_id: str
    api_request_id: str
    operation: str
    model: str
    arrival_ns: MonotonicNs
    prompt_tokens: int
    max_tokens: int | None = None
    sample_index: int = 0
    sample_count: int = 1
    traceparent: str | None = None
    tracestate: str | None = None
    frontend: str = ""
    lora: str = ""


class RequestFinished(msgspec.Struct, frozen=True, array_like=True):
    """The end of a request, with every stamp and count of its life.

    Tokens scheduled over a request's steps, however it ended, add up to
    `prompt_tokens - unscheduled_tokens - cached_tokens + max(output_tokens - 1, 0)
    + recomputed_tokens + rejected_tokens + discarded_tokens`;
    each term is counted at its own event. A request that finished has none unscheduled.

    Attributes:
        index: as in `RequestArrived`.
        outcome: `cancelled` is an abort by the caller, `failed` an error.
        finish_reason: `stop`, `length`, `abort`, or the engine's own word.
        finished_ns: the engine let go of the request.
        queued_ns: it entered the scheduler's queue.
        scheduled_ns: a step first included it. None if it never ran.
        first_token_ns: core first token: the result of the step that made it.
        first_output_ns: the API server handled the first output; TTFT_engine ends here.
        last_token_ns: the result of the step that made the last token.
        cached_tokens: tokens served from the prefix cache in place of being computed: at first
            schedule, and after a preemption beyond what the request had computed itself.
        output_tokens: tokens generated.
        recomputed_tokens: tokens scheduled again after preemptions.
        preemptions: how often it lost its place in the batch.
        error_type: short class of the error, never its message. None unless failed.
        rejected_tokens: speculative tokens that were scheduled and then rejected.
        discarded_tokens: tokens past the prompt that were scheduled and whose result was thrown
            away: steps in flight at the request's end, and what followed a stop token.
        unscheduled_tokens: prompt tokens that no step had included when the request ended.
    """

    index: int
    outcome: RequestOutcome
    finish_reason: str
    finished_ns: MonotonicNs
    queued_ns: MonotonicNs | None = None
    scheduled_ns: MonotonicNs | None = None
    first_token_ns: MonotonicNs | None = None
    first_output_ns: MonotonicNs | None = None
    last_token_ns: MonotonicNs | None = None
    cached_tokens: int = 0
    output_tokens: int = 0
    recomputed_tokens: int = 0
    preemptions: int = 0
    error_type: str | None = None
    rejected_tokens: int = 0
    discarded_tokens: int = 0
    unscheduled_tokens: int = 0


class RequestDelivered(msgspec.Struct, frozen=True, array_like=True):
    """A request as the process that serves the API saw it, where that is not the engine's core.

    Written once, when that process lets go of the request. The agent joins it to the core's half
    by `request_id`; where that half never comes, this one stands alone.

    Attributes:
        request_id, api_request_id, operation, model, prompt_tokens, max_tokens, sample_index,
            sample_count, traceparent, tracestate, lora: as in `RequestArrived`.
        arrival_ns: the API server received the call, by its own clock reading.
        finished_ns: it handled the last output, or gave the request up.
        outcome: how it ended for the caller; a stop string ends it as `finished` here, while the
            core sees an abort.
        finish_reason: as in `RequestFinished`.
        output_tokens: output tokens it handed on; a stop string cuts off some.
        first_output_ns: it handled the first output; TTFT_engine ends here.
        error_type: as in `RequestFinished`.
    """

    request_id: str
    api_request_id: str
    operation: str
    model: str
    arrival_ns: MonotonicNs
    finished_ns: MonotonicNs
    outcome: RequestOutcome
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    first_output_ns: MonotonicNs | None = None
    max_tokens: int | None = None
    sample_index: int = 0
    sample_count: int = 1
    traceparent: str | None = None
    tracestate: str | None = None
    lora: str = ""
    error_type: str | None = None
