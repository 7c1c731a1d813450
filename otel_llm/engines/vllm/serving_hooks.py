"""The hooks of the serving classes and of `LLM`: which call a request belongs to.

They have the form that `frontend_hooks` describes.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_context import Carried, noted
from otel_llm.engines.vllm.frontend_hooks import Function, parameter
from otel_llm.engines.vllm.identity import RESPONSES, Call


def note(frontend: Frontend, original: Function) -> Function:
    """Of `BaseServing._base_request_id`: the call being served has an id now."""
    request_of = parameter(original, "raw_request")

    @functools.wraps(original)
    def hook(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        base = original(*args, **kwargs)
        with frontend.guard:
            request = request_of(args, kwargs)
            noted.set(Call(base, "" if request is None else request.scope.get("path", "")))
        return base

    return hook


def carry(frontend: Frontend, original: Function) -> Function:
    """Of `BaseServing._get_trace_headers`: let them carry the call from task to task."""

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


def note_operation(frontend: Frontend, operation: str, original: Function) -> Function:
    """Of a method of `LLM` that makes requests of one operation."""
    return _noting(frontend, original, lambda: Call(operation=operation))


def note_beams(frontend: Frontend, original: Function) -> Function:
    """Of `LLM.beam_search`: its requests, one per beam and token, have no id in common."""
    return _noting(frontend, original, lambda: Call(api_request_id=f"beam-{os.urandom(8).hex()}"))
