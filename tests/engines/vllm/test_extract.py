"""From vLLM's objects to the values of facts."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.engines.vllm import extract
from otel_llm.engines.vllm.identity import Origin
from tests.engines.vllm.core_objects import ModelRunnerOutput, Request, vllm_config


def result(**tokens: int) -> ModelRunnerOutput:
    """A result with so many tokens for each member, in this order."""
    ids = list(tokens)
    return ModelRunnerOutput(
        ids, {one: place for place, one in enumerate(ids)}, [[1] * n for n in tokens.values()]
    )


@pytest.mark.parametrize("names", ["tiny", ["tiny", "other"]])
def test_the_served_model(names: str | list[str]) -> None:
    """The first name under which the model is served."""
    config = vllm_config()
    config.model_config.served_model_name = names
    assert extract.served(config).model == "tiny"
    config.model_config.served_model_name = None
    assert extract.served(config).model == "m"


def test_where_the_model_is() -> None:
    """Its folder or name, and the revision if one was asked for."""
    config = vllm_config()
    assert extract.served(config)[2:4] == ("m", "")
    config.model_config.revision = "v2"
    assert extract.served(config)[2:4] == ("m", "v2")


def test_the_rank_of_an_independent_engine() -> None:
    """VLLM sets a dense model's rank to 0 and keeps the true one beside it."""
    assert extract.served(vllm_config(data_parallel_rank=2)).dp_rank == 2
    assert extract.served(vllm_config(data_parallel_rank=0, data_parallel_index=3)).dp_rank == 3


def test_arrival_by_the_api_server_s_clock() -> None:
    """A wall stamp becomes monotonic by both clocks now; one from the future is now."""
    anchor = Anchor(EpochNs(2_000_000_000), MonotonicNs(700_000_000), 1)
    assert extract.arrival_ns(1.5, anchor) == 200_000_000
    assert extract.arrival_ns(2.5, anchor) == 700_000_000


def arrival(request: Any, origin: Origin | None = None, **headers: str) -> extract.Arrival:  # noqa: ANN401
    """What stands in the fact, for a server of `tiny`."""
    return extract.arrival(request, origin, headers, "tiny")


def test_arrival_as_the_api_server_told_it() -> None:
    """What the API server's hooks know comes first; the trace context is copied unparsed."""
    origin = Origin("f" * 32, "chatcmpl-a", "chat", "asked", 1, 2)
    told = arrival(
        Request("1_x-12345678", 5, max_tokens=9), origin, traceparent="tp", tracestate=""
    )
    assert told == {
        "request_id": "1_x-12345678",
        "api_request_id": "chatcmpl-a",
        "operation": "chat",
        "model": "asked",
        "max_tokens": 9,
        "sample_index": 1,
        "sample_count": 2,
        "traceparent": "tp",
        "tracestate": "",
        "frontend": "f" * 32,
        "lora": "",
    }


def test_arrival_without_hooks_in_the_api_server() -> None:
    """The external id is read, if there is one; the model is the one served."""
    request = Request("embd-a-0-12345678", 5)
    request.sampling_params, request.pooling_params = None, SimpleNamespace(task="embed")
    told = arrival(SimpleNamespace(**vars(request), external_req_id="embd-a-0"))
    assert (told["api_request_id"], told["operation"]) == ("embd-a", "embeddings")
    assert (told["model"], told["max_tokens"], told["traceparent"]) == ("tiny", None, None)
    assert arrival(request)["operation"] == "embeddings"


def test_an_adapter_is_the_model_asked_for() -> None:
    """A request with a LoRA adapter names it, as model too where the API server told none."""
    request = Request("a", 5)
    request.lora_request = SimpleNamespace(lora_name="poet")
    assert (arrival(request)["lora"], arrival(request)["model"]) == ("poet", "poet")
    assert arrival(request, Origin("", "a", "chat", "asked"))["model"] == "asked"


@pytest.mark.parametrize(
    ("reason", "outcome", "error"),
    [
        ("stop", "finished", None),
        ("length", "finished", None),
        ("repetition", "finished", None),
        ("abort", "cancelled", None),
        ("error", "failed", "engine_error"),
    ],
)
def test_how_a_request_ended(reason: str, outcome: str, error: str | None) -> None:
    """VLLM's finish reason is kept; an abort is a cancellation, an error a failure."""
    request = Request("a", 5)
    request.reason, request.output = reason, [1, 2]
    assert extract.end(request) == {
        "outcome": outcome,
        "finish_reason": reason,
        "output_tokens": 2,
        "error_type": error,
    }


def test_tokens_of_a_result_in_the_batch_s_order() -> None:
    """The workers' order may be another; who is not in the result gained nothing."""
    ids = ["a", "b", "c"]
    assert extract.sampled(ids, result(a=1, b=0, c=3)) == [1, 0, 3]
    assert extract.sampled(ids, result(c=3, a=1, b=0)) == [1, 0, 3]
    assert extract.sampled(ids, result(b=2)) == [0, 2, 0]
    assert extract.sampled(ids, ModelRunnerOutput([], {}, [])) == [0, 0, 0]


class Queue(deque[int]):
    """A queue with a `len` of its own, as vLLM's first-come-first-served one."""

    def __len__(self) -> int:
        return super().__len__()


class Heap:
    """A queue that is no deque, as vLLM's by priority."""

    items: list[int]

    def __len__(self) -> int:
        return len(self.items)


def test_the_length_of_a_queue_is_read_when_asked() -> None:
    """Whatever kind of queue it is."""
    queue, heap = Queue(), Heap()
    heap.items = []
    counts = extract.counter(queue), extract.counter(heap)
    assert [count() for count in counts] == [0, 0]
    queue.append(1)
    heap.items += [1, 2]
    assert [count() for count in counts] == [1, 2]
