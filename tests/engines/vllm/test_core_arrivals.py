"""Requests on their way into the scheduler."""

import random
import threading
from types import SimpleNamespace
from typing import Any

from otel_llm.engines.vllm import identity
from otel_llm.engines.vllm.core_hooks import CORE
from otel_llm.engines.vllm.identity import Origin
from otel_llm.facts.request import RequestArrived, RequestFinished
from tests.engines.vllm.core_followed import Kept, followed
from tests.engines.vllm.core_scheduler import EngineCore, Scheduler, Shape

ORIGIN = Origin("f" * 32, "chatcmpl-a", "chat", "asked", 1, 2)
CALLER = {"traceparent": "00-ab", "tracestate": "otelllm=t:x"}


def sent(request_id: str = "1_chatcmpl-a-12345678", **headers: str) -> Any:  # noqa: ANN401
    """A request as the API server sends it."""
    return SimpleNamespace(
        request_id=request_id,
        external_req_id="chatcmpl-a",
        prompt_token_ids=[1] * 6,
        trace_headers=headers or None,
        arrival_time=0.0,
        sampling_params=SimpleNamespace(max_tokens=9),
        pooling_params=None,
        lora_request=None,
    )


def arrivals(kept: Kept) -> list[RequestArrived]:
    """The arrivals recorded."""
    return [one for one in kept if isinstance(one, RequestArrived)]


def enter(scheduler: Scheduler, request: Any) -> Any:  # noqa: ANN401
    """Through the thread that takes requests in, and into the queue."""
    made: list[Any] = []
    core = EngineCore(scheduler)
    thread = threading.Thread(target=lambda: made.append(core.preprocess_add_request(request)[0]))
    thread.start()
    thread.join()
    scheduler.add_request(made[0])
    return made[0]


def test_what_the_api_server_told_is_taken_out() -> None:
    """The arrival has it all; without vLLM's own tracing no header is left to be sent back."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        request = enter(scheduler, sent(**identity.put(CALLER, ORIGIN)))
    (arrived,) = arrivals(kept)
    assert (arrived.request_id, arrived.api_request_id) == ("1_chatcmpl-a-12345678", "chatcmpl-a")
    assert (arrived.frontend, arrived.operation, arrived.model) == ("f" * 32, "chat", "asked")
    assert (arrived.sample_index, arrived.sample_count) == (1, 2)
    assert (arrived.traceparent, arrived.tracestate) == ("00-ab", "otelllm=t:x")
    assert (arrived.prompt_tokens, arrived.max_tokens) == (6, 9)
    assert request.trace_headers is None


def test_vllm_s_own_tracing_keeps_the_caller_s_context() -> None:
    """With it on, the headers are as the caller sent them: our member is gone, the rest stands."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        scheduler.vllm_config.observability_config.otlp_traces_endpoint = "http://127.0.0.1:4317"
        with_ours = enter(scheduler, sent("a", **identity.put(CALLER, ORIGIN)))
        without = enter(scheduler, sent("b", **CALLER))
    assert with_ours.trace_headers == CALLER
    assert without.trace_headers == CALLER
    assert [one.traceparent for one in arrivals(kept)] == ["00-ab", "00-ab"]
    assert arrivals(kept)[1].frontend == ""


def test_headers_without_our_member_are_not_ours_to_take() -> None:
    """Whoever passed vLLM's own gate keeps the context."""
    with followed(Shape(), random.Random(1)) as (scheduler, _kept):
        assert enter(scheduler, sent(**CALLER)).trace_headers == CALLER


def test_a_request_that_nobody_saw_arrive() -> None:
    """Without the hook in front it arrives when it is queued, from the same request."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        made, _wave = EngineCore(Scheduler(Shape(), random.Random(1))).preprocess_add_request(
            sent("chatcmpl-a-12345678")
        )
        scheduler.add_request(made)
        scheduler.finish_requests(["chatcmpl-a-12345678"])
    assert [one.request_id for one in arrivals(kept)] == ["chatcmpl-a-12345678"]
    assert arrivals(kept)[0].operation == "chat"
    assert [type(one) for one in kept] == [RequestArrived, RequestFinished]


def test_a_session_s_further_inputs_are_no_requests() -> None:
    """A streaming-input session sends its inputs under one id; it is one request."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        core = EngineCore(scheduler)
        first, _ = core.preprocess_add_request(sent("a"))
        core.preprocess_add_request(sent("a"))
        scheduler.add_request(first)
        further, _ = core.preprocess_add_request(sent("a"))
        scheduler.add_request(further)
        scheduler.finish_requests(["a"])
    assert len(arrivals(kept)) == 1
    assert sum(isinstance(one, RequestFinished) for one in kept) == 1


def test_refused_and_put_in_all_the_same() -> None:
    """VLLM 0.33 does so for a KV connector's sake. It is one request; its id may come again."""
    with followed(Shape(), random.Random(1)) as (scheduler, kept):
        core = EngineCore(scheduler)
        for _ in range(2):
            made, _wave = core.preprocess_add_request(sent("a"))
            follower: Any = vars(scheduler)[CORE]
            follower.refused(["a"], "error")
            scheduler.add_request(made)
            scheduler.finish_requests(["a"])
        assert not follower._arrivals.was_refused("a")
        for number in range(2000):
            core.preprocess_add_request(sent(f"b{number}"))
            follower.refused([f"b{number}"], "error")
        assert len(follower._arrivals._refused) == 1024
    assert len(arrivals(kept)) == 2002
    assert sum(isinstance(one, RequestFinished) for one in kept) == 2002
