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


class RequestFinished(msgspec.Struct, frozen=True, array_like=True):
    """The end of a request, with every stamp and count of its life.

    Tokens scheduled over a finished request's steps add up to
    `prompt_tokens - cached_tokens + max(output_tokens - 1, 0) + recomputed_tokens`;
    each term is counted at its own event.

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
        cached_tokens: prompt tokens served from the prefix cache at first schedule.
        output_tokens: tokens generated.
        recomputed_tokens: tokens computed again after preemptions.
        preemptions: how often it lost its place in the batch.
        error_type: short class of the error, never its message. None unless failed.
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
