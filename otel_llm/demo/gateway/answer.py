"""The answer on its way to the caller, as it comes."""

import httpx
from starlette.responses import Response
from starlette.types import Send

_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade", b"date", b"server"),
    }
)


class Answer:
    """The answer on its way to the caller.

    Args:
        send: ASGI send.

    Attributes:
        started: its status line has gone out, so that no other upstream can answer.
        is_stream: it is an event stream.
    """

    def __init__(self, send: Send) -> None:
        self.started = False
        self.is_stream = False
        self._send = send

    async def start(self, response: httpx.Response) -> None:
        """Send the upstream's status and headers."""
        self.started = True
        self.is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        headers = [each for each in response.headers.raw if each[0].lower() not in _HOP_BY_HOP]
        lowered = [(name.lower(), value) for name, value in headers]
        status = response.status_code
        await self._send({"type": "http.response.start", "status": status, "headers": lowered})

    async def part(self, body: bytes, *, more: bool = True) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def whole(self, response: Response) -> None:
        """Send an answer of the gateway's own."""
        self.started = True
        start = {"status": response.status_code, "headers": response.raw_headers}
        await self._send({"type": "http.response.start", **start})
        await self.part(bytes(response.body), more=False)
