"""Where the API server's hooks go: vLLM's classes, and what each replacement does.

Read in vLLM 0.32 and 0.33: `v1/engine/{output_processor,async_llm,llm_engine}.py`,
`entrypoints/serve/engine/serving.py`, `entrypoints/llm.py`.
"""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from otel_llm.engines.vllm.frontend import HALVES, Arriving, Carried, Frontend, arriving, noted
from otel_llm.engines.vllm.identity import RESPONSES, Call
from otel_llm.patching import Make, Patch, Replacement

Function = Callable[..., Any]
Read = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]

SERVING = "vllm.entrypoints.serve.engine.serving"
OFFLINE = "vllm.entrypoints.llm"

OFFLINE_OPERATIONS = {"chat": "chat", "score": "score"}
"""Methods of `LLM` whose requests' ids and parameters do not tell their operation."""


def frontend_patches(frontend: Frontend) -> tuple[Patch, ...]:
    """Hooks of the output processor, and of what leads there.

    Raises:
        ImportError: this vLLM is built in another way.
    """
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.engine.output_processor import OutputProcessor

    processor = {
        "add_request": _add_request,
        "process_outputs": _process_outputs,
        "_finish_request": _finish_request,
        "_update_stats_from_finished": _update_stats_from_finished,
        "abort_requests": _abort_requests,
        "propagate_error": _propagate_error,
    }
    replacements = [
        Replacement(OutputProcessor, name, functools.partial(make, frontend))
        for name, make in processor.items()
    ]
    return (
        Patch("vllm.frontend", tuple(replacements)),
        Patch(
            "vllm.frontend.context",
            (
                Replacement(AsyncLLM, "add_request", functools.partial(_arrive_async, frontend)),
                Replacement(LLMEngine, "add_request", functools.partial(_arrive, frontend)),
            ),
        ),
        Patch(
            "vllm.frontend.start",
            (
                Replacement(AsyncLLM, "__init__", functools.partial(_start, frontend)),
                Replacement(LLMEngine, "__init__", functools.partial(_start, frontend)),
            ),
        ),
    )


def late_patches(frontend: Frontend) -> tuple[Patch, ...]:
    """Hooks of modules that only some processes import, and only where they are imported."""
    patches = []
    serving, offline = sys.modules.get(SERVING), sys.modules.get(OFFLINE)
    if serving is not None and hasattr(serving, "BaseServing"):
        base = serving.BaseServing
        note = Replacement(base, "_base_request_id", functools.partial(_note, frontend))
        carry = Replacement(base, "_get_trace_headers", functools.partial(_carry, frontend))
        patches.append(Patch("vllm.frontend.serving", (note, carry)))
    if offline is not None and hasattr(offline, "LLM"):
        makes: dict[str, Make] = {
            name: functools.partial(_note_operation, frontend, operation)
            for name, operation in OFFLINE_OPERATIONS.items()
        }
        makes["beam_search"] = functools.partial(_note_beams, frontend)
        found = tuple(Replacement(offline.LLM, name, make) for name, make in makes.items())
        patches.append(Patch("vllm.frontend.offline", found))
    return tuple(patches)


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


# ---- the output processor


def _add_request(frontend: Frontend, original: Function) -> Function:
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


def _process_outputs(frontend: Frontend, original: Function) -> Function:
    outputs_of = parameter(original, "engine_core_outputs")
    swallow = frontend.guard.swallow

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        halves = self.__dict__.get(HALVES)
        if halves is None:
            return original(self, *args, **kwargs)
        try:
            halves.begin()
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            swallow(error)
        try:
            result = original(self, *args, **kwargs)
        except Exception as error:
            with frontend.guard:
                halves.failed(type(error).__name__, everything=False)
            raise
        if halves.ending:
            with frontend.guard:
                halves.refused(_errors(outputs_of(args, kwargs)))
        return result

    return hook


def _errors(outputs: Any) -> dict[str, str]:  # noqa: ANN401  vLLM's EngineCoreOutput, several
    """Class of the exception that each refused request's caller gets. New in vLLM 0.33."""
    return {
        output.request_id: type(output.error.to_exception()).__name__
        for output in outputs
        if getattr(output, "error", None) is not None
    }


def _finish_request(frontend: Frontend, original: Function) -> Function:
    state_of = parameter(original, "req_state")

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        with frontend.guard:
            halves = self.__dict__.get(HALVES)
            if halves is not None:
                halves.let_go(state_of(args, kwargs))
        return result

    return hook


def _update_stats_from_finished(frontend: Frontend, original: Function) -> Function:
    state_of, reason_of = parameter(original, "req_state"), parameter(original, "finish_reason")

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        with frontend.guard:
            halves = self.__dict__.get(HALVES)
            if halves is not None:
                halves.finished(state_of(args, kwargs), str(reason_of(args, kwargs)))
        return result

    return hook


def _abort_requests(frontend: Frontend, original: Function) -> Function:
    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        aborted = original(self, *args, **kwargs)
        with frontend.guard:
            halves = self.__dict__.get(HALVES)
            if halves is not None and aborted:
                halves.aborted(aborted)
        return aborted

    return hook


def _propagate_error(frontend: Frontend, original: Function) -> Function:
    error_of = parameter(original, "e")

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        with frontend.guard:
            halves = self.__dict__.get(HALVES)
            if halves is not None:
                halves.failed(type(error_of(args, kwargs)).__name__, everything=True)
        return result

    return hook


# ---- the engines


def _start(frontend: Frontend, original: Function) -> Function:
    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        original(self, *args, **kwargs)
        with frontend.guard:
            frontend.attach(self)

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


def _arrive_async(frontend: Frontend, original: Function) -> Function:
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


def _arrive(frontend: Frontend, original: Function) -> Function:
    id_of, headers_of = parameter(original, "request_id"), parameter(original, "trace_headers")

    @functools.wraps(original)
    def hook(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with frontend.guard:
            _note_arrival(frontend, self, id_of(args, kwargs), headers_of(args, kwargs))
        return original(self, *args, **kwargs)

    return hook


# ---- the serving classes, and library use


def _note(frontend: Frontend, original: Function) -> Function:
    request_of = parameter(original, "raw_request")

    @functools.wraps(original)
    def hook(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        base = original(*args, **kwargs)
        with frontend.guard:
            request = request_of(args, kwargs)
            noted.set(Call(base, "" if request is None else request.scope.get("path", "")))
        return base

    return hook


def _carry(frontend: Frontend, original: Function) -> Function:
    """Let a call's trace headers carry its id: serving classes hand them on from task to task."""

    @functools.wraps(original)
    async def hook(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        headers = await original(*args, **kwargs)
        with frontend.guard:
            return Carried(headers, noted.get() or RESPONSES)
        return headers

    return hook


def _noting(frontend: Frontend, original: Function, call: Callable[[], Call]) -> Function:
    @functools.wraps(original)
    def hook(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        token = None
        with frontend.guard:
            token = noted.set(call())
        try:
            return original(*args, **kwargs)
        finally:
            if token is not None:
                noted.reset(token)

    return hook


def _note_operation(frontend: Frontend, operation: str, original: Function) -> Function:
    return _noting(frontend, original, lambda: Call(operation=operation))


def _note_beams(frontend: Frontend, original: Function) -> Function:
    """One call of `LLM.beam_search` makes a request per beam and token."""
    return _noting(frontend, original, lambda: Call(api_request_id=f"beam-{os.urandom(8).hex()}"))
