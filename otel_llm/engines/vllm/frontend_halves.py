"""The API server's half of each request: opened when vLLM takes it in, written when it ends.

Nothing here runs per token: a request's first output is seen by a shadow of one method of its own
state, which takes itself away again.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.engines.vllm import extract
from otel_llm.engines.vllm.frontend_context import arriving, noted
from otel_llm.engines.vllm.identity import Origin, identify, put, take
from otel_llm.facts.request import RequestDelivered, RequestOutcome
from otel_llm.isolation import Guard
from otel_llm.journal.writer import Journal

STREAM_FINISHED = "stream_finished"
"""Finish reason of a session of streamed input: its caller had no more to say."""

_SHADOWED = "make_request_output"


class Half:
    """A request that the API server has taken in.

    Attributes:
        state: vLLM's `RequestState`.
        origin: what the engine core is told.
        headers: the caller's trace headers.
        arrival_ns: vLLM began to render the request.
        max_tokens: most tokens to be generated.
        first_output_ns: the first output was handled.
    """

    __slots__ = ("arrival_ns", "first_output_ns", "headers", "max_tokens", "origin", "state")

    def __init__(
        self,
        origin: Origin,
        headers: Mapping[str, str],
        arrival_ns: MonotonicNs,
        max_tokens: int | None,
    ) -> None:
        self.origin = origin
        self.headers = headers
        self.arrival_ns = arrival_ns
        self.max_tokens = max_tokens
        self.first_output_ns: MonotonicNs | None = None
        self.state: Any = None


class Halves:
    """The open requests of one output processor. Used from one thread, as the processor is.

    Args:
        journal: where the facts go.
        model: the served model.
        clock: source of stamps.
        guard: swallows the errors of shadows.

    Attributes:
        now: reads the monotonic clock.
        now_ns: when the outputs now being processed were taken up.
        ending: requests that vLLM has let go of, and whose end is still to be explained.
    """

    def __init__(self, journal: Journal, model: str, clock: Clock, guard: Guard) -> None:
        self.now: Callable[[], MonotonicNs] = clock.monotonic_ns
        if type(clock) is Clock:  # the machine's own: leave out the detour through Python
            self.now = cast("Callable[[], MonotonicNs]", time.monotonic_ns)
        self.now_ns = MonotonicNs(0)
        self.ending: dict[str, Half] = {}
        self._open: dict[str, Half] = {}
        self._journal = journal
        self._model = model
        self._clock = clock
        self._guard = guard

    def prepare(self, request: Any, parent: Any, index: int) -> Half | None:  # noqa: ANN401
        """Read a request before vLLM takes it in, and give it our member for the engine core.

        Args:
            request: vLLM's `EngineCoreRequest`.
            parent: vLLM's `ParentRequest` of several samples, or None.
            index: which sample this is.

        Returns:
            The request's half; None for more input of a session that is open.
        """
        half = self._open.get(request.request_id)
        if half is not None:
            request.trace_headers = put(half.headers, half.origin)
            return None
        half = self._read(request, parent, index)
        request.trace_headers = put(half.headers, half.origin)
        return half

    def _read(self, request: Any, parent: Any, index: int) -> Half:  # noqa: ANN401
        external = (parent or request).external_req_id or request.request_id
        headers, call = take(request.trace_headers)[1], noted.get()
        known = arriving.get()
        if known is not None and known.request_id == external:
            headers, call = known.headers or headers, known.call
        pooling, params = request.pooling_params, request.sampling_params
        whose = identify(external, call, None if pooling is None else pooling.task or "")
        count = parent.n if parent is not None else 1
        if whose.beam is not None:
            # A beam search asks for the two best continuations of each beam it keeps.
            index, count = whose.beam, max(1, (params.logprobs or 0) // 2)
        anchor = self._clock.anchor()
        lora = request.lora_request
        origin = Origin(
            self._journal.instance_id,
            whose.api_request_id,
            whose.operation,
            lora.lora_name if lora is not None else self._model,
            index,
            count,
        )
        limit = None if params is None else params.max_tokens
        return Half(origin, headers or {}, extract.arrival_ns(request.arrival_time, anchor), limit)

    def opened(self, half: Half, state: Any) -> None:  # noqa: ANN401  vLLM's RequestState
        """VLLM has taken the request in: wait for its first output and its end."""
        half.state = state
        self._open[state.request_id] = half
        handle = getattr(state, _SHADOWED)

        def first(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            with self._guard:
                if half.first_output_ns is None and _is_output(args, kwargs):
                    half.first_output_ns = self.now_ns
                    _uncover(state)
            return handle(*args, **kwargs)

        vars(state)[_SHADOWED] = first

    def let_go(self, state: Any) -> None:  # noqa: ANN401  vLLM's RequestState
        """VLLM has forgotten a request that has ended by itself."""
        half = self._open.pop(state.request_id, None)
        if half is not None:
            self.ending[state.request_id] = half

    def finished(self, state: Any, reason: str) -> None:  # noqa: ANN401  vLLM's RequestState
        """Its end has a reason."""
        half = self.ending.pop(state.request_id, None) or self._open.pop(state.request_id, None)
        if half is None:
            return
        error = "GenerationError" if reason == "error" else None  # what vLLM raises to the caller
        self._deliver(half, self.now_ns, extract.outcome_of(reason), reason, error)

    def aborted(self, request_ids: list[str]) -> None:
        """The caller, or the API server for it, gave requests up."""
        now = self.now()
        for request_id in request_ids:
            half = self._open.pop(request_id, None)
            if half is not None:
                self._deliver(half, now, "cancelled", "abort")

    def sessions_over(self) -> None:
        """Sessions of streamed input ended with nothing left to compute."""
        now = self.now()
        for half in self._take_ending():
            self._deliver(half, now, "finished", STREAM_FINISHED)

    def refused(self, error_types: Mapping[str, str]) -> None:
        """The engine core would not take requests in.

        Args:
            error_types: class of what was raised to each caller, by request id.
        """
        for half in self._take_ending():
            error = error_types.get(half.state.request_id, "GenerationError")
            self._deliver(half, self.now_ns, "failed", "error", error)

    def failed(self, error_type: str, *, everything: bool) -> None:
        """An error ended requests: all that were open, or those that were just ending."""
        now = self.now()
        halves = self._take_ending()
        if everything:
            halves += self._open.values()
            self._open.clear()
        for half in halves:
            self._deliver(half, now, "failed", "error", error_type)

    def disown(self, request_id: str) -> None:
        """Let go of a request without a record: the engine core does not follow it."""
        half = self._open.pop(request_id, None)
        if half is not None:
            _uncover(half.state)

    def close(self) -> None:
        """Let go of every request that is open, without a record."""
        for half in [*self._take_ending(), *self._open.values()]:
            _uncover(half.state)
        self._open.clear()

    def _take_ending(self) -> list[Half]:
        halves = list(self.ending.values())
        self.ending.clear()
        return halves

    def _deliver(
        self,
        half: Half,
        at_ns: MonotonicNs,
        outcome: RequestOutcome,
        reason: str,
        error_type: str | None = None,
    ) -> None:
        state, origin = half.state, half.origin
        _uncover(state)
        detokenizer = state.detokenizer  # None for pooling
        self._journal.write(
            RequestDelivered(
                request_id=state.request_id,
                api_request_id=origin.api_request_id,
                operation=origin.operation,
                model=origin.model,
                arrival_ns=half.arrival_ns,
                finished_ns=at_ns,
                outcome=outcome,
                finish_reason=reason,
                prompt_tokens=state.prompt_len,
                output_tokens=0 if detokenizer is None else detokenizer.num_output_tokens(),
                first_output_ns=half.first_output_ns,
                max_tokens=half.max_tokens,
                sample_index=origin.sample_index,
                sample_count=origin.sample_count,
                traceparent=half.headers.get("traceparent"),
                tracestate=half.headers.get("tracestate"),
                lora=state.lora_name or "",
                error_type=error_type,
            )
        )


def _is_output(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether `make_request_output` is given something to hand on, not just an end."""
    names = ("new_token_ids", "pooling_output", "finish_reason")
    tokens, pooled, reason = (
        kwargs[name] if name in kwargs else args[place] for place, name in enumerate(names)
    )
    return bool(tokens) or (pooled is not None and str(reason) not in ("abort", "error"))


def _uncover(state: Any) -> None:  # noqa: ANN401  vLLM's RequestState
    vars(state).pop(_SHADOWED, None)
