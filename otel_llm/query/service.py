"""How the service was for its callers: what gateways saw. Each function is one statement."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Waits of callers. Quantiles are within 1 % of a value; None where nothing was measured.

    Attributes:
        start_ns: when the stretch of time begins.
        ttft_p50_s, ttft_p95_s, ttft_p99_s: TTFT_caller of calls that got content.
        gap_p50_s, gap_p95_s, gap_p99_s: a call's mean time between content chunks.
        e2e_p50_s, e2e_p95_s, e2e_p99_s: duration of finished calls.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    calls: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    ttft_p99_s: float | None
    gap_p50_s: float | None
    gap_p95_s: float | None
    gap_p99_s: float | None
    e2e_p50_s: float | None
    e2e_p95_s: float | None
    e2e_p99_s: float | None


class Chunks(msgspec.Struct, frozen=True, kw_only=True):
    """Times between content chunks, each one counted. None of a call's mean hides a stall here.

    Attributes:
        start_ns: when the stretch of time begins.
        calls: with two chunks or more.
        itl_p50_s, itl_p95_s, itl_p99_s: quantiles, within 1 % of a value.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    calls: int
    chunks: int
    itl_p50_s: float
    itl_p95_s: float
    itl_p99_s: float


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """How calls ended.

    Attributes:
        start_ns: when the stretch of time begins.
        died: calls whose gateway died.
        error_ratio: failed and died, of all calls.
        shed_ratio: turned away, of all calls.
        classes: how often each error class came.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    calls: int
    finished: int
    failed: int
    shed: int
    cancelled: int
    died: int
    error_ratio: float
    shed_ratio: float
    classes: dict[str, int]


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What a good call keeps to, in seconds; 0 asks for nothing.

    Attributes:
        ttft_s: longest TTFT_caller.
        itl_s: longest mean time between content chunks.
        e2e_s: longest duration.
    """

    ttft_s: float = 0.0
    itl_s: float = 0.0
    e2e_s: float = 0.0


class Attainment(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls kept to an objective.

    Attributes:
        start_ns: when the stretch of time begins.
        counted: calls that count: all but those which their caller gave up in time, or asked
            wrongly.
        good: finished calls within every limit.
        good_ratio: good of counted; None if none counts.
        good_calls_per_s: goodput.
        good_tokens_per_s: output tokens of good calls, where their response told them.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    counted: int
    good: int
    good_ratio: float | None
    good_calls_per_s: float
    good_tokens_per_s: float


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Tries at one upstream.

    Attributes:
        start_ns: when the stretch of time begins.
        retries: tries that were not their call's first.
        failed_ratio: failed of all.
        breaker_not_closed: tries begun while the breaker was open or half open.
        backoff_s: waits before tries, summed.
        first_byte_p50_s, first_byte_p95_s: until the response's body began.
        classes: how often each error class came.
    """

    start_ns: EpochNs
    upstream: str
    attempts: int
    retries: int
    failed: int
    cancelled: int
    failed_ratio: float
    breaker_not_closed: int
    backoff_s: float
    first_byte_p50_s: float | None
    first_byte_p95_s: float | None
    classes: dict[str, int]


def latency(client: "Client", window: Window) -> list[Latency]:
    """How long callers waited, by model and tenant.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "latency", Latency, **msgspec.structs.asdict(window))


def chunks(client: "Client", window: Window) -> list[Chunks]:
    """How long callers waited between chunks, by model and tenant.

    It reads every time between chunks; `latency` reads one number of a call and is several times as
    fast.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "chunks", Chunks, **msgspec.structs.asdict(window))


def errors(client: "Client", window: Window) -> list[Errors]:
    """How calls ended, by model and tenant.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "errors", Errors, **msgspec.structs.asdict(window))


def slo(client: "Client", window: Window, objective: Objective) -> list[Attainment]:
    """How many calls were good, by model and tenant.

    Raises:
        StoreError: the store refused the question.
    """
    limits = msgspec.structs.asdict(objective)
    return ask(client, "slo", Attainment, **msgspec.structs.asdict(window), **limits)


def upstreams(client: "Client", window: Window) -> list[Upstream]:
    """Tries by upstream, and what became of them.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "upstreams", Upstream, **msgspec.structs.asdict(window))
