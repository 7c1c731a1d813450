"""The questions about a window of time, by the names that people ask them with."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from otel_llm.query import fleet, longrange, service, usage
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Part = Literal["every", "service", "tenant", "model"]
Answer = Sequence[msgspec.Struct]


class Question(NamedTuple):
    """One question.

    Attributes:
        help: what it answers, in one line.
        row: the struct of one line of the answer.
        answer: puts it to a store.
        parts: by what a window may be narrowed or cut for it.
        grain_ns: a stretch of time is as long as this or a multiple, in nanoseconds.
    """

    help: str
    row: type[msgspec.Struct]
    answer: Callable[["Client", Window], Answer]
    parts: tuple[Part, ...]
    grain_ns: int = 1


def questions(objective: service.Objective) -> dict[str, Question]:
    """All questions, by name.

    Args:
        objective: what `slo` holds calls to.
    """

    def slo(client: "Client", window: Window) -> Answer:
        return service.slo(client, window, objective)

    return {
        "latency": Question(
            "TTFT_caller, mean time between chunks and duration of calls, by model and tenant",
            service.Latency, service.latency, ("every", "tenant", "model"),
        ),
        "chunks": Question(
            "every single time between chunks, so that stalls show, by model and tenant",
            service.Chunks, service.chunks, ("every", "tenant", "model"),
        ),
        "stages": Question(
            "queue, prefill, TTFT_engine and TPOT of requests, by engine service and model",
            fleet.Stages, fleet.stages, ("every", "service", "tenant", "model"),
        ),
        "errors": Question(
            "how calls ended: error and shed rate, error classes, by model and tenant",
            service.Errors, service.errors, ("every", "tenant", "model"),
        ),
        "slo": Question(
            "calls within --ttft, --itl and --duration, and goodput, by model and tenant",
            service.Attainment, slo, ("every", "tenant", "model"),
        ),
        "upstreams": Question(
            "attempts, retries and failures, by upstream",
            service.Upstream, service.upstreams, ("every",),
        ),
        "engines": Question(
            "steps, tokens and batch size of engine instances, most tokens first",
            fleet.Throughput, fleet.engines, ("every", "service", "model"),
        ),
        "pressure": Question(
            "queue depth and use of the KV cache, by engine instance",
            fleet.Pressure, fleet.pressure, ("every", "service", "model"),
        ),
        "preemptions": Question(
            "requests that lost their place, and tokens computed again",
            fleet.Preemption, fleet.preemptions, ("every", "service", "tenant", "model"),
        ),
        "tenants": Question(
            "tenants by tokens, most first",
            usage.TenantUse, usage.tenants, ("every", "service", "model"),
        ),
        "cache": Question(
            "what part of prompts came from the prefix cache, by model and tenant",
            usage.CacheUse, usage.cache, ("every", "service", "tenant", "model"),
        ),
        "traffic": Question(
            "over days: calls, failures, tokens and TTFT_caller, by model and tenant",
            longrange.Traffic, longrange.traffic, ("every", "tenant", "model"), longrange.MINUTE_NS,
        ),
        "usage": Question(
            "over days: requests, tokens, joules and TTFT_engine, by model and tenant",
            longrange.Usage, longrange.usage, ("every", "service", "tenant", "model"),
            longrange.MINUTE_NS,
        ),
        "deaths": Question(
            "engines and gateways that died, and what was in flight",
            fleet.ProcessDeath, fleet.deaths, ("service",),
        ),
        "kernels": Question(
            "kernels by the time they took, most first",
            fleet.KernelUse, fleet.kernels, ("service",),
        ),
    }  # fmt: skip
