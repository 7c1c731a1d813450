"""A call: one API request with its samples, and the outputs on their way back to it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from otel_llm.clock import MonotonicNs
from otel_llm.demo.engine.sequence import Sequence


@dataclass(frozen=True)
class Output:
    """What a step brought one sample.

    Attributes:
        index: which sample of its call.
        token: the token; None if the engine failed.
        finish_reason: set on the sample's last output.
    """

    index: int
    token: int | None
    finish_reason: str | None


@dataclass(eq=False)
class Call:
    """One API request.

    Attributes:
        id: its id, as the caller sees it.
        operation: `chat` or `text_completion`.
        model: the model asked for.
        arrival_ns: the API server received it, in monotonic nanoseconds.
        headers: the HTTP headers received, for the trace context.
        sequences: its samples.
        outputs: filled by the core as steps end.
    """

    id: str
    operation: str
    model: str
    arrival_ns: MonotonicNs
    headers: Mapping[str, str]
    sequences: list[Sequence]
    outputs: asyncio.Queue[Output] = field(default_factory=asyncio.Queue)
