"""Requests on their way into the scheduler: from vLLM's request to `RequestArrived`."""

from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.engines.vllm import extract, identity
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_host import ArrivingRequest, CoreRequest
from otel_llm.recorder import Recorder, RequestHandle


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

    def arrived(self, arriving: ArrivingRequest, request: CoreRequest, *, tracing: bool) -> None:
        """A request has come from the API server.

        Our member is taken out of the request's trace headers. Without vLLM's own tracing nothing
        is left there, because vLLM sends them back with every token.

        Args:
            arriving: as it came.
            request: what vLLM made of it.
            tracing: vLLM makes spans of its own.
        """
        origin, headers = identity.take(arriving.trace_headers)
        if origin is not None:
            request.trace_headers = headers if tracing else None
        prompt = request.num_prompt_tokens
        handle = self._recorder.request_arrived(
            **extract.arrival(arriving, origin, headers, self._model),
            prompt_tokens=prompt,
            arrival_ns=extract.arrival_ns(arriving.arrival_time, self._clock.anchor()),
        )
        self._handles[arriving.request_id] = (handle, prompt)

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

    def account(self, request: CoreRequest) -> Account:
        """The account of a request that enters the queue. One nobody saw arrive arrives now."""
        handle, _prompt = self._handles.pop(request.request_id, (None, 0))
        if handle is None:
            handle = self._recorder.request_arrived(
                **extract.arrival(request, None, request.trace_headers, self._model),
                prompt_tokens=request.num_prompt_tokens,
                arrival_ns=extract.arrival_ns(request.arrival_time, self._clock.anchor()),
            )
        return Account(handle, request.num_prompt_tokens)
