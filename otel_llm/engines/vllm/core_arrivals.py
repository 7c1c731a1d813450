"""Requests on their way into the scheduler: from vLLM's request to `RequestArrived`."""

from collections.abc import Mapping

from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.engines.vllm import extract, identity
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_host import ArrivingRequest, CoreRequest
from otel_llm.recorder import Recorder, RequestHandle

_MOST_REFUSED = 1024


def take_member(
    request: CoreRequest, sent: Mapping[str, str] | None, *, tracing: bool
) -> tuple[identity.Origin | None, Mapping[str, str] | None]:
    """Take our member out of a request's trace headers.

    Without vLLM's own tracing nothing is left there, because vLLM sends them back with every token.

    Args:
        request: as the scheduler gets it.
        sent: the trace headers as the API server sent them.
        tracing: vLLM makes spans of its own.

    Returns:
        What the API server told, if it did; the caller's own headers.
    """
    origin, headers = identity.take(sent)
    if origin is not None:
        request.trace_headers = headers if tracing else None
    return origin, headers


class Arrivals:
    """Makes the handles. `arrived` may run in another thread than the rest.

    Args:
        recorder: where the facts go.
        model: the served model.
        clock: turns vLLM's wall stamps into monotonic time.
    """

    def __init__(self, recorder: Recorder, model: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._recorder = recorder
        self._model = model
        self._clock = clock
        self._handles: dict[str, tuple[RequestHandle, int]] = {}
        self._refused: dict[str, None] = {}  # the latest, in order

    def arrived(self, arriving: ArrivingRequest, request: CoreRequest, *, tracing: bool) -> None:
        """A request has come from the API server. Our member is taken out of it.

        Args:
            arriving: as it came.
            request: what vLLM made of it.
            tracing: vLLM makes spans of its own.
        """
        handle = self._handle(arriving, request, tracing=tracing)
        self.forget(arriving.request_id)
        self._handles[arriving.request_id] = (handle, request.num_prompt_tokens)

    def expects(self, request_id: str) -> bool:
        """Whether a request has arrived and is not in the queue yet."""
        return request_id in self._handles

    def refused(self, request_id: str, reason: str) -> None:
        """The engine core ends a request. One that has not entered the queue never will.

        Args:
            request_id: the request.
            reason: vLLM's finish reason.
        """
        handle, prompt = self._handles.pop(request_id, (None, 0))
        if handle is not None:
            handle.finished(**extract.ending(reason, 0), unscheduled_tokens=prompt)
            self._refused[request_id] = None
            if len(self._refused) > _MOST_REFUSED:
                del self._refused[next(iter(self._refused))]

    def was_refused(self, request_id: str) -> bool:
        """Whether a request has been refused, and not come again or been forgotten since."""
        return request_id in self._refused

    def forget(self, request_id: str) -> None:
        """A refused request is gone for good."""
        self._refused.pop(request_id, None)

    def account(self, request: CoreRequest, *, tracing: bool = False) -> Account:
        """The account of a request that enters the queue. One nobody saw arrive arrives now.

        Args:
            request: the request.
            tracing: see `take_member`.
        """
        handle, _prompt = self._handles.pop(request.request_id, (None, 0))
        if handle is None:
            handle = self._handle(request, request, tracing=tracing)
        return Account(handle, request.num_prompt_tokens)

    def _handle(
        self, asked: ArrivingRequest | CoreRequest, request: CoreRequest, *, tracing: bool
    ) -> RequestHandle:
        """Record an arrival, told by what `asked` still knows of it."""
        origin, headers = take_member(request, asked.trace_headers, tracing=tracing)
        return self._recorder.request_arrived(
            **extract.arrival(asked, origin, headers, self._model),
            prompt_tokens=request.num_prompt_tokens,
            arrival_ns=extract.arrival_ns(asked.arrival_time, self._clock.anchor()),
        )
