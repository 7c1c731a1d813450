"""The hooks of vLLM's output processor and of its engines.

Each takes the function that it stands for and returns what stands in its place. That calls the
original once, with the caller's arguments, and returns what it returns; what it raises passes.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from otel_llm.engines.vllm.frontend import HALVES, Frontend
from otel_llm.engines.vllm.frontend_context import Arriving, Carried, arriving, noted
from otel_llm.engines.vllm.frontend_halves import Halves

Function = Callable[..., Any]
Read = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
Tell = Callable[[Halves, Any, tuple[Any, ...], Mapping[str, Any]], None]
"""What to tell the halves of a call: its result, its `args` without `self`, its `kwargs`."""


def parameter(function: Function, name: str) -> Read:
    """How to read one argument of a method out of a call's `args`, without `self`, and `kwargs`.

    Raises:
        AttributeError: the method has no such parameter.
    """
    parameters = inspect.signature(function).parameters
    if name not in parameters:
        message = f"{function.__qualname__} has no parameter {name}"
        raise AttributeError(message)
    place = [one for one in parameters if one != "self"].index(name)
    default = parameters[name].default

    def read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        if name in kwargs:
            return kwargs[name]
        return args[place] if place < len(args) else default

    return read


def add_request(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: a request, or more input of a session, is taken in."""
    names = ("request", "parent_req", "request_index")
    request_of, parent_of, index_of = (parameter(original, name) for name in names)

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        half = halves = None
        with frontend.guard:
            halves = frontend.of(self)
            if halves is not None:
                half = halves.prepare(
                    request_of(args, kwargs), parent_of(args, kwargs), index_of(args, kwargs)
                )
        result = original(self, *args, **kwargs)
        if halves is not None:
            with frontend.guard:
                if half is not None:
                    halves.opened(half, self.request_states[request_of(args, kwargs).request_id])
                elif halves.ending:
                    halves.sessions_over()
        return result

    return hook


def process_outputs(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: outputs of the engine core have come in. One clock reading each."""
    outputs_of = parameter(original, "engine_core_outputs")
    swallow = frontend.guard.swallow

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        halves = self.__dict__.get(HALVES)
        if halves is None:
            return original(self, *args, **kwargs)
        try:
            halves.now_ns = halves.now()
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            swallow(error)
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            with frontend.guard:
                halves.failed(type(error).__name__, everything=False)
            raise
        try:
            if halves.ending:
                halves.refused(_errors(outputs_of(args, kwargs)))
        except Exception as error:  # noqa: BLE001  as above
            swallow(error)
        return result

    return hook


def _errors(outputs: Any) -> dict[str, str]:  # noqa: ANN401  vLLM's EngineCoreOutput, several
    """Class of the exception that each refused request's caller gets. New in vLLM 0.33."""
    return {
        output.request_id: type(output.error.to_exception()).__name__
        for output in outputs
        if getattr(output, "error", None) is not None
    }


def _and_then(frontend: Frontend, original: Function, tell: Tell) -> Function:
    """A hook of `OutputProcessor` that tells of a call once vLLM has done it."""

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        with frontend.guard:
            halves = self.__dict__.get(HALVES)
            if halves is not None:
                tell(halves, result, args, kwargs)
        return result

    return hook


def finish_request(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: a request that ended by itself is forgotten."""
    state_of = parameter(original, "req_state")
    return _and_then(
        frontend, original, lambda halves, _, args, kwargs: halves.let_go(state_of(args, kwargs))
    )


def update_stats_from_finished(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: called next, and only here with the reason."""
    state_of, reason_of = parameter(original, "req_state"), parameter(original, "finish_reason")
    return _and_then(
        frontend,
        original,
        lambda halves, _, args, kwargs: halves.finished(
            state_of(args, kwargs), str(reason_of(args, kwargs))
        ),
    )


def abort_requests(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: the caller has gone, or the server gives requests up for it."""
    return _and_then(frontend, original, lambda halves, aborted, *_: halves.aborted(aborted or []))


def propagate_error(frontend: Frontend, original: Function) -> Function:
    """Of `OutputProcessor`: the engine has failed, and every caller is told."""
    error_of = parameter(original, "e")
    return _and_then(
        frontend,
        original,
        lambda halves, _, args, kwargs: halves.failed(
            type(error_of(args, kwargs)).__name__, everything=True
        ),
    )


def start(frontend: Frontend, original: Function) -> Function:
    """Of both engines' `__init__`: open the journal before the first request has to wait for it."""

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        original(self, *args, **kwargs)
        with frontend.guard:
            frontend.attach(self)

    return hook


def stop(frontend: Frontend, original: Function) -> Function:
    """Of `AsyncLLM.shutdown`."""

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        with frontend.guard:
            frontend.stopped(self)
        return result

    return hook


def _note_arrival(
    frontend: Frontend,
    engine: Any,  # noqa: ANN401  vLLM's AsyncLLM or LLMEngine
    request_id: str,
    headers: Mapping[str, str] | None,
) -> dict[str, str] | None:
    """Keep the trace headers past vLLM, which drops them unless its own tracing is on.

    It stays noted until the next request of the same task or thread: `Arriving.request_id` tells
    whether it is meant. To take it back could fail, in a task that is closed from outside.
    """
    frontend.attach(engine)
    call = headers.call if isinstance(headers, Carried) else noted.get()
    plain = dict(headers) if headers else None
    arriving.set(Arriving(request_id, plain, call))
    return plain


def arrive_async(frontend: Frontend, original: Function) -> Function:
    """Of `AsyncLLM.add_request`."""
    id_of, headers_of = parameter(original, "request_id"), parameter(original, "trace_headers")

    @functools.wraps(original)
    async def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with frontend.guard:
            headers = headers_of(args, kwargs)
            plain = _note_arrival(frontend, self, id_of(args, kwargs), headers)
            if "trace_headers" in kwargs:
                kwargs["trace_headers"] = plain
        return await original(self, *args, **kwargs)

    return hook


def arrive(frontend: Frontend, original: Function) -> Function:
    """Of `LLMEngine.add_request`."""
    id_of, headers_of = parameter(original, "request_id"), parameter(original, "trace_headers")

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with frontend.guard:
            _note_arrival(frontend, self, id_of(args, kwargs), headers_of(args, kwargs))
        return original(self, *args, **kwargs)

    return hook
