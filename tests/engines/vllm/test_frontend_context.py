"""Trace context and the call's id, on their way past everything that would drop them."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from otel_llm.engines.vllm.frontend_context import Carried
from otel_llm.engines.vllm.identity import take
from otel_llm.testing import Swallowed
from tests.engines.vllm.api_server import LLM, AsyncLLM, BaseServing, LLMEngine, Output, Request
from tests.engines.vllm.conftest import Delivered

TRACE = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "otelllm=t"}
pytestmark = pytest.mark.usefixtures("serving")


def raw_request(headers: Mapping[str, str], path: str = "/v1/x") -> Any:  # noqa: ANN401
    """A request as FastAPI has it."""
    return SimpleNamespace(headers=headers, scope={"path": path})


async def serve(engine: AsyncLLM, form: str, raw: Any, known: bool = True) -> str:  # noqa: ANN401
    """Serve a call as vLLM's handlers do: the engine may be asked from another task.

    Args:
        engine: the engine.
        form: how its request is named, around the base id.
        raw: the HTTP request.
        known: whether the handler asks for a base id at all.
    """
    serving = BaseServing()
    base = serving._base_request_id(raw, "random") if known else "mine_1"
    headers = await serving._get_trace_headers(raw.headers)

    async def elsewhere() -> str:
        return await engine.add_request(form.format(base), None, None, trace_headers=headers)

    return await asyncio.create_task(elsewhere())


def run(form: str, raw: Any, **more: Any) -> Request:  # noqa: ANN401
    """What is sent to the core for one call."""
    engine = AsyncLLM()
    handler = serve(engine, form, raw, **more)
    asyncio.run(handler)
    (request,) = engine.sent
    return request


def test_trace_context_survives() -> None:
    """VLLM drops the headers; the core gets them all the same, and our member."""
    origin, headers = take(run("cmpl-{}-0", raw_request(TRACE)).trace_headers)
    assert headers == TRACE
    assert origin is not None
    assert origin.api_request_id == "cmpl-random"


def test_no_trace_context() -> None:
    """Without trace context nothing is made up, and vLLM is offered what it would have been."""
    engine = AsyncLLM()
    asyncio.run(serve(engine, "cmpl-{}-0", raw_request({})))
    assert engine.offered is None
    assert take(engine.sent[0].trace_headers)[1] is None


def test_vllm_sees_plain_headers() -> None:
    """What carries the call stays out of vLLM: it gets a plain dictionary."""
    engine = AsyncLLM()
    asyncio.run(serve(engine, "cmpl-{}-0", raw_request(TRACE)))
    assert type(engine.offered) is dict
    assert engine.offered == TRACE


@pytest.mark.parametrize(
    ("form", "chosen", "api"),
    [
        ("chatcmpl-{}", "abc_0", "chatcmpl-abc_0"),
        ("chatcmpl-{}_0", "abc", "chatcmpl-abc"),
        ("cmpl-{}-1", "abc-1", "cmpl-abc-1"),
    ],
)
def test_the_callers_own_id(form: str, chosen: str, api: str) -> None:
    """`X-Request-Id` is told from what vLLM adds, also in another task than the handler's."""
    origin, _ = take(run(form, raw_request({"X-Request-Id": chosen})).trace_headers)
    assert origin is not None
    assert origin.api_request_id == api


def test_responses() -> None:
    """A serving class that asks for no base id is the Responses API's."""
    origin, _ = take(run("{}_3", raw_request(TRACE), known=False).trace_headers)
    assert origin is not None
    assert (origin.api_request_id, origin.operation) == ("mine_1", "chat")


def test_rerank() -> None:
    """The path tells a rerank from a score."""
    origin, _ = take(run("score-{}-0", raw_request({}, "/v2/rerank")).trace_headers)
    assert origin is not None
    assert origin.operation == "rerank"


def test_calls_at_once() -> None:
    """Calls that are served at the same time do not take each other's context."""

    async def both(engine: AsyncLLM) -> None:
        calls = [
            serve(
                engine,
                "chatcmpl-{}_0",
                raw_request({"X-Request-Id": f"c{n}", "traceparent": f"t{n}"}),
            )
            for n in range(20)
        ]
        await asyncio.gather(*calls)

    engine = AsyncLLM()
    asyncio.run(both(engine))
    for request in engine.sent:
        origin, headers = take(request.trace_headers)
        assert origin is not None
        number = origin.api_request_id.removeprefix("chatcmpl-c")
        assert headers == {"traceparent": f"t{number}"}
        assert request.external_req_id == f"chatcmpl-c{number}_0"


def test_headers_of_another_request_do_not_stick() -> None:
    """A request that comes past `add_request` has its own headers or none."""
    engine = LLMEngine()
    engine.add_request("0", None, None, trace_headers=TRACE)
    other = Request("1-0f", "1")
    engine.output_processor.add_request(other, None)
    assert take(other.trace_headers)[1] is None


def test_a_request_made_by_the_caller() -> None:
    """An `EngineCoreRequest` that the caller made keeps the headers in it."""
    engine = LLMEngine()
    for name in ("0", "another id"):
        engine.add_request(name, Request("0-0f", "0", trace_headers=TRACE), None)
        assert take(engine.sent[-1].trace_headers)[1] == TRACE
        engine.output_processor.abort_requests(["0-0f"], internal=True)


def test_library_use(delivered: Delivered) -> None:
    """Methods of `LLM` tell the operation; the beams of one call share an id of their own."""
    llm = LLM()
    llm.generate("0")
    llm.chat("1")
    llm.score("2")
    llm.beam_search("3", "4")
    llm.beam_search("5")
    llm.generate("6")
    for number in range(7):
        llm.llm_engine.output_processor.process_outputs([Output(f"{number}-0f", [1], "stop")])
    found = [delivered()[f"{number}-0f"] for number in range(7)]
    operations = [one.operation for one in found]
    assert operations[:3] == ["text_completion", "chat", "score"]
    assert set(operations[3:]) == {"text_completion"}
    ids = [one.api_request_id for one in found]
    assert ids[:3] + ids[6:] == ["0", "1", "2", "6"]
    assert ids[3] == ids[4] != ids[5]
    assert all(one.startswith("beam-") for one in ids[3:6])


def test_hooks_that_raise(swallowed: Swallowed) -> None:
    """A request object that is not as expected costs the note, and nothing else."""
    broken = SimpleNamespace(headers={"X-Request-Id": "a"})  # has no scope
    assert BaseServing._base_request_id(broken) == "a"
    assert set(swallowed.places) == {"vllm.frontend"}
    swallowed.clear()


def test_carried_is_only_a_dictionary() -> None:
    """What carries a call is equal to the headers in it, and empty without any."""
    from otel_llm.engines.vllm.identity import RESPONSES

    assert Carried(TRACE, RESPONSES) == TRACE
    assert not Carried(None, RESPONSES)
