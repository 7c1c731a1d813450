"""One try of a call at an upstream: a client span, the headers it sends, and one fact."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, set_span_in_context

from otel_llm.clock import MonotonicNs
from otel_llm.context import TenantTag, TraceParent, format_traceparent, with_tenant
from otel_llm.conventions import Attr, SpanName
from otel_llm.facts.gateway import Attempt, AttemptOutcome
from otel_llm.gateways.ids import SpanIds, ids_of

if TYPE_CHECKING:
    from otel_llm.gateways.call import Call

_CONTEXT_HEADERS = frozenset({"traceparent", "tracestate"})


class UpstreamAttempt:
    """One try at an upstream. The span is not made current: a stream may end in another task.

    Args:
        call: the call it belongs to.
        upstream: the upstream's name.
        backoff_ns: wait before this try, in nanoseconds.
        breaker: state of the upstream's breaker when the try began.
    """

    def __init__(self, call: "Call", upstream: str, backoff_ns: int, breaker: str) -> None:
        self._call = call
        self._upstream = upstream
        self._backoff_ns = backoff_ns
        self._breaker = breaker
        self._guard = call.recorder.guard("attempt")
        self._number = 0
        self._started_ns = MonotonicNs(0)
        self._first_byte_ns: MonotonicNs | None = None
        self._status: int | None = None
        self._error_class: str | None = None
        self._span: Span = INVALID_SPAN
        self._ids: SpanIds | None = None

    async def __aenter__(self) -> "UpstreamAttempt":  # noqa: PYI034  Self is not in Python 3.10
        """Begin the try: its number, its span and its ids."""
        with self._guard:
            self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the try and write its fact. The host's exception goes on its way."""
        with self._guard:
            self._end(error)

    def headers(self, existing: Mapping[str, str] | None = None) -> dict[str, str]:
        """Headers for the upstream: `existing` with this try's trace context and tenant.

        Args:
            existing: other headers to send; any trace context among them is replaced.
        """
        kept = {k: v for k, v in (existing or {}).items() if k.lower() not in _CONTEXT_HEADERS}
        with self._guard:
            kept.update(self._context_headers())
        return kept

    def responded(self, status: int) -> None:
        """The upstream's status line arrived. 400 and above means that the try failed."""
        self._status = status

    def first_byte(self) -> None:
        """The first byte of the response's body arrived. Later calls do nothing."""
        if self._first_byte_ns is None:
            self._first_byte_ns = self._call.recorder.clock.monotonic_ns()

    def failed(self, error_class: str) -> None:
        """Say why the try fails: a short class such as `upstream_connect`, never a message."""
        self._error_class = error_class

    def _begin(self) -> None:
        call = self._call
        call.attempts += 1
        call.attempt_error = None
        self._number = call.attempts
        self._started_ns = call.recorder.clock.monotonic_ns()
        parent = call.ids
        self._span = call.recorder.tracer.start_span(
            SpanName.ATTEMPT,
            context=set_span_in_context(call.parent_span),
            kind=SpanKind.CLIENT,
            attributes={
                Attr.CALL_ID: call.arrival.call_id,
                Attr.ATTEMPT: self._number,
                Attr.UPSTREAM: self._upstream,
                Attr.BREAKER: self._breaker,
                Attr.TENANT: call.arrival.tag.tenant,
            },
        )
        as_parent = TraceParent(parent.trace_id, parent.span_id, parent.sampled)
        self._ids = ids_of(self._span, as_parent)

    def _context_headers(self) -> dict[str, str]:
        if self._ids is None:
            return {}
        ids, tag = self._ids, self._call.arrival.tag
        others = self._call.arrival.tracestate if ids.tracestate is None else ids.tracestate
        return {
            "traceparent": format_traceparent(TraceParent(ids.trace_id, ids.span_id, ids.sampled)),
            "tracestate": with_tenant(others, TenantTag(tag.tenant, tag.tier, self._number)),
        }

    def _end(self, error: BaseException | None) -> None:
        outcome, error_class = self._verdict(error)
        if outcome == "failed":
            self._call.attempt_error = error_class
        self._end_span(outcome, error_class)
        if self._ids is None:
            return
        self._call.recorder.attempt_ended(
            Attempt(
                call_id=self._call.arrival.call_id,
                trace_id=self._ids.trace_id,
                span_id=self._ids.span_id,
                attempt=self._number,
                upstream=self._upstream,
                started_ns=self._started_ns,
                finished_ns=self._call.recorder.clock.monotonic_ns(),
                outcome=outcome,
                status_code=self._status,
                first_byte_ns=self._first_byte_ns,
                error_class=error_class,
                breaker=self._breaker,
                backoff_ns=self._backoff_ns,
            )
        )

    def _verdict(self, error: BaseException | None) -> tuple[AttemptOutcome, str | None]:
        if self._error_class is not None:
            return "failed", self._error_class
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            return "cancelled", self._call.why_cancelled
        if error is not None:
            return "failed", type(error).__name__
        if self._status is not None and self._status >= 400:
            return "failed", f"http_{self._status}"
        return "finished", None

    def _end_span(self, outcome: AttemptOutcome, error_class: str | None) -> None:
        self._span.set_attribute(Attr.OUTCOME, outcome)
        if self._status is not None:
            self._span.set_attribute(Attr.HTTP_STATUS, self._status)
        if error_class is not None:
            self._span.set_attribute(Attr.ERROR_TYPE, error_class)
        if outcome == "failed":
            self._span.set_status(StatusCode.ERROR)
        if self._ids is not None and self._ids.tracestate is not None:
            self._span.end()
