"""A store and a network that note what they are asked."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from otel_llm.clock import EpochNs
from otel_llm.query.recent import Filter, Listed
from otel_llm.query.tokens import Tokens
from otel_llm.relay.examples import Ask

TOKEN = "0123456789abcdef"
BURN = {
    "alertname": "AvailabilityBurn", "category": "slo", "severity": "critical", "model": "m",
    "window": "1h",
}  # fmt: skip


def listed(trace: str, duration_s: float, outcome: str = "finished", **more: Any) -> Listed:  # noqa: ANN401
    """A call."""
    values: dict[str, Any] = {
        "id": "c", "kind": "call", "trace_id": trace, "arrival_ns": EpochNs(1), "tenant": "acme",
        "model": "m", "outcome": outcome, "status_code": 200, "error_class": "", "attempts": 1,
        "requests": 1, "preemptions": 0, "tokens": Tokens(source="none"), "duration_s": duration_s,
        "ttft_caller_s": None, "ttft_engine_s": None, "queue_s": None, "energy_j": None,
    }  # fmt: skip
    return Listed(**{**values, **more})


CALLS = [
    listed("a1", 0.5),
    listed("b2", 0.1, "shed", status_code=429, error_class="max_in_flight"),
    listed("c3", 12.345),
    listed("d4", 3.0, "cancelled", status_code=None),
    listed("e5", 9.0, "failed", status_code=504, error_class="timeout"),
]


class Calls:
    """A store with `CALLS`, which notes what it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Filter] = []
        self._error = error

    @contextmanager
    def __call__(self) -> Iterator[Ask]:
        """Open it."""
        if self._error is not None:
            raise self._error

        def ask(of: Filter) -> Sequence[Listed]:
            self.asked.append(of)
            slowest = sorted(CALLS, key=lambda one: -one.duration_s)
            return (slowest if of.slow else CALLS)[: of.limit]

        yield ask


class Sent:
    """The network: notes what is posted, and answers; one host may answer otherwise."""

    def __init__(self, status: int = 200, **others: int) -> None:
        self.bodies: dict[str, Any] = {}
        self.transport = httpx.MockTransport(self._take)
        self._status, self._others = status, others

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.bodies[request.url.host] = json.loads(request.content)
        return httpx.Response(self._others.get(request.url.host, self._status))
