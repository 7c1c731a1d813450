"""What passes through one call, read beside the host: the request's body, the response."""

from collections.abc import Callable, Sequence

from otel_llm.clock import MonotonicNs
from otel_llm.exporters.prometheus import Histogram
from otel_llm.facts.gateway import MAX_INTER_CHUNKS
from otel_llm.gateways import openai
from otel_llm.gateways.openai import Asked, Event, Response, Usage
from otel_llm.gateways.sse import EventSplitter

MAX_READ_BYTES = 16 << 20
"""Longest body that is read for the names and counts in it. Longer ones pass unread."""

Refused = Callable[[str], None]
"""Told what kind of value could not be read."""

RawHeaders = Sequence[tuple[bytes, bytes]]


class RequestReader:
    """Reads the request's body as the host receives it.

    Args:
        refused: told of a body that cannot be read.

    Attributes:
        asked: what the body asks for.
        size: bytes of body so far.
    """

    def __init__(self, refused: Refused) -> None:
        self.asked = Asked()
        self.size = 0
        self._refused = refused
        self._parts: list[bytes] = []

    def feed(self, body: bytes, *, more: bool) -> None:
        """Take the next part of the body."""
        self.size += len(body)
        if self.size <= MAX_READ_BYTES:
            self._parts.append(body)
        if more:
            return
        parts, self._parts = self._parts, []
        if self.size == 0:
            return
        asked = openai.read_request(b"".join(parts)) if self.size <= MAX_READ_BYTES else None
        if asked is None:
            self._refused("body")
        else:
            self.asked = asked


class ResponseReader:
    """Reads the response as the host sends it. Stamps are taken just before a message is sent.

    Args:
        refused: told of an event or a count that cannot be read.
        chunk_times: gives where inter-chunk times go, once they are needed.

    Attributes:
        status: HTTP status; None if no response began.
        size: bytes of body so far.
        chunks: content chunks sent.
        first_ns, last_ns: stamps of the first and last content chunk.
        inter_chunk_us: times between them, in microseconds.
        usage: token counts, if the response gave some.
        response_id: the API's id.
        error: an event of the stream, or the body, reported an error.
    """

    def __init__(self, refused: Refused, chunk_times: Callable[[], Histogram]) -> None:
        self.status: int | None = None
        self.size = 0
        self.chunks = 0
        self.first_ns: MonotonicNs | None = None
        self.last_ns: MonotonicNs | None = None
        self.inter_chunk_us: list[int] = []
        self.usage = Usage()
        self.response_id: str | None = None
        self.error = False
        self._refused = refused
        self._chunk_times = chunk_times
        self._histogram: Histogram | None = None
        self._feed: Callable[[bytes, MonotonicNs], None] | None = None
        self._events = EventSplitter()
        self._parts: list[bytes] = []

    def start(self, status: int, headers: RawHeaders, *, has_content: bool) -> None:
        """The response began.

        Args:
            status: HTTP status.
            headers: the response's.
            has_content: the route generates text, so that a success carries content.
        """
        self.status = status
        values = {name.lower(): value.lower() for name, value in headers}
        if not has_content or status >= 400 or values.get(b"content-encoding", b"") not in _PLAIN:
            return
        kind = values.get(b"content-type", b"").split(b";")[0].strip()
        if kind == b"text/event-stream":
            self._feed = self._feed_events
        elif kind == b"application/json":
            self._feed = self._feed_whole

    def feed(self, body: bytes, sent_ns: MonotonicNs) -> None:
        """A part of the body was sent."""
        self.size += len(body)
        if body and self._feed is not None:
            self._feed(body, sent_ns)

    def end(self, *, complete: bool) -> None:
        """No more is coming.

        Args:
            complete: the last part was sent, so a whole response can be read.
        """
        if self._parts and complete:
            whole = self.size <= MAX_READ_BYTES
            self._take(openai.read_response(b"".join(self._parts)) if whole else None)
        self._parts.clear()
        for _ in range(self._events.skipped):
            self._refused("response")

    def _feed_events(self, body: bytes, sent_ns: MonotonicNs) -> None:
        for data in self._events.feed(body):
            if data == openai.DONE:
                continue
            event = openai.read_event(data)
            self._take(event)
            if event is not None and event.has_content():
                self._content(sent_ns)

    def _feed_whole(self, body: bytes, sent_ns: MonotonicNs) -> None:
        """A body that is no stream is one chunk, from its first byte to its last."""
        if self.size <= MAX_READ_BYTES:
            self._parts.append(body)
        self.chunks = 1
        if self.first_ns is None:
            self.first_ns = sent_ns
        self.last_ns = sent_ns

    def _content(self, sent_ns: MonotonicNs) -> None:
        if self.last_ns is None:
            self.first_ns = sent_ns
        else:
            gap_ns = sent_ns - self.last_ns
            if self.chunks <= MAX_INTER_CHUNKS:
                self.inter_chunk_us.append(min((gap_ns + 500) // 1000, openai.MAX_COUNT))
            if self._histogram is None:
                self._histogram = self._chunk_times()
            self._histogram.observe(gap_ns / 1e9)
        self.last_ns = sent_ns
        self.chunks += 1

    def _take(self, said: Event | Response | None) -> None:
        if said is None:
            self._refused("response")
            return
        if self.response_id is None:
            self.response_id = openai.read_name(said.id)
        if said.error is not None:
            self.error = True
        if said.usage is not None:
            usage = openai.read_usage(said.usage)
            if usage is None:
                self._refused("usage")
            else:
                self.usage = usage


_PLAIN = (b"", b"identity")
