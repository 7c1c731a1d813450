"""From vLLM's objects to the values of facts. Reads, and changes nothing.

Sources are named in `core_host`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sized
from typing import Any, NamedTuple, TypedDict

from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.engines.vllm.core_host import ArrivingRequest, CoreRequest, Result, Scheduler
from otel_llm.engines.vllm.identity import Origin, identify
from otel_llm.facts.request import RequestOutcome

_OUTCOMES: dict[str, RequestOutcome] = {"abort": "cancelled", "error": "failed"}


class Served(NamedTuple):
    """What a scheduler works for.

    Attributes:
        model: name of the served model.
        dp_rank: data-parallel rank among all engines of the deployment, from 0.
    """

    model: str
    dp_rank: int


class Arrival(TypedDict):
    """What of a request's own values stands in `RequestArrived`."""

    request_id: str
    api_request_id: str
    operation: str
    model: str
    max_tokens: int | None
    sample_index: int
    sample_count: int
    traceparent: str | None
    tracestate: str | None
    frontend: str
    lora: str


class End(TypedDict):
    """What of a request's end stands in `RequestFinished`."""

    outcome: RequestOutcome
    finish_reason: str
    output_tokens: int
    error_type: str | None


def served(config: Any) -> Served:  # noqa: ANN401  vLLM's VllmConfig
    """Model and rank from a `VllmConfig`."""
    names = config.model_config.served_model_name
    name = names if isinstance(names, str) else names[0] if names else config.model_config.model
    parallel = config.parallel_config
    # `data_parallel_index` stays when a dense model's ranks are made independent engines.
    rank = getattr(parallel, "data_parallel_index", parallel.data_parallel_rank)
    return Served(str(name), int(rank))


def arrival(
    request: ArrivingRequest | CoreRequest,
    origin: Origin | None,
    headers: Mapping[str, str] | None,
    model: str,
) -> Arrival:
    """Who asks for what.

    Args:
        request: on its way into the engine, or in it already.
        origin: what the API server's hooks told; without it the request's ids are read.
        headers: the caller's trace context.
        model: name of the served model.
    """
    lora = request.lora_request.lora_name if request.lora_request is not None else ""
    limit = request.sampling_params.max_tokens if request.sampling_params is not None else None
    if origin is None:
        origin = _origin(request, lora or model)
    headers = headers or {}
    return {
        "request_id": request.request_id,
        "api_request_id": origin.api_request_id,
        "operation": origin.operation,
        "model": origin.model or lora or model,
        "max_tokens": limit,
        "sample_index": origin.sample_index,
        "sample_count": origin.sample_count,
        "traceparent": headers.get("traceparent"),
        "tracestate": headers.get("tracestate"),
        "frontend": origin.frontend,
        "lora": lora,
    }


def _origin(request: ArrivingRequest | CoreRequest, model: str) -> Origin:
    external = getattr(request, "external_req_id", None) or request.request_id
    task = request.pooling_params.task if request.pooling_params is not None else None
    found = identify(external, task=task)
    return Origin("", found.api_request_id, found.operation, model)


def arrival_ns(wall_s: float, anchor: Anchor) -> MonotonicNs:
    """A wall stamp of vLLM's in monotonic time, never later than now.

    Args:
        wall_s: seconds since 1970, by the API server's clock.
        anchor: both clocks now.
    """
    passed = anchor.wall_ns - int(wall_s * 1e9)
    return MonotonicNs(anchor.mono_ns - max(0, passed))


def end(request: CoreRequest) -> End:
    """How a request in the scheduler ended."""
    return ending(str(request.get_finished_reason()), request.num_output_tokens)


def outcome_of(reason: str) -> RequestOutcome:
    """What vLLM's finish reason says of the end."""
    return _OUTCOMES.get(reason, "finished")


def ending(reason: str, output_tokens: int) -> End:
    """How a request ended, from vLLM's finish reason."""
    outcome = outcome_of(reason)
    return {
        "outcome": outcome,
        "finish_reason": reason,
        "output_tokens": output_tokens,
        "error_type": "engine_error" if outcome == "failed" else None,
    }


def sampled(ids: list[str], result: Result) -> list[int]:
    """Tokens in the result of each member, 0 for one that is not in it.

    Args:
        ids: the members, in the order of the batch.
        result: what the workers returned, in an order of their own.
    """
    tokens = result.sampled_token_ids
    if not tokens:
        return [0] * len(ids)
    if result.req_ids == ids:
        return list(map(len, tokens))
    place = result.req_id_to_index
    return [len(tokens[place[one]]) if one in place else 0 for one in ids]


def counter(queue: Sized) -> Callable[[], int]:
    """A quick `len` of a request queue: vLLM's own detours through Python."""
    return deque.__len__.__get__(queue) if isinstance(queue, deque) else queue.__len__


def blocks(scheduler: Scheduler) -> tuple[Any, int]:
    """The KV cache's queue of free blocks, and how many blocks there are.

    Block 0 is vLLM's null block; it is neither free nor of use.
    """
    pool = scheduler.kv_cache_manager.block_pool
    return pool.free_block_queue, pool.num_gpu_blocks - 1
