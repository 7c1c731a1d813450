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
from otel_llm.facts.shape import ServedShape

_OUTCOMES: dict[str, RequestOutcome] = {"abort": "cancelled", "error": "failed"}


class Served(NamedTuple):
    """What a scheduler works for.

    Attributes:
        model: name of the served model.
        dp_rank: data-parallel rank among all engines of the deployment, from 0.
        source: the model's folder, or its name on Hugging Face.
        revision: branch, tag or commit of it that was asked for; empty if none was.
        shape: of the model; None where its configuration does not tell.
    """

    model: str
    dp_rank: int
    source: str
    revision: str
    shape: ServedShape | None = None


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
    revision = getattr(config.model_config, "revision", None) or ""
    model = config.model_config
    shape = shape_of(model, config)
    return Served(str(name), int(rank), str(model.model), str(revision), shape)


def shape_of(model: Any, config: Any) -> ServedShape | None:  # noqa: ANN401  vLLM's ModelConfig
    """A decoder's shape from its Hugging Face configuration; None if that tells no decoder's.

    Keys are those of `LlamaConfig` and `MixtralConfig` in transformers.
    """
    told: Any = getattr(model, "hf_text_config", None)
    try:
        hidden, heads = int(told.hidden_size), int(told.num_attention_heads)
        experts = _first(told, "num_local_experts", "num_experts", "n_routed_experts") or 1
        shape = ServedShape(
            layers=int(told.num_hidden_layers),
            hidden=hidden,
            heads=heads,
            kv_heads=_first(told, "num_key_value_heads") or heads,
            head_dim=_first(told, "head_dim") or hidden // heads,
            ffn=(_first(told, "moe_intermediate_size") if experts > 1 else 0)
            or int(told.intermediate_size),
            vocab=int(told.vocab_size),
            weight_bytes=_weight_bytes(model),
            kv_bytes=1.0 if "fp8" in str(_cache_dtype(config)) else _WIDTH.get(_dtype(model), 2.0),
            experts=experts,
            active_experts=_first(told, "num_experts_per_tok") or 1,
        )
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None
    return shape if shape.is_sound else None


_WIDTH = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
_PACKED = {"awq": 0.5, "gptq": 0.5, "fp8": 1.0, "bitsandbytes": 0.5, "mxfp4": 0.5, "nvfp4": 0.5}
"""Bytes of a weight by the beginning of `quantization`; others are taken for unpacked."""


def _weight_bytes(model: Any) -> float:  # noqa: ANN401
    name = str(getattr(model, "quantization", None) or "")
    packed = [width for start, width in _PACKED.items() if name.startswith(start)]
    return packed[0] if packed else _WIDTH.get(_dtype(model), 2.0)


def _dtype(model: Any) -> str:  # noqa: ANN401
    return str(getattr(model, "dtype", "")).rpartition(".")[2]


def _cache_dtype(config: Any) -> object:  # noqa: ANN401
    return getattr(getattr(config, "cache_config", None), "cache_dtype", "")


def _first(told: Any, *names: str) -> int:  # noqa: ANN401
    """The first of these numbers that is told; 0 if none is."""
    found = (getattr(told, name, None) for name in names)
    return next((int(value) for value in found if value), 0)


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
