"""What is known of a request on its way from a serving class to the output processor.

VLLM hands a request on between tasks and threads, and drops what it has no use for. Two context
variables and the trace headers themselves carry it past that.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple

from otel_llm.engines.vllm.identity import Call


class Carried(dict[str, str]):
    """Trace headers on their way from a serving class to the engine, and whose they are.

    Attributes:
        call: the API call.
    """

    __slots__ = ("call",)

    def __init__(self, headers: Mapping[str, str] | None, call: Call) -> None:
        super().__init__(headers or {})
        self.call = call


class Arriving(NamedTuple):
    """A request between the engine's `add_request` and the output processor's.

    Attributes:
        request_id: its external id.
        headers: the caller's trace headers, which vLLM drops unless its own tracing is on.
        call: the API call; None outside one.
    """

    request_id: str
    headers: dict[str, str] | None
    call: Call | None


arriving: ContextVar[Arriving | None] = ContextVar("otel_llm_arriving", default=None)
noted: ContextVar[Call | None] = ContextVar("otel_llm_call", default=None)
