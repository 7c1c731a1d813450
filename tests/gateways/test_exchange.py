"""What is read of bodies: content chunks and their times, tokens, sizes. Bodies pass untouched."""

import gzip
import itertools
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from otel_llm.clock import MonotonicNs
from otel_llm.conventions import Metrics
from otel_llm.facts.gateway import MAX_INTER_CHUNKS, GatewayCall
from otel_llm.gateways import exchange, instrument_gateway, sse
from otel_llm.gateways.exchange import RawHeaders, RequestReader, ResponseReader
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.testing import FactList
from otel_llm.settings import Settings

EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"),)
JSON = ((b"content-type", b"application/json"),)
ROLE = b'data: {"id":"c-1","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
CONTENT = b'data: {"id":"c-1","choices":[{"delta":{"content":"x"}}]}\n\n'
USAGE = (
    b'data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,'
    b'"prompt_tokens_details":{"cached_tokens":4}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
STREAM = ROLE + CONTENT * 3 + USAGE + DONE


def _reader(refused: list[str] | None = None) -> ResponseReader:
    metrics = GatewayMetrics()
    seen = [] if refused is None else refused
    return ResponseReader(seen.append, lambda: metrics.inter_chunk("m", "acme"))


def _read(
    pieces: list[tuple[bytes, int]], headers: RawHeaders = EVENTS, status: int = 200
) -> ResponseReader:
    reader = _reader()
    reader.start(status, headers, has_content=True)
    for piece, at_ns in pieces:
        reader.feed(piece, MonotonicNs(at_ns))
    reader.end(complete=True)
    return reader


def test_stream() -> None:
    """Content events are counted and timed; role, usage and end marks are not content."""
    read = _read(
        [(ROLE, 100), (CONTENT, 5000), (CONTENT, 8600), (CONTENT + USAGE, 9000), (DONE, 9500)]
    )
    assert (read.first_ns, read.last_ns, read.chunks) == (5000, 9000, 3)
    assert read.inter_chunk_us == [4, 0]
    assert read.usage == (9, 4, 7)
    assert read.response_id == "c-1"
    assert not read.error


def test_several_events_in_one_message() -> None:
    """Events that go out together are chunks of their own, with no time between them."""
    read = _read([(CONTENT * 3, 7000)])
    assert (read.chunks, read.inter_chunk_us, read.first_ns) == (3, [0, 0], 7000)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_cut_anywhere(cuts: list[int]) -> None:
    """However the stream is cut, the same chunks and tokens are read."""
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [(STREAM[a:b], i + 1) for i, (a, b) in enumerate(itertools.pairwise(edges))]
    read = _read(pieces)
    assert (read.chunks, read.usage.output_tokens, len(read.inter_chunk_us)) == (3, 7, 2)
    assert read.size == len(STREAM)


def test_chunks_are_not_tokens() -> None:
    """A stream without usage has no token counts, however many chunks it has."""
    assert _read([(CONTENT * 5, 1)]).usage == (None, None, None)


def test_error_event() -> None:
    """An error inside the stream is noticed."""
    assert _read([(CONTENT + b'data: {"error": {"message": "no"}}\n\n', 1)]).error


def test_unreadable_event_and_usage_are_counted() -> None:
    """Events and counts that cannot be read are counted, and the rest is still read."""
    refused: list[str] = []
    reader = _reader(refused)
    reader.start(200, EVENTS, has_content=True)
    reader.feed(
        b'data: {nonsense\n\ndata: {"usage": {"prompt_tokens": -4}}\n\n' + CONTENT, MonotonicNs(1)
    )
    reader.end(complete=True)
    assert refused == ["response", "usage"]
    assert reader.chunks == 1


def test_oversize_event_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is too long to be read is counted, even if the stream breaks off."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    refused: list[str] = []
    reader = _reader(refused)
    reader.start(200, EVENTS, has_content=True)
    reader.feed(b"data: " + b"x" * 200 + b"\n\n" + CONTENT, MonotonicNs(1))
    reader.end(complete=False)
    assert refused == ["response"]
    assert reader.chunks == 1


def test_inter_chunk_times_are_bounded() -> None:
    """Past the limit chunks are counted and the list grows no more."""
    read = _read([(CONTENT * (MAX_INTER_CHUNKS + 10), 1)])
    assert read.chunks == MAX_INTER_CHUNKS + 10
    assert len(read.inter_chunk_us) == MAX_INTER_CHUNKS


def test_whole_response() -> None:
    """A body that is no stream is one chunk, whose tokens stand in its usage."""
    body = json.dumps({"id": "c-2", "usage": {"prompt_tokens": 5, "completion_tokens": 6}}).encode()
    read = _read([(body[:9], 100), (body[9:], 300)], headers=JSON)
    assert (read.chunks, read.first_ns, read.last_ns, read.inter_chunk_us) == (1, 100, 300, [])
    assert read.usage == (5, None, 6)
    assert read.response_id == "c-2"


@pytest.mark.parametrize(
    ("headers", "status", "has_content"),
    [
        (EVENTS, 500, True),
        (JSON, 404, True),
        (((b"content-type", b"text/html"),), 200, True),
        ((), 200, True),
        ((*JSON, (b"content-encoding", b"gzip")), 200, True),
        (JSON, 200, False),
    ],
)
def test_what_is_not_content(headers: RawHeaders, status: int, has_content: bool) -> None:
    """Errors, other types, compressed bodies and routes that generate nothing have no content."""
    reader = _reader()
    reader.start(status, headers, has_content=has_content)
    reader.feed(CONTENT, MonotonicNs(1))
    reader.end(complete=True)
    assert (reader.chunks, reader.first_ns, reader.size) == (0, None, len(CONTENT))


def test_cancelled_whole_response_is_not_refused() -> None:
    """Half a body is no malformed body."""
    refused: list[str] = []
    reader = _reader(refused)
    reader.start(200, JSON, has_content=True)
    reader.feed(b'{"id"', MonotonicNs(1))
    reader.end(complete=False)
    assert refused == []


def test_long_bodies_pass_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit nothing is kept, and the loss is counted."""
    monkeypatch.setattr(exchange, "MAX_READ_BYTES", 100)
    refused: list[str] = []
    request = RequestReader(refused.append)
    request.feed(b'{"model": "m", "prompt": "' + b"x" * 90, more=True)
    request.feed(b'"}', more=False)
    assert (request.asked.model, request.size, refused) == (None, 118, ["body"])
    reader = _reader(refused)
    reader.start(200, JSON, has_content=True)
    for _ in range(20):
        reader.feed(b"x" * 10, MonotonicNs(1))
    assert sum(map(len, reader._parts)) <= 100
    reader.end(complete=True)
    assert refused == ["body", "response"]


@given(st.binary(min_size=1, max_size=60), st.integers(0, 60))
def test_request_in_parts(body: bytes, cut: int) -> None:
    """A request's parts are read as one body; none of it is refused twice."""
    refused: list[str] = []
    reader = RequestReader(refused.append)
    reader.feed(body[:cut], more=True)
    reader.feed(body[cut:], more=False)
    assert reader.size == len(body)
    assert refused in ([], ["body"])


async def _post(app: Starlette, body: bytes) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.post("/v1/chat/completions", content=body)


def _app(facts: FactList, response: Callable[[], Response]) -> Starlette:
    async def chat(request: Request) -> Response:
        received.append(await request.body())
        return response()

    received: list[bytes] = []
    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    app.state.received = received
    app.state.gateway = instrument_gateway(app, Settings(), journal=facts)
    return app


@pytest.mark.parametrize(
    ("body", "refused"),
    [(b'{"model": "m", "stream": true, "n": 3}', 0.0), (b"not json \xff", 1.0), (b"", 0.0)],
)
async def test_application_gets_the_body_untouched(
    facts: FactList, body: bytes, refused: float
) -> None:
    """Readable, malformed or empty: the application receives the very bytes."""
    app = _app(facts, lambda: Response(b"{}", media_type="application/json"))
    await _post(app, body)
    assert app.state.received == [body]
    call: GatewayCall = facts.calls[0]
    assert call.request_bytes == len(body)
    registry = app.state.gateway.metrics.registry
    name, labels = Metrics.REFUSED_VALUES.name, {"what": "body"}
    assert (registry.get_sample_value(name, labels) or 0.0) == refused
    known = ("m", True, 3) if body.startswith(b"{") else (None, False, None)
    assert (call.model, call.stream, call.samples) == known


async def test_facts_of_a_stream(facts: FactList) -> None:
    """A streamed answer arrives unchanged, and its fact holds what the caller saw."""

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(STREAM), 17):
            yield STREAM[start : start + 17]

    app = _app(facts, lambda: StreamingResponse(stream(), media_type="text/event-stream"))
    response = await _post(app, b'{"model": "m", "stream": true}')
    assert response.content == STREAM
    call = facts.calls[0]
    assert (call.outcome, call.chunks, len(call.inter_chunk_us)) == ("finished", 3, 2)
    assert (call.prompt_tokens, call.cached_tokens, call.output_tokens) == (9, 4, 7)
    assert call.response_bytes == len(STREAM)
    assert call.first_content_ns is not None
    assert call.last_content_ns is not None
    assert call.arrival_ns <= call.first_content_ns <= call.last_content_ns <= call.finished_ns


async def test_error_event_fails_the_call(facts: FactList) -> None:
    """A stream that reports an error and ends in order is a failed call."""

    async def stream() -> AsyncIterator[bytes]:
        yield CONTENT + b'data: {"error": {"message": "engine died"}}\n\n'

    app = _app(facts, lambda: StreamingResponse(stream(), media_type="text/event-stream"))
    await _post(app, b"{}")
    call = facts.calls[0]
    assert (call.outcome, call.error_class, call.status_code) == ("failed", "stream_error", 200)


async def test_compressed_answer_has_no_tokens(facts: FactList) -> None:
    """A compressed answer passes; its tokens stay unknown until the engine's fact is joined."""
    body = gzip.compress(b'{"usage": {"prompt_tokens": 1}}')

    def response() -> Response:
        return Response(body, headers={"content-encoding": "gzip"}, media_type="application/json")

    await _post(_app(facts, response), b"{}")
    assert facts.calls[0].prompt_tokens is None
    assert facts.calls[0].outcome == "finished"
