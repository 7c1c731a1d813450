"""From a call's outputs to its HTTP reply, streamed or whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from otel_llm.demo.engine.call import Call, Output
from otel_llm.demo.engine.core import EngineCore
from otel_llm.demo.engine.errors import ApiError, engine_failed
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.formats import Endpoint, usage
from otel_llm.demo.engine.protocol import Params
from otel_llm.demo.engine.text import TextOfSample

CLIENT_CLOSED = 499
"""Status for a caller that has gone; nobody receives it, logs do."""


class Reply:
    """One call on its way back to its caller.

    Whatever ends the reply, `close` must follow: it aborts what is unfinished.
    """

    def __init__(
        self,
        core: EngineCore,
        events: EngineEvents,
        endpoint: Endpoint,
        call: Call,
        params: Params,
    ) -> None:
        self._core = core
        self._events = events
        self._endpoint = endpoint
        self._call = call
        self._params = params
        self._texts = [TextOfSample(params.sampling.stop) for _ in call.sequences]
        self._open = set(range(len(call.sequences)))

    async def send(self, request: Request) -> Response:
        """Answer as the call asked: as a stream, or whole."""
        if self._params.stream:
            return EventStream(self)
        try:
            return await self._unless_disconnected(request)
        finally:
            self.close()

    def close(self) -> None:
        """Abort the samples whose end was not handled."""
        self._core.abort(self._call.sequences[index] for index in self._open)
        self._open.clear()

    async def stream(self) -> AsyncIterator[bytes]:
        """The reply as server-sent events, `[DONE]` last."""
        try:
            async for index, text, finish_reason, first in self._pieces():
                if first and self._endpoint.opening is not None:
                    yield self._event([self._endpoint.opening(index)])
                if text or finish_reason is not None:
                    yield self._event([self._endpoint.delta(index, text, finish_reason)])
            if self._params.include_usage:
                yield self._event([], usage(self._call, self._params.n))
        except ApiError as error:
            # The status line has gone out; the error can only be told inside the stream.
            yield _data(msgspec.json.encode(error.body()))
        yield _data(b"[DONE]")

    async def _unless_disconnected(self, request: Request) -> Response:
        whole = asyncio.ensure_future(self._whole())
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait((whole, gone), return_when=asyncio.FIRST_COMPLETED)
            return whole.result() if whole.done() else Response(status_code=CLIENT_CLOSED)
        finally:
            whole.cancel()
            gone.cancel()

    async def _whole(self) -> Response:
        texts = [""] * len(self._texts)
        reasons: list[str | None] = [None] * len(self._texts)
        async for index, text, finish_reason, _ in self._pieces():
            texts[index] += text
            reasons[index] = finish_reason
        choices = [
            self._endpoint.choice(index, text, reason)
            for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
        ]
        body = self._endpoint.envelope(self._call, choices, chunk=False)
        body["usage"] = usage(self._call, self._params.n)
        return Response(msgspec.json.encode(body), media_type="application/json")

    async def _pieces(self) -> AsyncIterator[tuple[int, str, str | None, bool]]:
        """(sample, new text, finish reason, is its first) until every sample has ended.

        Outputs that came while the last piece was on its way are merged, as engines do.
        """
        while self._open:
            for index, outputs in (await self._arrived_outputs()).items():
                first = self._texts[index].empty
                text = self._texts[index].push(outputs)
                if first:
                    self._events.first_output(self._call.sequences[index])
                finish_reason = outputs[-1].finish_reason
                if finish_reason is not None:
                    self._open.discard(index)
                    self._events.finished(self._call.sequences[index])
                yield index, text, finish_reason, first

    async def _arrived_outputs(self) -> dict[int, list[Output]]:
        """All outputs that are there, by sample; waits for one."""
        queue = self._call.outputs
        by_sample: dict[int, list[Output]] = {}
        output = await queue.get()
        while True:
            if output.token is None:
                raise engine_failed(self._core.failure or "an unknown error")
            by_sample.setdefault(output.index, []).append(output)
            if queue.empty():
                return by_sample
            output = queue.get_nowait()

    def _event(self, choices: list[dict[str, Any]], counts: dict[str, Any] | None = None) -> bytes:
        chunk = self._endpoint.envelope(self._call, choices, chunk=True)
        if self._params.include_usage:
            chunk["usage"] = counts
        return _data(msgspec.json.encode(chunk))


class EventStream(StreamingResponse):
    """A reply as server-sent events; closes it even if the caller left before the first byte."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.stream(), media_type="text/event-stream")
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.close()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _data(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"
