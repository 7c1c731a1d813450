"""The API over a real socket: shapes, streams, errors, and callers that leave."""

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect

from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig, ModelConfig, SchedulerConfig
from otel_llm.demo.engine.core import EngineCore
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.executor import Executor
from otel_llm.demo.engine.scheduler import Plan
from otel_llm.demo.engine.sequence import Sequence
from otel_llm.demo.engine.server import MAX_BODY_BYTES, create_app
from tests.waiting import PATIENCE_S, eventually

CONFIG = EngineConfig(
    model_name="m",
    model=ModelConfig(layers=1, dim=16, heads=2, kv_heads=1, head_dim=8, ffn=16),
    scheduler=SchedulerConfig(
        token_budget=64, max_running=2, max_waiting=4, blocks=256, block_size=4, max_model_len=512
    ),
)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
TEXT = {"model": "m", "prompt": "hello", "temperature": 0}


@dataclass
class GatedEvents(EngineEvents):
    """Can hold the engine before a step; notes arrivals, first outputs and ends."""

    gate: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    arrivals: list[Call] = field(default_factory=list)
    first_outputs: Counter[str] = field(default_factory=Counter)
    ends: list[tuple[Sequence, str | None]] = field(default_factory=list)
    hold_when: Callable[[Plan], bool] = lambda _: False

    def arrived(self, call: Call) -> None:
        """Note an arrival."""
        self.arrivals.append(call)

    def scheduled(self, plan: Plan) -> None:
        """Hold the engine in this step if it is the one to hold."""
        if self.hold_when(plan):
            self.held.set()
            assert self.gate.wait(PATIENCE_S)

    def first_output(self, sequence: Sequence) -> None:
        """Note a first output."""
        self.first_outputs[sequence.request_id] += 1

    def finished(self, sequence: Sequence, error_type: str | None = None) -> None:
        """Note an end."""
        self.ends.append((sequence, error_type))


@pytest.fixture
def events() -> GatedEvents:
    """The engine's observer."""
    return GatedEvents()


@pytest.fixture
async def client(events: GatedEvents) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a served engine."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(CONFIG, events)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    host, port = listener.getsockname()
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=PATIENCE_S) as subject:
        yield subject
    events.gate.set()
    server.should_exit = True
    await serving
    listener.close()


def chunks(response: httpx.Response) -> list[Any]:
    """The stream's JSON chunks; checks that `[DONE]` ends it."""
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = response.text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    assert all(frame.startswith("data: ") for frame in frames[:-1])
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]


async def test_a_completion_has_openais_shape(client: httpx.AsyncClient) -> None:
    """Text, reason and usage, with the cached tokens of a repeated prompt."""
    body = {**TEXT, "prompt": list(range(10)), "max_tokens": 3}
    await client.post("/v1/completions", json=body)
    answer = (await client.post("/v1/completions", json=body)).json()
    assert answer["id"].startswith("cmpl-")
    assert (answer["object"], answer["model"]) == ("text_completion", "m")
    [choice] = answer["choices"]
    assert (choice["index"], choice["finish_reason"], len(choice["text"])) == (0, "length", 3)
    assert answer["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8},
    }


async def test_a_chat_completion_has_openais_shape(client: httpx.AsyncClient) -> None:
    """The assistant's message in place of a text."""
    answer = (await client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 4})).json()
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    message = answer["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert len(message["content"]) == 4


async def test_a_streamed_completion_says_what_a_whole_one_says(
    client: httpx.AsyncClient,
) -> None:
    """The same text, under one id, the reason on the last chunk, no usage unless asked for."""
    body = {**TEXT, "max_tokens": 8}
    whole = (await client.post("/v1/completions", json=body)).json()
    parts = chunks(await client.post("/v1/completions", json={**body, "stream": True}))
    assert "".join(part["choices"][0]["text"] for part in parts) == whole["choices"][0]["text"]
    assert [part["choices"][0]["finish_reason"] for part in parts][-2:] != ["length", "length"]
    assert parts[-1]["choices"][0]["finish_reason"] == "length"
    assert len({part["id"] for part in parts}) == 1
    assert not any("usage" in part for part in parts)


async def test_a_streamed_chat_opens_with_the_role_and_ends_with_the_usage(
    client: httpx.AsyncClient,
) -> None:
    """`include_usage` adds a last chunk without choices; the others say null."""
    options = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 5}
    first, *middle, last = chunks(
        await client.post("/v1/chat/completions", json={**CHAT, **options})
    )
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len("".join(part["choices"][0]["delta"]["content"] for part in middle)) == 5
    assert {part["usage"] for part in [first, *middle]} == {None}
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5


async def test_samples_share_a_prompt_and_differ(
    client: httpx.AsyncClient, events: GatedEvents
) -> None:
    """`n` with a seed: repeatable, different texts, the prompt counted once."""
    body = {**TEXT, "n": 3, "seed": 5, "temperature": 1.5, "max_tokens": 12}
    first = (await client.post("/v1/completions", json=body)).json()
    again = (await client.post("/v1/completions", json=body)).json()
    texts = [choice["text"] for choice in first["choices"]]
    assert len(set(texts)) == 3
    assert texts == [choice["text"] for choice in again["choices"]]
    assert (first["usage"]["prompt_tokens"], first["usage"]["completion_tokens"]) == (6, 36)
    assert [each.request_id for each in events.arrivals[0].sequences] == [
        f"{first['id']}-{index}" for index in range(3)
    ]


async def test_samples_of_a_stream_carry_their_index(client: httpx.AsyncClient) -> None:
    """Each of two prompts' samples ends with its own reason."""
    body = {**TEXT, "prompt": ["a", "b"], "n": 2, "max_tokens": 3, "stream": True}
    choices = [
        part["choices"][0] for part in chunks(await client.post("/v1/completions", json=body))
    ]
    assert Counter(choice["index"] for choice in choices if choice["finish_reason"]) == {
        0: 1, 1: 1, 2: 1, 3: 1,
    }  # fmt: skip


async def test_a_stop_text_ends_and_is_not_sent(client: httpx.AsyncClient) -> None:
    """The whole and the streamed answer end before the stop text."""
    body = {**TEXT, "max_tokens": 40, "temperature": 1.0, "seed": 1}
    text = (await client.post("/v1/completions", json=body)).json()["choices"][0]["text"]
    stop = text[10:12]
    stopped = {**body, "stop": stop}
    [choice] = (await client.post("/v1/completions", json=stopped)).json()["choices"]
    assert (choice["text"], choice["finish_reason"]) == (text[: text.index(stop)], "stop")
    parts = chunks(await client.post("/v1/completions", json={**stopped, "stream": True}))
    assert "".join(part["choices"][0]["text"] for part in parts) == choice["text"]


async def test_first_output_and_end_are_told_once_per_sample(
    client: httpx.AsyncClient, events: GatedEvents
) -> None:
    """Streamed or whole, the observer sees each sample's first output and its end."""
    for stream in (False, True):
        await client.post("/v1/completions", json={**TEXT, "n": 2, "stream": stream})
    ids = [each.request_id for call in events.arrivals for each in call.sequences]
    assert events.first_outputs == dict.fromkeys(ids, 1)
    assert sorted(each.request_id for each, _ in events.ends) == sorted(ids)
    assert {each.finish_reason for each, _ in events.ends} == {"length"}


async def test_errors_have_openais_shape(client: httpx.AsyncClient) -> None:
    """The body names the field; nothing arrives at the engine."""
    response = await client.post("/v1/completions", json={**TEXT, "max_tokens": 0})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "max_tokens")


async def test_an_oversize_body_is_refused(client: httpx.AsyncClient) -> None:
    """413 as soon as the limit is passed."""
    response = await client.post("/v1/completions", content=b" " * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413


async def test_a_caller_that_leaves_inside_its_body_is_no_error(
    client: httpx.AsyncClient, events: GatedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing arrives at the engine, nothing is logged, and it serves on."""
    seen: list[str] = []
    original = ClientDisconnect.__init__

    def noted(self: ClientDisconnect, *args: object) -> None:
        seen.append("disconnect")
        original(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientDisconnect, "__init__", noted)
        _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = b"POST /v1/completions HTTP/1.1\r\nhost: engine\r\ncontent-length: 99\r\n\r\n{"
        writer.write(head)
        await writer.drain()
        writer.close()
        await eventually(lambda: bool(seen))
    assert (await client.post("/v1/completions", json=TEXT)).status_code == 200
    assert len(events.arrivals) == 1
    assert caplog.records == []


async def test_models_and_health(client: httpx.AsyncClient) -> None:
    """The one model, and 200 while the engine lives."""
    [model] = (await client.get("/v1/models")).json()["data"]
    assert (model["id"], model["max_model_len"]) == ("m", 512)
    assert (await client.get("/health")).status_code == 200


async def test_a_full_queue_sheds(client: httpx.AsyncClient, events: GatedEvents) -> None:
    """429 with Retry-After while the queue is full; nothing of the shed call arrives."""
    events.hold_when = lambda _: True
    runs = [asyncio.create_task(client.post("/v1/completions", json=TEXT))]
    await eventually(events.held.is_set)
    runs.append(asyncio.create_task(client.post("/v1/completions", json={**TEXT, "n": 4})))
    await eventually(lambda: len(events.arrivals) == 2)
    shed = await client.post("/v1/completions", json=TEXT)
    assert (shed.status_code, shed.headers["retry-after"]) == (429, "1")
    assert shed.json()["error"]["code"] == "queue_full"
    assert len(events.arrivals) == 2
    events.gate.set()
    assert [response.status_code for response in await asyncio.gather(*runs)] == [200, 200]


LONG = {"max_tokens": 100, "prompt": [7] * 300}
STAGES: dict[str, Callable[[Plan], bool]] = {
    "prefill": lambda plan: plan.shares[-1].context >= 100,
    "decode": lambda plan: plan.shares[-1].sequence.output_tokens >= 3,
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_caller_that_leaves_aborts_its_request(
    client: httpx.AsyncClient,
    events: GatedEvents,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    stream: bool,
) -> None:
    """Gone in prefill or in decode: the engine stops at the next step and tells the abort."""
    aborts = spy_on_aborts(monkeypatch)
    events.hold_when = STAGES[stage]
    await leave(client, events, aborts, {**TEXT, **LONG, "stream": stream})
    events.gate.set()
    await eventually(lambda: bool(events.ends))
    [(sequence, error_type)] = events.ends
    assert (sequence.finish_reason, error_type) == ("abort", None)
    assert sequence.output_tokens == {"prefill": 0, "decode": 3}[stage]


async def test_a_caller_that_leaves_the_queue_is_never_scheduled(
    client: httpx.AsyncClient, events: GatedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone before its first step: no step is spent on it."""
    aborts = spy_on_aborts(monkeypatch)
    events.hold_when = lambda _: True
    running = asyncio.create_task(client.post("/v1/completions", json={**TEXT, "n": 2}))
    await eventually(events.held.is_set)
    await leave(client, events, aborts, {**TEXT, "stream": True}, arrivals=2)
    events.gate.set()
    assert (await running).status_code == 200
    [gone] = [each for each, _ in events.ends if each.finish_reason == "abort"]
    assert gone.cached is None


async def leave(
    client: httpx.AsyncClient,
    events: GatedEvents,
    aborts: list[Sequence],
    body: dict[str, Any],
    arrivals: int = 1,
) -> None:
    """Post, wait until the engine is held with the call inside, disconnect."""
    post = asyncio.create_task(client.post("/v1/completions", json=body))
    await eventually(lambda: events.held.is_set() and len(events.arrivals) == arrivals)
    post.cancel()
    with suppress(asyncio.CancelledError):
        await post
    await eventually(lambda: bool(aborts))


def spy_on_aborts(monkeypatch: pytest.MonkeyPatch) -> list[Sequence]:
    """What the API server has asked the core to abort, growing."""
    aborts: list[Sequence] = []
    original = EngineCore.abort

    def abort(self: EngineCore, sequences: Iterable[Sequence]) -> None:
        listed = list(sequences)
        aborts.extend(listed)
        original(self, listed)

    monkeypatch.setattr(EngineCore, "abort", abort)
    return aborts


def fail(_self: Executor, _plan: Plan) -> list[int]:
    """A step that goes wrong."""
    raise ZeroDivisionError


async def test_a_stream_whose_engine_dies_ends_with_an_error(
    client: httpx.AsyncClient, events: GatedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status line has gone out: the error is the last chunk."""
    monkeypatch.setattr(Executor, "run", fail)
    [error] = chunks(await client.post("/v1/completions", json={**TEXT, "stream": True}))
    assert error["error"]["code"] == "engine_dead"
    assert events.ends[0][1] == "ZeroDivisionError"


async def test_a_dead_engine_says_so(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 for the call it died on and for later ones, 503 for its health."""
    monkeypatch.setattr(Executor, "run", fail)
    for _ in range(2):
        response = await client.post("/v1/completions", json=TEXT)
        assert response.status_code == 500
        assert "ZeroDivisionError" in response.json()["error"]["message"]
    assert (await client.get("/health")).status_code == 503
