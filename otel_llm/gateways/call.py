"""One call at the gateway: what is known of it, and the single fact it ends with."""

import asyncio
import secrets
from dataclasses import dataclass, field

from opentelemetry.trace import INVALID_SPAN, Span
from starlette.types import Message

from otel_llm.clock import MonotonicNs
from otel_llm.context import TenantTag, TraceParent
from otel_llm.conventions import Attr
from otel_llm.exporters.prometheus import Histogram
from otel_llm.facts.gateway import CallOutcome, GatewayCall, GatewayCallStarted
from otel_llm.gateways.attempt import UpstreamAttempt
from otel_llm.gateways.exchange import RequestReader, ResponseReader
from otel_llm.gateways.ids import SpanIds, ids_of
from otel_llm.gateways.openai import operation_of
from otel_llm.gateways.recorder import Recorder

_NEVER = MonotonicNs(0)
_NO_TAG = TenantTag()


def _random_id() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Arrival:
    """What is known of a call when it arrives. The defaults are those of a call nobody observes.

    Attributes:
        parent: the caller's trace context; None if it sent none that is valid.
        tracestate: as the caller sent it; `with_tenant` takes our own member out.
        arrival_ns: when it was received.
        method: HTTP method.
        route: the route's template; empty if the application has none for it.
        tag: tenant and tier.
        call_id: 32 hex digits.
    """

    parent: TraceParent | None
    tracestate: str
    arrival_ns: MonotonicNs = _NEVER
    method: str = ""
    route: str = ""
    tag: TenantTag = _NO_TAG
    call_id: str = field(default_factory=_random_id)


class Call:
    """One call, from its arrival to the fact it leaves. Hosts get it by `current_call`.

    Args:
        recorder: takes the facts.
        arrival: what is known so far.
    """

    def __init__(self, recorder: Recorder, arrival: Arrival) -> None:
        self.recorder = recorder
        self.arrival = arrival
        self.operation = operation_of(arrival.route)
        self.attempts = 0
        self.attempt_error: str | None = None
        self._request = RequestReader(recorder.metrics.refused)
        self._response = ResponseReader(recorder.metrics.refused, self._chunk_times)
        self._span: Span = INVALID_SPAN
        self._ids: SpanIds | None = None
        self._shed: str | None = None
        self._raised: str | None = None
        self._disconnected = False
        self._ended = False

    # -- for the host

    def attempt(
        self, upstream: str, *, backoff_ns: int = 0, breaker: str = "closed"
    ) -> UpstreamAttempt:
        """One try at an upstream, as `async with call.attempt("engine-a") as attempt`.

        Args:
            upstream: its name.
            backoff_ns: wait before this try, in nanoseconds.
            breaker: state of the upstream's circuit breaker, `closed` or `half_open`.
        """
        return UpstreamAttempt(self, upstream, backoff_ns, breaker)

    def shed(self, reason: str) -> None:
        """Say that the gateway refuses this call itself, and why, for example `max_in_flight`."""
        self._shed = reason

    # -- for attempts and middleware

    @property
    def ids(self) -> SpanIds:
        """Ids of the server span; of our own making if there is none."""
        return self.bind(INVALID_SPAN)

    def bind(self, span: Span) -> SpanIds:
        """Take the server span's ids. The first time counts, and writes the call's first fact."""
        if self._ids is None:
            self._span = span
            self._ids = ids_of(span, self.arrival.parent)
            self._begin(self._ids)
        return self._ids

    def _begin(self, ids: SpanIds) -> None:
        arrival, tag = self.arrival, self.arrival.tag
        if self._span.is_recording():
            self._span.set_attributes(
                {Attr.CALL_ID: arrival.call_id, Attr.TENANT: tag.tenant, Attr.TIER: tag.tier}
            )
        self.recorder.call_started(
            GatewayCallStarted(
                arrival.call_id,
                ids.trace_id,
                ids.span_id,
                arrival.arrival_ns,
                arrival.route,
                tag.tenant,
            )
        )

    @property
    def parent_span(self) -> Span:
        """What attempts start under: the server span, or a stand-in with the call's ids."""
        return self._span if self.ids.tracestate is not None else self.ids.as_parent()

    @property
    def why_cancelled(self) -> str:
        """Error class of what was cancelled now."""
        return "client_disconnect" if self._disconnected else "cancelled"

    def received(self, message: Message) -> None:
        """The host received a message."""
        if message["type"] == "http.disconnect":
            self._disconnected = True
        elif message["type"] == "http.request":
            self._request.feed(message.get("body", b""), more=message.get("more_body", False))

    def sent(self, message: Message, sent_ns: MonotonicNs) -> None:
        """The host sent a message, just after `sent_ns`."""
        if self._ended:
            return
        kind = message["type"]
        if kind == "http.response.body":
            self._response.feed(message.get("body", b""), sent_ns)
            if not message.get("more_body", False):
                self._complete()
        elif kind == "http.response.start":
            generates = self.operation in ("chat", "text_completion")
            headers = list(message.get("headers", ()))
            self._response.start(message["status"], headers, has_content=generates)
        elif kind == "http.response.pathsend":
            self._complete()

    def send_failed(self, error: BaseException) -> None:
        """The server refused a message: the client has gone."""
        if isinstance(error, OSError):
            self._disconnected = True

    def left(self, error: BaseException | None) -> None:
        """The application left, inside the server span. A 500 may still follow an exception."""
        if isinstance(error, Exception):
            self._raised = type(error).__name__
            if self._response.status is None and not self._disconnected:
                return
        if error is not None or self._disconnected:
            self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Nothing more will come: write the fact, unless it was."""
        if self._ended:
            return
        self._response.end(complete=False)
        if self._disconnected or isinstance(error, asyncio.CancelledError):
            self._gone()
        else:
            if error is not None:
                self._raised = type(error).__name__
            begun = self._response.status is not None
            self._finish("failed", self._why("incomplete_response" if begun else "no_response"))

    def _complete(self) -> None:
        """The last byte was sent."""
        self._response.end(complete=True)
        if self._disconnected:
            self._gone()
        elif self._http_error:
            self._finish("failed", self._why(self._http_error))
        elif self._response.error:
            self._finish("failed", self._why("stream_error"))
        else:
            self._finish("finished", None)

    def _gone(self) -> None:
        """The caller left. After an error's head that is no cancellation: it had its answer."""
        if self._http_error:
            self._finish("failed", self.attempt_error or self._http_error)
        else:
            self._finish("cancelled", self.why_cancelled)

    @property
    def _http_error(self) -> str | None:
        """Error class of the status that was sent; None if none was, or it is no error."""
        status = self._response.status
        return f"http_{status}" if status is not None and status >= 400 else None

    def _why(self, unsaid: str) -> str:
        return self.attempt_error or self._raised or unsaid

    def _chunk_times(self) -> Histogram:
        return self.recorder.metrics.inter_chunk(self._request.asked.model, self.arrival.tag.tenant)

    def _finish(self, outcome: CallOutcome, error_class: str | None) -> None:
        self._ended = True
        if self._shed is not None:
            outcome, error_class = "shed", self._shed
        fact = self._fact(outcome, error_class)
        if self._span.is_recording():
            self._span.set_attributes(span_attributes(fact))
        self.recorder.call_ended(fact)

    def _fact(self, outcome: CallOutcome, error_class: str | None) -> GatewayCall:
        arrival, ids = self.arrival, self.ids
        request, response = self._request, self._response
        return GatewayCall(
            call_id=arrival.call_id,
            trace_id=ids.trace_id,
            span_id=ids.span_id,
            parent_span_id=ids.parent_span_id,
            arrival_ns=arrival.arrival_ns,
            finished_ns=self.recorder.clock.monotonic_ns(),
            method=arrival.method,
            route=arrival.route,
            operation=self.operation,
            model=request.asked.model,
            tenant=arrival.tag.tenant,
            tier=arrival.tag.tier,
            outcome=outcome,
            status_code=response.status,
            error_class=error_class,
            stream=request.asked.stream,
            samples=request.asked.samples,
            first_content_ns=response.first_ns,
            last_content_ns=response.last_ns,
            chunks=response.chunks,
            inter_chunk_us=response.inter_chunk_us,
            prompt_tokens=response.usage.prompt_tokens,
            cached_tokens=response.usage.cached_tokens,
            output_tokens=response.usage.output_tokens,
            attempts=self.attempts,
            response_id=response.response_id,
            request_bytes=request.size,
            response_bytes=response.size,
        )


def span_attributes(fact: GatewayCall) -> dict[str, str | int | float]:
    """The server span's attributes, besides those of its framework."""
    ttft_s = None
    if fact.first_content_ns is not None:
        ttft_s = (fact.first_content_ns - fact.arrival_ns) / 1e9
    known = {
        Attr.OPERATION: fact.operation or None,
        Attr.REQUEST_MODEL: fact.model,
        Attr.CHOICE_COUNT: fact.samples,
        Attr.RESPONSE_ID: fact.response_id,
        Attr.INPUT_TOKENS: fact.prompt_tokens,
        Attr.CACHED_TOKENS: fact.cached_tokens,
        Attr.OUTPUT_TOKENS: fact.output_tokens,
        Attr.TTFT_CALLER: ttft_s,
        Attr.OUTCOME: fact.outcome,
        Attr.ERROR_TYPE: fact.error_class,
    }
    return {key: value for key, value in known.items() if value is not None}
